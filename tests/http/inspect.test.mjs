// `switchboard token inspect --jwks`, beside two verifiers that share no line with it: npm's jose
// and Debian's. What one signs the others take; what is tampered with nobody takes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { CompactSign, compactVerify, createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT }
    from 'jose';
import { build } from './support/context.mjs';
import { Installation } from './support/server.mjs';
import { nowS, sign } from './support/tokens.mjs';

const directory = mkdtempSync(path.join(os.tmpdir(), 'sb-inspect-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function file(content) {
    const name = path.join(directory, randomUUID());
    writeFileSync(name, typeof content === 'string' ? content : JSON.stringify(content));
    return name;
}

function run(program, args, input, env = {}) {
    const { status, stdout, stderr, error } = spawnSync(program, args,
        { input, encoding: 'utf8', env: { PATH: process.env.PATH, ...env } });
    if (error && error.code !== 'EPIPE') throw error; // it may refuse without reading
    return { status, stdout, stderr };
}

/** Without any environment file, as anybody would on any machine. */
const inspect = (jwks, token, ...options) =>
    run(path.join(build, 'bin/switchboard'), ['token', 'inspect', '--jwks', jwks, ...options], token);
const debian = (jwks, token) => run('jose', ['jws', 'ver', '-i-', '-k', jwks, '-O-'], token);
const npm = (jwks, token) => compactVerify(token, createLocalJWKSet(jwks)).then(
    ({ payload }) => Buffer.from(payload).toString(), () => null);

const algorithms = ['RS256', 'ES256'];
const pairs = {};
for (const alg of algorithms) {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    pairs[alg] = { privateKey, secret: { ...await exportJWK(privateKey), alg, kid: `k-${alg}` },
                   jwk: { ...await exportJWK(publicKey), alg, kid: `k-${alg}`, use: 'sig' } };
}
const set = { keys: algorithms.map((alg) => pairs[alg].jwk) };
const setFile = file(set);
const claims = (more) => ({ sub: 'ann', exp: nowS() + 600, ...more });
const signed = (alg, payload = claims(), header = {}) => new SignJWT(payload)
    .setProtectedHeader({ alg, kid: `k-${alg}`, ...header }).sign(pairs[alg].privateKey);

/** Changes the payload, the signature and the header, a character each. */
function tampered(token) {
    const parts = token.split('.');
    return parts.map((part, i) => {
        const middle = Math.floor(part.length / 2);
        const other = part[middle] === 'A' ? 'B' : 'A';
        return parts.map((same, k) => (k === i ? part.slice(0, middle) + other + part.slice(middle + 1) : same))
            .join('.');
    });
}

for (const alg of algorithms) {
    test(`${alg}: what npm's jose signs, Debian's and we take`, async () => {
        const payload = claims();
        const token = await signed(alg, payload);
        const { status, stdout, stderr } = inspect(setFile, token);
        assert.deepEqual([status, stderr], [0, '']);
        assert.deepEqual(JSON.parse(stdout), payload);
        assert.equal(debian(setFile, token).status, 0);
    });

    test(`${alg}: what Debian's jose signs, npm's and we take`, async () => {
        const key = file(pairs[alg].secret), text = `not claims, but ${randomUUID()}`;
        const made = run('jose', ['jws', 'sig', '-I', file(text), '-k', key, '-c',
                                  '-s', JSON.stringify({ protected: { alg, kid: `k-${alg}` } })]);
        assert.equal(made.status, 0, made.stderr);
        const token = made.stdout.trim();
        assert.deepEqual(inspect(setFile, token, '--raw'), { status: 0, stdout: text, stderr: '' });
        assert.equal(await npm(set, token), text);
    });

    test(`${alg}: a key that Debian's jose made verifies without kid in token and key`, () => {
        const key = file(run('jose', ['jwk', 'gen', '-i', JSON.stringify({ alg })]).stdout);
        const open = file(run('jose', ['jwk', 'pub', '-s', '-i', key]).stdout);
        const token = run('jose', ['jws', 'sig', '-I', file('x'), '-k', key, '-c']).stdout;
        assert.deepEqual(inspect(open, token, '--raw'), { status: 0, stdout: 'x', stderr: '' });
    });

    test(`${alg}: nobody takes a token that was tampered with`, async () => {
        const token = await signed(alg);
        for (const bad of tampered(token)) {
            assert.equal(inspect(setFile, bad, '--raw').status, 1, bad);
            assert.notEqual(debian(setFile, bad).status, 0, bad);
            assert.equal(await npm(set, bad), null, bad);
        }
    });

    test(`${alg}: nobody takes the signature of a stranger`, async () => {
        const { privateKey } = await generateKeyPair(alg);
        const token = await new CompactSign(Buffer.from('{}'))
            .setProtectedHeader({ alg, kid: `k-${alg}` }).sign(privateKey);
        assert.equal(inspect(setFile, token, '--raw').status, 1);
        assert.notEqual(debian(setFile, token).status, 0);
        assert.equal(await npm(set, token), null);
    });
}

test('what we mint, npm\'s jose takes', async () => {
    const made = new Installation({ JWT_ISSUER: 'https://id.example' });
    after(() => made.remove());
    made.run('migrate');
    const token = made.run('token', 'mint', '--sub', 'ann').trim();
    const { payload } = await jwtVerify(token, Buffer.from(made.env.JWT_SECRET),
                                        { algorithms: ['HS256'], issuer: 'https://id.example' });
    assert.equal(payload.sub, 'ann');
});

const pem = createPublicKey({ key: pairs.RS256.jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
const refusals = {
    'alg none': [() => `${sign('', claims(), { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
                 'the alg is not the key\'s'],
    'alg nOnE with a signature': [() => sign('', claims(), { alg: 'nOnE' }), 'the alg is not the key\'s'],
    'HS256 under the public key': [() => sign(pem, claims(), { alg: 'HS256', kid: 'k-RS256' }),
                                   'the alg is not the key\'s'],
    'an alg that is the other key\'s': [() => signed('ES256', claims(), { kid: 'k-RS256' }),
                                        'the alg is not the key\'s'],
    'an unknown kid': [() => signed('ES256', claims(), { kid: '../../../dev/null' }), 'no key fits'],
    'jku': [() => signed('ES256', claims(), { jku: 'https://evil.example' }), 'a parameter that is refused'],
    'x5c': [() => signed('RS256', claims(), { x5c: ['MIIB'] }), 'a parameter that is refused'],
    'crit': [() => sign(pem, claims(), { alg: 'ES256', crit: ['exp'], exp: 1 }), 'a parameter that is refused'],
    'padding': [async () => `${await signed('ES256')}==`, 'not canonical base64url'],
    'four parts': [async () => `${await signed('ES256')}.x`, 'not three parts'],
    'two algs': [() => sign(pem, claims(), '{"alg":"ES256","alg":"ES256"}'), 'one sound JSON object'],
    '8 KiB and more': [() => signed('ES256', claims({ x: 'x'.repeat(8192) })), 'too long'],
    'an expired token': [() => signed('ES256', claims({ exp: 1 })), 'the token has expired'],
    'a fractional time': [() => sign(pem, '{"exp":1.5}', { alg: 'ES256' }), 'the signature does not match'],
    'no subject': [() => signed('ES256', claims({ sub: undefined })), 'sub is missing'],
    'another kind of token': [() => signed('ES256', claims(), { typ: 'logout+jwt' }), 'typ is not an expected'],
};
for (const [what, [make, why]] of Object.entries(refusals))
    test(`inspect refuses and explains: ${what}`, async () => {
        const { status, stderr } = inspect(setFile, await make());
        assert.equal(status, 1);
        assert.ok(stderr.startsWith('switchboard: refused: ') && stderr.includes(why), stderr);
    });

test('--raw looks at the signature alone: claims, typ and times are nobody\'s business', async () => {
    const token = await signed('ES256', { exp: 1 }, { typ: 'whatever' });
    assert.equal(inspect(setFile, token).status, 1);
    assert.deepEqual(inspect(setFile, token, '--raw'), { status: 0, stdout: '{"exp":1}', stderr: '' });
});

test('a refusal for want of a key says which were left out, and why', async () => {
    const weak = { ...pairs.RS256.jwk, n: pairs.RS256.jwk.n.slice(0, 168) };
    const jwks = file({ keys: [weak, { ...pairs.ES256.jwk, use: 'enc' }] });
    const { status, stderr } = inspect(jwks, await signed('RS256'));
    assert.equal(status, 1);
    assert.match(stderr, /^switchboard: key k-RS256 is left out: the modulus is below 2048 bits$/m);
    assert.match(stderr, /^switchboard: key k-ES256 is left out: use is not sig$/m);
    assert.match(stderr, /^switchboard: refused: no key fits the token$/m);
});

for (const [what, content] of Object.entries({ 'a key alone': pairs.ES256.jwk, 'no JSON': '<html>',
                                               'two sets of keys': '{"keys":[],"keys":[]}' }))
    test(`a file that is no key set is refused: ${what}`, async () => {
        const { status, stdout, stderr } = inspect(file(content), await signed('ES256'));
        assert.deepEqual([status, stdout], [1, '']);
        assert.match(stderr, /: the key set /);
    });

test('a file that is not there is named', async () => {
    const { status, stderr } = inspect('/nonexistent/keys', await signed('ES256'));
    assert.equal(status, 1);
    assert.match(stderr, /\/nonexistent\/keys: No such file/);
});

test('the claims are held against an environment file where there is one', async () => {
    const pinned = new Installation({ JWT_ISSUER: 'https://id.example' });
    after(() => pinned.remove());
    const verify = async (iss) => pinned.switchboard(['token', 'inspect', '--jwks', setFile],
                                                     await signed('ES256', claims({ iss })));
    assert.equal((await verify('https://id.example')).status, 0);
    const { status, stderr } = await verify('https://other.example');
    assert.equal(status, 1);
    assert.match(stderr, /iss is not the configured issuer/);
});
