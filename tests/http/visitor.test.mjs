import assert from 'node:assert/strict';
import test from 'node:test';
import { Server, ends, serve } from './support/server.mjs';
import { hmac, nowS, sign, verify } from './support/tokens.mjs';

const origin = 'https://www.example.com';
const settings = { ALLOWED_ORIGINS: `${origin},https://other.example`, ENABLE_VISITORS: 'true' };
const server = await serve(settings);
const off = await serve({ ...settings, ENABLE_VISITORS: null });
const strict = await serve({ ...settings, RATE_LIMIT_VISITOR: '3/86400' });

async function mint(on = server, from = origin) {
    const response = await on.post('/api/visitor', { origin: from });
    assert.equal(response.status, 201);
    const body = response.json();
    on.keepPrivate(body.token);
    return body;
}

test('a guest gets a token that says who, from where and until when', async () => {
    const { token, expiresAt, visitorId } = await mint();
    assert.match(visitorId, /^visitor_[0-9a-z]{26}$/);
    const key = hmac('sha256', server.env.JWT_SECRET, 'switchboard visitor v1');
    const { header, claims } = verify(key, token);
    assert.deepEqual(header, { alg: 'HS256', typ: 'visitor+jwt' });
    assert.deepEqual(claims, { sub: visitorId, origin, exp: Date.parse(expiresAt) / 1000 });
    assert.ok(claims.exp > nowS() + 800 && claims.exp <= nowS() + 900);
});

test('every token is another visitor, also with one Idempotency-Key', async () => {
    const headers = [['Idempotency-Key', 'k']];
    const [one, two] = [await server.post('/api/visitor', { origin, headers }),
                        await server.post('/api/visitor', { origin, headers })].map((r) => r.json());
    [one, two].forEach(({ token }) => server.keepPrivate(token));
    assert.notEqual(one.visitorId, two.visitorId);
});

test('visitors are off unless switched on', async () => {
    const response = await off.post('/api/visitor', { origin });
    assert.equal(response.status, 403);
    assert.deepEqual([response.json().error.code, response.json().error.message],
                     ['forbidden', 'This site takes no visitors.']);
});

test('only pages of an allowed origin get a token', async () => {
    for (const from of [undefined, 'https://evil.test', 'null']) {
        const response = await server.post('/api/visitor', { origin: from });
        assert.deepEqual([response.status, response.json().error.code], [403, 'origin_denied']);
    }
});

test('a body is refused', async () => {
    const response = await server.post('/api/visitor', { origin, body: { visitorId: 'me' } });
    assert.equal(response.status, 400);
});

test("a visitor's token is none of a user, a service or a participant", async () => {
    const { token } = await mint();
    for (const [method, target, body] of [
        ['GET', '/api/threads'], ['GET', '/api/threads/t'], ['POST', '/api/threads', {}],
        ['POST', '/api/calls/start', { threadId: 't', kind: 'audio' }],
        ['POST', '/api/calls/join', { callId: 'c' }], ['POST', '/api/calls/end', { callId: 'c' }]]) {
        const response = await server.call(target, { method, token, origin, body });
        assert.equal(response.status, 401, target);
        assert.match(response.header('www-authenticate'), /error="invalid_token"/);
    }
});

test("a visitor's claims under the users' key are no user", async () => {
    const { token, visitorId } = await mint();
    const [, payload, signature] = token.split('.');
    const header = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'JWT' })).toString('base64url');
    const forged = [
        `${header}.${payload}.${signature}`,
        sign(server.env.JWT_SECRET, { sub: visitorId, origin, exp: nowS() + 60 },
             { alg: 'HS256', typ: 'visitor+jwt' }),
    ];
    for (const text of forged)
        assert.equal((await server.call('/api/threads', { token: text, origin })).status, 401);
});

test('a flood of tokens ends in 429, for its address alone', async () => {
    for (let i = 0; i < 3; i++) await mint(strict);
    const response = await strict.post('/api/visitor', { origin });
    assert.equal(response.status, 429);
    assert.match(response.json().error.message, /policy visitor allows 3 in 86400 s/);
    const { code } = (await strict.post('/api/visitor', { origin: 'https://other.example' })).json().error;
    assert.equal(code, 'rate_limited', 'another origin does not help');
});

test('the audit log names the visitor', async () => {
    const { visitorId } = await mint();
    await server.line(({ event, object }) => event === 'visitor.create' && object === visitorId,
                      'audit.log');
});

test('a time to live beyond an hour is a misconfiguration', async () => {
    const wrong = new Server({ VISITOR_TOKEN_TTL: '3601' });
    const { status, stdout, stderr } = wrong.switchboard(['check']);
    wrong.remove();
    assert.equal(status, 1);
    assert.match(stdout + stderr, /VISITOR_TOKEN_TTL/);
});

ends(server, off, strict);
