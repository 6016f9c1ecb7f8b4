// Under load: a graceful reload loses no request, and a program replaced by `install` is picked up.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { processesRunning } from './support/process.mjs';
import { beside, load, RELOAD, server, startServer } from './support/server.mjs';
import { copyPrograms, makeSite, root } from './support/site.mjs';
import { until } from './support/wait.mjs';

const RELOADS = 3;
const BETWEEN = 600; // answers between two reloads

let site, web;
before(async () => {
    site = makeSite();
    site.programs = copyPrograms(path.join(site.dir, 'programs'));
    site.cgiBin = path.join(site.programs, 'cgi-bin');
    web = await startServer(site);
});
after(async () => {
    await web?.stop();
    site.remove();
});

const processes = () => ['health', 'calls/start']
    .map((name) => processesRunning(path.join(site.cgiBin, name)).length).join();

// mod_fcgid 2.3.9 never answers a request that asks for one more process just when the reload ends
// its process manager (procmgr_send_spawn_cmd() waits for a byte for ever), about one in 20 reloads
// and more while processes are few. So Apache is reloaded when it has as many as the load needs,
// and even then a request may hang; its client gives up, asks again, and must be served.
const HANGS = server === 'apache' ? RELOADS * 4 : 0;
const GIVE_UP_MS = 6000;

async function settled(results) {
    for (;;) {
        const [before, from] = [processes(), results.length];
        await until('answers go on', () => results.length >= from + BETWEEN, 20000);
        if (server !== 'apache' || processes() === before) return;
    }
}

test(`a graceful reload by ${RELOAD} loses nothing`, async (t) => {
    const threads = site.seedThreads('user1', 'reload', 20000);
    let next = 0, hangs = 0;
    const running = load(12, async (i) => {
        const thread = i % 3 === 0 ? threads[next++] : null;
        const ask = () => (thread ? web.start(thread, GIVE_UP_MS) : web.get('/api/health', { timeout: GIVE_UP_MS }));
        let answer = await ask();
        if (answer.error?.message === 'timeout' && hangs++ < HANGS) answer = await ask();
        return { status: answer.status, why: answer.error?.message ?? answer.text };
    });
    const { results } = running;
    try {
        for (let i = 0; i < RELOADS; i++) {
            await settled(results);
            process.kill(web.master, RELOAD);
        }
        await settled(results);
    } finally {
        await running.stop();
    }
    const bad = results.filter(({ status }) => status !== 200 && status !== 201);
    t.diagnostic(`${results.length} requests, ${RELOADS} reloads, ${hangs} hung, ${bad.length} bad`);
    assert.deepEqual(bad, []);
    assert.equal(Number(site.sql('SELECT count(*) FROM calls')), results.filter(({ status }) => status === 201).length);
});

// `config` is replaced by a copy of `not-found`, so that the same URL tells which of the two runs.
function replaceConfig(by) {
    execFileSync('install', ['-m', '755', by, path.join(site.cgiBin, 'config')]);
}

test('install over a running program works, and the new one is picked up', async () => {
    const kept = path.join(site.dir, 'config.kept');
    fs.copyFileSync(path.join(site.cgiBin, 'config'), kept);
    assert.equal((await web.get('/api/config')).status, 200);
    const old = processesRunning(path.join(site.cgiBin, 'config'));
    assert.ok(old.length > 0, 'it runs');
    replaceConfig(path.join(site.cgiBin, 'not-found'));
    assert.ok(old.every((pid) => processesRunning(path.join(site.cgiBin, 'config')).includes(pid)), 'it still runs');
    if (server === 'lighttpd') process.kill(web.master, RELOAD);
    if (beside) {
        // spawn-fcgi's process is the administrator's: stopped and started again.
        old.forEach((pid) => process.kill(pid, 'SIGTERM'));
        await until('the old one ends', () => processesRunning(path.join(site.cgiBin, 'config')).length === 0);
        const socket = path.join(web.state, 'fcgi/config.sock');
        fs.rmSync(socket, { force: true });
        const user = root ? ['-u', 'www-data', '-g', 'www-data'] : [];
        const done = spawnSync('spawn-fcgi', ['-s', socket, '-M', '0600', '-P', `${socket.slice(0, -5)}.pid`, ...user, '--', path.join(site.cgiBin, 'config')],
            { env: { PATH: process.env.PATH, SWITCHBOARD_ENV: site.env }, encoding: 'utf8' });
        assert.equal(done.status, 0, done.stderr);
    }
    await until('the new program answers', async () => (await web.get('/api/config')).status === 404, 5000);
    replaceConfig(kept);
});
