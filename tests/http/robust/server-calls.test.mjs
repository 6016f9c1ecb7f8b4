// Under a real server: one call for a thread however many ask at once, and no acknowledged call is
// lost when endpoints are killed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { processesRunning } from './support/process.mjs';
import { beside, load, startServer } from './support/server.mjs';
import { checkout, copyPrograms, makeSite, owner } from './support/site.mjs';
import { until } from './support/wait.mjs';

const KILLS = 5;
const ENOUGH = 400; // acknowledged calls
const RECOVERS_MS = 10000;

let site, web;
before(async () => {
    site = makeSite();
    site.programs = copyPrograms(path.join(site.dir, 'programs'));
    site.cgiBin = path.join(site.programs, 'cgi-bin'); // processes of this test alone
    web = await startServer(site);
});
after(async () => {
    await web?.stop();
    site.remove();
});

test('64 simultaneous starts for one thread open exactly one call', async () => {
    for (const thread of site.seedThreads('user1', 'race', 3)) {
        const answers = await Promise.all(Array.from({ length: 64 }, () => web.start(thread)));
        const statuses = answers.map((one) => one.status).sort();
        assert.deepEqual(statuses, [...Array(63).fill(200), 201]);
        const ids = new Set(answers.map((one) => one.json.call.id));
        assert.equal(ids.size, 1);
        assert.deepEqual(new Set(answers.map((one) => one.json.created)), new Set([true, false]));
        assert.equal(site.sql(`SELECT id FROM calls WHERE thread_id = '${thread}'`), [...ids][0]);
    }
});

// nginx starts no programs, and spawn-fcgi does not watch over them: the administrator starts them
// again (systemd does it by itself).
function restartByHand() {
    const script = path.join(checkout, 'etc/nginx/switchboard-spawn.sh');
    for (const verb of ['stop', 'start']) {
        const done = spawnSync(script, [verb, site.cgiBin, web.state, site.env], { ...owner, encoding: 'utf8' });
        assert.equal(done.status, 0, done.stderr);
    }
}

test('kill -9 of endpoints under load loses no acknowledged call, and the server recovers', async (t) => {
    const program = path.join(site.cgiBin, 'calls/start');
    const threads = site.seedThreads('user1', 'kill', 30000);
    const acknowledged = new Map();
    const failures = new Map();
    let next = 0;
    const one = async () => {
        const thread = threads[next++];
        const answer = await web.start(thread);
        if (answer.status === 201) acknowledged.set(answer.json.call.id, thread);
        else failures.set(answer.status, (failures.get(answer.status) ?? 0) + 1);
        return answer.status;
    };
    const running = load(16, one);
    const recoveries = [];
    try {
        for (let kill = 0; kill < KILLS; kill++) {
            const reached = acknowledged.size + ENOUGH / KILLS;
            await until('calls are acknowledged', () => acknowledged.size >= reached, 20000);
            const victims = processesRunning(program);
            assert.ok(victims.length > 0, 'there is something to kill');
            victims.forEach((pid) => process.kill(pid, 'SIGKILL'));
            await until('they are dead', () => !processesRunning(program).some((pid) => victims.includes(pid)));
            const from = performance.now();
            if (beside) restartByHand();
            await until('the server recovers', async () => (await one()) === 201, RECOVERS_MS);
            recoveries.push(Math.round(performance.now() - from));
        }
    } finally {
        await running.stop();
    }
    assert.ok(acknowledged.size >= ENOUGH);
    const rows = new Map(site.sql(`SELECT id, thread_id FROM calls WHERE thread_id LIKE 'kill%'`)
        .split('\n').map((line) => line.split('|')));
    const lost = [...acknowledged].filter(([id, thread]) => rows.get(id) !== thread);
    t.diagnostic(`${acknowledged.size} acknowledged, ${lost.length} lost, ${rows.size} stored, others ` +
        `${JSON.stringify(Object.fromEntries(failures))}, recovered after ${recoveries.join(', ')} ms`);
    assert.deepEqual(lost, []);
    assert.equal(site.sql('PRAGMA integrity_check'), 'ok');
    assert.equal(site.sql('PRAGMA foreign_key_check'), '');
    assert.equal(site.sql(`SELECT count(*) FROM (SELECT 1 FROM calls WHERE ended_at IS NULL
        GROUP BY thread_id HAVING count(*) > 1)`), '0');
    assert.equal((await web.get('/api/health/ready')).status, 200);
});
