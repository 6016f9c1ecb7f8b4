// POST /api/voice-chat with a fault at each stage of each engine, in each form of the answer: one clean
// error, and nothing that stays behind. Then the same with a client that hangs up.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after } from 'node:test';
import { startElevenlabs } from '../upstreams/elevenlabs.mjs';
import { startOpenai } from '../upstreams/openai.mjs';
import { asRoot } from './support/context.mjs';
import { eventually } from './support/poll.mjs';
import { processesOf } from './support/processes.mjs';
import { nothingRemains, spent, sql } from './support/remains.mjs';
import { ends, serve } from './support/server.mjs';
import { events, record, target } from './support/voice.mjs';

const origin = 'https://www.example.com';
const openai = await startOpenai(), eleven = await startElevenlabs();
openai.reply = () => 'Yes. We are open on Monday, from eight in the morning. Please come by!';

const home = fs.mkdtempSync('/tmp/voice-faults-');
fs.chmodSync(home, 0o755); // everything runs as www-data where the suite is root's
const inHome = (name) => path.join(home, name);
fs.writeFileSync(inHome('ca.pem'), fs.readFileSync(openai.caFile, 'utf8') + fs.readFileSync(eleven.caFile, 'utf8'));
after(async () => {
    await Promise.all([openai.close(), eleven.close()]);
    fs.rmSync(home, { recursive: true });
});

// --- Programs that fail as they are told: `program STAGE` does what the file STAGE says ----------------

fs.mkdirSync(inHome('slow'), { mode: 0o755 });
fs.copyFileSync('/bin/sleep', inHome('slow/sleep')); // found by its place, whosever child it is
fs.writeFileSync(inHome('program'), `case $1-$(cat ${home}/$1) in
*-refused) exit 1 ;;
*-slow) ${home}/slow/sleep 60 ;;
hear-garbage) printf '\\377\\376 when do you open\\n' ;;
*-garbage) echo nonsense ;;
decode-cut) head -c 20000 /dev/urandom; kill -KILL $$ ;;
hear-cut) echo when do you; kill -KILL $$ ;;
speak-cut) head -c 5000 ${home}/sound.wav; kill -KILL $$ ;;
decode-*) head -c 32000 /dev/urandom ;;
hear-*) echo when do you open ;;
speak-*) cat ${home}/sound.wav ;;
esac
`);
fs.writeFileSync(inHome('sound.wav'), record('hello'));
const command = (stage) => `sh ${inHome('program')} ${stage}`;
const program = (stage, fault = '') => fs.writeFileSync(inHome(stage), fault);
['decode', 'hear', 'speak'].forEach((stage) => program(stage));

// --- What an endpoint has open ----------------------------------------------------------------------

const endpoints = (on) => processesOf(on.directory).map((entry) => Number.parseInt(entry)).filter((pid) =>
    fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`${on.directory}/cgi-bin/voice-chat\0`));

const O_CLOEXEC = 0o2000000;

/** What the descriptors are of that a process opened; those it was given outlive exec(). Root alone may look. */
const descriptors = (pid) => !asRoot ? [] : fs.readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
        const [, flags] = /^flags:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'));
        return Number.parseInt(flags, 8) & O_CLOEXEC ? [fs.readlinkSync(`/proc/${pid}/fd/${fd}`)] : [];
    } catch {
        return []; // closed meanwhile
    }
});

/** Those of a turn: recordings, texts and sounds, programs and what they say. */
const ofTurn = (pid) => descriptors(pid).filter((what) => /temp_audio|memfd:|pidfd|^pipe:/.test(what));

// --- Servers -----------------------------------------------------------------------------------------

const common = { ALLOWED_ORIGINS: origin, RATE_LIMIT_VOICE_CHAT: 'off', VOICE_TIMEOUT: '3' };
const cloud = await serve({ ...common, OPENAI_API_KEY: openai.key, OPENAI_BASE_URL: openai.url,
                            UPSTREAM_CA_FILE: inHome('ca.pem') });
