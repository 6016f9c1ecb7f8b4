// Users by the keys of an identity provider: rotation, outage, floods, attacks.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { chmodSync, lstatSync, readFileSync, utimesSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import path from 'node:path';
import test, { after } from 'node:test';
import { SignJWT } from 'jose';
import { eventually } from './support/poll.mjs';
import { Provider } from './support/provider.mjs';
import { ends, Installation, serve } from './support/server.mjs';
import { nowS, sign } from './support/tokens.mjs';

const provider = await new Provider().start('RS256', 'ES256');
const server = await serve({ JWT_JWKS_URL: provider.url, JWT_ISSUER: provider.issuer,
                             JWT_AUDIENCE: 'app', JWT_AUTHORIZED_PARTIES: 'https://app.example' });
const target = '/api/calls/start';
const keyFile = path.join(server.env.RUN_DIR, 'jwks.json');
const lockFile = path.join(server.env.RUN_DIR, 'jwks.lock');

const good = { aud: 'app', azp: 'https://app.example' };
const token = (kid, claims, header) => provider.token(kid, { ...good, ...claims }, header);
/** 400 is what a token that passes gets for an empty body. */
const ask = async (text) => (await server.post(target, { token: text, body: {} })).status;

/** As if the last refresh, or the file of keys, were seconds older. */
function age(file, seconds) {
    const { mtimeMs } = lstatSync(file);
    utimesSync(file, mtimeMs / 1000 - seconds, mtimeMs / 1000 - seconds);
}

after(() => provider.stop());

test('the first token has the keys fetched, once, and passes', async () => {
    const first = await token('RS256');
    await eventually('the token passes', async () => await ask(first) === 400);
    assert.equal(await ask(await token('ES256')), 400);
    assert.equal(provider.keyRequests, 1);
});

test('the file of keys is private, and holds public keys alone', () => {
    const { keys } = JSON.parse(readFileSync(keyFile, 'utf8'));
    assert.equal(lstatSync(keyFile).mode & 0o7777, 0o600);
    assert.deepEqual(keys.map(({ kid }) => kid).sort(), ['ES256', 'RS256']);
    for (const key of keys) assert.ok(!('d' in key));
});

test('a new key is taken once 30 s have passed since the last refresh, not before', async () => {
    await provider.addKey('ES256', 'rotated');
    const rotated = await token('rotated');
    assert.equal(await ask(rotated), 401);
    assert.equal(provider.keyRequests, 1);
    age(lockFile, 31);
    await eventually('the new key is taken', async () => await ask(rotated) === 400);
    assert.equal(provider.keyRequests, 2);
    assert.equal(await ask(await token('RS256')), 400, 'beside the old ones');
});

test('a flood of unknown keys costs the provider one request, and nobody else anything', async () => {
    const before = provider.keyRequests;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = () => new SignJWT({ ...good, sub: 'mallory', iss: provider.issuer })
        .setProtectedHeader({ alg: 'ES256', kid: randomUUID() }).setExpirationTime('5m').sign(privateKey);
    const known = await token('RS256');
    age(lockFile, 31);
    const statuses = await Promise.all(Array.from({ length: 80 }, async (_, i) =>
        i % 8 === 7 ? [400, await ask(known)] : [401, await ask(await forged())]));
    for (const [wanted, status] of statuses) assert.equal(status, wanted);
    assert.equal(provider.keyRequests, before + 1);
});

test('keys older than 10 minutes are fetched again while requests go on', async () => {
    const before = provider.keyRequests;
    age(lockFile, 31);
    age(keyFile, 660);
    assert.equal(await ask(await token('RS256')), 400);
    await eventually('the keys are fetched', () => provider.keyRequests === before + 1);
    await eventually('the file is new', () => Date.now() - lstatSync(keyFile).mtimeMs < 300000);
});

test('while the provider is down the last keys are kept, and an unknown one is refused', async () => {
    const known = await token('RS256'), unknown = await token('RS256', {}, { kid: 'nobody-has-it' });
    const content = readFileSync(keyFile);
    await provider.stop();
    age(lockFile, 31);
    age(keyFile, 24 * 3600);
    assert.equal(await ask(known), 400);
    assert.equal(await ask(unknown), 401);
    await server.line(({ event }) => event === 'jwks.refresh_failed');
    assert.equal(await ask(known), 400);
    assert.deepEqual(readFileSync(keyFile), content);
    await provider.listen();
    age(lockFile, 31);
    await provider.addKey('RS256', 'after-the-outage');
    const fresh = await token('after-the-outage');
    await eventually('keys made meanwhile are taken', async () => await ask(fresh) === 400);
});

test('a restarted server has the keys without asking', async () => {
    const before = provider.keyRequests;
    await server.restart();
    assert.equal(await ask(await token('RS256')), 400);
    assert.equal(provider.keyRequests, before);
});

// What a token must say.

