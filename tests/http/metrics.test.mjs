import assert from 'node:assert/strict';
import test from 'node:test';
import { byServer } from './support/context.mjs';
import { parse } from './support/exposition.mjs';
import { ends, serve } from './support/server.mjs';

const open = await serve();
const token = 'the-metrics-token-of-the-tests';
const guarded = await serve({ METRICS_TOKEN: token });

const scrape = async () => parse((await open.call('/api/metrics')).text);
const total = (families, name, wanted) => (families[name]?.samples ?? [])
    .filter(({ labels }) => Object.entries(wanted).every(([key, value]) => labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);

/** How much a counter moves while act runs. */
async function moved(name, labels, act) {
    const before = total(await scrape(), name, labels);
    await act();
    return total(await scrape(), name, labels) - before;
}

test('the text is the format Prometheus reads', async () => {
    await open.call('/api/health');
    const families = await scrape();
    assert.equal(families.switchboard_http_requests_total.TYPE, 'counter');
    assert.equal(families.switchboard_http_request_duration_seconds.TYPE, 'histogram');
    for (const { samples } of Object.values(families)) {
        const keys = samples.map(({ name, labels }) => JSON.stringify([name, labels]));
        assert.equal(new Set(keys).size, keys.length, 'a sample is there twice');
    }
});

test('a histogram\'s buckets only rise, and end in its count', async () => {
    const { samples } = (await scrape()).switchboard_http_request_duration_seconds;
    const of = (suffix) => samples.filter(({ name, labels }) =>
        name.endsWith(suffix) && labels.endpoint === 'health');
    const values = of('_bucket').map(({ value }) => value);
    assert.deepEqual(values, [...values].sort((a, b) => a - b));
    assert.equal(of('_bucket').at(-1).labels.le, '+Inf');
    assert.equal(values.at(-1), of('_count')[0].value);
    assert.ok(of('_sum')[0].value > 0);
});

test('requests are counted by endpoint, method and status', async () => {
    const labels = { endpoint: 'health', method: 'GET', status: '200' };
    assert.equal(await moved('switchboard_http_requests_total', labels, async () => {
        for (let i = 0; i < 5; i++) await open.call('/api/health');
    }), 5);
});

test('misses are counted as those of not-found', async () => {
    // Apache asks for its error document by GET.
    const method = byServer({ lighttpd: 'DELETE', apache: 'GET', 'apache-proxy': 'DELETE', nginx: 'DELETE' });
    const labels = { endpoint: 'not-found', method, status: '404' };
    assert.equal(await moved('switchboard_http_requests_total', labels,
                             () => open.call('/api/any/path', { method: 'DELETE' })), 1);
});

test('refused credentials are counted by reason', async () => {
    assert.equal(await moved('switchboard_auth_refused_total', { reason: 'no credential' },
                             () => open.post('/api/calls/end', { body: {} })), 1);
});

test('database writes are counted by outcome', async () => {
    const moves = await moved('switchboard_db_writes_total', {}, () => open.openCall());
    assert.ok(moves >= 1, `${moves}`);
});

test('nothing a client makes up becomes a label', async () => {
    const made = 'made-up-by-the-client';
    await open.call(`/api/${made}?${made}=1`, { method: 'PUT', headers: [['User-Agent', made]] });
    assert.ok(!(await open.call('/api/metrics')).text.includes(made));
});

test('HEAD tells the type without the text', async () => {
    const response = await open.call('/api/metrics', { method: 'HEAD' });
    assert.equal(response.status, 200);
    assert.equal(response.text, '');
});

test('in development without METRICS_TOKEN everybody may read', async () => {
    assert.equal((await open.call('/api/metrics', { token: 'any' })).status, 200);
});

test('with METRICS_TOKEN it is demanded', async () => {
    const missing = await guarded.call('/api/metrics');
    assert.equal(missing.status, 401);
    assert.equal(missing.header('www-authenticate'), 'Bearer realm="switchboard"');
    assert.equal((await guarded.call('/api/metrics', { token })).status, 200);
});

for (const wrong of ['another-metrics-token-of-tests', `${token}x`, token.slice(0, -1)])
    test(`refused as METRICS_TOKEN: ${wrong}`, async () => {
        const response = await guarded.call('/api/metrics', { token: wrong });
        assert.equal(response.status, 401);
        assert.match(response.header('www-authenticate'), /error="invalid_token"/);
    });

test('a user\'s token is not the METRICS_TOKEN', async () => {
    assert.equal((await guarded.call('/api/metrics', { token: guarded.token('someone') })).status, 401);
});

ends(open, guarded);
