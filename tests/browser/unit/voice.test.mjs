// A voice turn without a browser: what is sent, and which callback gets what.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from '../support/www.mjs';

const { Switchboard } = await load('switchboard.js');

const event = (type, data) => `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
const PIECE = { clause: 0, format: 'audio/wav', data: 'AAAA', last: true };
const DONE = { reply: 'Hello you.', format: 'audio/wav', engine: 'local', timings: { totalMs: 1 }, traceId: 't' };

/** Takes a turn that is answered with text; what was sent, and all calls of callbacks and player. */
async function take(text, turn, response = new Response(text)) {
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
