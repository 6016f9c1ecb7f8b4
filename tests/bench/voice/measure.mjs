// measure.mjs turns|many|local: measures and prints results for report.jq, one JSON object a line. Told by
// its environment: BENCH_URL of the server; BENCH_TOKENS and BENCH_PROVIDER, files with our users' tokens
// and with what standin.mjs printed; ROUNDS; BENCH_PID of voice-chat.
import fs from 'node:fs';
import { deltas } from '../../upstreams/openai/chat.mjs';
import { Caller } from './client.mjs';
import { numbered, sentences } from './said.mjs';

const delays = { transcriptions: 250, chat: 250, chat_token: 15, speech: 150, speech_chunk: 5 };
const MANY = 200;
const manyDelays = { ...delays, transcriptions: 3000 }; // so that all are there at once
const SAMPLE_MS = 100;

const { BENCH_URL: base, BENCH_TOKENS, BENCH_PROVIDER, BENCH_RECORDING, BENCH_PID, ROUNDS } = process.env;
const print = (result) => console.log(JSON.stringify({ section: 'voice', ...result }));
const settings = BENCH_PROVIDER ? Object.fromEntries(fs.readFileSync(BENCH_PROVIDER, 'utf8').trim().split('\n')
    .map((line) => line.split(/=(.*)/s))) : {};
const caller = new Caller({
    base,
    provider: { url: settings.OPENAI_BASE_URL, key: settings.OPENAI_API_KEY,
                ca: settings.UPSTREAM_CA_FILE && fs.readFileSync(settings.UPSTREAM_CA_FILE) },
    tokens: fs.readFileSync(BENCH_TOKENS, 'utf8').trim().split('\n'),
});
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

// The pieces of the model's answer: one with its role, then a token each. A sentence has ended once the
// token behind it is there: "3." may go on as "3.50".
const firstClause = deltas(sentences(0)[0]).length + 1;

/** The least the delays allow, in microseconds, with `pieces` of the model's answer to wait for. */
const nominal = (pieces) => 1000 * (delays.transcriptions + delays.chat + pieces * delays.chat_token + delays.speech);

async function round(who, thought, take) {
    await caller.prepare(delays);
    const turn = await take();
    const stages = await caller.stages(turn, thought);
    return { who, ttfa_us: turn.ttfa_us, all_us: turn.all_us, over_us: turn.ttfa_us - stages.ideal_us, ...stages };
}

async function turns() {
    const webm = numbered(fs.readFileSync(BENCH_RECORDING), 0);
    const whole = deltas(sentences(0).join(' ')).length + 2; // ... and one that says why it stops
    print({ what: 'delays', ...delays, first_clause: firstClause, nominal_us: nominal(firstClause) });
    for (let at = 0; at <= Number(ROUNDS); at++) {
        const ours = await round('ours', firstClause, () => caller.turn());
        const sequence = await round('sequence', whole, () => caller.sequence());
        const coded = await round('webm', firstClause, () => caller.turn(webm, { type: 'audio/webm' }));
        for (const result of [ours, sequence, coded]) print({ what: at === 0 ? 'first' : 'turn', ...result });
    }
}

/** Pss of the process in KiB, and its threads; null where it may not be looked at. */
function look() {
    try {
        return { kib: Number(/^Pss: +(\d+)/m.exec(fs.readFileSync(`/proc/${BENCH_PID}/smaps_rollup`, 'utf8'))[1]),
                 threads: Number(/^Threads:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${BENCH_PID}/status`, 'utf8'))[1]) };
    } catch {
        return { kib: null, threads: null };
    }
}

/** The most turns that were there at one moment. */
function atOnce(list) {
    const marks = list.flatMap(({ sent_us, done_us }) => [[sent_us, 1], [done_us, -1]]).sort((a, b) => a[0] - b[0]);
    let now = 0, most = 0;
    for (const [, step] of marks) most = Math.max(most, now += step);
    return most;
}

async function many() {
    const webm = fs.readFileSync(BENCH_RECORDING);
    const before = look();
    let peak = before;
    await caller.prepare(manyDelays);
    const sampler = setInterval(() => {
        const seen = look();
        if (seen.kib > peak.kib) peak = seen;
    }, SAMPLE_MS);
    const ends = await Promise.allSettled([...Array(MANY).keys()].map((number) =>
        caller.turn(numbered(webm, number), { type: 'audio/webm', number })));
    clearInterval(sampler);
    const good = ends.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
    for (const { reason } of ends.filter(({ status }) => status === 'rejected').slice(0, 5)) console.error(`voice: ${reason.message}`);
    const begin = Math.min(...good.map(({ sent_us }) => sent_us)), end = Math.max(...good.map(({ done_us }) => done_us));
    print({ what: 'many', turns: MANY, good: good.length, at_once: atOnce(good), before_kib: before.kib, peak_kib: peak.kib,
            threads: peak.threads, took_us: end - begin, ttfa_us: median(good.map(({ ttfa_us }) => ttfa_us)),
            nominal_us: nominal(firstClause) + 1000 * (manyDelays.transcriptions - delays.transcriptions) });
    if (good.length !== MANY) process.exitCode = 1;
}

/** With the programs of this machine: nothing to compare it with. */
async function local() {
    const question = fs.readFileSync(BENCH_RECORDING);
    for (let at = 0; at <= Number(ROUNDS); at++) {
        const turn = await caller.turn(question, { checked: false });
        if (at > 0) print({ what: 'local', ttfa_us: turn.ttfa_us, all_us: turn.all_us, timings: turn.timings });
    }
}

await { turns, many, local }[process.argv[2]]();
caller.close();
