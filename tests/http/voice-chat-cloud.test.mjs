// POST /api/voice-chat with OpenAI and ElevenLabs, over TLS to stand-ins that refuse what breaks their
// contracts.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { startElevenlabs } from '../upstreams/elevenlabs.mjs';
import { startOpenai } from '../upstreams/openai.mjs';
import { eventually } from './support/poll.mjs';
import { processesOf } from './support/processes.mjs';
import { assertNothingRemains, nothingRemains, reserved, spent, sql } from './support/remains.mjs';
import { ends, serve } from './support/server.mjs';
import { clauses, events, form, leftovers, record, target } from './support/voice.mjs';

const origin = 'https://www.example.com';
const openai = await startOpenai(), eleven = await startElevenlabs();
const authorities = path.join(fs.mkdtempSync('/tmp/voice-ca-'), 'ca.pem');
fs.writeFileSync(authorities, fs.readFileSync(openai.caFile, 'utf8') + fs.readFileSync(eleven.caFile, 'utf8'));
fs.chmodSync(path.dirname(authorities), 0o755);
after(() => Promise.all([openai.close(), eleven.close(), fs.promises.rm(path.dirname(authorities), { recursive: true })]));

const common = { ALLOWED_ORIGINS: origin, RATE_LIMIT_VOICE_CHAT: 'off', OPENAI_API_KEY: openai.key,
                 OPENAI_BASE_URL: openai.url, UPSTREAM_CA_FILE: authorities, VOICE_TIMEOUT: '3' };
const server = await serve(common);
const spoken = await serve({ ...common, ELEVENLABS_API_KEY: eleven.key, ELEVENLABS_BASE_URL: eleven.url });

openai.reply = () => 'Yes. We are open on Monday, from eight in the morning. Please come by whenever you like!';
openai.transcript = () => 'Are you open on Monday?';

const ask = (headers = {}, on = server, signal = undefined, body = form(record('hello'))) => fetch(on.base + target, {
    method: 'POST', body, signal, headers: { Authorization: `Bearer ${on.token('caller')}`, Origin: origin, Connection: 'close', ...headers } });

const nothingLeft = () => [server, spoken].forEach(assertNothingRemains);

/** A turn of a user of its own in a conversation of the same name; the answer. */
const askIn = (id, headers = {}, signal = undefined) => ask(
    { Authorization: `Bearer ${server.token(id)}`, ...headers }, server, signal, form(record('hello'), { sessionId: id }));

/** What was kept of that conversation: "role|interrupted" lines. */
const kept = (id, on = server) => sql(on, `SELECT i.role, i.interrupted FROM transcript_items i
    JOIN sessions s ON s.key = i.session WHERE s.id = '${id}' ORDER BY i.place`);

test('a turn is heard, thought and spoken by the API', async () => {
    openai.reset();
    const body = await (await ask()).json();
    assert.equal(body.success, true, JSON.stringify(body));
    assert.equal(body.transcript, 'Are you open on Monday?');
    assert.equal(body.reply, openai.reply());
    assert.equal(body.engine, 'openai');
    assert.equal(body.format, 'audio/mpeg');
    assert.equal(Buffer.from(body.audio, 'base64')[0], 0xff);
    const chat = openai.asked('chat')[0].parsed;
    assert.equal(chat.stream, true);
    assert.match(chat.messages[0].content, /Harbour Dental/);
    assert.deepEqual(chat.messages[1], { role: 'user', content: 'Are you open on Monday?' });
    assert.match(chat.safety_identifier, /^[0-9a-f]{64}$/);
    assert.deepEqual(openai.asked('speech').map(({ parsed }) => parsed.input).sort(), // asked at once
                     ['Please come by whenever you like!', 'We are open on Monday, from eight in the morning.', 'Yes.']);
    assert.equal(openai.asked('transcriptions')[0].parsed.file.filename, 'recording.wav');
    assert.ok(openai.requests.every(({ accepted }) => accepted));
    nothingLeft();
});

/** A WebM of one word, then a Void element that claims to be longer than any file, then many words: who believes
 * the claim hears one, and who looks for the next cluster, as FFmpeg does, hears all. */
function hiding() {
    const claim = Buffer.from([0xec, 0x01, 0x04, 0, 0, 0, 0, 0, 0]), behind = record('and so on '.repeat(20), 'webm');
    return Buffer.concat([record('hello', 'webm'), claim, behind.subarray(behind.indexOf('1f43b675', 'hex'))]);
}

/** The file that the API was given of a recording. */
async function heardOf(recording) {
    openai.reset();
    const response = await ask({}, server, undefined, form(recording));
    assert.equal(response.status, 200, await response.text());
    const [{ parsed: { file } }] = openai.asked('transcriptions');
    return [file.filename, file.bytes];
}

test('who hears is given what was counted and no more', async () => {
    const plain = await heardOf(record('hello', 'webm'));
    assert.equal(plain[0], 'recording.ogg');
    assert.deepEqual(await heardOf(hiding()), plain);
});

