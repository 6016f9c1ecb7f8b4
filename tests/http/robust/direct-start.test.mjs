// How an endpoint starts: as plain CGI, by hand, as the wrong user, without its directories.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startCall, startEndpoint, stopAll } from './support/endpoint.mjs';
import { request } from './support/fastcgi.mjs';
import { alive } from './support/process.mjs';
import { checkout, makeSite, owner, root, token } from './support/site.mjs';
import { until } from './support/wait.mjs';

let site;
before(() => {
    site = makeSite();
    site.seedThreads('user1', 'thread', 10);
});
after(() => site.remove());

function cgi(name, env, input = '') {
    const result = spawnSync(path.join(site.cgiBin, name), [], {
        env: { SWITCHBOARD_ENV: site.env, REMOTE_ADDR: '192.0.2.7', ...env },
        input,
        encoding: 'utf8',
    });
    const [head, body] = result.stdout.split('\r\n\r\n');
    return { ...result, code: Number(/^Status: (\d+)/m.exec(head ?? '')?.[1]), head, body };
}

test('the same program answers as plain CGI', () => {
    const result = cgi('config', { REQUEST_METHOD: 'GET', REQUEST_URI: '/api/config' });
    assert.equal(result.status, 0);
    assert.equal(result.code, 200, result.stdout);
    assert.equal(JSON.parse(result.body).success, true);
});

test('as plain CGI it takes a body and writes to the database', () => {
    const body = JSON.stringify({ threadId: 'thread1', kind: 'video' });
    const env = {
        REQUEST_METHOD: 'POST', REQUEST_URI: '/api/calls/start', CONTENT_TYPE: 'application/json',
        CONTENT_LENGTH: String(body.length), HTTP_AUTHORIZATION: `Bearer ${token('user1')}`,
    };
    const result = cgi('calls/start', env, body);
    assert.equal(result.status, 0);
    assert.equal(result.code, 201, result.stdout);
    const id = JSON.parse(result.body).call.id;
    assert.equal(site.sql(`SELECT kind FROM calls WHERE id = '${id}'`), 'video');
});

test('as plain CGI a body shorter than announced is refused', () => {
    const env = {
        REQUEST_METHOD: 'POST', REQUEST_URI: '/api/calls/start', CONTENT_TYPE: 'application/json',
        CONTENT_LENGTH: '100', HTTP_AUTHORIZATION: `Bearer ${token('user1')}`,
    };
    assert.equal(cgi('calls/start', env, '{}').code, 400);
});

test('started by what ignores SIGCHLD it knows how its programs ended all the same', () => {
    const body = JSON.stringify({ text: 'where can I park my car' });
    const result = spawnSync('env', ['--ignore-signal=CHLD', path.join(site.cgiBin, 'voice-chat')], {
        env: {
            SWITCHBOARD_ENV: site.env, REMOTE_ADDR: '192.0.2.7', ALLOW_NO_ORIGIN: 'true', PATH: process.env.PATH,
            RECEPTIONIST_FILE: path.join(checkout, 'etc/receptionist.json'),
            REQUEST_METHOD: 'POST', REQUEST_URI: '/api/voice-chat', CONTENT_TYPE: 'application/json',
            CONTENT_LENGTH: String(body.length), HTTP_AUTHORIZATION: `Bearer ${token('user1')}`,
        },
        input: body, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024,
    });
    assert.match(result.stdout, /^Status: 200/m, result.stdout.slice(0, 2000));
});

test('as plain CGI it survives a reader that goes, and logs so', () => {
    const program = path.join(site.cgiBin, 'health');
    const env = { SWITCHBOARD_ENV: site.env, REQUEST_METHOD: 'GET', REQUEST_URI: '/api/health/stream' };
    const result = spawnSync('/bin/sh', ['-c', `{ ${program}; echo $? >&2; } | true`], { env, encoding: 'utf8' });
    assert.equal(result.stderr.trim(), '0');
    const line = site.log().findLast(({ event }) => event === 'request');
    assert.deepEqual([line.route, line.client], ['/stream', 'gone']);
});

