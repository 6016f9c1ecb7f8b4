// Bearer tokens: what is taken, what is refused, and how that is told.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { byServer } from './support/context.mjs';
import { ends, serve } from './support/server.mjs';
import { nowS, sign } from './support/tokens.mjs';

const plain = await serve();
const pinned = await serve({ JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'web,app',
                             JWT_AUTHORIZED_PARTIES: 'https://app.example' });
const target = '/api/calls/start';
const key = plain.env.JWT_SECRET;
const claims = (more = {}) => ({ sub: `user-${randomUUID()}`, exp: nowS() + 600, ...more });

/** A token that passes reaches the validation of the empty body. */
async function assertTaken(server, token) {
    const response = await server.post(target, { token, body: {} });
    assert.equal(response.json().error.code, 'validation_failed');
}

async function assertRefused(server, options) {
    const response = await server.post(target, { body: {}, ...options });
    assert.equal(response.status, 401);
    assert.equal(response.json().error.code, 'unauthenticated');
    assert.equal(response.json().error.message, 'The bearer token was refused.');
    assert.equal(response.header('www-authenticate'), 'Bearer realm="switchboard", error="invalid_token"');
    return response;
}

test('a missing token is a 401 that asks for one', async () => {
    const response = await plain.post(target, { body: {} });
    assert.equal(response.status, 401);
    assert.equal(response.json().error.message, 'A bearer token is required.');
    assert.equal(response.header('www-authenticate'), 'Bearer realm="switchboard"');
});

test('a good token passes', () => assertTaken(plain, sign(key, claims())));

test('a token minted by switchboard passes', () => {
    const minted = plain.run('token', 'mint', '--sub', 'minted', '--name', 'Mint').trim();
    return assertTaken(plain, minted);
});

test('the scheme is read in any case', async () => {
    const headers = [['Authorization', `bEARER ${plain.keepPrivate(sign(key, claims()))}`]];
    const response = await plain.post(target, { headers, body: {} });
    assert.equal(response.status, 400);
});

for (const typ of ['JWT', 'jwt', 'at+jwt', undefined])
    test(`typ ${typ} is a user's token`, () =>
        assertTaken(plain, sign(key, claims(), { alg: 'HS256', typ })));

test('clocks may differ by 5 s', async () => {
    await assertTaken(plain, sign(key, claims({ exp: nowS() - 3 })));
    await assertTaken(plain, sign(key, claims({ nbf: nowS() + 3, iat: nowS() + 3 })));
});

const HS256 = { alg: 'HS256', typ: 'JWT' };
const refused = {
    'expired': () => sign(key, claims({ exp: nowS() - 60 })),
    'without an expiry': () => sign(key, { sub: 'someone' }),
    'with an expiry that is text': () => sign(key, claims({ exp: `${nowS() + 600}` })),
    'with a fractional expiry': () => sign(key, claims({ exp: nowS() + 600.5 })),
    'not valid yet': () => sign(key, claims({ nbf: nowS() + 60 })),
    'issued in the future': () => sign(key, claims({ iat: nowS() + 60 })),
    'signed with another secret': () => sign(`${key}x`, claims()),
    'signed with the secret of Jitsi': () => sign(plain.env.JITSI_JWT_SECRET, claims()),
    'alg none': () => `${sign(key, claims(), { alg: 'none', typ: 'JWT' }).split('.').slice(0, 2).join('.')}.`,
    'alg None with a good signature': () => sign(key, claims(), { alg: 'None', typ: 'JWT' }),
    'alg HS512 under our secret': () => sign(key, claims(), { alg: 'HS512', typ: 'JWT' }, 'sha512'),
    'alg RS256 with an HMAC': () => sign(key, claims(), { alg: 'RS256', typ: 'JWT' }),
    'without an alg': () => sign(key, claims(), { typ: 'JWT' }),
    'two algs': () => sign(key, claims(), '{"alg":"HS256","alg":"HS256","typ":"JWT"}'),
    'another typ': () => sign(key, claims(), { alg: 'HS256', typ: 'logout+jwt' }),
    'typ of a ticket': () => sign(key, claims(), { alg: 'HS256', typ: 'ticket+jwt' }),
    'with crit': () => sign(key, claims(), { ...HS256, crit: ['exp'] }),
    'with b64': () => sign(key, claims(), { ...HS256, b64: true }),
    'with a key inside': () => sign(key, claims(), { ...HS256, jwk: { kty: 'oct', k: 'AAAA' } }),
    'with a key by URL': () => sign(key, claims(), { ...HS256, jku: 'https://evil.example/keys' }),
    'without a subject': () => sign(key, { exp: nowS() + 600 }),
    'with a subject that is no text': () => sign(key, claims({ sub: 7 })),
    'with an empty subject': () => sign(key, claims({ sub: '' })),
    'with a control character in the subject': () => sign(key, claims({ sub: 'a\nb' })),
    'with two subjects': () => sign(key, `{"sub":"a","sub":"b","exp":${nowS() + 600}}`),
    'with claims that are no object': () => sign(key, '[1]'),
    'signed out at Clerk': () => sign(key, claims({ sts: 'pending' })),
    'with padding': () => `${sign(key, claims())}=`,
    'with four parts': () => `${sign(key, claims())}.x`,
    'with two parts': () => sign(key, claims()).split('.').slice(0, 2).join('.'),
    'with a changed payload': () => sign(key, claims()).replace(/\.[^.]+\./, '.eyJzdWIiOiJyb290In0.'),
    'that is no token': () => 'no-token-at-all',
};
for (const [what, token] of Object.entries(refused))
    test(`refused: a token ${what}`, () => assertRefused(plain, { token: token() }));

