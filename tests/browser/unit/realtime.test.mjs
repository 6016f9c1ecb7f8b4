// The realtime session against a WebRTC that is none: who is asked, restarts, the end.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from '../support/www.mjs';

const { RealtimeSession, SwitchboardError } = await load('switchboard.js');

const later = () => new Promise((resolve) => { setImmediate(resolve); });

/** A session and all that it touches; opens: whether a connection opens, by its number; json, calls: before answers. */
function arrange({ opens = () => true, options = {}, token = {}, apiStatus = 201,
                    calls = async () => {}, json } = {}) {
    const seen = { peers: [], asked: [], posted: [], telemetry: [], ends: [], waits: [], stopped: 0 };
    class Peer {
        connectionState = 'new';

        constructor() {
            seen.peers.push(this);
            this.number = seen.peers.length;
        }

        createDataChannel(label) {
            this.channel = { label, readyState: 'connecting', sent: [], send: (text) => this.channel.sent.push(text) };
            return this.channel;
        }

        addTrack() {}

        createOffer() { return { type: 'offer', sdp: `offer ${this.number}` }; }

        setLocalDescription(description) { this.localDescription = description; }

        async setRemoteDescription({ sdp }) {
            this.remote = sdp;
            setImmediate(() => {
                if (opens(this.number)) {
                    this.channel.readyState = 'open';
                    this.channel.onopen();
                } else this.fail();
            });
        }

        fail() {
            this.connectionState = 'failed';
            this.onconnectionstatechange();
        }

        close() { this.closed = true; }
    }
    const client = {
        json: async (path, { body }) => {
            seen.asked.push([path, body]);
            await json?.();
            if (path === '/api/realtime/calls') await calls();
            return path === '/api/realtime/calls'
                ? { call: { id: 'rtcall_1' }, sdp: 'answer', maxSessionSeconds: 60 }
                : { client_secret: 'ek_1', url: 'https://api.example.com/calls', maxSessionSeconds: 60, ...token };
        },
        request: async (path) => { seen.asked.push([path]); },
    };
    const session = new RealtimeSession(client, {
        RTCPeerConnection: Peer,
        microphone: async () => ({ getTracks: () => [{ stop: () => { seen.stopped++; } }] }),
        fetch: async (url, { body, headers }) => {
            seen.posted.push([url, body, headers.Authorization]);
            return new Response('answer', { status: apiStatus });
        },
        pause: async (ms) => { seen.waits.push(ms); },
        onTelemetry: (telemetry) => seen.telemetry.push(telemetry),
        onEnd: (error) => seen.ends.push(error),
        ...options,
    });
    return { session, seen };
}

const events = ({ telemetry }) => telemetry.map(({ event, restarts }) => `${event} ${restarts}`);

test('a session asks for a secret, posts its offer to the API and takes the answer', async () => {
    const { session, seen } = arrange({ options: { voice: 'marin' } });
    await session.start();
    assert.deepEqual(seen.asked, [['/api/realtime/token', { voice: 'marin' }]]);
    assert.deepEqual(seen.posted, [['https://api.example.com/calls', 'offer 1', 'Bearer ek_1']]);
    assert.equal(seen.peers[0].remote, 'answer');
    assert.equal(session.send({ type: 'response.create' }), true);
    assert.deepEqual(seen.peers[0].channel.sent, ['{"type":"response.create"}']);
    assert.ok(seen.telemetry[0].connectMs >= seen.telemetry[0].tokenMs);
    session.stop();
    assert.equal(session.send({}), false);
    assert.deepEqual([seen.peers[0].closed, seen.stopped, seen.ends], [true, 1, [null]]);
    assert.deepEqual(events(seen), ['connected 0', 'ended 0']);
});

test('by the server, the offer goes to the server, and so does the end', async () => {
    const { session, seen } = arrange({ options: { via: 'server' } });
    await session.start();
    session.stop();
    assert.deepEqual(seen.asked, [['/api/realtime/calls', { sdp: 'offer 1' }], ['/api/realtime/calls/rtcall_1/hangup']]);
    assert.deepEqual(seen.posted, []);
});

test('a connection that fails is made again, after waits that grow', async () => {
    const { session, seen } = arrange({ opens: (number) => number === 3 });
    await session.start();
    assert.deepEqual(events(seen), ['restart 1', 'restart 2', 'connected 2']);
    assert.ok(seen.waits[0] >= 250 && seen.waits[0] <= 500 && seen.waits[1] >= 500 && seen.waits[1] <= 1000);
    assert.deepEqual(seen.peers.map(({ closed }) => closed), [true, true, undefined]);
    session.stop();
});

test('no more often than is allowed', async () => {
    const { session, seen } = arrange({ opens: () => false, options: { maxRestarts: 2 } });
    await assert.rejects(session.start(), { code: 'connection_failed' });
    assert.equal(seen.peers.length, 3);
    assert.equal(seen.ends.length, 1);
    assert.equal(seen.telemetry.at(-1).reason, 'failed');
    assert.equal(seen.stopped, 1);
});

