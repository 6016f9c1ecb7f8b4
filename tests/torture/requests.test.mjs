// Requests to a running process: while one is answered, each call it makes fails in turn. What was
// acknowledged is kept, and the next request finds a process that works and has lost nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { descriptors } from '../http/robust/support/process.mjs';
import { root } from '../http/robust/support/site.mjs';
import { FAULTS, faultsOf, MEMORY, PEER } from './support/faults.mjs';
import { Program } from './support/program.mjs';
import { damage, lost, makeTorturedSite, SCENARIOS } from './support/scenarios.mjs';
import { sweep } from './support/sweep.mjs';
import { judge, judgeFault } from './support/verdict.mjs';

const PASSES = 6;
const CHECKPOINT_PAGES = 1000;
const CHECKPOINT_STRIDE = 131;
const LEAKY = ['memory', 'file', 'step with an I/O error'];

let site;
const promised = [];
before(async () => (site = await makeTorturedSite()));
after(() => site.remove());

function keep(request, answer) {
    for (const row of request.rows?.(answer.json) ?? []) promised.push(row);
}

// The request under the fault, and again without it.
async function attempt(program, scenario, like, request, fault, at) {
    program.faults.arm(fault, at);
    const answer = await program.ask(request);
    return settle(program, scenario, like, request, fault, answer);
}

// The verdict on an answer under a fault.
async function settle(program, scenario, like, request, fault, answer) {
    program.faults.disarm();
    const hit = program.faults.failed > 0;
    try {
        const outcome = judgeFault(answer, request, fault, like);
        assert.ok(outcome !== 'broken' || [MEMORY, PEER].includes(fault.kinds), 'the connection broke');
        if (outcome === 'good') keep(request, answer);
        assert.equal(program.ended, undefined, `the process ended: ${program.run.stderr}`);
        const again = await program.ask(request);
        assert.equal(judge(again, { ...request, good: request.again }, like), 'good', `again: ${again.body}`);
        keep(request, again);
        if (scenario.replays && outcome === 'good') assert.equal(again.json.call.id, answer.json.call.id);
        return { hit, outcome };
    } catch (error) {
        error.message += ` (answer ${answer.status} ${answer.body})`;
        error.site = program.faults.site();
        throw error;
    }
}

async function running(endpoint, settings, use) {
    const program = new Program(site, endpoint, { settings });
    try {
        await use(program);
        assert.deepEqual(await program.stop(), { code: 0, signal: null }, program.run.stderr);
    } finally {
        await program.kill();
    }
}

function assertKept() {
    assert.deepEqual(lost(site, promised), [], 'acknowledged rows');
    assert.equal(damage(site), '');
}

// What a process holds once it is at rest after a request.
async function held(program, request) {
    assert.equal(judge(await program.ask(request), { ...request, good: request.again }), 'good');
    return { blocks: program.faults.read('blocks'), descriptors: root ? descriptors(program.pid) : 0 };
}

// Another program leaves more in the write-ahead log than a checkpoint waits for.
function fillLog() {
    site.sql(`PRAGMA wal_autocheckpoint = 0; BEGIN;
        DELETE FROM idempotency WHERE principal = 'filler';
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${2 * CHECKPOINT_PAGES})
        INSERT INTO idempotency SELECT 'filler', '', i, '', 200, hex(randomblob(1000)), ${Date.now()} FROM n;
        COMMIT;`);
}

// Where there is no memory to take a request in, there is no answer. That is one allocation, which is
// another one later where a worker was made before.
const TAKING_IN_MAX = 2;

for (const [title, scenario] of Object.entries(SCENARIOS)) {
    if (scenario.cached) continue; // it answers from memory; see starts.test.mjs
    const next = () => (scenario.next ??= scenario.make(site))();
    test(`${title}: every call fails in turn while a request is answered`, async (t) => {
        await running(scenario.endpoint, {}, async (program) => {
            const like = await program.ask(next());
            assert.equal(judge(like, next()), 'good');
            for (const [name, fault] of faultsOf(scenario))
                await t.test(name, async () => {
                    const counts = await sweep(`${title}\t${name}`,
                        (at) => attempt(program, scenario, like, next(), fault, at));
                    if (fault.kinds === MEMORY && !fault.for) assert.ok(counts.broken <= TAKING_IN_MAX, 'answers');
                });
        });
        assertKept();
    });

    // With one worker the same requests leave the same blocks behind, but for what is made once, at
    // some pass: a leak grows in each.
    test(`${title}: nothing of a failure is left`, async () => {
        await running(scenario.endpoint, { SWITCHBOARD_WORKERS: '1', SB_FAULTS_PAGES_APART: '1' }, async (program) => {
            const like = await program.ask(next());
            const seen = [];
            for (let pass = 0; pass < PASSES; pass++) {
                for (const [name, fault] of faultsOf(scenario).filter(([one]) => LEAKY.includes(one)))
                    await sweep(`${title}, for leaks\t${name}`,
                        (at) => attempt(program, scenario, like, next(), fault, at));
                seen.push(await held(program, next()));
            }
            for (const what of ['blocks', 'descriptors']) {
                const counts = seen.map((one) => one[what]);
                const grows = counts.every((count, i) => i === 0 || count > counts[i - 1]);
                assert.ok(!grows, `${what} after each pass: ${counts}`);
            }
        });
    });
}

// The checkpoint follows the answer, so a second request waits for it: both are under the fault.
test('calls/start: every file call fails in turn while a checkpoint runs', async () => {
    const scenario = SCENARIOS['calls/start'];
    const { file } = FAULTS;
    await running('calls/start', {}, async (program) => {
        const like = await program.ask(scenario.next());
        const counts = await sweep('calls/start with a checkpoint\tfile', async (at) => {
            const requests = [scenario.next(), scenario.next()];
            fillLog();
            program.faults.arm(file, at);
            const answers = [await program.ask(requests[0]), await program.ask(requests[1])];
            const first = await settle(program, scenario, like, requests[0], file, answers[0]);
            const second = await settle(program, scenario, like, requests[1], file, answers[1]);
            return { hit: first.hit, outcome: first.outcome === 'good' ? second.outcome : first.outcome };
        }, { dense: 30, stride: CHECKPOINT_STRIDE });
        assert.ok(counts.positions > 30 + CHECKPOINT_PAGES / CHECKPOINT_STRIDE, `a checkpoint ran: ${counts.positions}`);
    });
    assertKept();
});
