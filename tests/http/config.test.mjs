import assert from 'node:assert/strict';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const plain = await serve();
const set = await serve({
    OPENAI_REALTIME_MODEL: 'some-model', ENABLE_SERVER_VAD: 'true', NEXT_PUBLIC_ENABLE_VAD: 'true',
    CALL_HEARTBEAT_SECONDS: '45', CALL_TOKEN_TTL: '600', METRICS_TOKEN: 'a-token-of-metrics',
    TURN_HOST: 'turn.example.com', TURN_SECRET: 'turn-secret-of-the-tests',
});

const settings = async (server) => {
    const { success, traceId, version, ...rest } = (await server.call('/api/config')).json();
    assert.ok(success && traceId);
    assert.equal(version, server.run('version').trim());
    return rest;
};

test('the defaults switch voice detection off', async () => {
    assert.deepEqual(await settings(plain), {
        realtime: { model: 'gpt-realtime-2.1-mini', serverVad: false, vad: false },
        calls: { heartbeatSeconds: 30, tokenTtlSeconds: 3600 },
        limits: { jsonBodyBytes: 65536 },
    });
});

test('what the administrator sets is what clients are told, aliases included', async () => {
    assert.deepEqual(await settings(set), {
        realtime: { model: 'some-model', serverVad: true, vad: true },
        calls: { heartbeatSeconds: 45, tokenTtlSeconds: 600 },
        limits: { jsonBodyBytes: 65536 },
    });
});

test('nothing in it is secret', async () => {
    const { text } = await set.call('/api/config');
    for (const secret of set.privates) assert.ok(!text.includes(secret));
});

test('it needs no token', async () => {
    assert.equal((await plain.call('/api/config', { token: 'of no use' })).status, 200);
});

ends(plain, set);
