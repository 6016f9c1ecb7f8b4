// TERM, INT and USR1: what was begun is finished, what waits in the backlog is answered, and the
// process ends with status 0.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { halfSent, startEndpoint } from './support/endpoint.mjs';
import { head, Peer, record, TYPE, variables } from './support/fastcgi.mjs';
import { threads } from './support/process.mjs';
import { buildProbe } from './support/probe.mjs';
import { makeSite } from './support/site.mjs';
import { until, within } from './support/wait.mjs';

const MIB = 1024 * 1024;
let site, probe;
before(() => {
    site = makeSite();
    site.seedThreads('user1', 'thread', 20);
    probe = buildProbe(site.dir);
});
after(() => site.remove());

const startProbe = (env) => startEndpoint(site, 'probe', { program: probe, env });

async function ask(endpoint, uri) {
    const peer = await Peer.connect(endpoint.socket);
    await peer.send(Buffer.concat([head(variables('GET', uri, '')), record(TYPE.STDIN, 1)]));
    return peer;
}

// The signal was taken: nobody leads any more, so the main thread and the busy worker are left.
function stopping(endpoint, left = 2) {
    return until('idle workers end', () => threads(endpoint.pid) <= left);
}

async function endsWell(endpoint, ms) {
    const status = await within('its end', endpoint.exited, ms);
    assert.deepEqual(status, { code: 0, signal: null }, `${JSON.stringify(status)} ${endpoint.stderr}`);
}

describe('stopping', { concurrency: 4 }, () => {
    for (const [i, signal] of ['SIGTERM', 'SIGINT', 'SIGUSR1'].entries()) {
        test(`${signal} while idle ends it with status 0 within a second`, async () => {
            const endpoint = await startEndpoint(site, 'health');
            const ready = await endpoint.get('/api/health/ready'); // the writer runs
            assert.equal(ready.status, 200);
            endpoint.signal(signal);
            await endsWell(endpoint, 4000);
        });

        test(`${signal} in the middle of a body lets the request finish`, async () => {
            const endpoint = await startEndpoint(site, 'calls/start');
            const { peer, finish } = await halfSent(endpoint, `thread${i + 2}`);
            endpoint.signal(signal);
            await stopping(endpoint);
            await finish();
            const answer = await peer.answer();
            assert.equal(answer.status, 201, answer.head);
            assert.ok(answer.complete);
            peer.destroy();
            await endsWell(endpoint, 4000);
            const id = answer.json.call.id;
            assert.equal(site.sql(`SELECT count(*) FROM calls WHERE id = '${id}'`), '1');
        });
    }

    test('a second TERM in the middle of a body changes nothing', async () => {
        const endpoint = await startEndpoint(site, 'calls/start');
        const { peer, finish } = await halfSent(endpoint, 'thread1');
        endpoint.signal('SIGTERM');
        await stopping(endpoint);
        for (let i = 0; i < 3; i++) endpoint.signal('SIGTERM');
        endpoint.signal('SIGINT');
        await finish();
        assert.equal((await peer.answer()).status, 201);
        peer.destroy();
        await endsWell(endpoint, 4000);
    });

    test('TERM in the middle of a long answer lets it be read to its end', async () => {
        const endpoint = await startProbe();
        const peer = await ask(endpoint, `/api/probe?bytes=${8 * MIB}`);
        await until('the answer begins', () => peer.records.length > 0);
        peer.socket.pause();
        endpoint.signal('SIGTERM');
        await stopping(endpoint);
        assert.equal(endpoint.status, undefined, 'it waits for its reader');
        peer.socket.resume();
        const answer = await peer.answer();
        assert.ok(answer.complete);
        assert.equal(answer.body.length, 8 * MIB);
        peer.destroy();
        await endsWell(endpoint, 4000);
    });

    test('TERM answers all that wait in the backlog', async () => {
        const endpoint = await startProbe({ SWITCHBOARD_WORKERS: '4' });
        const peers = await Promise.all(
            Array.from({ length: 200 }, () => ask(endpoint, '/api/probe?waitMs=20&bytes=1000')));
        assert.ok(peers.filter((peer) => peer.records.length === 0).length > 100, 'most wait');
        endpoint.signal('SIGTERM');
        const answers = await Promise.all(peers.map((peer) => peer.answer()));
        assert.equal(answers.filter((one) => one.complete && one.body.length === 1000).length, 200);
        peers.forEach((peer) => peer.destroy());
        await endsWell(endpoint, 4000);
    });

    test('nothing is taken any more once it has ended', async () => {
        const endpoint = await startEndpoint(site, 'config');
        await endpoint.stop();
        await assert.rejects(endpoint.get('/api/config'), { code: 'ECONNREFUSED' });
    });

    for (const [what, start, begin] of [
        ['a body that never comes', () => startEndpoint(site, 'calls/start'),
            async (endpoint) => (await halfSent(endpoint, 'thread0')).peer],
        ['a handler that does not return', startProbe,
            (endpoint) => ask(endpoint, '/api/probe?waitMs=60000')],
        ['an answer that nobody reads', startProbe, async (endpoint) => {
            const peer = await ask(endpoint, `/api/probe?bytes=${64 * MIB}`);
            await until('the answer begins', () => peer.records.length > 0);
            peer.socket.pause();
            return peer;
        }],
    ]) {
        test(`${what} holds the stop up for 7 s and no longer`, async () => {
            const endpoint = await start();
            const peer = await begin(endpoint);
            const from = performance.now();
            endpoint.signal('SIGTERM');
            await endsWell(endpoint, 12000);
            const took = performance.now() - from;
            assert.ok(took > 6500, `it took ${took} ms`);
            peer.destroy();
            const forced = site.log().filter((line) => line.event === 'stop.forced');
            assert.ok(forced.length > 0, 'the log says so');
        });
    }
});
