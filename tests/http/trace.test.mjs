// Trace ids: W3C Trace Context, level 1.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { byServer } from './support/context.mjs';
import { ends, serve } from './support/server.mjs';

const server = await serve();
const id = () => randomBytes(16).toString('hex');
const parent = 'b7ad6b7169203331';

const traceOf = async (traceparent, target = '/api/health') => {
    const response = await server.call(target, { headers: [['traceparent', traceparent]] });
    return response.header('x-trace-id');
};

test('without a traceparent every answer has a trace id of its own', async () => {
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await server.call('/api/health')).header('x-trace-id'));
    assert.equal(new Set(ids).size, 5);
});

test('a valid traceparent is continued', async () => {
    const trace = id();
    assert.equal(await traceOf(`00-${trace}-${parent}-01`), trace);
});

test('a valid traceparent is continued in errors', async () => {
    const trace = id();
    assert.equal(await traceOf(`00-${trace}-${parent}-00`, '/api/nothing'), trace);
});

test('the trace id is in the log line', async () => {
    const trace = id();
    await traceOf(`00-${trace}-${parent}-01`);
    const line = await server.line(({ traceId }) => traceId === trace);
    assert.equal(line.event, 'request');
});

test('a later version with more behind it is continued', async () => {
    const trace = id();
    assert.equal(await traceOf(`01-${trace}-${parent}-01-more`), trace);
});

const trace = id();
const refused = {
    'a trace id of zeros': `00-${'0'.repeat(32)}-${parent}-01`,
    'a parent id of zeros': `00-${trace}-${'0'.repeat(16)}-01`,
    'upper-case digits': `00-${trace.toUpperCase().replace(/^./, 'A')}-${parent}-01`,
    'version ff': `ff-${trace}-${parent}-01`,
    'a short trace id': `00-${trace.slice(1)}-${parent}-01`,
    'version 00 with more behind it': `00-${trace}-${parent}-01-more`,
    'no flags': `00-${trace}-${parent}`,
    'what is not hexadecimal': `00-${trace.replace(/^./, 'g')}-${parent}-01`,
    'an attempt to write into the log': `00-${trace}-${parent}-01","event":"forged`,
};
for (const [what, traceparent] of Object.entries(refused))
    test(`${what} is not continued`, async () => {
        const given = await traceOf(traceparent);
        assert.notEqual(given, trace);
        assert.notEqual(given, traceparent.slice(3, 35).toLowerCase());
    });

test('two traceparents are not believed', async () => {
    const headers = [['traceparent', `00-${trace}-${parent}-01`], ['traceparent', `00-${trace}-${parent}-01`]];
    const response = await server.call('/api/health', { headers });
    assert.equal(response.status, byServer({ lighttpd: 200, apache: 200, 'apache-proxy': 200, nginx: 400 }));
    assert.notEqual(response.header('x-trace-id'), trace);
});

ends(server);
