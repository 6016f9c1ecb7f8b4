// Workers are made when they are needed and never above the cap; nothing is left behind by
// thousands of requests, good and bad.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startCall, startEndpoint } from './support/endpoint.mjs';
import { begin, Peer, request } from './support/fastcgi.mjs';
import { buildProbe } from './support/probe.mjs';
import { descriptors, residentKb, threads } from './support/process.mjs';
import { makeSite, root } from './support/site.mjs';
import { inParallel, until, within } from './support/wait.mjs';

const MAIN = 1;
const THREADS_OF_SEQUENCE = 12; // one waits, one answers, a few may still be closing
// AddressSanitizer keeps the shadow of what was freed.
const ROOM_AT_REST_KB = path.basename(process.env.SB_BUILD) === 'asan' ? 16384 : 1024;

let site, probe;
before(() => {
    site = makeSite();
    site.seedThreads('user1', 'thread', 50);
    probe = buildProbe(site.dir);
});
after(() => site.remove());

async function running(endpoint, use) {
    try {
        await use(endpoint);
    } finally {
        await endpoint.stop();
    }
}

// The most threads seen while work runs.
async function mostThreads(endpoint, work) {
    let most = 0, over = false;
    const watch = (async () => {
        while (!over) {
            most = Math.max(most, threads(endpoint.pid));
            await new Promise((resolve) => setTimeout(resolve, 2));
        }
    })();
    await work;
    over = true;
    await watch;
    return most;
}

test('one request after another needs a few workers of the many it may have', async () => {
    const env = { SWITCHBOARD_WORKERS: '64' };
    await running(await startEndpoint(site, 'config', { env }), async (endpoint) => {
        await inParallel(300, 1, () => endpoint.get('/api/config'));
        assert.ok(threads(endpoint.pid) < THREADS_OF_SEQUENCE, `${threads(endpoint.pid)} threads`);
    });
});

for (const [what, env, cap] of [
    ['its own cap', {}, 8],
    ['SWITCHBOARD_WORKERS', { SWITCHBOARD_WORKERS: '3' }, 3],
    ['SWITCHBOARD_WORKERS=1', { SWITCHBOARD_WORKERS: '1' }, 1],
]) {
    test(`forty at once make it grow to ${what} and no further`, async () => {
        await running(await startEndpoint(site, 'probe', { program: probe, env }), async (endpoint) => {
            const before = threads(endpoint.pid);
            const load = inParallel(40, 40, async () => {
                const answer = await endpoint.get('/api/probe?waitMs=50&bytes=10');
                assert.equal(answer.body.length, 10);
            });
            const most = await mostThreads(endpoint, load);
            assert.equal(most, MAIN + cap);
            assert.ok(before < most || cap <= 3, 'it had not all of them before');
        });
    });
}

test('workers that nobody needs any more end, all but one, and their memory goes', async () => {
    const env = { SWITCHBOARD_WORKERS: '40' };
    await running(await startEndpoint(site, 'probe', { program: probe, env }), async (endpoint) => {
        const before = residentKb(endpoint.pid);
        await inParallel(200, 40, () => endpoint.get('/api/probe?waitMs=50&bytes=100000'));
        assert.ok(threads(endpoint.pid) > MAIN + 30, `${threads(endpoint.pid)} threads`);
        await until('one worker is left', () => threads(endpoint.pid) === MAIN + 1, 20000);
        assert.equal((await endpoint.get('/api/probe?bytes=10')).body.length, 10);
        const grown = residentKb(endpoint.pid) - before;
        assert.ok(grown < ROOM_AT_REST_KB, `${grown} KiB more`);
    });
});

// One of each kind; the endpoint is calls/start.
async function oneOfEach(endpoint, i) {
    const kinds = [
        async () => assert.equal((await endpoint.get('/api/calls/start')).status, 405),
        async () => assert.equal((await endpoint.get('/api/elsewhere')).status, 404),
        async () => {
            const peer = await Peer.connect(endpoint.socket);
            await peer.send(startCall(`thread${i % 50}`).whole);
            assert.ok([200, 201].includes((await peer.answer()).status));
            peer.destroy();
        },
        async () => {
            const peer = await Peer.connect(endpoint.socket);
            await peer.send(begin().subarray(0, 4));
            peer.destroy();
            await peer.closed;
        },
        async () => {
            const call = startCall('thread1');
            const peer = await Peer.connect(endpoint.socket);
            await peer.send(call.whole.subarray(0, call.whole.length - 20));
            peer.destroy();
            await peer.closed;
        },
    ];
    await kinds[i % kinds.length]();
}

test('five thousand requests leave no descriptor, thread or memory behind', async () => {
    const env = { SWITCHBOARD_WORKERS: '8' };
    // 40 descriptors: a leak of one in a hundred requests would exhaust them.
    await running(await startEndpoint(site, 'calls/start', { env, descriptorsMax: 40 }), async (endpoint) => {
        const load = (count) => inParallel(count, 16, (i) => oneOfEach(endpoint, i));
        await load(2000); // all workers have opened what they keep
        const before = { kb: residentKb(endpoint.pid), threads: threads(endpoint.pid) };
        const open = root ? descriptors(endpoint.pid) : 0;
        await load(5000);
        const answer = await request(endpoint.socket, 'OPTIONS', '/api/calls/start');
        assert.equal(answer.status, 200);
        assert.ok(threads(endpoint.pid) <= before.threads + 1, `${threads(endpoint.pid)} threads`);
        if (root)
            // The process may have opened more of its four readers since: database, WAL and index each.
            await until('the descriptors are as many as before', () => descriptors(endpoint.pid) <= open + 9);
        const grown = residentKb(endpoint.pid) - before.kb;
        assert.ok(grown < 2048, `${grown} KiB more`);
    });
});

test('it takes as many descriptors as it may: a login, or systemd, gives 1024 of them', async () => {
    await running(await startEndpoint(site, 'health', { descriptorsMax: '-S 64' }), async ({ pid }) => {
        const limits = fs.readFileSync(`/proc/${pid}/limits`, 'utf8');
        const [, soft, hard] = /^Max open files +(\d+) +(\d+)/m.exec(limits);
        assert.ok(Number(hard) > 64, limits);
        assert.equal(soft, hard);
    });
});

test('out of descriptors it waits for some and goes on', async () => {
    const env = { SWITCHBOARD_WORKERS: '32' };
    await running(await startEndpoint(site, 'probe', { program: probe, env, descriptorsMax: 14 }), async (endpoint) => {
        const load = inParallel(64, 64, async () => {
            const answer = await endpoint.get('/api/probe?waitMs=50&bytes=10');
            assert.equal(answer.body.length, 10);
        });
        await within('64 answers', load, 10000);
    });
});
