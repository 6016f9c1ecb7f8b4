// What is taken for a body, and what is not.
import assert from 'node:assert/strict';
import test from 'node:test';
import { byServer } from './support/context.mjs';
import { ends, serve } from './support/server.mjs';
import { chunked, requestBytes } from './support/wire.mjs';

const server = await serve();
const target = '/api/calls/start';
const { id, alice } = server.thread();
const good = JSON.stringify({ threadId: id, kind: 'audio' });
const post = (body, headers = []) => server.post(target, { token: alice.token, body, headers });
const code = (response) => response.json().error.code;

const nested = (depth) => `{"x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
const invalid = {
    'not JSON': 'hello',
    'broken off': '{"threadId":"t"',
    'an array': '[]',
    'a string': '"text"',
    'null': 'null',
    'blanks alone': '   ',
    'a key twice': `{"threadId":"${id}","threadId":"${id}","kind":"audio"}`,
    'a key twice, once escaped': `{"kind":"audio","\\u006bind":"video","threadId":"${id}"}`,
    'a NUL by escape': '{"threadId":"a\\u0000b","kind":"audio"}',
    'a NUL by escape in a key': '{"kind\\u0000":"audio"}',
    'a NUL as it is': Buffer.from('{"threadId":"a\0b","kind":"audio"}'),
    'invalid UTF-8': Buffer.from('{"threadId":"\xff","kind":"audio"}', 'latin1'),
    'overlong UTF-8': Buffer.from('{"threadId":"\xc0\xaf","kind":"audio"}', 'latin1'),
    'UTF-16': Buffer.from(good, 'utf16le'),
    'half a surrogate pair': '{"threadId":"\\ud800","kind":"audio"}',
    'a byte order mark': `\ufeff${good}`,
    'bytes behind it': `${good}x`,
    'a second value behind it': `${good}${good}`,
    'a NUL behind it': Buffer.from(`${good}\0`),
    'a comma too many': `{"threadId":"${id}","kind":"audio",}`,
    'single quotes': "{'threadId':'t'}",
    'a comment': `/* x */${good}`,
    'NaN': '{"threadId":NaN}',
    'a number beyond 64 bits': '{"threadId":123456789012345678901234567890}',
    'a line break in a text': '{"threadId":"a\nb"}',
    '33 levels': nested(33),
    '30,000 levels': nested(30000),
};
for (const [what, body] of Object.entries(invalid))
    test(`invalid JSON: ${what}`, async () => {
        const response = await post(body);
        assert.equal(response.status, 400);
        assert.equal(code(response), 'invalid_json');
    });

test('32 levels are JSON, if no valid request', async () => {
    const response = await post(nested(32));
    assert.equal(code(response), 'validation_failed');
});

test('blanks around the object do not matter', async () => {
    assert.ok([200, 201].includes((await post(` \r\n\t${good}\n`)).status));
});

for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON', 'application/json;x'])
    test(`Content-Type ${type} is JSON`, async () => {
        assert.ok([200, 201].includes((await post(good, [['Content-Type', type]])).status));
    });

for (const type of ['text/plain', 'application/jsonx', 'application/x-www-form-urlencoded',
                    'multipart/form-data; boundary=x', 'application/problem+json', 'json', ''])
    test(`Content-Type "${type}" is 415`, async () => {
        const response = await post(good, [['Content-Type', type]]);
        assert.equal(response.status, 415);
        assert.equal(code(response), 'unsupported_media_type');
    });

test('a body of 64 KiB is read', async () => {
    assert.ok([200, 201].includes((await post(good.padEnd(65536))).status));
});

for (const size of [65537, 200000, 3000000])
    test(`a body of ${size} bytes is 413`, async () => {
        const response = await post(good.padEnd(size));
        assert.equal(response.status, 413);
        assert.equal(code(response), 'body_too_large');
    });

test('an empty body with a length of 0 has none of the fields', async () => {
    const response = await server.post(target, { token: alice.token });
    assert.equal(response.status, 400);
    assert.deepEqual(response.json().error.fields.map(({ field }) => field), ['threadId', 'kind']);
});

/** A POST whose framing is the test's own. */
async function framed(headers, body, judged = true) {
    const all = [['Host', 'x'], ['Connection', 'close'], ['Authorization', `Bearer ${alice.token}`],
                 ['Content-Type', 'application/json'], ...headers];
    const response = await server.raw(requestBytes({ method: 'POST', target, headers: all, body }), 'POST');
    if (judged) server.judge({ method: 'POST', target }, response);
    return response;
}

test('a POST without a length and without a body has none of the fields; lighttpd wants a length', async () => {
    const status = byServer({ lighttpd: 411, apache: 400, 'apache-proxy': 400, nginx: 400 });
    const response = await framed([], undefined, status === 400);
    assert.equal(response.status, status);
    if (status === 400) assert.equal(code(response), 'validation_failed');
});

for (const size of [1, 7, 4096])
    test(`a chunked body is a body, ${size} bytes a chunk`, async () => {
        const response = await framed([['Transfer-Encoding', 'chunked']], chunked(Buffer.from(good), size));
        assert.ok([200, 201].includes(response.status), response.text);
    });

test('a chunked body over 64 KiB is 413', async () => {
    const body = chunked(Buffer.from(good.padEnd(100000)), 8192);
    assert.equal((await framed([['Transfer-Encoding', 'chunked']], body)).status, 413);
});

test('a chunked body of nothing has none of the fields', async () => {
    const response = await framed([['Transfer-Encoding', 'chunked']], Buffer.from('0\r\n\r\n'));
    assert.equal(code(response), 'validation_failed');
});

for (const [what, headers, body] of [
    ['sized', [['Content-Length', '2']], Buffer.from('{}')],
    ['chunked', [['Transfer-Encoding', 'chunked']], chunked(Buffer.from('{}'), 1)]])
    test(`a ${what} body on GET is refused, by lighttpd itself`, async () => {
        const request = { method: 'GET', target: '/api/config' };
        const bytes = requestBytes({ ...request, body,
                                     headers: [['Host', 'x'], ['Connection', 'close'], ...headers] });
        const response = await server.raw(bytes);
        assert.equal(response.status, 400);
        if (byServer({ lighttpd: false, apache: true, 'apache-proxy': true, nginx: true })) {
            server.judge(request, response);
            assert.equal(code(response), 'invalid_request');
        }
    });

for (const length of ['-1', '+5', '0x10', '5, 5', 'five'])
    test(`a Content-Length of "${length}" is refused by whoever sees it first`, async () => {
        const response = await framed([['Content-Length', length]], Buffer.from(good), false);
        assert.equal(response.status, 400);
    });

test('a request is refused for its token before its body is looked at', async () => {
    const response = await server.post(target, { body: 'no JSON' });
    assert.equal(response.status, 401);
});

ends(server);
