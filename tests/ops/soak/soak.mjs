// node soak.mjs MINUTES: mixed load on a server, and what it does to its processes and files.
//
// Fails if an answer is not one that was expected (a 5xx never is), a process dies, or memory or
// descriptors of an endpoint grow. After a warm-up (a quarter of the time, two minutes at most) the
// median of the first third is held against that of the last.
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { origin, serveBefore, startUpstream } from '../../http/support/realtime.mjs';
import { server as kind } from '../../http/support/context.mjs';
import { load, Tally } from './load.mjs';
import { files, processes } from './watch.mjs';

const SAMPLE_MS = 1000;
const WARM_UP_MAX_MS = 120000;
// A connection to the database is opened when one more reads at once than ever before: two files and
// the pages it keeps. Two of the four a process has may come late; a leak is no such step.
const OWN_SLACK_KIB = 1024;
const DESCRIPTOR_SLACK = 4;
const WAL_MAX = 32 * 1024 * 1024; // checkpoints are due at 4 MiB

const minutes = Number(process.argv[2]);
if (!(minutes >= 1)) throw new Error('MINUTES is 1 or more');
const durationMs = minutes * 60000;
const warmUpMs = Math.min(durationMs / 4, WARM_UP_MAX_MS);
const problems = [];

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const row = (columns, widths) => console.log(columns.map((text, i) =>
    i === 0 ? String(text).padEnd(widths[0]) : String(text).padStart(widths[i])).join('  '));

// --- Watching ----------------------------------------------------------------------------------------

/** [{at, processes, walBytes}], one a second, until stopped. */
async function watch(server, samples, stopped) {
    for (; !stopped.now; await pause(SAMPLE_MS)) {
        const sizes = files(server.env.STATE_DIR);
        samples.push({ at: Date.now(), processes: processes(server.directory),
                       walBytes: Math.max(0, ...Object.entries(sizes)
                           .filter(([name]) => name.endsWith('-wal')).map(([, bytes]) => bytes)) });
    }
}

/** Means over an endpoint's processes, and how many these are. */
function measures(sample, endpoint) {
    const own = sample.processes.filter((one) => one.endpoint === endpoint);
    const mean = (of) => own.reduce((sum, one) => sum + of(one), 0) / own.length;
    return own.length === 0 ? undefined : {
        count: own.length, ownKib: mean((one) => one.ownKib), pssKib: mean((one) => one.pssKib),
        rssKib: mean((one) => one.rssKib), threads: mean((one) => one.threads),
        // Connections come and go with the load; what is kept are files and the like.
        descriptors: mean((one) => one.descriptors.filter((link) => !link.startsWith('socket:')).length),
        sockets: mean((one) => one.descriptors.filter((link) => link.startsWith('socket:')).length),
    };
}

function phase(samples, endpoint) {
    const all = samples.map((sample) => measures(sample, endpoint)).filter(Boolean);
    if (all.length === 0) return undefined;
    return Object.fromEntries(Object.keys(all[0]).map((key) => [key, median(all.map((one) => one[key]))]));
}

// --- Judging -----------------------------------------------------------------------------------------

function judgeEndpoint(endpoint, first, last) {
    const growth = { ownKib: last.ownKib - first.ownKib, descriptors: last.descriptors - first.descriptors,
                     sockets: last.sockets - first.sockets };
    if (growth.ownKib > OWN_SLACK_KIB) problems.push(`${endpoint} grew by ${Math.round(growth.ownKib)} KiB`);
    if (growth.descriptors > DESCRIPTOR_SLACK)
        problems.push(`${endpoint} holds ${growth.descriptors} descriptors more`);
    // A client's connection that is never closed would stay for good.
    if (growth.sockets > DESCRIPTOR_SLACK + Number(process.env.CLIENTS))
        problems.push(`${endpoint} holds ${growth.sockets} sockets more`);
}

/** mod_fcgid ends and starts processes as it sees fit; the others keep the one they have started. */
function judgeLives(steady) {
    if (kind === 'apache') return;
    const alive = (sample) => new Map(sample.processes.map(({ id, endpoint }) => [id, endpoint]));
    const begun = alive(steady[0]), ended = alive(steady.at(-1));
    for (const [id, endpoint] of begun) if (!ended.has(id)) problems.push(`${endpoint} (${id}) died`);
    for (const [id, endpoint] of ended) if (!begun.has(id)) problems.push(`${endpoint} (${id}) was started anew`);
}

