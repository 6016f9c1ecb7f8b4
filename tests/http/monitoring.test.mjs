// What Prometheus makes of /api/metrics, and whether the alert rules and the document tell of metrics
// that are there: held against the real output of servers of which something was asked.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after } from 'node:test';
import { root } from './support/context.mjs';
import { parse } from './support/exposition.mjs';
import { origin, serveBefore, startUpstream } from './support/realtime.mjs';
import { ends } from './support/server.mjs';

const openai = await startUpstream();
after(() => openai.close());
const server = await serveBefore(openai, { RATE_LIMIT_CALLS_JOIN: '1/60' });
const broken = await serveBefore(openai, {
    JITSI_JWT_SECRET: null, TURN_PORT: '99999', OPENAI_BASE_URL: 'https://127.0.0.1:1/v1',
    SALES_EMAIL: 'sales@example.com', SMTP_FROM: 'switchboard@example.com', SMTP_HOST: '127.0.0.1', SMTP_PORT: 1 });

/** Requests after which every family has series. */
async function use() {
    const { alice, bob, call } = await server.openCall();
    for (const status of [200, 429])
        assert.equal((await server.post('/api/calls/join', { token: bob.token, body: { callId: call.id } }))
            .status, status);
    assert.equal((await server.post('/api/calls/end', { body: {} })).status, 401);
    assert.equal((await server.post('/api/calls/end', { token: 'no-token', body: {} })).status, 401);
    assert.equal((await server.call('/api/config', { origin: 'https://evil.example' })).status, 403);
    assert.equal((await server.call('/api/health/ready')).status, 200);
    assert.equal((await server.call('/api/nothing', { method: 'DELETE' })).status, 404);
    const chat = { messages: [{ role: 'user', content: 'when do you open' }] };
    assert.equal((await server.post('/api/marketing/chat', { origin, body: chat })).status, 200);
    const minted = await server.post('/api/realtime/token', { token: alice.token, origin });
    server.keepPrivate(minted.json().client_secret);
    const other = await broken.openCall();
    assert.equal((await broken.post('/api/calls/join',
        { token: other.bob.token, body: { callId: other.call.id } })).status, 503);
    assert.equal((await broken.post('/api/realtime/token', { token: other.bob.token, origin })).status, 502);
    assert.equal((await broken.call('/api/health/ready')).status, 503);
    const lead = { name: 'Ann', email: 'ann@example.com', message: 'Call me' };
    assert.equal((await broken.post('/api/marketing/leads', { origin, body: lead })).status, 201);
    assert.equal(broken.switchboard(['outbox', 'send']).status, 1);
}
await use();

const texts = [(await server.call('/api/metrics')).text, (await broken.call('/api/metrics')).text];
const families = parse(texts[0]);
for (const [name, { samples }] of Object.entries(parse(texts[1]))) families[name].samples.push(...samples);
const samples = Object.values(families).flatMap((family) => family.samples);

test('promtool finds nothing to say about the metrics', () => {
    for (const input of texts) {
        const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'],
                                                           { input, encoding: 'utf8' });
        assert.ifError(error);
        assert.deepEqual([stdout, stderr, status], ['', '', 0]);
    }
});

test('every family has series once it was used', () => {
    for (const [name, family] of Object.entries(families))
        assert.ok(family.samples.length > 0, `${name} has none: use() above is to do what counts there`);
});

test('the program tells its version, and each endpoint that runs when it started', () => {
    const version = /^VERSION := (\S+)$/m.exec(readFileSync(path.join(root, 'Makefile'), 'utf8'))[1];
    assert.deepEqual(families.switchboard_build_info.samples[0],
                     { name: 'switchboard_build_info', labels: { version }, value: 1 });
    const started = families.switchboard_process_start_time_seconds.samples;
    assert.ok(started.some(({ labels }) => labels.endpoint === 'calls/start'));
    for (const { value } of started) assert.ok(Math.abs(value - Date.now() / 1000) < 600, `${value}`);
    for (const { labels } of started)
        assert.ok(families.switchboard_process_starts_total.samples
            .some((sample) => sample.labels.endpoint === labels.endpoint && sample.value >= 1));
});

// --- The alert rules ---------------------------------------------------------------------------------

const rules = readFileSync(path.join(root, 'etc/prometheus/switchboard.rules.yml'), 'utf8')
    .split(/^ +- alert: /m).slice(1).map((text) => ({ name: /^\w+/.exec(text)[0], text }));

/** [{metric, matchers: [{label, operator, value}]}] of an alert. */
const selectors = ({ text }) => [...text.matchAll(/\b(switchboard_\w+)(?:\{([^}]*)\})?/g)]
    .map(([, metric, inside]) => ({ metric, matchers: [...(inside ?? '').matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)]
        .map(([, label, operator, value]) => ({ label, operator, value })) }));

const accepts = {
    '=': (real, value) => real === value, '!=': (real, value) => real !== value,
    '=~': (real, value) => new RegExp(`^(?:${value})$`).test(real),
    '!~': (real, value) => !new RegExp(`^(?:${value})$`).test(real),
};

test('there are alert rules', () => assert.ok(rules.length > 10, `${rules.length}`));

for (const rule of rules)
    test(`the alert ${rule.name} looks at metrics and labels that are there`, () => {
        for (const { metric, matchers } of selectors(rule)) {
            const real = samples.filter(({ name }) => name === metric);
            assert.ok(real.length > 0, `${metric} is not among the metrics`);
            assert.ok(real.some(({ labels }) => matchers.every(({ label, operator, value }) =>
                label in labels && accepts[operator](labels[label], value))), `nothing matches in ${metric}`);
            // A misspelt value, where nothing is hidden by it but everything is let through.
            for (const { label, operator, value } of matchers.filter((matcher) => matcher.operator !== '!~'))
                for (const one of value.split('|'))
                    assert.ok(real.some(({ labels }) => accepts[operator.includes('~') ? '=~' : '='](labels[label], one)),
                              `${metric} never has ${label}="${one}"`);
        }
    });

for (const rule of rules)
    test(`the alert ${rule.name} groups by and tells of labels that are there`, () => {
        const known = new Set(['instance', 'job', 'le', ...samples
            .filter(({ name }) => selectors(rule).some(({ metric }) => metric === name))
            .flatMap(({ labels }) => Object.keys(labels))]);
        const grouped = [...rule.text.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list]) => list.split(', '));
        const told = [...rule.text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label);
        for (const label of [...grouped, ...told]) assert.ok(known.has(label), label);
    });

// --- The document ------------------------------------------------------------------------------------

test('docs/MONITORING.md lists every metric with its kind, labels and meaning, and no other', () => {
    const text = readFileSync(path.join(root, 'docs/MONITORING.md'), 'utf8');
    const listed = [...text.matchAll(/^\| `(switchboard_\w+)` \| (\w+) \| (.*?) \| (.*) \|$/gm)]
        .map(([, name, kind, labels, what]) => [name, kind, labels.match(/\w+/g) ?? [], what]);
    const real = Object.entries(families).map(([name, { TYPE, HELP, samples: own }]) =>
        [name, TYPE, Object.keys(own[0]?.labels ?? {}).filter((label) => label !== 'le'), HELP]);
    assert.deepEqual(listed.sort(), real.sort());
});

ends(server, broken);
