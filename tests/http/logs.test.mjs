// switchboard.log and audit.log. What holds for every line of every test is in support/logs.mjs.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { eventually } from './support/poll.mjs';
import { ends, serve } from './support/server.mjs';

const server = await serve();
const quiet = await serve({ LOG_LEVEL: 'error' });

const lineOf = (response, file) => server.line((line) =>
    line.traceId === response.header('x-trace-id') && (file || line.event === 'request'), file);

test('a request is one line with method, route, status, code and duration', async () => {
    const { ts, traceId, durationUs, ...rest } = await lineOf(await server.call('/api/health/live?x=1'));
    assert.ok(ts && traceId && Number.isInteger(durationUs) && durationUs >= 0);
    assert.deepEqual(rest, { level: 'info', event: 'request', endpoint: 'health', method: 'GET',
                             route: '/live', status: 200, code: 'ok', client: 'ok' });
});

test('an error\'s line has its code', async () => {
    const line = await lineOf(await server.call('/api/calls/start', { method: 'DELETE' }));
    assert.deepEqual([line.endpoint, line.method, line.status, line.code],
                     ['calls/start', 'DELETE', 405, 'method_not_allowed']);
});

test('what a client makes up is in no line of the main log: path, query, agent, content', async () => {
    const made = 'made-up-by-the-client';
    server.keepPrivate(made);
    await server.call(`/api/${made}?${made}`, { headers: [['Referer', made], ['X-Custom', made]] });
    const { alice } = server.thread();
    const response = await server.post(`/api/calls/start?${made}`, {
        token: alice.token, body: { threadId: made, kind: made, [made]: made } });
    assert.equal(response.status, 400);
});

test('who did what, from where, with which data, is in the audit log', async () => {
    const { id, alice } = server.thread();
    const body = JSON.stringify({ threadId: id, kind: 'audio' });
    const response = await server.post('/api/calls/start', {
        token: alice.token, body, headers: [['User-Agent', 'Tests/1.0']] });
    const { ts, traceId, ...rest } = await lineOf(response, 'audit.log');
    assert.equal(traceId, response.json().traceId);
    assert.ok(ts);
    assert.deepEqual(rest, {
        level: 'info', event: 'calls.start', endpoint: 'calls/start', outcome: 'ok', userId: alice.id,
        address: '127.0.0.1', userAgent: 'Tests/1.0', object: response.json().call.id,
        dataSha256: createHash('sha256').update(body).digest('hex'),
    });
});

test('join and end are audited with the call they are about', async () => {
    const { mod, call } = await server.openCall();
    await server.join(mod, call);
    await server.post('/api/calls/end', { token: mod.token, body: { callId: call.id } });
    for (const event of ['calls.join', 'calls.end']) {
        const line = await server.line((at) => at.event === event && at.object === call.id, 'audit.log');
        assert.deepEqual([line.outcome, line.userId], ['ok', mod.id]);
    }
});

test('what is refused is audited, with the reason', async () => {
    const { bob, call } = await server.openCall();
    const refused = [
        [await server.post('/api/calls/start', { body: {} }), 'calls.start', 'unauthenticated', 'no credential'],
        [await server.post('/api/calls/end', { token: bob.token, body: { callId: call.id } }),
         'calls.end', 'forbidden', undefined],
        [await server.call('/api/config', { origin: 'https://evil.example' }),
         'request.refused', 'origin_denied', 'the origin is not allowed'],
    ];
    for (const [response, event, outcome, reason] of refused) {
        const line = await lineOf(response, 'audit.log');
        assert.deepEqual([line.level, line.event, line.outcome, line.reason], ['warn', event, outcome, reason]);
    }
});

test('what anybody may read is not audited', async () => {
    const response = await server.call('/api/config');
    await lineOf(response);
    const trace = response.header('x-trace-id');
    assert.ok(!server.lines('audit.log').some(({ traceId }) => traceId === trace));
});

test('a user agent cannot end a line or forge one, and is cut', async () => {
    const agent = `","event":"forged \\" ${'\u00fc'.repeat(300)}`;
    const response = await server.post('/api/calls/start', { headers: [['User-Agent', agent]], body: {} });
    const line = await lineOf(response, 'audit.log');
    assert.equal(line.event, 'calls.start');
    assert.ok(line.userAgent.startsWith('","event":"forged \\" '));
    assert.ok(Buffer.byteLength(line.userAgent) < 1000);
});

test('with LOG_LEVEL=error requests are not logged, the audit is', async () => {
    const response = await quiet.raw(quiet.bytes({ method: 'POST', target: '/api/calls/start', body: {} }), 'POST');
    assert.equal(response.status, 401);
    await quiet.line(({ event }) => event === 'calls.start', 'audit.log');
    assert.deepEqual(quiet.lines().filter(({ event }) => event === 'request'), []);
});

for (const [name, make] of [
    ['switchboard.log', () => server.call('/api/health')],
    ['audit.log', () => server.post('/api/calls/end', { body: {} })]])
    test(`after a rotation ${name} goes on in a new file, and no line is lost`, async () => {
        const file = path.join(server.env.LOG_DIR, name);
        await make();
        await eventually('the first file', () => existsSync(file));
        renameSync(file, `${file}.1`);
        await eventually('a new file', async () => {
            await make();
            return existsSync(file) && readFileSync(file, 'utf8').endsWith('\n');
        });
        const size = readFileSync(`${file}.1`).length;
        const trace = (await make()).header('x-trace-id');
        await eventually('the line', () => readFileSync(file, 'utf8').includes(trace));
        assert.equal(readFileSync(`${file}.1`).length, size, 'the old file is written to still');
    });

ends(server, quiet);