test('a token over 8 KiB is refused by the server already', async () => {
    const token = sign(key, claims({ more: 'x'.repeat(8000) }));
    const response = await plain.raw(plain.bytes({ method: 'POST', target, token }), 'POST');
    assert.equal(response.status, byServer({ lighttpd: 431, apache: 400, 'apache-proxy': 400, nginx: 400 }));
});

for (const header of ['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer ', 'Token abc', 'Bearer a b'])
    test(`refused: the credential "${header}"`, () =>
        assertRefused(plain, { headers: [['Authorization', header]] }));

test('a token in the query is not looked at', async () => {
    const token = plain.keepPrivate(sign(key, claims()));
    const response = await plain.post(`${target}?access_token=${token}`, { body: {} });
    assert.equal(response.status, 401);
});

test('why a token was refused is in the audit log alone', async () => {
    const response = await assertRefused(plain, { token: sign(key, claims({ exp: 1 })) });
    const trace = response.header('x-trace-id');
    const line = await plain.line(({ traceId }) => traceId === trace, 'audit.log');
    assert.deepEqual([line.event, line.outcome, line.reason],
                     ['calls.start', 'unauthenticated', 'the token has expired']);
    assert.ok(!response.text.includes('expired'));
});

test('a user nobody knew gets a row at the first use: the token\'s name, but not its role', async () => {
    const sub = `user-${randomUUID()}`;
    await assertTaken(plain, sign(key, claims({ sub, name: 'First Timer', role: 'staff' })));
    const rows = plain.run('user', 'list', '--json').trim().split('\n').map((row) => JSON.parse(row));
    const { name, role, disabled } = rows.find(({ id }) => id === sub);
    assert.deepEqual({ name, role, disabled }, { name: 'First Timer', role: 'user', disabled: false });
});

test('a disabled user is 403, and is let in again once enabled', async () => {
    const token = sign(key, claims({ sub: 'on-and-off' }));
    await assertTaken(plain, token);
    plain.run('user', 'disable', '--id', 'on-and-off');
    const response = await plain.post(target, { token, body: {} });
    assert.equal(response.status, 403);
    assert.equal(response.json().error.code, 'forbidden');
    plain.run('user', 'enable', '--id', 'on-and-off');
    await assertTaken(plain, token);
});

const id = { iss: 'https://id.example', aud: 'web', azp: 'https://app.example' };
const pinnedToken = (more) => sign(pinned.env.JWT_SECRET, claims({ ...id, ...more }));

test('issuer, audience and party pass as configured', () => assertTaken(pinned, pinnedToken({})));

test('one audience of several may be ours', () =>
    assertTaken(pinned, pinnedToken({ aud: ['other', 'app'] })));

test('a token minted by switchboard carries what is configured', () =>
    assertTaken(pinned, pinned.run('token', 'mint', '--sub', 'minted').trim()));

for (const wrong of [{ iss: 'https://other.example' }, { iss: undefined }, { iss: 'https://id.example/' },
                     { aud: 'other' }, { aud: undefined }, { aud: ['other'] },
                     { azp: 'https://evil.example' }, { azp: undefined }])
    test(`refused where it is configured: ${JSON.stringify(wrong)} (${Object.keys(wrong)})`, () =>
        assertRefused(pinned, { token: pinnedToken(wrong) }));

ends(plain, pinned);
