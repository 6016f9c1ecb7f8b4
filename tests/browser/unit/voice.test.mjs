// A voice turn without a browser: what is sent, and which callback gets what.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import test from 'node:test';
import { load, stream } from '../support/www.mjs';

globalThis.crypto ??= webcrypto; // which Node.js 18 has not as a global

const { Player, Recorder, Switchboard, newSessionId } = await load('switchboard.js');

const event = (type, data) => `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
const PIECE = { clause: 0, format: 'audio/wav', data: 'AAAA', last: true };
const DONE = { reply: 'Hello you.', format: 'audio/wav', engine: 'local', timings: { totalMs: 1 }, traceId: 't' };

/** Takes a turn that is answered with text; what was sent, and all calls of callbacks and player. */
async function take(text, turn, response = stream(text)) {
    const seen = { calls: [] };
    const note = (name) => (...arguments_) => seen.calls.push([name, ...arguments_]);
    const board = new Switchboard({ storage: null, getToken: () => 'token', fetch: async (url, init) => {
        Object.assign(seen, { url, ...init });
        return response;
    } });
    const names = ['onTranscript', 'onDelta', 'onAudio', 'onDone', 'onError'];
    seen.result = await board.voiceTurn({
        ...Object.fromEntries(names.map((name) => [name, note(name)])),
        player: { add: note('add'), reset: note('reset') }, ...turn,
    }).catch((error) => { seen.error = error; });
    return seen;
}

test('the events of a turn come to their callbacks in order, and speech to the player', async () => {
    const text = event('transcript', { text: 'hi' }) + event('delta', { text: 'Hello ' }) + event('delta', { text: 'you.' })
        + ': ping\n\n' + event('audio', PIECE) + event('something', {}) + event('done', DONE);
    const { calls, result } = await take(text, { text: 'hi' });
    assert.deepEqual(calls, [['reset'], ['onTranscript', 'hi'], ['onDelta', 'Hello '], ['onDelta', 'you.'],
                             ['add', PIECE], ['onAudio', PIECE], ['onDone', DONE]]);
    assert.deepEqual(result, DONE);
});

test('what is typed goes as JSON, and asks for events', async () => {
    const { url, method, body, headers } = await take(event('done', DONE), { text: 'hi', sessionId: 's1' });
    assert.deepEqual([url, method, JSON.parse(body)], ['/api/voice-chat', 'POST', { text: 'hi', sessionId: 's1' }]);
    assert.equal(headers.Accept, 'text/event-stream');
});

test('a conversation is named as the server names things, and no two alike', () => {
    const ids = [...Array(100)].map(newSessionId);
    ids.forEach((id) => assert.match(id, /^web_[0-9a-f]{32}$/));
    assert.equal(new Set(ids).size, 100);
});

test('what is said goes as a form, with its type', async () => {
    const audio = new Blob(['sound'], { type: 'audio/mp4' });
    const { body } = await take(event('done', DONE), { audio, language: 'en' });
    assert.deepEqual([...body.keys()], ['language', 'audio']);
    assert.equal(body.get('audio').type, 'audio/mp4');
    assert.equal(await body.get('audio').text(), 'sound');
});

test('an error event is an error, after what came before it', async () => {
    const text = event('delta', { text: 'We' }) + event('error', { error: { code: 'upstream_error', message: 'No.' }, traceId: 't' });
    const { calls, error } = await take(text, { text: 'hi' });
    assert.deepEqual([error.code, error.message, error.traceId, error.status], ['upstream_error', 'No.', 't', 200]);
    assert.deepEqual(calls, [['reset'], ['onDelta', 'We'], ['onError', error]]);
});

test('an answer that ends before it is done is interrupted', async () => {
    const { error } = await take(event('delta', { text: 'We' }), { text: 'hi' });
    assert.equal(error.code, 'interrupted');
});

test('an answer that is an error at once comes to onError', async () => {
    const refusal = new Response(JSON.stringify({ error: { code: 'no_speech', message: 'No.' }, traceId: 't' }), { status: 422 });
    const { calls, error } = await take('', { audio: new Blob(['']) }, refusal);
    assert.deepEqual([error.code, error.status], ['no_speech', 422]);
    assert.deepEqual(calls, [['reset'], ['onError', error]]);
});

test('a turn that is aborted falls silent, and tells nothing more', async () => {
    const abort = new AbortController();
    const text = event('delta', { text: 'We' }) + event('audio', PIECE) + event('done', DONE);
    const calls = [];
    const { error } = await take(text, {
        text: 'hi', signal: abort.signal, player: { reset: () => calls.push('reset'), add: () => calls.push('add') },
        onDelta: () => abort.abort(new Error('enough')), onDone: () => calls.push('done'), onError: () => calls.push('error'),
    });
    assert.equal(error.message, 'enough');
    assert.deepEqual(calls, ['reset', 'reset']);
});

/** An audio context at second 10 that decodes a clause to as many seconds as it has bytes, when told. */
function audio() {
    const context = { decodes: [], sources: [], currentTime: 10, state: 'running' };
    context.decodeAudioData = (bytes) => new Promise((resolve, reject) => {
        context.decodes.push({ bytes: Buffer.from(bytes).toString(),
                               ready: () => resolve({ duration: bytes.byteLength }), bad: () => reject(new Error('bad')) });
    });
    context.createBufferSource = () => {
        const source = { connect() {}, start(at) { this.at = at; }, stop() { this.stopped = true; } };
        context.sources.push(source);
        return source;
    };
    globalThis.AudioContext = function AudioContext() { return context; };
    return context;
}

const piece = (clause, text, last = true) => ({ clause, data: btoa(text), last });
/** Until everything that can happen without us has: reading a Blob takes some turns of the loop. */
async function settle() {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => { setImmediate(resolve); });
}

test('clauses start each with the end of the one before, in whatever order they are decoded', async () => {
    const context = audio();
    const player = new Player();
    player.add(piece(0, 'aaa'));
    player.add(piece(1, 'b', false));
    player.add(piece(1, 'b', false));
    player.add({ clause: 1, data: '', last: true });
    player.add(piece(2, 'c'));
    await settle();
    assert.deepEqual(context.decodes.map(({ bytes }) => bytes).sort(), ['aaa', 'bb', 'c'], 'each is decoded in whole');
    const decode = (text) => context.decodes.find(({ bytes }) => bytes === text).ready();
    decode('c');
    decode('bb');
    await settle();
    assert.equal(context.sources.length, 0);
    decode('aaa');
    await settle();
    const [first, ...others] = context.sources.map(({ at }) => at);
    assert.ok(first >= 10 && first < 10.1);
    assert.deepEqual(others, [first + 3, first + 5]);
});

test('a clause that is late starts at once', async () => {
    const context = audio();
    const player = new Player();
    player.add(piece(0, 'a'));
    await settle();
    context.decodes[0].ready();
    await settle();
    context.currentTime = 20;
    player.add(piece(1, 'b'));
    await settle();
    context.decodes[1].ready();
    await settle();
    assert.ok(context.sources[1].at >= 20 && context.sources[1].at < 20.1);
});

test('a clause that cannot be decoded is left out and counted', async () => {
    const context = audio();
    const player = new Player();
    player.add(piece(0, 'a'));
    player.add(piece(1, 'b'));
    await settle();
    context.decodes.find(({ bytes }) => bytes === 'a').bad();
    context.decodes.find(({ bytes }) => bytes === 'b').ready();
    await settle();
    assert.equal(context.sources.length, 1);
    assert.equal(player.failed, 1);
});

test('a player has finished when the last clause has been heard', async () => {
    const context = audio();
    const player = new Player();
    let finished = false;
    player.add(piece(0, 'a'));
    player.add(piece(1, 'b'));
    const all = player.finished().then(() => { finished = true; });
    await settle();
    context.decodes.forEach(({ ready }) => ready());
    await settle();
    context.sources[0].onended();
    await settle();
    assert.deepEqual([finished, player.speaking, player.played], [false, true, 1]);
    context.sources[1].onended();
    await all;
    assert.deepEqual([player.speaking, player.played], [false, 2]);
});

test('reset stops what plays, and what is still being decoded never starts', async () => {
    const context = audio();
    const player = new Player();
    player.add(piece(0, 'aaaa'));
    player.add(piece(1, 'b'));
    await settle();
    context.decodes.find(({ bytes }) => bytes === 'aaaa').ready();
    await settle();
    const finished = player.finished();
    player.reset();
    context.decodes.find(({ bytes }) => bytes === 'b').ready();
    await finished;
    await settle();
    assert.equal(context.sources.length, 1);
    assert.equal(context.sources[0].stopped, true);
    assert.deepEqual([player.speaking, player.played], [false, 0]);
    player.add(piece(0, 'c'));
    await settle();
    context.decodes.find(({ bytes }) => bytes === 'c').ready();
    await settle();
    assert.ok(context.sources[1].at < 10.1, 'the next turn waits for nothing that was still to come');
});

/** Turns that are answered piece by piece, say() goes to the one of that number; their connections break with the test. */
function conversation(t) {
    const turns = [];
    const board = new Switchboard({ storage: null, getToken: () => 'token', fetch: async () => stream(
        new ReadableStream({ start: (controller) => { turns.push(controller); } })) });
    const say = async (number, text) => {
        turns[number].enqueue(new TextEncoder().encode(text));
        await settle();
    };
    t.after(() => turns.forEach((controller) => controller.error(new Error('over'))));
    return { turn: (options) => { board.voiceTurn(options).catch(() => {}); }, say };
}

test('a turn that begins while another one is still being answered is alone on the player', async (t) => {
    const context = audio();
    const player = new Player();
    const { turn, say } = conversation(t);
    const heard = [];
    turn({ text: 'one', player, onAudio: ({ data }) => heard.push(atob(data)) });
    await settle();
    await say(0, event('audio', piece(1, 'old', false)));
    turn({ text: 'two', player });
    await settle();
    await say(0, event('audio', piece(1, 'er')));
    await say(1, event('audio', piece(1, 'new')));
    await say(0, event('audio', piece(2, 'older')));
    assert.deepEqual(context.decodes.map(({ bytes }) => bytes), ['new']);
    assert.deepEqual(heard, ['old', 'er', 'older'], 'its own callbacks go on');
});

test('what ends an earlier turn leaves the later one speaking', async (t) => {
    const context = audio();
    const player = new Player();
    const { turn, say } = conversation(t);
    const abort = new AbortController();
    turn({ text: 'one', player, signal: abort.signal });
    await settle();
    turn({ text: 'two', player });
    await settle();
    await say(1, event('audio', piece(0, 'a')));
    context.decodes[0].ready();
    await settle();
    abort.abort();
    assert.deepEqual([player.speaking, context.sources[0].stopped], [true, undefined]);
});

test('a player that is reset within a turn says nothing more of it', async (t) => {
    const context = audio();
    const player = new Player();
    const { turn, say } = conversation(t);
    turn({ text: 'one', player });
    await settle();
    await say(0, event('audio', piece(0, 'a', false)));
    player.reset();
    await say(0, event('audio', piece(0, 'b')) + event('audio', piece(1, 'c')));
    assert.equal(context.decodes.length, 0);
});

test('a turn keeps no listener on its signal but what silences it', async () => {
    const { signal } = new AbortController();
    const kept = new Set();
    signal.addEventListener = (type, listener) => kept.add(listener);
    signal.removeEventListener = (type, listener) => kept.delete(listener);
    await take(event('done', DONE), { text: 'hi', signal });
    assert.equal(kept.size, 1);
});

test('idle is told when speech ends, and not when there was none', async () => {
    const context = audio();
    const player = new Player();
    let idle = 0;
    player.addEventListener('idle', () => { idle++; });
    player.reset();
    assert.equal(idle, 0);
    player.add(piece(0, 'a'));
    await settle();
    context.decodes[0].ready();
    await settle();
    player.reset();
    assert.equal(idle, 1);
});

for (const [state, ends] of [['running', false], ['suspended', true]])
    test(`speech is ${ends ? '' : 'not '}over after 3 s for an audio context that is ${state}`, async () => {
        const real = globalThis.setTimeout;
        const due = [];
        const context = Object.assign(audio(), { state, resume: async () => {} });
        const player = new Player();
        player.add(piece(0, 'a'));
        await settle();
        context.decodes[0].ready();
        await settle();
        let finished = false;
        globalThis.setTimeout = (run, ms) => (ms === 3000 ? due.push(run) : real(run, ms));
        player.finished().then(() => { finished = true; });
        await settle();
        globalThis.setTimeout = real;
        due[0]();
        await settle();
        assert.equal(finished, ends);
        player.reset();
        await settle();
        assert.equal(finished, true);
    });

for (const state of ['suspended', 'interrupted'])
    test(`a gesture wakes an audio context that is ${state}`, () => {
        let woken = 0;
        Object.assign(audio(), { state, resume: async () => { woken++; } });
        new Player().unlock();
        assert.equal(woken, 1);
    });

test('a recording that ends by itself lets the microphone go', async () => {
    let recorder;
    let stopped = 0;
    const track = { stop: () => { stopped++; } };
    globalThis.MediaRecorder = class {
        state = 'recording';

        mimeType = 'audio/webm';

        constructor() { recorder = this; }

        static isTypeSupported() { return true; }

        start() {}

        end() { // as after an error of its own
            this.state = 'inactive';
            this.ondataavailable({ data: new Blob(['sound']) });
            this.onstop();
        }
    };
    const recording = new Recorder({ getTracks: () => [track] });
    recorder.end();
    await recording.ended;
    assert.equal(stopped, 1);
    const audio = await recording.stop();
    assert.deepEqual([await audio.text(), audio.type], ['sound', 'audio/webm']);
});