const claimRefusals = {
    'another issuer': { iss: 'https://other.example' },
    'no issuer': { iss: undefined },
    'another audience': { aud: 'other' },
    'another party': { azp: 'https://evil.example' },
    'expired': { exp: nowS() - 60 },
    'no expiry': { exp: undefined },
    'a fractional expiry': { exp: nowS() + 600.5 },
    'not valid yet': { nbf: nowS() + 60 },
    'issued in the future': { iat: nowS() + 60 },
    'a session that is pending': { sts: 'pending' },
    'no subject': { sub: undefined },
};
for (const [what, claims] of Object.entries(claimRefusals))
    test(`refused by its claims: ${what}`, async () => {
        assert.equal(await ask(await token('ES256', claims)), 401);
    });

test('accepted: an active session, clocks 3 s apart, our audience among several', async () => {
    const claims = { sts: 'active', nbf: nowS() + 3, iat: nowS() + 3, aud: ['other', 'app'] };
    assert.equal(await ask(await token('ES256', claims)), 400);
});

const published = () => JSON.parse(readFileSync(keyFile, 'utf8')).keys.find(({ kid }) => kid === 'RS256');
const pem = () => createPublicKey({ key: published(), format: 'jwk' }).export({ type: 'spki', format: 'pem' });
const claims = () => ({ ...good, iss: provider.issuer, sub: 'mallory', exp: nowS() + 600 });
const attacks = {
    'HS256 under our own secret': () => sign(server.env.JWT_SECRET, claims()),
    'HS256 under the public key': () => sign(pem(), claims(), { alg: 'HS256', kid: 'RS256', typ: 'JWT' }),
    'RS256 that is an HMAC under the public key': () => sign(pem(), claims(), { alg: 'RS256', kid: 'RS256' }),
    'alg none': () => `${sign('', claims(), { alg: 'none', kid: 'RS256' }).split('.').slice(0, 2).join('.')}.`,
    'alg NONE with a signature': () => sign(pem(), claims(), { alg: 'NONE', kid: 'RS256' }),
    'another key\'s kid': async () => {
        const [, ...rest] = (await token('ES256')).split('.');
        return [Buffer.from('{"alg":"ES256","kid":"rotated"}').toString('base64url'), ...rest].join('.');
    },
    'its own key in the header': async () => {
        const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        return new SignJWT(claims()).setProtectedHeader({ alg: 'ES256', kid: 'ES256',
            jwk: pair.publicKey.export({ format: 'jwk' }) }).sign(pair.privateKey);
    },
    'a kid that is a path': () => token('ES256', {}, { kid: '../../../../dev/null' }),
};
for (const [what, make] of Object.entries(attacks))
    test(`refused: ${what}`, async () => assert.equal(await ask(await make()), 401));

// The command.

test('jwks show lists the keys', () => {
    const { status, stdout } = server.switchboard(['jwks', 'show']);
    assert.equal(status, 0);
    assert.deepEqual(stdout.trimEnd().split('\n').map((line) => line.split('\t').slice(0, 2).join()).sort(),
                     ['ES256,ES256', 'RS256,RS256', 'after-the-outage,RS256', 'rotated,ES256']);
});

test('a minted token is refused to be made where it would be refused', () => {
    const { status, stdout, stderr } = server.switchboard(['token', 'mint', '--sub', 'ann']);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /JWT_JWKS_URL is set/);
});

test('inspect takes the fetched keys', async () => {
    const { status, stdout, stderr } = server.switchboard(['token', 'inspect'], await token('RS256'));
    assert.equal(status, 0, stderr);
    assert.equal(JSON.parse(stdout).sub, 'somebody');
});

// What a provider can answer.

const answers = {}; // path -> [status, headers, body]
const scripted = createServer(({ url }, response) => {
    const [status, headers, body] = answers[url] ?? [404, {}, ''];
    response.writeHead(status, headers).end(body);
});
await new Promise((resolve) => scripted.listen(0, '127.0.0.1', resolve));
after(() => scripted.close());
const scriptedUrl = (name) => `http://127.0.0.1:${scripted.address().port}${name}`;

const command = new Installation({ JWT_ISSUER: 'https://id.example' });
after(() => command.remove());
const runDir = path.join(command.directory, 'state');
command.configure({ RUN_DIR: runDir });
command.run('migrate');
const jwk = (members) => ({ ...generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .publicKey.export({ format: 'jwk' }), ...members });
const json = (body, status = 200) => [status, { 'Content-Type': 'application/json' }, JSON.stringify(body)];

function refresh(name) {
    command.configure({ JWT_JWKS_URL: scriptedUrl(name) });
    return command.switchboardBeside('jwks', 'refresh');
}

test('refresh puts the keys in place, says what it leaves out, and replaces them', async () => {
    answers['/one'] = json({ keys: [jwk({ kid: 'one' }), jwk({ kid: 'enc', use: 'enc' })] });
    const { status, stderr } = await refresh('/one');
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^switchboard: key enc is left out: use is not sig$/m);
    const before = lstatSync(path.join(runDir, 'jwks.json')).ino;
    assert.equal((await refresh('/one')).status, 0);
    assert.notEqual(lstatSync(path.join(runDir, 'jwks.json')).ino, before);
});

