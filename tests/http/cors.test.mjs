// Which pages may call, by exact match of their Origin.
import assert from 'node:assert/strict';
import test from 'node:test';
import { byServer } from './support/context.mjs';
import { ends, serve } from './support/server.mjs';

const good = 'https://app.example';
const own = 'https://www.example.com';
const bad = 'https://evil.example';

const strict = await serve({ ALLOWED_ORIGINS: `${good}, http://localhost:5173`,
                             PRODUCTION_DOMAIN: 'www.example.com' });
const alias = await serve({ BACKEND_CORS_ORIGINS: good });
const star = await serve({ ALLOWED_ORIGINS: '*' });
const reporting = await serve({ ALLOWED_ORIGINS: good, CORS_REPORT_ONLY: 'true' });

const preflight = (origin) => ({ method: 'OPTIONS', origin,
                                 headers: [['Access-Control-Request-Method', 'POST']] });

function assertAllowed(response, origin) {
    assert.equal(response.header('access-control-allow-origin'), origin);
    assert.equal(response.header('access-control-allow-credentials'), 'true');
    const exposed = response.header('access-control-expose-headers').split(', ');
    for (const name of ['X-Trace-Id', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'Server-Timing'])
        assert.ok(exposed.includes(name), name);
}

function assertDenied(response) {
    assert.equal(response.status, 403);
    assert.equal(response.json().error.code, 'origin_denied');
    for (const name of response.headers.keys())
        assert.ok(!name.startsWith('access-control-'), name);
}

for (const origin of [good, 'http://localhost:5173', own])
    test(`the allowed origin ${origin} may read the answer`, async () => {
        const response = await strict.call('/api/health', { origin });
        assert.equal(response.status, 200);
        assertAllowed(response, origin);
    });

test('BACKEND_CORS_ORIGINS is read as ALLOWED_ORIGINS', async () => {
    assertAllowed(await alias.call('/api/health', { origin: good }), good);
    assertDenied(await alias.call('/api/health', { origin: bad }));
});

test('a request without an Origin gets no CORS headers and is served', async () => {
    const response = await strict.call('/api/health');
    assert.equal(response.status, 200);
    assert.equal(response.header('access-control-allow-origin'), undefined);
});

const denied = {
    'another site': bad,
    'null': 'null',
    'the same host by another scheme': 'http://app.example',
    'the same host at another port': 'https://app.example:8443',
    'a subdomain': 'https://sub.app.example',
    'a longer host': 'https://app.example.evil.example',
    'a prefix': 'https://app.exampl',
    'another case': 'https://APP.example',
    'a trailing slash': 'https://app.example/',
    'the own domain by http': 'http://www.example.com',
    'two origins in one header': `${good}, ${bad}`,
    'two origins parted by a space': `${good} ${good}`,
};
for (const [what, origin] of Object.entries(denied))
    test(`denied: ${what}`, async () => {
        assertDenied(await strict.call('/api/health', { origin }));
    });

test('two Origin headers are denied', async () => {
    const response = await strict.call('/api/health', { headers: [['Origin', good], ['Origin', good]] });
    assert.equal(response.status, byServer({ lighttpd: 403, apache: 403, 'apache-proxy': 403, nginx: 400 }));
    assert.equal(response.header('access-control-allow-origin'), undefined);
});

test('the Host header makes no origin the site\'s own', async () => {
    for (const scheme of ['http', 'https'])
        assertDenied(await strict.call('/api/health', { host: 'evil.example', origin: `${scheme}://evil.example` }));
    assertDenied(await strict.call('/api/health', { origin: strict.base }));
});

test('an allowed preflight is 200 with methods, headers and how long that holds', async () => {
    const response = await strict.call('/api/calls/start', preflight(good));
    assert.equal(response.status, 200);
    assertAllowed(response, good);
    assert.deepEqual(response.header('access-control-allow-methods').split(', ').sort(), ['OPTIONS', 'POST']);
    for (const name of ['Authorization', 'Content-Type', 'Idempotency-Key', 'Traceparent'])
        assert.ok(response.header('access-control-allow-headers').split(', ').includes(name), name);
    assert.match(response.header('access-control-max-age'), /^[1-9]\d*$/);
});

test('a preflight from another site is 403', async () => {
    assertDenied(await strict.call('/api/calls/start', preflight(bad)));
});

test('a preflight needs no token, unlike what it asks about', async () => {
    assert.equal((await strict.call('/api/calls/end', preflight(good))).status, 200);
    assert.equal((await strict.post('/api/calls/end', { origin: good })).status, 401);
});

const errors = {
    400: ['/api/calls/start', { token: strict.token('someone'), body: 'no JSON' }, 'POST'],
    401: ['/api/calls/start', {}, 'POST'],
    404: ['/api/nothing', {}, 'GET'],
    405: ['/api/health', {}, 'DELETE'],
    410: ['/api/realtime-websocket', {}, 'GET'],
};
for (const [status, [target, options, method]] of Object.entries(errors))
    test(`the page may read a ${status}, too`, async () => {
        const response = await strict.call(target, { method, origin: good, ...options });
        assert.equal(response.status, Number(status));
        assertAllowed(response, good);
    });

test('another site is refused whatever it asks for, and learns nothing', async () => {
    const { alice } = strict.thread();
    assertDenied(await strict.post('/api/calls/start', { origin: bad, token: alice.token, body: {} }));
});

test('a refusal is counted and logged with the origin', async () => {
    const response = await strict.call('/api/config', { origin: 'https://counted.example' });
    const trace = response.header('x-trace-id');
    const line = await strict.line(({ event, traceId }) => event === 'origin.denied' && traceId === trace);
    assert.deepEqual([line.level, line.origin, line.enforced], ['warn', 'https://counted.example', 'true']);
    const { text } = await strict.call('/api/metrics');
    assert.match(text, /^switchboard_origin_denied_total\{endpoint="config",enforced="true"\} 1$/m);
});

test('with CORS_REPORT_ONLY another site passes, is counted and logged', async () => {
    const response = await reporting.call('/api/config', { origin: bad });
    assert.equal(response.status, 200);
    assert.equal(response.header('access-control-allow-origin'), bad);
    const line = await reporting.line(({ event }) => event === 'origin.denied');
    assert.deepEqual([line.origin, line.enforced], [bad, 'false']);
    const { text } = await reporting.call('/api/metrics');
    assert.match(text, /^switchboard_origin_denied_total\{endpoint="config",enforced="false"\} 1$/m);
});

test('with CORS_REPORT_ONLY a preflight from another site passes', async () => {
    const response = await reporting.call('/api/calls/start', preflight(bad));
    assert.equal(response.status, 200);
    assert.equal(response.header('access-control-allow-origin'), bad);
    assert.match(response.header('access-control-allow-methods'), /POST/);
});

test('with * every site may call, without credentials', async () => {
    const response = await star.call('/api/health', { origin: bad });
    assert.equal(response.status, 200);
    assert.equal(response.header('access-control-allow-origin'), '*');
    assert.equal(response.header('access-control-allow-credentials'), undefined);
});

test('with * null is denied still', async () => {
    assertDenied(await star.call('/api/health', { origin: 'null' }));
});

ends(strict, alias, star, reporting);
