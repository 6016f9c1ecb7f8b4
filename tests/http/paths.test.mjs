// Routing is by the raw request target alone, so that all servers agree on what is whose.
import assert from 'node:assert/strict';
import test from 'node:test';
import { byServer } from './support/context.mjs';
import { ends, serve } from './support/server.mjs';

const server = await serve();

const misses = {
    'nothing of ours': ['/api/nothing', '/api/nothing/at/all', '/api/index.html'],
    'the root': ['/api', '/api/'],
    'a folder of endpoints': ['/api/calls', '/api/calls/'],
    'a longer name': ['/api/healthy', '/api/health.phpx', '/api/calls/starting'],
    'a path below an endpoint': ['/api/health/x', '/api/health/live/x', '/api/calls/start/x'],
    'another case': ['/api/HEALTH', '/api/Health/live'],
    'a trailing slash': ['/api/health/', '/api/health/live/', '/api/health.php/'],
    'an empty segment': ['/api//health', '/api/health//live'],
    'an encoded slash': ['/api/health%2Flive', '/api/calls%2fstart'],
    'dot segments': ['/api/./health', '/api/x/../health', '/api/health/../config'],
    'path parameters': ['/api/health;v=1'],
    'an alias nobody declares': ['/api/config.php', '/api/calls/start.php'],
    'the miss handler itself': ['/api/not-found'],
    'a long path': [`/api/${'a/'.repeat(400)}a`],
};

for (const [what, targets] of Object.entries(misses))
    for (const target of targets)
        test(`${what} is our JSON 404: ${target.slice(0, 40)}`, async () => {
            const response = await server.call(target);
            assert.equal(response.status, 404);
            assert.equal(response.json().error.code, 'not_found');
        });

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'])
    test(`a miss is a 404 to ${method}, too`, async () => {
        assert.equal((await server.call('/api/nothing', { method })).status, 404);
    });

for (const size of [2, 100000])
    test(`a miss with a body of ${size} bytes is a 404`, async () => {
        const response = await server.post('/api/nothing', { body: '{}'.padEnd(size) });
        assert.equal(response.status, 404);
    });

test('OPTIONS of a miss: Apache asks for its error document by GET', async () => {
    const response = await server.call('/api/nothing', { method: 'OPTIONS' });
    assert.equal(response.status, byServer({ lighttpd: 200, apache: 404, 'apache-proxy': 200, nginx: 200 }));
});

test('escapes of plain characters name the same path', async () => {
    assert.equal((await server.raw(server.bytes({ target: '/api/%68ealth' }))).json().status, 'ok');
});

test('an absolute-form target is the same request', async () => {
    const target = `${server.base}/api/health`;
    assert.equal((await server.raw(server.bytes({ target }))).json().status, 'ok');
});

test('the query plays no part in routing', async () => {
    const response = await server.call('/api/health?/../config=%zz');
    assert.equal(response.json().status, 'ok');
});

for (const target of ['/api%2Fhealth/live', '/api/%2e%2e/health', '/api/..%2fhealth',
                      '/api/health%00', '/api/health%zz', '/api/heal%E4th', '/api/../health'])
    test(`whoever answers ${target}, it is an error that tells nothing`, async () => {
        const response = await server.raw(server.bytes({ target }));
        assert.ok([400, 403, 404].includes(response.status), `${response.status}`);
        assert.ok(!response.text.includes('uptimeSeconds'));
    });

test('a name longer than a file may have: Apache says 403 itself', async () => {
    const response = await server.raw(server.bytes({ target: `/api/${'a'.repeat(1000)}` }));
    assert.equal(response.status, byServer({ lighttpd: 404, apache: 403, 'apache-proxy': 404, nginx: 404 }));
});

test('a method nobody knows is refused', async () => {
    const request = { method: 'PURGE', target: '/api/health' };
    const response = await server.raw(server.bytes(request));
    assert.equal(response.status, byServer({ lighttpd: 501, apache: 405, 'apache-proxy': 405, nginx: 405 }));
});

ends(server);
