import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { eventually } from './support/poll.mjs';
import { ends, serve } from './support/server.mjs';

const server = await serve({ RATE_LIMIT_HEALTH_STREAM: 'off' });

test('health reports status, version, time and uptime', async () => {
    const before = Date.now();
    const response = await server.call('/api/health');
    const { status, version, time, uptimeSeconds } = response.json();
    assert.equal(response.status, 200);
    assert.equal(status, 'ok');
    assert.equal(version, server.run('version').trim());
    assert.ok(Date.parse(time) >= before && Date.parse(time) <= Date.now(), time);
    assert.ok(uptimeSeconds < 60, `${uptimeSeconds}`);
});

test('the alias /api/health.php gives the same answer', async () => {
    const { status, version } = (await server.call('/api/health.php')).json();
    assert.equal(status, 'ok');
    assert.equal(version, server.run('version').trim());
});

test('live answers without touching anything else', async () => {
    const response = await server.call('/api/health/live');
    assert.equal(response.status, 200);
    assert.equal(response.json().status, 'live');
});

test('ready has checked configuration, counters, database and disk', async () => {
    const response = await server.call('/api/health/ready');
    const { status, checks } = response.json();
    assert.equal(response.status, 200);
    assert.equal(status, 'ready');
    assert.deepEqual(Object.keys(checks).sort(), ['configuration', 'counters', 'database', 'disk']);
    for (const check of Object.values(checks)) assert.equal(check.status, 'ok');
});

test('ready has written to the database', () => {
    const database = path.join(server.env.STATE_DIR, 'switchboard.db');
    const rows = execFileSync('sqlite3', ['-readonly', database, 'SELECT count(*) FROM probe'],
                              { encoding: 'utf8' });
    assert.equal(rows.trim(), '1');
});

for (const target of ['/api/health', '/api/health/live', '/api/health/ready', '/api/health.php'])
    test(`HEAD ${target} has GET's status and headers, and no body`, async () => {
        const get = await server.call(target);
        const head = await server.call(target, { method: 'HEAD' });
        assert.equal(head.status, 200);
        assert.equal(head.text, '');
        for (const name of ['content-type', 'cache-control', 'content-security-policy', 'vary'])
            assert.equal(head.header(name), get.header(name), name);
    });

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
    test(`${method} /api/health is 405 and says what is allowed`, async () => {
        const response = await server.call('/api/health', { method });
        assert.equal(response.status, 405);
        assert.equal(response.json().error.code, 'method_not_allowed');
        assert.deepEqual(response.header('allow').split(', ').sort(), ['GET', 'HEAD', 'OPTIONS']);
    });

test('OPTIONS without an Origin says what is allowed', async () => {
    const response = await server.call('/api/health', { method: 'OPTIONS' });
    assert.equal(response.status, 200);
    assert.deepEqual(response.header('allow').split(', ').sort(), ['GET', 'HEAD', 'OPTIONS']);
});

test('an unknown parameter in the query does not matter where none is taken', async () => {
    assert.equal((await server.call('/api/health?probe=1')).status, 200);
});

test('an Authorization header is not looked at', async () => {
    assert.equal((await server.call('/api/health', { token: 'whatever' })).status, 200);
});

/** What arrives of a stream while its second event has not, "" where both arrive together. */
function beforeSecond() {
    return new Promise((resolve, reject) => {
        let text = '';
        const socket = net.connect(server.port, '127.0.0.1');
        socket.write('GET /api/health/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
        socket.on('error', reject);
        socket.on('data', (part) => {
            const before = text;
            text += part.toString('latin1');
            if (text.includes('event: second')) resolve(before.includes('event: first') ? before : '');
        });
        socket.on('close', () => reject(new Error(`it ended without a second event: ${text}`)));
    });
}

test('stream sends its first event before there is a second', async () => {
    const response = await server.call('/api/health/stream');
    assert.match(response.text, /^event: first\ndata: \{"time":"[^"]+"\}\n\nevent: second\ndata: \{"time":"[^"]+"\}\n\n$/);
    await eventually('the first event arrives alone', beforeSecond);
});

ends(server);
