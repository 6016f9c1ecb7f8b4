// Idempotency-Key on calls/start: the effect happens once, and its answer is given again.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const server = await serve();
const text = (response) => response.text.replace(/"traceId":"[0-9a-f]{32}"/, '');

function start(person, threadId, key, body = {}) {
    return server.post('/api/calls/start', {
        token: person.token, headers: [['Idempotency-Key', key]],
        body: { threadId, kind: 'audio', ...body },
    });
}

test('the same key and payload give the same status and answer, marked as replayed', async () => {
    const { id, alice } = server.thread();
    const key = randomUUID();
    const [first, second] = [await start(alice, id, key), await start(alice, id, key)];
    assert.deepEqual([first.status, first.header('idempotent-replayed')], [201, undefined]);
    assert.deepEqual([second.status, second.header('idempotent-replayed')], [201, 'true']);
    assert.equal(text(second), text(first));
    assert.notEqual(second.json().traceId, first.json().traceId);
});

test('a replay stays what it was after the call has ended', async () => {
    const { id, alice } = server.thread();
    const key = randomUUID();
    const first = await start(alice, id, key);
    await server.post('/api/calls/end', { token: alice.token, body: { callId: first.json().call.id } });
    assert.equal(text(await start(alice, id, key)), text(first));
});

test('a replay survives a restart of the server', async () => {
    const { id, alice } = server.thread();
    const key = randomUUID();
    const first = await start(alice, id, key);
    await server.restart();
    const second = await start(alice, id, key);
    assert.equal(second.header('idempotent-replayed'), 'true');
    assert.equal(text(second), text(first));
});

test('the same key with another payload is 422, and nothing happens', async () => {
    const { id, alice } = server.thread();
    const key = randomUUID();
    const first = await start(alice, id, key);
    const response = await start(alice, id, key, { kind: 'video' });
    assert.equal(response.status, 422);
    assert.equal(response.json().error.code, 'idempotency_mismatch');
    assert.equal(text(await start(alice, id, key)), text(first));
});

test('another user with the same key is another request', async () => {
    const { id, alice, bob } = server.thread();
    const key = randomUUID();
    await start(alice, id, key);
    const response = await start(bob, id, key);
    assert.deepEqual([response.status, response.json().created], [200, false]);
    assert.equal(response.header('idempotent-replayed'), undefined);
});

test('another key is another request', async () => {
    const { id, alice } = server.thread();
    assert.equal((await start(alice, id, randomUUID())).status, 201);
    assert.equal((await start(alice, id, randomUUID())).status, 200);
});

test('of many with one key at once, one does it and the others replay', async () => {
    const { id, alice } = server.thread();
    const key = randomUUID();
    const all = await Promise.all([...Array(8)].map(() => start(alice, id, key)));
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [201]);
    assert.equal(new Set(all.map(text)).size, 1);
    assert.equal(all.filter((response) => response.header('idempotent-replayed') === undefined).length, 1);
});

test('what failed is not kept: the key may be used again', async () => {
    const { id, alice } = server.thread();
    const key = randomUUID();
    assert.equal((await start(alice, 'no-such-thread', key)).status, 404);
    assert.equal((await start(alice, id, key)).status, 201);
});

test('a key does not open what its user may not enter', async () => {
    const { id, alice, eve } = server.thread();
    const key = randomUUID();
    await start(alice, id, key);
    assert.equal((await start(eve, id, key)).status, 404);
});

for (const [what, key] of Object.entries({ 'of 256 characters': 'k'.repeat(256), 'with a blank': 'a b',
                                           'beyond ASCII': 'schl\u00fcssel' }))
    test(`a key ${what} is refused`, async () => {
        const { id, alice } = server.thread();
        const response = await start(alice, id, key);
        assert.equal(response.status, 400);
        assert.equal(response.json().error.code, 'invalid_request');
    });

test('a key of 255 characters is taken', async () => {
    const { id, alice } = server.thread();
    const key = randomUUID().padEnd(255, 'k');
    await start(alice, id, key);
    assert.equal((await start(alice, id, key)).header('idempotent-replayed'), 'true');
});

test('routes that answer with secrets ignore the key', async () => {
    const { bob, call } = await server.openCall();
    const headers = [['Idempotency-Key', randomUUID()]];
    for (const body of [{ callId: call.id }, { callId: 'call_none' }]) {
        const response = await server.post('/api/calls/join', { token: bob.token, headers, body });
        assert.equal(response.status, body.callId === call.id ? 200 : 404);
        assert.equal(response.header('idempotent-replayed'), undefined);
        if (response.status === 200) server.keepPrivate(response.json().ticket);
    }
});

ends(server);
