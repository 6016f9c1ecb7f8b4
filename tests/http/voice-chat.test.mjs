// POST /api/voice-chat with the programs of this machine: no key, no network.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';
import { clauses, events, form, heard, leftovers, record, silence, target, tone } from './support/voice.mjs';

const origin = 'https://www.example.com';
const server = await serve({ ALLOWED_ORIGINS: origin, RATE_LIMIT_VOICE_CHAT: 'off', ENABLE_VISITORS: 'true',
                             OPENAI_API_KEY: null, VOICE_TIMEOUT: '60' });
const production = await serve({ ALLOWED_ORIGINS: origin, APP_ENV: 'production', OPENAI_API_KEY: null,
                                 PRODUCTION_DOMAIN: 'www.example.com', METRICS_TOKEN: 'm'.repeat(32) });
const token = server.token('caller');

const ask = (body, headers = {}, on = server) => fetch(on.base + target, {
    method: 'POST', body, headers: { Authorization: `Bearer ${on.token('caller')}`, Origin: origin, Connection: 'close', ...headers } });
const askText = (text, headers = {}, on = server) =>
    ask(JSON.stringify({ text }), { 'Content-Type': 'application/json', ...headers }, on);

async function refused(response, status, code) {
    const body = await response.json();
    assert.equal(response.status, status, JSON.stringify(body));
    assert.equal(body.error.code, code);
    assert.deepEqual(leftovers(server), []);
    return body;
}

for (const extension of ['wav', 'webm'])
    test(`a question spoken as ${extension} is heard, answered and spoken`, async () => {
        const response = await ask(form(record('What are your opening hours?', extension)));
        const body = await response.json();
        assert.equal(response.status, 200, JSON.stringify(body));
        assert.match(body.transcript, /opening/);
        assert.match(body.transcript, /hours/);
        assert.match(body.reply, /^Our opening hours are: Monday to Wednesday 08:00 to 18:00/);
        assert.equal(body.format, 'audio/wav');
        assert.equal(body.engine, 'local');
        const said = heard(Buffer.from(body.audio, 'base64'));
        for (const word of ['saturday', 'sunday']) assert.match(said, new RegExp(word));
        for (const name of ['sttMs', 'llmMs', 'ttsMs', 'ttfaMs', 'totalMs'])
            assert.ok(body.timings[name] >= 0 && body.timings[name] <= body.timings.totalMs, name);
        assert.match(response.headers.get('server-timing'), /^stt;dur=[\d.]+, llm;dur=[\d.]+, tts;dur=[\d.]+, ttfa;dur=/);
        assert.deepEqual(leftovers(server), []);
    });

for (const extension of ['mp3', 'm4a', 'ogg', 'flac', 'mka'])
    test(`a raw body of ${extension} is told by its content`, async () => {
        const response = await ask(record('What are your opening hours?', extension),
                                   { 'Content-Type': 'application/octet-stream' });
        const body = await response.json();
        assert.equal(response.status, 200, JSON.stringify(body));
        assert.match(body.transcript, /hours/);
    });

for (const format of ['webm', 'ogg', 'flac'])
    test(`a recording (${format}) is as long as its samples, whatever its time stamps say`, async () => {
        const body = await refused(await ask(form(tone(125, format))), 413, 'body_too_large');
        assert.match(body.error.message, /longer than 119 seconds/);
    });

const undecoding = await serve({ ALLOWED_ORIGINS: origin, OPENAI_API_KEY: null, DECODE_COMMAND: 'false' });

for (const extension of ['webm', 'opus'])
    test(`Opus as browsers record it (${extension}) needs no program to be decoded`, async () => {
        const response = await ask(record('What are your opening hours?', extension),
                                   { 'Content-Type': 'audio/whatever' }, undecoding);
        const body = await response.json();
        assert.equal(response.status, 200, JSON.stringify(body));
        assert.match(body.transcript, /opening hours/);
    });

test('what needs the program and is not decoded by it is 415', async () => {
    const response = await ask(record('What are your opening hours?', 'mka'), { 'Content-Type': 'audio/webm' }, undecoding);
    assert.equal(response.status, 415);
    const { error } = await response.json();
    assert.equal(error.code, 'unsupported_media_type');
    assert.match(error.message, /could not be decoded/);
});

test('a turn may be typed, and has no transcript', async () => {
    const response = await server.post(target, { token, origin, body: { text: 'where can I park my car' } });
    assert.equal(response.status, 200, response.text);
    const body = response.json();
    assert.equal(body.transcript, null);
    assert.match(body.reply, /free parking behind the building/);
    assert.equal(response.header('cache-control'), 'no-store');
});

test('what is off topic is not answered but not understood', async () => {
    const { reply } = await (await askText('what is the capital of France')).json();
    assert.match(reply, /did not understand/);
});