test('by hand it says how it is meant to be used and exits with 64', () => {
    for (const args of [[], ['--help'], ['--describe', 'more']]) {
        const result = spawnSync(path.join(site.cgiBin, 'health'), args, { env: {}, encoding: 'utf8' });
        assert.equal(result.status, 64);
        assert.match(result.stderr, /REQUEST_METHOD=GET REQUEST_URI=\/api\/health/);
        assert.equal(result.stdout, '');
    }
});

test('the example of the usage message works as it stands', () => {
    const usage = spawnSync(path.join(site.cgiBin, 'health'), [], { env: {}, encoding: 'utf8' });
    const line = /^ +(REQUEST_METHOD=.*)$/m.exec(usage.stderr)[1];
    const result = execFileSync('/bin/sh', ['-c', line], { env: { SWITCHBOARD_ENV: site.env }, encoding: 'utf8' });
    assert.match(result, /^Status: 200/m);
});

// The owner of STATE_DIR and another user. Without root only the user of the tests can run a
// program, so there the directory is one of root's.
test('as another user than the owner of STATE_DIR it serves 503 and names both', async () => {
    const other = makeSite();
    const as = root ? 'nobody' : undefined;
    const self = execFileSync('id', ['-un', ...(root ? ['nobody'] : [])], { encoding: 'utf8' }).trim();
    if (!root) other.configure({ STATE_DIR: '/usr' });
    fs.chmodSync(other.env, 0o644);
    const ownerName = execFileSync('stat', ['-c', '%U', other.settings.STATE_DIR], { encoding: 'utf8' }).trim();
    const endpoint = await startEndpoint(other, 'health', { as });
    try {
        assert.notEqual(ownerName, self);
        const answer = await endpoint.get('/api/health');
        assert.equal(answer.status, 503);
        assert.equal(answer.json.error.code, 'misconfigured');
        assert.ok(!answer.body.includes(other.settings.STATE_DIR), 'the client learns no path');
        assert.ok(alive(endpoint.pid), 'it does not crash-loop');
        // A log that belongs to the other user as well cannot be written: then it is stderr.
        const lines = [...other.log(), ...endpoint.stderr.split('\n').filter(Boolean).map((line) => JSON.parse(line))];
        const line = lines.find((one) => one.event === 'misconfigured' && one.variable === 'STATE_DIR');
        assert.ok(line.reason.includes(ownerName) && line.reason.includes(self), line?.reason);
    } finally {
        await endpoint.stop();
        other.remove();
    }
});

test('without STATE_DIR it serves 503 and logs the variable', async () => {
    const other = makeSite({});
    other.configure({ STATE_DIR: path.join(other.dir, 'nowhere') });
    const endpoint = await startEndpoint(other, 'health');
    try {
        const answer = await endpoint.get('/api/health');
        assert.equal(answer.status, 503);
        assert.equal(answer.json.error.code, 'misconfigured');
        assert.ok(other.log().some((line) => line.event === 'misconfigured' && line.variable === 'STATE_DIR'));
    } finally {
        await endpoint.stop();
        other.remove();
    }
});

// RUN_DIR holds the limiter's counters. Its absence leaves routes that fail open working and shuts
// those that fail closed.
test('without RUN_DIR routes fail open or closed as they declare', async () => {
    const other = makeSite({ RATE_LIMIT_HEALTH: '1000/60', RATE_LIMIT_CALLS_START: '1000/60' });
    other.seedThreads('user1', 'thread', 1);
    other.configure({ RUN_DIR: path.join(other.dir, 'nowhere') });
    const health = await startEndpoint(other, 'health');
    const start = await startEndpoint(other, 'calls/start');
    try {
        assert.equal((await health.get('/api/health')).status, 200);
        const call = startCall('thread0');
        const answer = await request(start.socket, 'POST', '/api/calls/start', {
            body: call.body, params: { HTTP_AUTHORIZATION: `Bearer ${token('user1')}` },
        });
        assert.equal(answer.status, 503);
        assert.equal(answer.json.error.code, 'unavailable');
        assert.equal(other.sql('SELECT count(*) FROM calls'), '0');
        const events = other.log('health').filter((line) => line.variable === 'RUN_DIR').map((line) => line.event);
        assert.deepEqual(events.sort(), ['metrics.unavailable', 'rate_limit.unavailable']);
    } finally {
        await stopAll(health, start);
        other.remove();
    }
});

