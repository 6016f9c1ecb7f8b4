// A disabled user is 403 wherever a user's token is taken: the routes are those of the document.
import assert from 'node:assert/strict';
import test from 'node:test';
import { openapi } from './support/contract.mjs';
import { ends, serve } from './support/server.mjs';

const origin = 'https://www.example.com';
const server = await serve({ ALLOWED_ORIGINS: origin });
const token = server.token('dora', { roles: ['staff', 'service'] });

const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
        .filter(([, { security }]) => security.some((scheme) => 'bearer' in scheme))
        .map(([method]) => [method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x')]));

const send = ([method, target]) => server.call(target, { method, token, origin });

test('the document has routes for users', () => {
    const found = operations.map((operation) => operation.join(' '));
    for (const known of ['GET /api/threads', 'POST /api/threads', 'POST /api/calls/start',
                         'POST /api/calls/end'])
        assert.ok(found.includes(known), known);
});

test('while she is not disabled, no route forbids her', async () => {
    for (const operation of operations)
        assert.ok(![401, 403].includes((await send(operation)).status), operation.join(' '));
});

test('once she is disabled, every route does', async () => {
    server.run('user', 'disable', '--id', 'dora');
    for (const operation of operations) {
        const response = await send(operation);
        assert.equal(response.status, 403, operation.join(' '));
        assert.equal(response.json().error.code, 'forbidden', operation.join(' '));
    }
});

ends(server);
