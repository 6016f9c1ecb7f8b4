// The go-live checklist's own commands, with the real curl.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { promisify } from 'node:util';
import { byServer } from './support/context.mjs';
import { ends, serve } from './support/server.mjs';

const origin = 'https://app.example';
const server = await serve({ ALLOWED_ORIGINS: origin });
const { alice } = server.thread();

const sh = async (command) => (await promisify(execFile)('bash', ['-o', 'pipefail', '-c', command], {
    env: { ...process.env, BASE: server.base, O: origin, T: server.keepPrivate(alice.token) },
})).stdout;

const statusOf = (answer) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)[1]);

test('the preflight by curl is 200', async () => {
    const answer = await sh('curl -s -i -X OPTIONS -H "Origin: $O" ' +
        '-H "Access-Control-Request-Method: POST" $BASE/api/health');
    assert.equal(statusOf(answer), 200);
    assert.match(answer, /^Access-Control-Allow-Origin: https:\/\/app\.example\r$/m);
});

test('the preflight of another origin by curl is 403', async () => {
    const answer = await sh('curl -s -i -X OPTIONS -H "Origin: https://evil.example" ' +
        '-H "Access-Control-Request-Method: POST" $BASE/api/health');
    assert.equal(statusOf(answer), 403);
});

test('curl -sf health through jq exits 0', async () => {
    assert.equal(JSON.parse(await sh('curl -sf $BASE/api/health | jq .')).status, 'ok');
});

test('curl -f of a miss fails, so that scripts notice', async () => {
    await assert.rejects(sh('curl -sf $BASE/api/nothing'), ({ code }) => code === 22);
});

test('curl -X POST without a body: lighttpd alone wants a length', async () => {
    const answer = await sh('curl -s -i -X POST -H "Origin: $O" -H "Authorization: Bearer $T" ' +
        '$BASE/api/calls/start');
    assert.equal(statusOf(answer), byServer({ lighttpd: 411, apache: 400, 'apache-proxy': 400, nginx: 400 }));
});

test("curl -X POST -d '' reaches the endpoint everywhere", async () => {
    const answer = await sh('curl -s -i -X POST -d "" -H "Origin: $O" ' +
        '-H "Authorization: Bearer $T" $BASE/api/calls/start');
    assert.equal(statusOf(answer), 400);
    assert.match(answer, /"code":"validation_failed"/);
});

ends(server);
