// Each call of a process fails in turn from its first instruction until its first answer. Either it
// ends and says why, or it answers; and then it works.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../http/robust/support/wait.mjs';
import { faultsOf, MEMORY, PEER, sampling, THREADS } from './support/faults.mjs';
import { Program } from './support/program.mjs';
import { damage, lost, makeTorturedSite, SCENARIOS } from './support/scenarios.mjs';
import { sweep } from './support/sweep.mjs';
import { judge, judgeFault } from './support/verdict.mjs';

const WORKING = 4; // at a time
const WAITING = 16; // most of the time for a report to expire

let site;
const promised = [];
before(async () => (site = await makeTorturedSite()));
after(() => site.remove());

function keep(request, answer) {
    for (const row of request.rows?.(answer.json) ?? []) promised.push(row);
}

// It ended, not by a crash, and has said why.
function assertEnded(program) {
    assert.equal(program.ended.signal, null, 'no crash');
    assert.notEqual(program.ended.code, 0, 'the end is told');
    assert.match(program.run.stderr, /cannot serve: ./);
}

// How the process took the fault: it ended, or it works before long. A second is what it waits
// before it tries again to map its counters, and how long a readiness report is kept.
async function outcomeOf(program, request, answer, fault) {
    let again;
    const outcome = judgeFault(answer, request, fault);
    if (outcome === 'good') keep(request, answer);
    await until('it works again or has ended', async () => {
        if (program.ended) return true;
        again = await program.ask(request);
        return again.complete && judge(again, { ...request, good: request.again }) === 'good';
    }, 5000);
    if (program.ended) {
        assert.equal(outcome, 'broken');
        assertEnded(program);
        return 'ended';
    }
    assert.ok(outcome !== 'broken' || [MEMORY, PEER].includes(fault.kinds), 'the connection broke');
    keep(request, again);
    return outcome;
}

async function attempt(endpoint, request, fault, at) {
    const program = new Program(site, endpoint, { fault, at });
    let answer;
    try {
        answer = await program.ask(request);
        program.faults.disarm();
        const hit = program.faults.failed > 0;
        const outcome = await outcomeOf(program, request, answer, fault);
        if (outcome !== 'ended') assert.deepEqual(await program.stop(), { code: 0, signal: null }, program.run.stderr);
        return { hit, outcome };
    } catch (error) {
        error.message += ` (answer ${answer?.status} ${answer?.body})`;
        error.site = program.faults.site();
        throw error;
    } finally {
        await program.kill();
    }
}

for (const [title, scenario] of Object.entries(SCENARIOS)) {
    if (scenario.warm) continue;
    test(`${title}: every call fails in turn from the start of the process`, async (t) => {
        const next = scenario.make(site);
        for (const [name, fault] of [...faultsOf(scenario), THREADS]) {
            await t.test(name, () =>
                sweep(`${title}, from the start\t${name}`,
                    (at) => attempt(scenario.endpoint, next(), fault, at),
                    { ...sampling(scenario, fault), width: scenario.cached ? WAITING : WORKING }));
        }
        assert.deepEqual(lost(site, promised), [], 'acknowledged rows');
        assert.equal(damage(site), '');
    });
}
