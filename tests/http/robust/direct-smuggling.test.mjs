// What follows an unread body on a connection that the server wants to keep is never a request.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startEndpoint, startCall } from './support/endpoint.mjs';
import { begin, head, KEEP_CONN, pairs, Peer, record, stream, TYPE, variables } from './support/fastcgi.mjs';
import { makeSite } from './support/site.mjs';
import { until, within } from './support/wait.mjs';

const LIBFCGI_BUFFER = 8192; // what it reads at once and drops at the end of a request

let site;
before(() => {
    site = makeSite();
    site.seedThreads('user1', 'thread', 10);
});
after(() => site.remove());

// The records of a whole request as they would stand in a body.
function forged(method, uri, body) {
    const list = variables(method, uri, body, { REMOTE_USER: 'admin' });
    return Buffer.concat([
        begin(1, KEEP_CONN),
        stream(TYPE.PARAMS, 1, pairs(list)),
        stream(TYPE.STDIN, 1, body),
    ]);
}

// A request whose body, never read by the endpoint, has a forged one just where libfcgi would read
// on, and once more behind the body's end.
function smuggled(requestHead, forgery) {
    const filler = Buffer.alloc(LIBFCGI_BUFFER - requestHead.length - 8, 'x');
    const body = Buffer.concat([filler, forgery, Buffer.alloc(64, 'x')]);
    return Buffer.concat([requestHead, record(TYPE.STDIN, 1, body), record(TYPE.STDIN, 1), forgery]);
}

async function closedAfterOneAnswer(endpoint, bytes) {
    const peer = await Peer.connect(endpoint.socket, { allowHalfOpen: true });
    await peer.send(bytes);
    const answer = await peer.answer(5000);
    await within('the end of the connection', peer.ended, 4000);
    assert.equal(peer.of(TYPE.END).length, 1, 'one request, one end');
    peer.destroy();
    return answer;
}

test('a forged request behind an unread body is not run and the connection is closed', async () => {
    const endpoint = await startEndpoint(site, 'realtime-websocket');
    try {
        const list = variables('POST', '/api/realtime-websocket', Buffer.alloc(20000));
        const forgery = forged('DELETE', '/api/realtime-websocket', Buffer.alloc(0));
        const bytes = smuggled(head(list, { flags: KEEP_CONN }), forgery);
        const answer = await closedAfterOneAnswer(endpoint, bytes);
        assert.equal(answer.status, 410);
        await endpoint.stop();
        const methods = site.log('realtime-websocket').map((line) => line.method);
        assert.deepEqual(methods.filter((one) => one === 'POST' || one === 'DELETE'), ['POST']);
    } finally {
        await endpoint.stop();
    }
});

test('a forged start behind a refused body opens no call', async () => {
    const endpoint = await startEndpoint(site, 'calls/start');
    try {
        const call = startCall('thread1');
        const forgery = Buffer.concat([call.head, stream(TYPE.STDIN, 1, call.body)]);
        const list = variables('POST', '/api/calls/start', Buffer.alloc(12000)); // no token: 401
        const answer = await closedAfterOneAnswer(
            endpoint, smuggled(head(list, { flags: KEEP_CONN }), forgery));
        assert.equal(answer.status, 401);
        await endpoint.stop();
        assert.equal(site.sql('SELECT count(*) FROM calls'), '0');
    } finally {
        await endpoint.stop();
    }
});

test('a request that is read whole does not keep the connection either', async () => {
    const endpoint = await startEndpoint(site, 'calls/start');
    try {
        const call = startCall('thread2');
        const keep = Buffer.concat([
            head(call.params, { flags: KEEP_CONN }),
            stream(TYPE.STDIN, 1, call.body),
            startCall('thread3').whole,
        ]);
        const answer = await closedAfterOneAnswer(endpoint, keep);
        assert.equal(answer.status, 201);
        const open = await until('the call', () => site.sql('SELECT thread_id FROM calls'));
        assert.equal(open, 'thread2');
    } finally {
        await endpoint.stop();
    }
});