const spoken = await serve({ ...common, OPENAI_API_KEY: openai.key, OPENAI_BASE_URL: openai.url,
                             UPSTREAM_CA_FILE: inHome('ca.pem'), ELEVENLABS_API_KEY: eleven.key,
                             ELEVENLABS_BASE_URL: eleven.url });
const local = await serve({ ...common, OPENAI_API_KEY: null, DECODE_COMMAND: command('decode'),
                            STT_COMMAND: command('hear'), TTS_COMMAND: command('speak') });
const servers = { cloud, spoken, local };
const recordings = { wav: record('hello'), mp3: record('hello', 'mp3') }; // a program decodes MP3 alone

function healthy() {
    openai.reset(), eleven.reset();
    ['decode', 'hear', 'speak'].forEach((stage) => program(stage));
}

const forms = { json: 'application/json', events: 'text/event-stream', audio: 'audio/*' };

/** A request of a user of its own in a conversation of the same name. */
const request = (on, form, id, recording) => on.bytes({
    method: 'POST', target: `${target}?sessionId=${id}`, token: on.keepPrivate(on.token(id)), origin,
    accept: forms[form], headers: [['Content-Type', 'application/octet-stream']], body: recording });

const running = () => processesOf(home).length;

async function leavesNothing(on) {
    await nothingRemains(on);
    await eventually('the programs end', () => running() === 0);
    for (const pid of endpoints(on)) assert.deepEqual(ofTurn(pid), []);
}

/** What was kept of a conversation: "role|interrupted" lines. */
const kept = (on, id) => sql(on, `SELECT i.role, i.interrupted FROM transcript_items i
    JOIN sessions s ON s.key = i.session WHERE s.id = '${id}' ORDER BY i.place`);

// --- A fault -----------------------------------------------------------------------------------------

/** One error, and nothing behind it; before it the events of names, and sound if that may have begun. */
function assertErrorEvent(text, { code, names, begun }) {
    const list = events(text);
    const error = list.at(-1);
    assert.equal(error.event, 'error', text);
    assert.equal(error.data.error.code, code);
    assert.match(error.data.traceId, /^[0-9a-f]{32}$/);
    assert.deepEqual([...new Set(list.slice(0, -1).map(({ event }) => event))].slice(0, names.length), names);
    assert.equal(list.some(({ event }) => event === 'done'), false);
    if (!begun) assert.equal(list.some(({ event }) => event === 'audio'), false);
    assert.ok(text.endsWith(`${JSON.stringify(error.data)}\n\n`), 'nothing comes behind it');
}

