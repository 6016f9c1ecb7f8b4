// Bad peers hold one worker, for a limited time, and never their neighbours.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { halfSent, startEndpoint } from './support/endpoint.mjs';
import { begin, head, pairs, Peer, record, request, TYPE, variables } from './support/fastcgi.mjs';
import { buildProbe } from './support/probe.mjs';
import { makeSite } from './support/site.mjs';
import { until, within } from './support/wait.mjs';

const NEIGHBOUR_MS = 500;
const HEAD_TIMEOUT_MS = 5000; // of serve_fastcgi.c

let site, probe;
before(() => {
    site = makeSite();
    site.seedThreads('user1', 'thread', 10);
    probe = buildProbe(site.dir);
});
after(() => site.remove());

const startProbe = (env) => startEndpoint(site, 'probe', { program: probe, env });

async function withEndpoint(endpoint, use) {
    const peers = [];
    try {
        await use(async (socketOptions) => {
            peers.push(await Peer.connect(endpoint.socket, socketOptions));
            return peers.at(-1);
        });
    } finally {
        peers.forEach((peer) => peer.destroy());
        await endpoint.stop();
    }
}

// The slowest of several neighbours, one after another and then at once.
async function slowestNeighbour(endpoint, uri) {
    let slowest = 0;
    const one = async () => {
        const from = performance.now();
        const answer = await request(endpoint.socket, 'GET', uri);
        assert.equal(answer.status, 200);
        slowest = Math.max(slowest, performance.now() - from);
    };
    for (let i = 0; i < 10; i++) await one();
    await Promise.all(Array.from({ length: 4 }, one));
    return slowest;
}

async function neighboursAreWell(endpoint, uri = '/api/config') {
    const slowest = await slowestNeighbour(endpoint, uri);
    assert.ok(slowest < NEIGHBOUR_MS, `a neighbour waited ${Math.round(slowest)} ms`);
}

describe('peers', { concurrency: 4 }, () => {
    test('a peer that sends nothing holds up nobody', async () => {
        const endpoint = await startEndpoint(site, 'config');
        await withEndpoint(endpoint, async (connect) => {
            await connect();
            await neighboursAreWell(endpoint);
        });
    });

    test('as many silent peers as there are workers but one hold up nobody', async () => {
        const endpoint = await startEndpoint(site, 'config', { env: { SWITCHBOARD_WORKERS: '4' } });
        await withEndpoint(endpoint, async (connect) => {
            for (let i = 0; i < 3; i++) await connect();
            await neighboursAreWell(endpoint);
        });
    });

    for (const [what, bytes] of [
        ['half a record header', begin().subarray(0, 5)],
        ['half a PARAMS record', Buffer.concat([begin(), record(TYPE.PARAMS, 1, pairs([['A', 'b']]), { length: 4000 })])],
        ['PARAMS without their end', Buffer.concat([begin(), record(TYPE.PARAMS, 1, pairs(variables('GET', '/api/config', '')))])],
    ]) {
        test(`a peer that stops after ${what} holds up nobody`, async () => {
            const endpoint = await startEndpoint(site, 'config');
            await withEndpoint(endpoint, async (connect) => {
                const peer = await connect();
                await peer.send(bytes);
                await neighboursAreWell(endpoint);
                assert.equal(peer.records.length, 0, 'no answer to half a request');
            });
        });
    }

    test('a peer that stops in the middle of a body holds up nobody', async () => {
        const endpoint = await startEndpoint(site, 'calls/start');
        const { peer, finish } = await halfSent(endpoint, 'thread1');
        await withEndpoint(endpoint, async () => {
            const from = performance.now();
            const options = await request(endpoint.socket, 'OPTIONS', '/api/calls/start');
            assert.equal(options.status, 200);
            assert.ok(performance.now() - from < NEIGHBOUR_MS);
            await finish();
            assert.equal((await peer.answer()).status, 201);
            peer.destroy();
        });
    });

    test('peers that linger after their answer hold up nobody, even two for two workers', async () => {
        const endpoint = await startEndpoint(site, 'config', { env: { SWITCHBOARD_WORKERS: '2' } });
        await withEndpoint(endpoint, async (connect) => {
            for (let i = 0; i < 2; i++) {
                const peer = await connect({ allowHalfOpen: true });
                await peer.send(Buffer.concat([head(variables('GET', '/api/config', '')), record(TYPE.STDIN, 1)]));
                assert.equal((await peer.answer()).status, 200);
            }
            await neighboursAreWell(endpoint);
        });
    });

    test('a peer that never reads its answer holds up nobody', async () => {
        const endpoint = await startProbe();
        await withEndpoint(endpoint, async (connect) => {
            const peer = await connect();
            const list = variables('GET', '/api/probe?bytes=67108864', '');
            await peer.send(Buffer.concat([head(list), record(TYPE.STDIN, 1)]));
            await until('the answer begins', () => peer.records.length > 0);
            peer.socket.pause();
            await neighboursAreWell(endpoint, '/api/probe?bytes=1');
        });
    });

    test('a peer that goes away in the middle of a long answer frees its worker', async () => {
        const endpoint = await startProbe({ SWITCHBOARD_WORKERS: '1' });
        await withEndpoint(endpoint, async (connect) => {
            const peer = await connect();
            const list = variables('GET', '/api/probe?bytes=67108864', '');
            await peer.send(Buffer.concat([head(list), record(TYPE.STDIN, 1)]));
            await until('the answer begins', () => peer.records.length > 0);
            peer.destroy();
            await neighboursAreWell(endpoint, '/api/probe?bytes=1');
        });
    });

    test('more silent peers than workers stop the process for the head timeout only', async () => {
        const endpoint = await startEndpoint(site, 'config', { env: { SWITCHBOARD_WORKERS: '2' } });
        await withEndpoint(endpoint, async (connect) => {
            const silent = [await connect(), await connect(), await connect()];
            const from = performance.now();
            const answer = await request(endpoint.socket, 'GET', '/api/config', { ms: 2 * HEAD_TIMEOUT_MS });
            const waited = performance.now() - from;
            assert.equal(answer.status, 200);
            assert.ok(waited > HEAD_TIMEOUT_MS - 1000, `they were taken first (${Math.round(waited)} ms)`);
            assert.ok(waited < HEAD_TIMEOUT_MS + 1500, `it came back after ${Math.round(waited)} ms`);
            await within('their connections to be closed', Promise.all(silent.map((one) => one.ended)),
                HEAD_TIMEOUT_MS + 1500);
            await neighboursAreWell(endpoint);
        });
    });
});