test('events come in order: transcript, delta, audio, done', async () => {
    const response = await ask(form(record('What are your opening hours?')), { Accept: 'text/event-stream' });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    const list = events(await response.text());
    const names = list.map(({ event }) => event);
    assert.deepEqual([...new Set(names)], ['transcript', 'delta', 'audio', 'done']);
    assert.match(list[0].data.text, /opening hours/);
    const done = list.at(-1).data;
    assert.equal(list.filter(({ event }) => event === 'delta').map(({ data }) => data.text).join(''), done.reply);
    assert.equal(done.engine, 'local');
    for (const audio of clauses(list)) assert.equal(audio.subarray(8, 12).toString(), 'WAVE');
    assert.match(heard(clauses(list).at(-1)), /saturday and sunday/);
});

test('the bare audio is streamed as one WAV file', async () => {
    const response = await askText('when do you open', { Accept: 'audio/*' });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'audio/wav');
    assert.match(heard(Buffer.from(await response.arrayBuffer())), /saturday and sunday/);
});

test('a visitor may talk where there are visitors', async () => {
    const { token: visitor } = (await server.post('/api/visitor', { origin })).json();
    const response = await server.post(target, { token: visitor, origin, body: { text: 'hello' } });
    assert.equal(response.status, 200, response.text);
});

test('silence, what is too short and an empty body hold no speech', async () => {
    await refused(await ask(silence(2), { 'Content-Type': 'audio/wav' }), 422, 'no_speech');
    await refused(await ask(silence(0.1), { 'Content-Type': 'audio/wav' }), 422, 'no_speech');
    await refused(await ask('', { 'Content-Type': 'audio/wav' }), 422, 'no_speech');
    await refused(await ask(form(Buffer.alloc(0))), 422, 'no_speech');
});

test('what is no recording is unsupported, whatever it is called', async () => {
    await refused(await ask('#EXTM3U\nfile:///etc/passwd\n', { 'Content-Type': 'audio/mpegurl' }), 415, 'unsupported_media_type');
    await refused(await ask('hello', { 'Content-Type': 'text/plain' }), 415, 'unsupported_media_type');
    const broken = Buffer.concat([record('hello').subarray(0, 12), Buffer.alloc(5000, 0x55)]);
    await refused(await ask(broken, { 'Content-Type': 'audio/wav' }), 415, 'unsupported_media_type');
});

test('fields are held against their table, in JSON, forms and queries alike', async () => {
    const fields = async (response) => (await refused(response, 400, 'validation_failed')).error.fields;
    assert.deepEqual((await fields(await ask('{}', { 'Content-Type': 'application/json' })))[0],
                     { field: 'text', code: 'required', message: 'is required' });
    assert.equal((await fields(await askText('x'.repeat(2001))))[0].code, 'too_long');
    const recording = record('hello');
    assert.equal((await fields(await ask(form(recording, { nonsense: '1' }))))[0].field, 'nonsense');
    assert.equal((await fields(await ask(form(recording, { text: 'hello' }))))[0].field, 'audio');
    assert.equal((await fields(await ask(form(null, { language: 'en' }))))[0].code, 'required');
    assert.equal((await fields(await ask(form(recording, { language: 'E1' }))))[0].field, 'language');
});

test('a malformed form or JSON says so', async () => {
    await refused(await ask('--x\r\n', { 'Content-Type': 'multipart/form-data; boundary=x' }), 400, 'invalid_multipart');
    await refused(await ask('{"text":', { 'Content-Type': 'application/json' }), 400, 'invalid_json');
});

test('a recording over 25 MiB is refused', async () => {
    const big = Buffer.concat([record('hello').subarray(0, 44), Buffer.alloc(25 << 20)]);
    await refused(await ask(big, { 'Content-Type': 'audio/wav' }), 413, 'body_too_large');
});

test('who does not say where it comes from, or who it is, is refused', async () => {
    const nowhere = await fetch(server.base + target, { method: 'POST', body: '{"text":"hello"}',
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' } });
    await refused(nowhere, 403, 'origin_denied');
    const nobody = await fetch(server.base + target, { method: 'POST', body: '{"text":"hello"}',
        headers: { Origin: origin, 'Content-Type': 'application/json' } });
    await refused(nobody, 401, 'unauthenticated');
});

test('in production nothing local is used unless it is asked for', async () => {
    const response = await askText('hello', {}, production);
    assert.equal(response.status, 503);
    assert.equal((await response.json()).error.code, 'misconfigured');
    assert.equal((await production.line(({ event, endpoint }) =>
        event === 'misconfigured' && endpoint === 'voice-chat')).variable, 'VOICE_HEARING');
});

ends(server, production, undecoding);