test('what is not Opus is heard as the samples that were counted', async () => {
    const [name, bytes] = await heardOf(record('hello', 'm4a'));
    const [, exact] = await heardOf(record('hello', 'wav'));
    assert.equal(name, 'recording.wav');
    assert.ok(Math.abs(bytes - exact) < 8000, `${bytes} bytes, of ${exact}`); // AAC's frames of padding
});

test('the first clause is spoken while the model still thinks', async () => {
    openai.reset();
    openai.delaysMs = { chat_token: 60 };
    const text = await (await ask({ Accept: 'text/event-stream' })).text();
    const list = events(text), names = list.map(({ event }) => event);
    assert.ok(names.indexOf('audio') < names.lastIndexOf('delta'), names.join());
    assert.equal(clauses(list).length, 3);
    assert.equal(names.at(-1), 'done');
});

test('ElevenLabs speaks where its key is set', async () => {
    openai.reset(), eleven.reset();
    const body = await (await ask({}, spoken)).json();
    assert.equal(body.engine, 'openai+elevenlabs', JSON.stringify(body));
    assert.equal(eleven.asked('speech').length, 3);
    assert.equal(openai.asked('speech').length, 0);
    assert.deepEqual(Object.keys(eleven.asked('speech')[0].parsed), ['text', 'model_id']);
});

// A fault at every stage: one clean error, and nothing is left behind.
for (const route of ['transcriptions', 'chat', 'speech'])
    for (const [fault, status, code] of [['invalid_key', 502, 'upstream_error'], ['forbidden', 502, 'upstream_error'],
        ['quota', 502, 'upstream_error'], ['error', 502, 'upstream_error'], ['retired', 502, 'upstream_error'],
        ['cut', 502, 'upstream_error'], ['refused', 502, 'upstream_error'], ['slow', 504, 'upstream_timeout'],
        ['garbage', 502, 'upstream_error'], ['empty', 502, 'upstream_error'], ['html', 502, 'upstream_error'],
        ['oversized', 502, 'upstream_error']])
        test(`${route} that fails by ${fault} is ${status} ${code}`, async () => {
            openai.reset();
            openai.fail(fault, { route });
            const id = `${route}-${fault}`;
            const response = await askIn(id);
            const body = await response.json();
            assert.equal(response.status, status, JSON.stringify(body).slice(0, 300));
            assert.equal(body.error.code, code);
            assert.doesNotMatch(JSON.stringify(body), /API key|model has been/);
            nothingLeft();
            // Paid for is what was done: to be heard, and an answer that nobody spoke.
            assert.equal(spent(server, `user:${id}`),
                         { transcriptions: '', chat: '0|1', speech: '1|1' }[route]);
            assert.equal(kept(id), route === 'speech' ? 'user|0\nassistant|1' : '');
        });

for (const [route, fault] of [['chat', 'stream_cut'], ['chat', 'stream_error'], ['speech', 'stream_cut']])
    test(`${fault} of ${route} in mid-stream is one error event at the end`, async () => {
        openai.reset();
        openai.fail(fault, { route });
        const id = `${route}-${fault}`;
        const response = await askIn(id, { Accept: 'text/event-stream' });
        assert.equal(response.status, 200);
        const list = events(await response.text());
        assert.equal(list[0].event, 'transcript');
        assert.equal(list.filter(({ event }) => event === 'error').length, 1);
        assert.equal(list.at(-1).event, 'error');
        assert.equal(list.at(-1).data.error.code, 'upstream_error');
        assert.match(list.at(-1).data.traceId, /^[0-9a-f]{32}$/);
        nothingLeft();
        assert.equal(spent(server, `user:${id}`), '1|1');
        assert.equal(kept(id), 'user|0\nassistant|1');
    });

test('an error behind the pings of a long silence is one error event', async () => {
    openai.reset();
    openai.fail('slow', { route: 'transcriptions' });
    const response = await ask({ Accept: 'text/event-stream' });
    const text = await response.text();
    assert.equal(response.status, 200);
    assert.match(text, /^: ping$/m);
    assert.deepEqual(events(text).map(({ event, data }) => [event, data.error.code]), [['error', 'upstream_timeout']]);
    nothingLeft();
});