answers['/missing'] = [404, {}, 'nothing'];
answers['/failing'] = json({ keys: [jwk()] }, 500);
answers['/html'] = [200, { 'Content-Type': 'text/html' }, '<html>'];
answers['/duplicate'] = [200, {}, '{"keys":[],"keys":[]}'];
answers['/empty'] = json({ keys: [] });
answers['/unusable'] = json({ keys: [jwk({ alg: 'ES384' }), { kty: 'oct', k: 'AAAA' }] });
answers['/long'] = [200, {}, `{"keys":[${JSON.stringify(jwk())}]${' '.repeat(64 * 1024)}}`];
answers['/moved'] = [302, { Location: '/one' }, ''];
for (const [name, why] of Object.entries({
    '/missing': /with status 404$/m, '/failing': /with status 500$/m,
    '/html': /not one JSON object/, '/duplicate': /without duplicate names/,
    '/empty': /no key that verifies/, '/unusable': /no key that verifies/,
    '/long': /JWT_JWKS_URL failed/, '/moved': /with status 302$/m,
}))
    test(`an answer that is refused leaves the old keys: ${name}`, async () => {
        assert.equal((await refresh('/one')).status, 0);
        const content = readFileSync(path.join(runDir, 'jwks.json'));
        const { status, stderr } = await refresh(name);
        assert.equal(status, 1);
        assert.match(stderr, why);
        assert.deepEqual(readFileSync(path.join(runDir, 'jwks.json')), content);
    });

test('over TLS the provider must be who it says', async () => {
    const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => path.join(command.directory, name));
    const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
        '-nodes', '-keyout', key, '-out', certificate, '-days', '2', '-subj', '/CN=127.0.0.1',
        '-addext', 'subjectAltName=IP:127.0.0.1'], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    const secure = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) },
                                   (_, response) => response.end(answers['/one'][2]));
    await new Promise((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${secure.address().port}/keys`;
    command.configure({ JWT_JWKS_URL: url });
    const stranger = await command.switchboardBeside('jwks', 'refresh');
    assert.equal(stranger.status, 1);
    assert.match(stranger.stderr, /JWT_JWKS_URL failed \(untrusted\)/);
    chmodSync(certificate, 0o644);
    command.configure({ UPSTREAM_CA_FILE: certificate });
    const known = await command.switchboardBeside('jwks', 'refresh');
    assert.equal(known.status, 0, known.stderr);
    command.configure({ UPSTREAM_CA_FILE: null });
    secure.close();
});

test('keys of another provider are not shown as this one\'s', async () => {
    assert.equal((await refresh('/one')).status, 0);
    command.configure({ JWT_JWKS_URL: scriptedUrl('/other') });
    const { status, stderr } = command.switchboard(['jwks', 'show']);
    assert.equal(status, 1);
    assert.match(stderr, /came from another JWT_JWKS_URL; run: switchboard jwks refresh/);
});

test('without JWT_JWKS_URL there is nothing to fetch', () => {
    command.configure({ JWT_JWKS_URL: null });
    const { status, stderr } = command.switchboard(['jwks', 'refresh']);
    assert.equal(status, 1);
    assert.match(stderr, /JWT_JWKS_URL is not set/);
});

// Configuration.

test('users\' routes do without JWT_SECRET, those with tickets do not', async () => {
    const settings = { JWT_SECRET: null, JWT_JWKS_URL: provider.url, JWT_ISSUER: provider.issuer };
    const { stdout } = new Installation(settings).switchboard(['check']);
    assert.match(stdout, /^error: JWT_SECRET is not set/m);
    const keysOnly = await serve(settings);
    const text = await provider.token('RS256');
    await eventually('the token passes', async () =>
        (await keysOnly.post(target, { token: text, body: {} })).status === 400);
    const joined = await keysOnly.post('/api/calls/join', { token: text, body: { callId: 'x' } });
    assert.equal(joined.json().error.code, 'misconfigured');
    await keysOnly.stop();
    keysOnly.remove();
});

test('check demands the issuer, and https in production', () => {
    const { stdout } = new Installation({
        APP_ENV: 'production', JWT_JWKS_URL: 'http://127.0.0.1/keys', JWT_ISSUER: null,
    }).switchboard(['check']);
    assert.match(stdout, /^error: JWT_JWKS_URL is not an https:\/\/ URL/m);
    assert.match(stdout, /^error: JWT_ISSUER is not set; JWT_JWKS_URL demands it/m);
});

test('without any keys, not even old ones, a token is not judged: 503', async () => {
    const cold = await serve({ JWT_JWKS_URL: scriptedUrl('/missing'), JWT_ISSUER: provider.issuer });
    const response = await cold.post(target, { token: await provider.token('RS256'), body: {} });
    assert.equal(response.status, 503);
    assert.equal(response.json().error.code, 'unavailable');
    await cold.stop();
    cold.remove();
});

ends(server);