test('a connection that breaks while it is open is made again, and counts', async () => {
    const { session, seen } = arrange({ options: { maxRestarts: 1 } });
    await session.start();
    seen.peers[0].fail();
    seen.peers[0].channel.onclose(); // of the same connection: it is lost once
    for (let i = 0; i < 50 && seen.peers.length < 2; i++) await later();
    for (let i = 0; i < 50 && seen.telemetry.length < 3; i++) await later();
    assert.deepEqual(events(seen), ['connected 0', 'restart 1', 'connected 1']);
    seen.peers[1].fail();
    for (let i = 0; i < 50 && seen.ends.length === 0; i++) await later();
    assert.equal(seen.peers.length, 2);
    assert.equal(seen.ends[0].code, 'connection_failed');
});

test('what cannot pass is not tried again', async () => {
    const { session, seen } = arrange({ apiStatus: 401 });
    await assert.rejects(session.start(), (error) => error instanceof SwitchboardError && error.status === 401);
    assert.equal(seen.peers.length, 1);
});

test('who is to come back in more than half a minute is told so, and the microphone is let go', async () => {
    const refusal = new SwitchboardError({ code: 'budget_exceeded', message: 'No.', status: 429, retryAfter: 36000 });
    const { session, seen } = arrange({ json: () => { throw refusal; } });
    await assert.rejects(session.start(), refusal);
    assert.deepEqual([seen.waits, seen.stopped, seen.ends], [[], 1, [refusal]]);
});

test('a browser without WebRTC is told so, and no microphone asked for', async () => {
    let asked = 0;
    const { session, seen } = arrange({ options: { RTCPeerConnection: undefined, microphone: async () => { asked++; } } });
    await assert.rejects(session.start(), { code: 'unsupported' });
    assert.deepEqual([asked, seen.waits.length, seen.ends[0].code], [0, 0, 'unsupported']);
});

test('what WebRTC throws is a connection that failed', async () => {
    const { session, seen } = arrange({ options: { maxRestarts: 1, RTCPeerConnection: class {
        createDataChannel() { return {}; }

        addTrack() {}

        createOffer() { return Promise.reject(new DOMException('no', 'OperationError')); }

        close() {}
    } } });
    await assert.rejects(session.start(), (error) => error instanceof SwitchboardError
        && error.code === 'connection_failed' && error.cause.name === 'OperationError');
    assert.equal(seen.waits.length, 1);
});

test('an API that does not answer, or breaks off, is asked again', async () => {
    const real = globalThis.setTimeout;
    globalThis.setTimeout = (run, ms) => (ms === 30000 ? setImmediate(run) : real(run, ms));
    try {
        const answers = [() => new Promise(() => {}),
                         () => ({ ok: true, text: () => Promise.reject(new TypeError('terminated')) }),
                         () => new Response('answer', { status: 201 })];
        const { session, seen } = arrange({ options: { fetch: async () => answers.shift()() } });
        await session.start();
        assert.deepEqual(events(seen), ['restart 1', 'restart 2', 'connected 2']);
        session.stop();
    } finally {
        globalThis.setTimeout = real;
    }
});

test('a call that is opened while the session is stopped is hung up', async () => {
    let open;
    const { session, seen } = arrange({ options: { via: 'server' }, calls: () => new Promise((resolve) => { open = resolve; }) });
    const starting = assert.rejects(session.start(), { code: 'connection_failed' });
    while (!open) await later();
    session.stop();
    open();
    await starting;
    assert.deepEqual(seen.asked.at(-1), ['/api/realtime/calls/rtcall_1/hangup']);
    assert.deepEqual([seen.peers[0].remote, seen.stopped > 0, seen.ends], [undefined, true, [null]]);
});

test('a session that is stopped while the microphone is asked for never opens, and lets it go', async () => {
    let allow;
    let stopped = 0;
    const microphone = () => new Promise((resolve) => { allow = resolve; });
    const { session, seen } = arrange({ options: { microphone } });
    const starting = assert.rejects(session.start(), { code: 'connection_failed' });
    session.stop();
    allow({ getTracks: () => [{ stop: () => { stopped++; } }] });
    await starting;
    assert.deepEqual([stopped, seen.peers.length, seen.ends], [1, 0, [null]]);
});

test('the session ends at its longest, restarts included', async () => {
    const real = globalThis.setTimeout;
    const due = [];
    globalThis.setTimeout = (run, ms) => (ms === 60000 ? due.push(run) : real(run, ms));
    try {
        const { session, seen } = arrange();
        await session.start();
        seen.peers[0].fail();
        for (let i = 0; i < 50 && seen.telemetry.length < 3; i++) await later();
        assert.deepEqual(events(seen), ['connected 0', 'restart 1', 'connected 1']);
        assert.deepEqual(seen.ends, []);
        assert.equal(due.length, 1, 'from the first connection on, and not anew with each');
        due[0]();
        assert.deepEqual(seen.ends, [null]);
        assert.equal(seen.telemetry.at(-1).reason, 'expired');
        assert.equal(seen.peers[1].closed, true);
    } finally {
        globalThis.setTimeout = real;
    }
});
