import assert from 'node:assert/strict';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const server = await serve();
const start = (token, body) => server.post('/api/calls/start', { token, body });

test('the first start opens a call', async () => {
    const { id, alice } = server.thread();
    const before = Date.now();
    const response = await start(alice.token, { threadId: id, kind: 'video' });
    const { created, call } = response.json();
    assert.equal(response.status, 201);
    assert.equal(created, true);
    assert.match(call.id, /^call_[0-9a-z]{26}$/);
    const { id: _, startedAt, ...rest } = call;
    assert.deepEqual(rest, { threadId: id, kind: 'video', startedBy: alice.id,
                             endedAt: null, durationSeconds: null, endReason: null });
    assert.ok(Date.parse(startedAt) >= before && Date.parse(startedAt) <= Date.now());
});

test('starting again gives the open call, to any member and whatever the kind', async () => {
    const { id, call, bob } = await server.openCall();
    const response = await start(bob.token, { threadId: id, kind: 'video' });
    assert.equal(response.status, 200);
    assert.deepEqual([response.json().created, response.json().call], [false, call]);
});

test('of many that start at once, one opens the call', async () => {
    const { id, alice, bob, mod } = server.thread();
    const all = await Promise.all([...Array(12).keys()].map((i) =>
        start([alice, bob, mod][i % 3].token, { threadId: id, kind: 'audio' })));
    assert.deepEqual(all.map(({ status }) => status).sort(), [...Array(11).fill(200), 201]);
    assert.equal(new Set(all.map((response) => response.json().call.id)).size, 1);
});

test('after the end, a start opens another call', async () => {
    const { id, call, alice } = await server.openCall();
    await server.post('/api/calls/end', { token: alice.token, body: { callId: call.id } });
    const response = await start(alice.token, { threadId: id, kind: 'audio' });
    assert.equal(response.status, 201);
    assert.notEqual(response.json().call.id, call.id);
});

test('each call has a room of its own that nobody can guess', async () => {
    const rooms = new Set();
    for (let i = 0; i < 3; i++) {
        const { alice, call } = await server.openCall();
        rooms.add((await server.join(alice, call)).jitsi.room);
    }
    assert.equal(rooms.size, 3);
    for (const room of rooms) assert.match(room, /^[0-9a-f]{12}-[0-9a-f]{32}$/);
});

const invalid = {
    'nothing at all': [{}, { threadId: 'required', kind: 'required' }],
    'no thread': [{ kind: 'audio' }, { threadId: 'required' }],
    'a kind there is not': [{ threadId: 't', kind: 'hologram' }, { kind: 'not_allowed' }],
    'a thread that is a number': [{ threadId: 7, kind: 'audio' }, { threadId: 'type' }],
    'null': [{ threadId: null, kind: 'audio' }, { threadId: 'type' }],
    'an empty thread': [{ threadId: '', kind: 'audio' }, { threadId: 'too_short' }],
    'a thread of 65 characters': [{ threadId: 'x'.repeat(65), kind: 'audio' }, { threadId: 'too_long' }],
    'a thread that is a path': [{ threadId: '../x', kind: 'audio' }, { threadId: 'format' }],
    'a thread that is SQL': [{ threadId: "' OR 1=1--", kind: 'audio' }, { threadId: 'format' }],
    'a field too many': [{ threadId: 't', kind: 'audio', admin: true }, { admin: 'unknown' }],
    'all of it wrong': [{ threadId: [], kind: {}, x: 1 }, { threadId: 'type', kind: 'type', x: 'unknown' }],
};
for (const [what, [body, codes]] of Object.entries(invalid))
    test(`invalid: ${what}`, async () => {
        const { alice } = server.thread();
        const response = await start(alice.token, body);
        assert.equal(response.status, 400);
        const { code, fields } = response.json().error;
        assert.equal(code, 'validation_failed');
        assert.deepEqual(Object.fromEntries(fields.map(({ field, code: why }) => [field, why])), codes);
    });

test('to a stranger a thread is not there: the answer is that of a missing one', async () => {
    const { id, eve } = server.thread();
    const bare = (response) => ({ ...response.json(), traceId: '' });
    const foreign = await start(eve.token, { threadId: id, kind: 'audio' });
    const missing = await start(eve.token, { threadId: 'no-such-thread', kind: 'audio' });
    assert.equal(foreign.status, 404);
    assert.deepEqual(bare(foreign), bare(missing));
    assert.deepEqual([...foreign.headers.keys()].sort(), [...missing.headers.keys()].sort());
});

test('staff and service roles make nobody a member', async () => {
    const { id } = server.thread();
    for (const role of ['staff', 'service']) {
        const token = server.token(`with-${role}`, { role });
        assert.equal((await start(token, { threadId: id, kind: 'audio' })).status, 404);
    }
});

for (const method of ['GET', 'PUT', 'DELETE'])
    test(`${method} is 405`, async () => {
        const response = await server.call('/api/calls/start', { method });
        assert.equal(response.status, 405);
        assert.deepEqual(response.header('allow').split(', ').sort(), ['OPTIONS', 'POST']);
    });

ends(server);
