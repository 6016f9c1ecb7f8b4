// The WebSocket proxy of older clients is gone for good, whoever asks and however.
import assert from 'node:assert/strict';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const server = await serve();

function assertGone(response) {
    assert.equal(response.status, 410);
    assert.equal(response.json().error.code, 'gone');
    assert.match(response.json().error.message, /POST \/api\/realtime\/token/);
}

for (const target of ['/api/realtime-websocket', '/api/realtime-websocket.php'])
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
        test(`${method} ${target} is 410 and names its successor`, async () => {
            assertGone(await server.call(target, { method }));
        });

test('HEAD is 410 without a body', async () => {
    assert.equal((await server.call('/api/realtime-websocket', { method: 'HEAD' })).status, 410);
});

test('a WebSocket handshake is 410', async () => {
    const headers = [['Upgrade', 'websocket'], ['Sec-WebSocket-Version', '13'],
                     ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==']];
    assertGone(await server.call('/api/realtime-websocket', { headers }));
});

test('a body of any type and size is 410', async () => {
    const headers = [['Content-Type', 'application/octet-stream']];
    assertGone(await server.post('/api/realtime-websocket', { headers, body: 'x'.repeat(100000) }));
});

ends(server);