test('a turn that is too long for a process told to end is ended in order', async () => {
    const dying = await serve({ ...common, VOICE_TIMEOUT: '30' });
    openai.reset();
    openai.fail('slow', { route: 'speech' });
    const response = await ask({ Accept: 'text/event-stream' }, dying, undefined, form(record('hello'), { sessionId: 's1' }));
    const reader = response.body.getReader();
    let text = Buffer.from((await reader.read()).value).toString();
    for (const entry of processesOf(dying.directory)) {
        const pid = Number.parseInt(entry);
        if (fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/voice-chat')) process.kill(pid, 'SIGTERM');
    }
    for (let part; !(part = await reader.read()).done;) text += Buffer.from(part.value);
    const list = events(text);
    assert.equal(list[0].event, 'transcript');
    assert.equal(list.filter(({ event }) => event === 'error').length, 1);
    assert.equal(list.at(-1).data.error.code, 'unavailable');
    const usage = () => JSON.parse(dying.run('usage', '--json').split('\n')[0]);
    await eventually('the turn is settled', () => usage().spent.turns === 1);
    assert.deepEqual(usage().reserved, { turns: 0, seconds: 0, tokens: 0 });
    assert.deepEqual(leftovers(dying), []);
    await dying.stop();
    dying.remove();
});

test('while it is heard a recording takes the place of what was decoded alone', async () => {
    openai.reset();
    openai.fail('slow', { route: 'transcriptions' });
    const controller = new AbortController();
    const padding = Buffer.concat([Buffer.from('ec01000000004c4b40', 'hex'), Buffer.alloc(5000000)]); // a Void element
    const recording = Buffer.concat([record('hello', 'webm'), padding]);
    const turn = ask({}, server, controller.signal, form(recording)).catch(() => {});
    await eventually('it is being heard', () => openai.asked('transcriptions').length === 1);
    const open = processesOf(server.directory).map((entry) => `/proc/${Number.parseInt(entry)}/fd`)
        .flatMap((fds) => fs.readdirSync(fds).map((fd) => path.join(fds, fd)))
        .filter((fd) => fs.statSync(fd, { throwIfNoEntry: false }) && fs.readlinkSync(fd).includes('/temp_audio/'));
    const bytes = open.map((fd) => fs.statSync(fd).size);
    assert.ok(open.length > 0 && bytes.every((size) => size < 100000), bytes.join());
    controller.abort();
    await turn;
    await nothingRemains(server);
});

test('what was thought is settled while it is being spoken', async () => {
    const patient = await serve({ ...common, VOICE_TIMEOUT: '30' });
    openai.reset();
    openai.fail('slow', { route: 'speech' });
    const controller = new AbortController();
    const response = await ask({ Accept: 'text/event-stream' }, patient, controller.signal);
    await eventually('it is settled', () => spent(patient, 'user:caller') === '1|1' && reserved(patient, 'user:caller') === '');
    controller.abort();
    const text = await response.text().catch(() => '');
    assert.doesNotMatch(text, /event: (done|error)/);
    await nothingRemains(patient);
    assert.equal(spent(patient, 'user:caller'), '1|1', 'it is counted once');
    await patient.stop();
    patient.remove();
});

test('a busy API is asked again', async () => {
    openai.reset();
    for (const route of ['transcriptions', 'chat', 'speech']) openai.fail('busy', { route, times: 1 });
    const body = await (await ask()).json();
    assert.equal(body.success, true, JSON.stringify(body));
});

for (const [what, fault] of [['an invalid key', 'invalid_key'], ['an answer that does not come', 'slow'],
                             ['a page in place of audio', 'html']])
    test(`ElevenLabs with ${what} is a clean error`, async () => {
        openai.reset(), eleven.reset();
        eleven.fail(fault);
        const response = await ask({}, spoken);
        assert.equal(response.status, fault === 'slow' ? 504 : 502);
        nothingLeft();
    });

test('a client that goes away ends the work upstream at once', async () => {
    // Its time-out does not come before the news that nobody is there, which takes a web server its time.
    const patient = await serve({ ...common, VOICE_TIMEOUT: '30' });
    openai.reset();
    openai.delaysMs = { chat_token: 50 };
    openai.reply = () => 'And so on. '.repeat(100);
    const controller = new AbortController();
    const response = await ask(
        { Authorization: `Bearer ${patient.token('gone')}`, Accept: 'text/event-stream' }, patient, controller.signal,
        form(record('hello'), { sessionId: 'gone' }));
    const reader = response.body.getReader();
    let read = '';
    while (!read.includes('event: delta')) read += Buffer.from((await reader.read()).value).toString();
    controller.abort();
    await eventually('the turn ends', () => patient.lines().some(({ event }) => event === 'voice.client_gone'));
    await eventually('the work ends', () => [...openai.sockets].every((socket) => socket.destroyed || !socket._httpMessage));
    openai.reply = () => 'Good.';
    await nothingRemains(patient);
    assert.equal(spent(patient, 'user:gone'), '1|1');
    const tokens = Number(sql(patient, "SELECT tokens FROM usage WHERE owner = 'user:gone'"));
    assert.ok(tokens > 100, `${tokens} tokens: a prompt was read and words were written`);
    assert.equal(kept('gone', patient), 'user|0\nassistant|1');
    const line = await eventually('the turn is logged', () =>
        patient.lines().find(({ event, status }) => event === 'request' && status === 499));
    assert.deepEqual([line.level, line.client], ['info', 'gone'], 'no failure of the service');
    await patient.stop();
    patient.remove();
});

ends(server, spoken);
