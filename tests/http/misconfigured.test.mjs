// What is wrong with the configuration stops what depends on it, and nothing else.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const noJitsi = await serve({ JITSI_JWT_SECRET: null });
const shortSecret = 'only-30-bytes-of-secret-in-all';
const short = await serve({ JWT_SECRET: shortSecret });
const halfTurn = await serve({ TURN_HOST: 'turn.example.com', TURN_USERNAME: 'user' });
const proxy = await serve({ ENABLE_WS_PROXY: 'true' });
const production = await serve({ APP_ENV: 'production' });
const unmigrated = await serve();

function assertMisconfigured(response) {
    assert.equal(response.status, 503);
    assert.equal(response.json().error.code, 'misconfigured');
    assert.doesNotMatch(response.json().error.message, /[A-Z]{2,}_/); // names no variable
}

const misconfiguration = (server, endpoint) => server.line((line) =>
    line.event === 'misconfigured' && line.endpoint === endpoint);

test('without JITSI_JWT_SECRET join is 503 and the log names the variable', async () => {
    const { bob, call } = await noJitsi.openCall();
    const response = await noJitsi.post('/api/calls/join', { token: bob.token, body: { callId: call.id } });
    assertMisconfigured(response);
    const line = await misconfiguration(noJitsi, 'calls/join');
    assert.deepEqual([line.level, line.variable], ['error', 'JITSI_JWT_SECRET']);
});

test('without JITSI_JWT_SECRET start, end and health work', async () => {
    const { alice, call } = await noJitsi.openCall();
    const ended = await noJitsi.post('/api/calls/end', { token: alice.token, body: { callId: call.id } });
    assert.equal(ended.status, 200);
    assert.equal((await noJitsi.call('/api/health')).status, 200);
});

test('ready tells that a setting of any endpoint is wrong, and the log which', async () => {
    const response = await short.call('/api/health/ready');
    const { error, status, checks } = response.json();
    assert.equal(response.status, 503);
    assert.equal(error.code, 'unavailable');
    assert.equal(status, 503);
    assert.deepEqual([checks.configuration.status, checks.database.status], ['fail', 'ok']);
    assert.ok(!response.text.includes('JWT_SECRET'));
    assert.equal((await short.line(({ event }) => event === 'ready.configuration')).variable, 'JWT_SECRET');
});

test('a preflight is answered by what is misconfigured, too', async () => {
    assert.equal((await noJitsi.call('/api/calls/join', { method: 'OPTIONS' })).status, 200);
});

test('with a JWT_SECRET that is too short nobody gets in', async () => {
    for (const name of ['start', 'join', 'end'])
        assertMisconfigured(await short.post(`/api/calls/${name}`, { token: short.token('user'), body: {} }));
    assert.equal((await misconfiguration(short, 'calls/start')).variable, 'JWT_SECRET');
});

test('with a JWT_SECRET that is too short what needs none works', async () => {
    for (const target of ['/api/health', '/api/config', '/api/metrics'])
        assert.equal((await short.call(target)).status, 200, target);
});

test('TURN_USERNAME without TURN_PASSWORD stops join alone', async () => {
    const { alice, call } = await halfTurn.openCall();
    assertMisconfigured(await halfTurn.post('/api/calls/join',
        { token: alice.token, body: { callId: call.id } }));
    assert.equal((await misconfiguration(halfTurn, 'calls/join')).variable, 'TURN_SECRET');
});

test('ENABLE_WS_PROXY=true is refused by all: it cannot be honoured', async () => {
    assertMisconfigured(await proxy.call('/api/health'));
    assert.equal((await misconfiguration(proxy, 'health')).variable, 'ENABLE_WS_PROXY');
});

test('production without PRODUCTION_DOMAIN serves nothing, with all headers', async () => {
    for (const target of ['/api/health', '/api/config', '/api/nothing'])
        assertMisconfigured(await production.call(target));
    assert.equal((await misconfiguration(production, 'config')).variable, 'PRODUCTION_DOMAIN');
});

test('the line is logged once a process, not once a request', async () => {
    for (let i = 0; i < 5; i++) await proxy.call('/api/health/live');
    const of = (event) => proxy.lines().filter((line) =>
        line.event === event && line.endpoint === 'health').length;
    assert.ok(of('misconfigured') < of('request'), `${of('misconfigured')} lines`);
});

test('with a lost database what needs it is 503, and migrate heals it without a restart', async () => {
    const before = await unmigrated.openCall();
    for (const suffix of ['', '-wal', '-shm'])
        rmSync(path.join(unmigrated.env.STATE_DIR, `switchboard.db${suffix}`));
    const start = (thread) => unmigrated.post('/api/calls/start',
        { token: thread.alice.token, body: { threadId: thread.id, kind: 'audio' } });
    assertMisconfigured(await start(before));
    assert.equal((await unmigrated.call('/api/health')).status, 200);
    assert.equal((await unmigrated.call('/api/health/ready')).status, 503);
    const line = await unmigrated.line(({ event }) => event === 'db.schema');
    assert.equal(line.hint, 'run: switchboard migrate');
    unmigrated.run('migrate');
    assert.equal((await start(unmigrated.thread())).status, 201);
});

ends(noJitsi, short, halfTurn, proxy, production, unmigrated);