/** An ordinary answer, unless something was sent: events, pings among them, or sound. */
async function assertAnswer(on, form, id, recording, expected) {
    const { status, code, names, begun } = expected;
    const response = await on.raw(request(on, form, id, recording), 'POST');
    const type = response.header('content-type');
    const streams = form !== 'json' && type !== 'application/json';
    if (!streams) {
        assert.equal(response.status, status, response.text);
        assert.equal(response.json().error.code, code);
        assert.ok(form !== 'events' || names.length === 0, 'what was heard was not told');
    } else if (form === 'events') {
        assert.deepEqual([response.status, type], [200, 'text/event-stream']);
        assertErrorEvent(response.text, expected);
    } else { // of sound that has begun there is no other end
        assert.deepEqual([response.status, begun], [200, true], response.text.slice(0, 200));
        assert.match(type, /^audio\//);
        assert.doesNotMatch(response.text, new RegExp(`success|error|${code}`));
    }
    const trace = response.header('x-trace-id');
    const line = await on.line(({ event, traceId }) => event === 'request' && traceId === trace);
    assert.deepEqual([line.status, line.code, line.client], [status, code, 'ok']);
}

const failed = { status: 502, code: 'upstream_error' }, late = { status: 504, code: 'upstream_timeout' };
const heard = ['transcript'], thought = ['transcript', 'delta'];
const half = 'user|0\nassistant|1';
const unheard = { names: [], paid: '', keeps: '' }, unthought = { names: heard, paid: '0|1', keeps: '' };
const unspoken = { names: thought, paid: '1|1', keeps: half };
const upstream = (standin, route, fault) => () => standin.fail(fault, { route });

const faults = [
    ['cloud', 'hearing refused', upstream(openai, 'transcriptions', 'refused'), { ...failed, ...unheard }],
    ['cloud', 'hearing slow', upstream(openai, 'transcriptions', 'slow'), { ...late, ...unheard }],
    ['cloud', 'hearing cut', upstream(openai, 'transcriptions', 'cut'), { ...failed, ...unheard }],
    ['cloud', 'hearing garbage', upstream(openai, 'transcriptions', 'garbage'), { ...failed, ...unheard }],
    ['cloud', 'thinking refused', upstream(openai, 'chat', 'refused'), { ...failed, ...unthought }],
    ['cloud', 'thinking slow', upstream(openai, 'chat', 'slow'), { ...late, ...unthought }],
    ['cloud', 'thinking cut', upstream(openai, 'chat', 'stream_cut'), { ...failed, ...unspoken, begun: true }],
    ['cloud', 'thinking garbage', upstream(openai, 'chat', 'garbage'), { ...failed, ...unthought }],
    ['cloud', 'speaking refused', upstream(openai, 'speech', 'refused'), { ...failed, ...unspoken }],
    ['cloud', 'speaking slow', upstream(openai, 'speech', 'slow'), { ...late, ...unspoken }],
    ['cloud', 'speaking cut', upstream(openai, 'speech', 'stream_cut'), { ...failed, ...unspoken, begun: true }],
    ['cloud', 'speaking garbage', upstream(openai, 'speech', 'garbage'), { ...failed, ...unspoken }],
    ['spoken', 'speaking refused', upstream(eleven, 'speech', 'refused'), { ...failed, ...unspoken }],
    ['spoken', 'speaking slow', upstream(eleven, 'speech', 'slow'), { ...late, ...unspoken }],
    ['spoken', 'speaking cut', upstream(eleven, 'speech', 'stream_cut'), { ...failed, ...unspoken, begun: true }],
    ['spoken', 'speaking garbage', upstream(eleven, 'speech', 'garbage'), { ...failed, ...unspoken }],
    ['local', 'decoding refused', () => program('decode', 'refused'),
     { ...unheard, status: 415, code: 'unsupported_media_type' }, 'mp3'],
    ['local', 'decoding slow', () => program('decode', 'slow'), { ...late, ...unheard }, 'mp3'],
    ['local', 'decoding cut', () => program('decode', 'cut'),
     { ...unheard, status: 415, code: 'unsupported_media_type' }, 'mp3'],
    ['local', 'decoding garbage', () => program('decode', 'garbage'),
     { ...unheard, status: 422, code: 'no_speech' }, 'mp3'],
    ['local', 'hearing refused', () => program('hear', 'refused'), { ...failed, ...unheard }],
    ['local', 'hearing slow', () => program('hear', 'slow'), { ...late, ...unheard }],
    ['local', 'hearing cut', () => program('hear', 'cut'), { ...failed, ...unheard }],
    ['local', 'hearing garbage', () => program('hear', 'garbage'), { ...failed, ...unheard }],
    ['local', 'speaking refused', () => program('speak', 'refused'), { ...failed, ...unspoken }],
    ['local', 'speaking slow', () => program('speak', 'slow'), { ...late, ...unspoken }],
    ['local', 'speaking cut', () => program('speak', 'cut'), { ...failed, ...unspoken }],
    ['local', 'speaking garbage', () => program('speak', 'garbage'), { ...failed, ...unspoken }],
];

for (const [name, what, fail, expected, recording = 'wav'] of faults)
    test(`${name}: ${what} is one clean ${expected.code} in each form, and leaves nothing behind`, async () => {
        const on = servers[name];
        healthy();
        fail();
        await Promise.all(Object.keys(forms).map(async (form) => {
            const id = `${form}-${randomUUID()}`;
            await assertAnswer(on, form, id, recordings[recording], expected);
            assert.equal(spent(on, `user:${id}`), expected.paid, form);
            assert.equal(kept(on, id), expected.keeps, form);
        }));
        await leavesNothing(on);
    });

test('after all faults a turn succeeds, and then every process is as idle as ever', async () => {
    healthy();
    const threads = (pid) => fs.readdirSync(`/proc/${pid}/task`).length;
    const sockets = (pid) => descriptors(pid).filter((what) => what.startsWith('socket:')).length;
    // Its main, a worker and the database's writer; connections that nobody uses are closed.
    const idle = (pid) => !fs.existsSync(`/proc/${pid}`) || (threads(pid) <= 3 && sockets(pid) === 0);
    await Promise.all(Object.values(servers).map(async (on) => {
        for (const recording of Object.values(recordings)) {
            const response = await on.raw(request(on, 'json', `good-${randomUUID()}`, recording), 'POST');
            assert.equal(response.status, 200, response.text.slice(0, 300));
        }
        await leavesNothing(on);
        const pids = endpoints(on);
        assert.ok(pids.length > 0);
        await eventually('the processes rest', () => pids.every(idle), 30000);
    }));
});

// --- A client that hangs up --------------------------------------------------------------------------

const open = (standin) => [...standin.sockets].filter((socket) => !socket.destroyed && socket._httpMessage).length;
const busy = { cloud: () => open(openai), spoken: () => open(eleven), local: running };

const asked = (standin, route) => () => standin.asked(route).length > 0;
const sleeps = () => processesOf(inHome('slow')).length > 0;

const stages = [
    ['cloud', 'hearing', upstream(openai, 'transcriptions', 'slow'), asked(openai, 'transcriptions'), '0|1', ''],
    ['cloud', 'thinking', upstream(openai, 'chat', 'slow'), asked(openai, 'chat'), '1|1', ''],
    ['cloud', 'speaking', upstream(openai, 'speech', 'slow'), asked(openai, 'speech'), '1|1', half],
    ['spoken', 'speaking', upstream(eleven, 'speech', 'slow'), asked(eleven, 'speech'), '1|1', half],
    ['local', 'decoding', () => program('decode', 'slow'), sleeps, '', '', 'mp3'],
    ['local', 'hearing', () => program('hear', 'slow'), sleeps, '0|1', ''],
    ['local', 'speaking', () => program('speak', 'slow'), sleeps, '1|1', half],
];

test('servers whose stages may last far longer than any test waits', async () => {
    await Promise.all(Object.values(servers).map((on) => {
        on.configure({ VOICE_TIMEOUT: '60' });
        return on.restart();
    }));
});

for (const [name, stage, hold, begins, paid, keeps, recording = 'wav'] of stages)
    test(`${name}: a client that hangs up during ${stage} ends it at once, and leaves nothing behind`, async () => {
        const on = servers[name], id = `gone-${randomUUID()}`;
        healthy();
        await eventually('nothing goes on', () => busy[name]() === 0);
        hold();
        const client = net.connect(on.port, '127.0.0.1');
        client.on('error', () => {});
        client.write(request(on, 'events', id, recordings[recording]));
        await eventually('the stage begins', begins);
        client.destroy();
        await eventually('the work ends', () => busy[name]() === 0);
        await leavesNothing(on);
        assert.equal(spent(on, `user:${id}`), paid);
        assert.equal(kept(on, id), keeps);
    });

ends(...Object.values(servers));
