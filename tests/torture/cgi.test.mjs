// The endpoints as plain CGI: each call of the process fails in turn. It answers, or ends with a
// status and says why, from which a web server makes a 500.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Faults, faultsOf, PEER, sampling } from './support/faults.mjs';
import { runOnce } from './support/program.mjs';
import { damage, lost, makeTorturedSite, SCENARIOS } from './support/scenarios.mjs';
import { sweep } from './support/sweep.mjs';
import { cgiAnswer, judgeFault } from './support/verdict.mjs';

let site;
const promised = [];
before(async () => (site = await makeTorturedSite()));
after(() => site.remove());

function outcomeOf(run, request, fault) {
    const answer = cgiAnswer(run.stdout);
    assert.equal(run.signal, null, 'no crash');
    if (run.code !== 0) {
        assert.equal(run.stdout.length, 0, 'no half an answer');
        assert.match(run.stderr, /cannot serve: ./);
        return 'ended';
    }
    const outcome = judgeFault(answer, request, fault);
    assert.ok(outcome !== 'broken' || fault.kinds === PEER, 'an answer');
    if (outcome === 'good') promised.push(...(request.rows?.(answer.json) ?? []));
    return outcome;
}

async function attempt(program, request, fault, at, unique) {
    const faults = new Faults(path.join(site.dir, `${unique}.faults`));
    faults.arm(fault, at);
    let run;
    try {
        run = await runOnce(site, program, { request, faults });
        const hit = faults.failed > 0;
        return { hit, outcome: outcomeOf(run, request, fault) };
    } catch (error) {
        error.message += ` (status ${run?.code} ${run?.signal}: ${run?.stderr}${run?.stdout})`;
        error.site = faults.site();
        throw error;
    } finally {
        faults.close();
    }
}

for (const [title, scenario] of Object.entries(SCENARIOS)) {
    if (scenario.warm) continue;
    test(`${title}: every call fails in turn in a CGI process`, async (t) => {
        const program = path.join(site.cgiBin, scenario.endpoint);
        const next = scenario.make(site);
        for (const [name, fault] of faultsOf(scenario)) {
            await t.test(name, () =>
                sweep(`${title}, as CGI\t${name}`,
                    (at) => attempt(program, next(), fault, at, `${scenario.endpoint.replaceAll('/', '.')}-${at}`),
                    { ...sampling(scenario, fault), width: 4 }));
        }
        assert.deepEqual(lost(site, promised), [], 'acknowledged rows');
        assert.equal(damage(site), '');
    });
}