test('without a database it answers 503 and recovers when there is one', async () => {
    const other = makeSite();
    fs.renameSync(other.database, `${other.database}.away`);
    const endpoint = await startEndpoint(other, 'health');
    try {
        assert.equal((await endpoint.get('/api/health')).status, 200, 'which needs none');
        assert.equal((await endpoint.get('/api/health/ready')).status, 503);
        fs.renameSync(`${other.database}.away`, other.database);
        await until('ready', async () => (await endpoint.get('/api/health/ready')).status === 200);
    } finally {
        await endpoint.stop();
        other.remove();
    }
});

test('started by root it has become the owner before it opens anything', async () => {
    const endpoint = await startEndpoint(site, 'health');
    try {
        assert.equal((await endpoint.get('/api/health/ready')).status, 200);
        const status = fs.readFileSync(`/proc/${endpoint.pid}/status`, 'utf8');
        const ids = (name) => new Set(new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)[1].split(/\s+/).map(Number));
        assert.deepEqual(ids('Uid'), new Set([owner.uid]));
        assert.deepEqual(ids('Gid'), new Set([owner.gid]));
        assert.match(status, /^NoNewPrivs:\s+1$/m);
        for (const dir of ['state', 'run', 'log']) {
            for (const file of fs.readdirSync(path.join(site.dir, dir))) {
                const { uid, mode } = fs.statSync(path.join(site.dir, dir, file));
                assert.equal(uid, owner.uid, file);
                assert.equal(mode & 0o007, 0, `${file} is closed to others`);
            }
        }
    } finally {
        await endpoint.stop();
    }
});

// Only its own socket ends it, not a server that shuts the socket down and leaves it behind: then
// nothing could reach it any more, and it must not stay.
test('when its listening socket fails for good it ends instead of staying deaf', async () => {
    const script = `
import os, socket, subprocess, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(8)
child = subprocess.Popen([sys.argv[2]], stdin=s)
sys.stdin.readline()
s.shutdown(socket.SHUT_RDWR)
try:
    print(child.wait(5))
except subprocess.TimeoutExpired:
    print("deaf"); child.kill()
`;
    const socket = path.join(site.dir, 'deaf.sock');
    const python = spawn('python3', ['-c', script, socket, path.join(site.cgiBin, 'config')], {
        env: { PATH: process.env.PATH, SWITCHBOARD_ENV: site.env }, stdio: ['pipe', 'pipe', 'inherit'],
    });
    let out = '';
    python.stdout.on('data', (data) => (out += data));
    const ended = new Promise((resolve) => python.once('exit', resolve));
    await until('its socket', () => fs.existsSync(socket));
    await until('an answer', () => request(socket, 'GET', '/api/config').then((one) => one.status === 200, () => false));
    python.stdin.end('\n');
    await ended;
    assert.match(out, /^[1-9][0-9]*\n$/, 'a status that says something went wrong');
});

test('a setting that is no number is served as 503 misconfigured', async () => {
    const endpoint = await startEndpoint(site, 'config', { env: { SWITCHBOARD_WORKERS: 'many' } });
    try {
        const answer = await endpoint.get('/api/config');
        assert.equal(answer.status, 503);
        assert.ok(site.log('config').some((line) => line.variable === 'SWITCHBOARD_WORKERS'));
    } finally {
        await endpoint.stop();
    }
});