function showProcesses(steady) {
    const third = Math.floor(steady.length / 3);
    const [early, late] = [steady.slice(0, third), steady.slice(-third)];
    const widths = [22, 5, 15, 15, 15, 9, 9, 7];
    row(['endpoint', 'procs', 'own KiB', 'PSS KiB', 'RSS KiB', 'files', 'sockets', 'threads'], widths);
    for (const endpoint of [...new Set(steady.flatMap((sample) => sample.processes.map((one) => one.endpoint)))].sort()) {
        const first = phase(early, endpoint), last = phase(late, endpoint);
        if (!first || !last) {
            if (kind !== 'apache') problems.push(`${endpoint} was not there all the time`);
            continue;
        }
        const both = (key) => `${Math.round(first[key])} > ${Math.round(last[key])}`;
        row([endpoint, last.count, both('ownKib'), both('pssKib'), both('rssKib'), both('descriptors'), both('sockets'),
             last.threads], widths);
        judgeEndpoint(endpoint, first, last);
    }
}

function showFiles(server, before, after) {
    const widths = [44, 12, 12];
    console.log('');
    row(['file', 'bytes', 'grew by'], widths);
    for (const [name, bytes] of Object.entries(after).sort()) {
        if (bytes === 0 && !before[name]) continue;
        row([path.relative(server.directory, name), bytes, bytes - (before[name] ?? 0)], widths);
        const grew = before[name] === undefined ? 'appeared' : bytes !== before[name] ? 'changed its size' : '';
        if (grew && name.startsWith(`${server.env.RUN_DIR}/`) && !name.includes('/serve-'))
            problems.push(`${name} ${grew}`);
    }
}

function showLoad(tally, seconds) {
    console.log('');
    row(['action', 'times', 'worst ms'], [22, 9, 9]);
    for (const [name, { count, worstMs }] of tally.actions) row([name, count, Math.round(worstMs)], [22, 9, 9]);
    const statuses = [...tally.statuses].sort().map(([status, count]) => `${status}: ${count}`).join(', ');
    console.log(`\n${tally.requests} answers in ${Math.round(seconds)} s (${statuses})`);
    for (const [status] of tally.statuses) if (status >= 500) problems.push(`an answer was ${status}`);
    problems.push(...tally.problems.filter(Boolean));
    if (tally.problems.length > 20) problems.push('and more of the kind');
    if (tally.requests === 0) problems.push('nothing was asked');
}

/** Requests as the endpoints have counted them. */
async function counted(server) {
    const text = (await server.raw(server.bytes({ target: '/api/metrics' }))).text;
    return [...text.matchAll(/^switchboard_http_requests_total\{.*\} (\d+)$/gm)]
        .reduce((sum, [, value]) => sum + Number(value), 0);
}

function judgeLogs(server) {
    const errors = new Map();
    for (const { level, event, reason } of server.lines())
        if (level === 'error') errors.set(`${event}: ${reason}`, (errors.get(`${event}: ${reason}`) ?? 0) + 1);
    for (const [what, times] of errors) problems.push(`the log has ${times} errors "${what}"`);
}

// --- The run -----------------------------------------------------------------------------------------

const openai = await startUpstream();
const server = await serveBefore(openai, {
    ENABLE_VISITORS: 'true', TRUST_PROXY: '127.0.0.1/32', RATE_LIMIT_HEALTH: '3/60',
    RATE_LIMIT_VOICE_CHAT: 'off', BUDGET_USER_TURNS: '0', BUDGET_USER_SECONDS: '0', BUDGET_USER_TOKENS: '0',
    BUDGET_VISITOR_TURNS: '0', BUDGET_VISITOR_SECONDS: '0', BUDGET_VISITOR_TOKENS: '0',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
console.error(`soak: ${kind} for ${minutes} min, of which ${Math.round(warmUpMs / 1000)} s to warm up`);

const samples = [], stopped = { now: false }, tally = new Tally();
const countedBefore = await counted(server);
const started = Date.now();
const watching = watch(server, samples, stopped);
let before;
setTimeout(() => { before = Object.assign({}, ...['STATE_DIR', 'RUN_DIR', 'LOG_DIR'].map((name) => files(server.env[name]))); },
           warmUpMs).unref();
await load({ server, origin, clients: Number(process.env.CLIENTS), tally, until: started + durationMs });
const seconds = (Date.now() - started) / 1000;
stopped.now = true;
await watching;
const after = Object.assign({}, ...['STATE_DIR', 'RUN_DIR', 'LOG_DIR'].map((name) => files(server.env[name])));
const sum = await counted(server) - countedBefore - 1; // the first question itself was counted later
const steady = samples.filter(({ at }) => at >= started + warmUpMs);

showProcesses(steady);
judgeLives(steady);
showFiles(server, before, after);
showLoad(tally, seconds);
const walBytes = Math.max(...samples.map((sample) => sample.walBytes));
if (walBytes > WAL_MAX) problems.push(`the WAL grew to ${walBytes} bytes`);
if (sum !== tally.requests) problems.push(`${sum} requests are counted in /api/metrics`);
await server.stop().catch((error) => problems.push(`the end: ${error.message}`));
judgeLogs(server);
server.remove();
await openai.close();
for (const problem of problems) console.log(`not ok: ${problem}`);
console.log(problems.length === 0 ? 'soak: nothing grew, nothing failed' : `soak: ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
