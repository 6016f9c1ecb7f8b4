// POST /api/realtime/token, over TLS to a stand-in that refuses what breaks the API's contract.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import test, { after } from 'node:test';
import { promisify } from 'node:util';
import { byServer } from './support/context.mjs';
import { Leaver } from './support/leaver.mjs';
import { eventually, exhaust } from './support/poll.mjs';
import { origin, outcomes, serveBefore, startUpstream } from './support/realtime.mjs';
import { assertNothingRemains, nothingRemains, spent, sql } from './support/remains.mjs';
import { ends } from './support/server.mjs';
import { nowS } from './support/tokens.mjs';

const openai = await startUpstream();
after(() => openai.close());

const server = await serveBefore(openai);
const set = await serveBefore(openai, {
    ENABLE_SERVER_VAD: 'true', REALTIME_TOKEN_TTL: '300', REALTIME_MAX_SESSION_SECONDS: '600',
    OPENAI_REALTIME_MODEL: 'gpt-realtime-2.1', OPENAI_REALTIME_VOICES: 'sage, verse',
    OPENAI_REALTIME_INSTRUCTIONS: "Say 'hello'.", OPENAI_ORGANIZATION: 'org-1', OPENAI_PROJECT: 'proj_1',
    RATE_LIMIT_REALTIME_TOKEN: null, ALLOW_NO_ORIGIN: 'true',
});
const impatient = await serveBefore(openai, { OPENAI_TIMEOUT: '1', REALTIME_TOKEN_SPEND: '90',
                                              BUDGET_USER_SECONDS: '180' });
const untrusting = await serveBefore(openai, { UPSTREAM_CA_FILE: null });
const keyless = await serveBefore(openai, { OPENAI_API_KEY: null });
const tooLong = await serveBefore(openai, { REALTIME_TOKEN_TTL: '301' });

const ask = (options = {}, on = server) => on.post('/api/realtime/token', {
    token: on.token(`user-${randomUUID()}`), origin, ...options });

/** The answer's body, whose secret must not show up in a log. */
async function mint(options, on = server) {
    const response = await ask(options, on);
    assert.equal(response.status, 200, response.text);
    on.keepPrivate(response.json().client_secret);
    return response.json();
}

const lastAsked = () => openai.asked('client_secrets').at(-1);
const auditLine = ({ traceId }, on = server) => on.line((line) => line.traceId === traceId, 'audit.log');

test('it gives a client secret in the agreed shape', async () => {
    const before = nowS();
    const { success, client_secret, expires_at, session, url, maxSessionSeconds, serverTime, traceId,
            ...rest } = await mint();
    assert.equal(success, true);
    assert.match(client_secret, /^ek_[0-9a-f]{32}$/);
    assert.ok(expires_at >= before + 60 && expires_at <= nowS() + 60, `${expires_at}`);
    assert.match(session.id, /^sess_/);
    assert.deepEqual(Object.keys(session), ['id', 'model']);
    assert.equal(session.model, 'gpt-realtime-2.1-mini');
    assert.equal(url, `${openai.url}/realtime/calls`);
    assert.equal(maxSessionSeconds, 1800);
    assert.ok(Math.abs(Date.parse(serverTime) - Date.now()) < 5000, serverTime);
    assert.match(traceId, /^[0-9a-f]{32}$/);
    assert.deepEqual(rest, {});
});

test('no answer may be kept by a cache', async () => {
    const response = await ask();
    server.keepPrivate(response.json().client_secret);
    assert.equal(response.header('cache-control'), 'no-store');
});

test('the API is asked for exactly what is configured, by default without turn detection', async () => {
    const user = `user-${randomUUID()}`;
    const { traceId } = await mint({ token: server.token(user) });
    const { headers, parsed, accepted } = lastAsked();
    assert.ok(accepted);
    assert.equal(headers.authorization, `Bearer ${openai.key}`);
    assert.match(headers['openai-safety-identifier'], /^[0-9a-f]{64}$/);
    assert.equal(headers['openai-organization'], undefined);
    assert.equal(headers['openai-project'], undefined);
    assert.match(headers.traceparent, new RegExp(`^00-${traceId}-`));
    assert.deepEqual(parsed, {
        expires_after: { anchor: 'created_at', seconds: 60 },
        session: {
            type: 'realtime', model: 'gpt-realtime-2.1-mini', output_modalities: ['audio'],
            audio: { input: { transcription: { model: 'gpt-transcribe' }, turn_detection: null },
                     output: { voice: 'marin' } },
        },
    });
    assert.ok(!JSON.stringify([headers, parsed]).includes(user), 'the user id stays here');
});

test('ENABLE_SERVER_VAD and the other settings reach the API', async () => {
    const { expires_at, maxSessionSeconds, session } = await mint({}, set);
    const { headers, parsed } = lastAsked();
    assert.deepEqual([headers['openai-organization'], headers['openai-project']], ['org-1', 'proj_1']);
    assert.equal(parsed.expires_after.seconds, 300);
    assert.equal(parsed.session.instructions, "Say 'hello'.");
    assert.equal(parsed.session.model, 'gpt-realtime-2.1');
    assert.deepEqual(parsed.session.audio.input.turn_detection, {
        type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500 });
    assert.equal(parsed.session.audio.output.voice, 'sage');
    assert.equal(session.model, 'gpt-realtime-2.1');
    assert.equal(maxSessionSeconds, 600);
    assert.ok(expires_at <= nowS() + 300, `${expires_at}`);
});

test('a lifetime over five minutes is a misconfiguration', async () => {
    assert.equal((await ask({}, tooLong)).json().error.code, 'misconfigured');
    const line = await tooLong.line(({ event, endpoint }) =>
        event === 'misconfigured' && endpoint === 'realtime/token');
    assert.equal(line.variable, 'REALTIME_TOKEN_TTL');
});

test('a user is the same to the API at each call, and not another', async () => {
    const [one, other] = [randomUUID(), randomUUID()];
    const identifiers = [];
    for (const sub of [one, one, other]) {
        await mint({ token: server.token(sub) });
        identifiers.push(lastAsked().headers['openai-safety-identifier']);
    }
    assert.equal(identifiers[0], identifiers[1]);
    assert.notEqual(identifiers[0], identifiers[2]);
});

test('a client chooses among the voices offered', async () => {
    await mint({ body: { voice: 'verse' } }, set);
    assert.equal(lastAsked().parsed.session.audio.output.voice, 'verse');
    const response = await ask({ body: { voice: 'marin' } }, set);
    assert.deepEqual(response.json().error.fields.map(({ field, code }) => [field, code]),
                     [['voice', 'not_allowed']]);
});

test('every answer is a new secret, also to many at once', async () => {
    const token = server.token(randomUUID());
    const all = await Promise.all([...Array(8)].map(() => mint({ token })));
    assert.equal(new Set(all.map(({ client_secret }) => client_secret)).size, 8);
});

test('an Idempotency-Key does not bring a secret back', async () => {
    const options = { token: server.token(randomUUID()), headers: [['Idempotency-Key', 'k']], body: {} };
    const [one, other] = [await mint(options), await mint(options)];
    assert.notEqual(one.client_secret, other.client_secret);
});

test('each issuance is in the audit log, with its session and expiry but not the secret', async () => {
    const sub = `user-${randomUUID()}`;
    const answer = await mint({ token: server.token(sub), body: { sessionId: 'conversation-1' } });
    const { event, outcome, userId, object, conversationId, expiresAt } = await auditLine(answer);
    assert.deepEqual([event, outcome, userId, object, conversationId],
                     ['realtime.token', 'ok', sub, answer.session.id, 'conversation-1']);
    assert.equal(Date.parse(expiresAt) / 1000, answer.expires_at);
});

test('a refusal is in the audit log, without an expiry', async () => {
    openai.fail('invalid_key', { times: 1 });
    const response = await ask();
    const line = await auditLine(response.json());
    assert.deepEqual([line.event, line.outcome, line.expiresAt], ['realtime.token', 'upstream_error', undefined]);
});

test('without a token, with a bad one, or for a disabled user there is no secret', async () => {
    openai.reset();
    assert.equal((await ask({ token: undefined })).status, 401);
    const refused = await ask({ token: 'not.a.token' });
    assert.equal(refused.status, 401);
    assert.match(refused.header('www-authenticate'), /error="invalid_token"/);
    const sub = `user-${randomUUID()}`;
    server.run('user', 'add', '--id', sub, '--name', 'Gone');
    server.run('user', 'disable', '--id', sub);
    assert.equal((await ask({ token: server.token(sub) })).status, 403);
    assert.equal(openai.requests.length, 0);
});

test('without an allowed origin there is no secret', async () => {
    openai.reset();
    for (const wrong of [undefined, 'https://evil.example', 'null', `${origin}:8443`]) {
        const response = await ask({ origin: wrong });
        assert.deepEqual([response.status, response.json().error.code], [403, 'origin_denied'], wrong);
    }
    assert.equal(openai.requests.length, 0);
});

test('ALLOW_NO_ORIGIN lets a caller without one pass, and nobody else', async () => {
    await mint({ origin: undefined }, set);
    assert.equal((await ask({ origin: 'https://evil.example' }, set)).status, 403);
});

test('twenty in a quarter of an hour, then 429', async () => {
    const token = set.token(randomUUID());
    const response = await exhaust(() => ask({ token }, set), 20);
    assert.equal(response.header('ratelimit-policy'), '"realtime-token";q=20;w=900');
});

for (const [what, body] of Object.entries({
    'a voice that is no name': { voice: 'a b' }, 'a session that is no id': { sessionId: '../x' },
    'a model': { model: 'gpt-realtime-2.1' }, instructions: { instructions: 'x' },
    'a lifetime': { expires_after: { seconds: 7200 } }, 'a number': { voice: 1 },
}))
    test(`invalid: ${what}`, async () => {
        openai.reset();
        const response = await ask({ body });
        assert.deepEqual([response.status, response.json().error.code], [400, 'validation_failed']);
        assert.equal(openai.requests.length, 0);
    });

test('other methods are 405', async () => {
    assert.equal((await server.call('/api/realtime/token')).status, 405);
});

const sh = async (command) => (await promisify(execFile)('bash', ['-c', command], { env: {
    ...process.env, BASE: server.base, O: origin, T: server.keepPrivate(server.token(randomUUID())) } })).stdout;
const checklist = 'curl -s -i -X POST -H "Origin: $O" -H "Authorization: Bearer $T"';
const bodyOf = (answer) => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));

test("the go-live checklist's curl gets a secret; lighttpd alone wants a length", async () => {
    const answer = await sh(`${checklist} $BASE/api/realtime/token`);
    if (byServer({ lighttpd: true, apache: false, 'apache-proxy': false, nginx: false }))
        return assert.match(answer, /^HTTP\/1\.1 411 /);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(server.keepPrivate(bodyOf(answer).client_secret), /^ek_/);
});

test("it gets one everywhere with -d ''", async () => {
    const answer = await sh(`${checklist} -d '' $BASE/api/realtime/token`);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(server.keepPrivate(bodyOf(answer).client_secret), /^ek_/);
});

test('nobody is answered with what the upstream says, or with the key', async () => {
    openai.reset();
    openai.fail('invalid_key', { times: 1 });
    const { text } = await ask();
    assert.ok(!text.includes('Incorrect API key') && !text.includes(openai.key) && !text.includes('invalid_api_key'));
});

for (const [fault, [status, code, upstreamCode]] of Object.entries(outcomes))
    test(`the upstream's "${fault}" is one clean ${status} ${code}, with its code in the log`, async () => {
        openai.reset();
        openai.fail(fault);
        const id = `unlucky-${fault}`;
        const response = await ask({ token: server.token(id) });
        const { traceId, error } = response.json();
        assert.deepEqual([response.status, error.code], [status, code], response.text);
        const line = await server.line((one) => one.event === 'upstream.fetch' && one.traceId === traceId);
        assert.equal(line.upstreamCode, upstreamCode);
        assert.match(line.upstreamRequestId, /^(req_[0-9a-f]{32})?$/);
        assertNothingRemains(server);
        assert.equal(spent(server, `user:${id}`), '');
        openai.reset();
        await mint(); // and it is over as soon as the fault is
    });

const named = { invalid_key: 'OPENAI_API_KEY', quota: 'OPENAI_API_KEY', forbidden: 'OPENAI_API_KEY',
                retired: 'OPENAI_REALTIME_MODEL', beta: 'OPENAI_BASE_URL' };
for (const [fault, variable] of Object.entries(named))
    test(`"${fault}" names ${variable} in the log, and what to do`, async () => {
        openai.reset();
        openai.fail(fault);
        const { traceId } = (await ask()).json();
        const line = await server.line(({ event, traceId: of }) => event === 'openai.refused' && of === traceId);
        assert.deepEqual([line.level, line.variable], ['error', variable]);
        assert.ok(line.reason.length > 20, line.reason);
        openai.reset();
    });

test('an upstream that does not answer is a 504 in time', async () => {
    openai.reset();
    openai.fail('slow');
    const response = await ask({}, impatient);
    assert.deepEqual([response.status, response.json().error.code], [504, 'upstream_timeout']);
    openai.reset();
    assertNothingRemains(impatient);
    assert.equal(sql(impatient, 'SELECT count(*) FROM usage'), '0');
});

test('a secret counts for a turn and REALTIME_TOKEN_SPEND seconds, until the budget is used up', async () => {
    const id = `user-${randomUUID()}`, token = impatient.token(id);
    for (const total of ['1|90', '2|180']) {
        await mint({ token }, impatient);
        assert.equal(spent(impatient, `user:${id}`), total);
    }
    openai.reset();
    const refused = await ask({ token }, impatient);
    assert.deepEqual([refused.status, refused.json().error.code], [429, 'budget_exceeded']);
    assert.match(refused.json().error.message, /^The budget of seconds for today is used up/);
    assert.ok(Number(refused.header('retry-after')) > 0);
    assert.equal(openai.requests.length, 0);
    assertNothingRemains(impatient);
});

test('a browser that goes away leaves nothing reserved', async () => {
    openai.reset();
    openai.delaysMs = { client_secrets: 300 };
    const id = `user-${randomUUID()}`;
    const leaver = new Leaver(`${server.base}/api/realtime/token`, { origin, token: server.token(id), body: {} });
    await eventually('the API is asked', () => openai.asked('client_secrets').length === 1);
    leaver.leave();
    await eventually('it is settled', () => spent(server, `user:${id}`) === '1|60'); // it was made
    await nothingRemains(server);
    openai.reset();
});

test("the session's id names a conversation that takes the session's transcript", async () => {
    const token = server.token(`user-${randomUUID()}`);
    const { session: { id } } = await mint({ token });
    const made = await server.post('/api/sessions', { token, origin, body: { id, kind: 'realtime' } });
    assert.equal(made.status, 201, made.text);
    const said = [{ id: 'item_1', role: 'user', text: '' },
                  { id: 'item_2', role: 'assistant', text: 'We are open.', previousItemId: 'item_1', interrupted: true }];
    const late = [{ id: 'item_1', role: 'user', text: 'Are you open?' }]; // its transcription comes last
    for (const items of [said, late])
        assert.equal((await server.post(`/api/sessions/${id}/transcript`, { token, origin, body: { items } })).status, 200);
    const { items } = (await server.call(`/api/sessions/${id}/transcript`, { token, origin })).json();
    assert.deepEqual(items.map(({ id: item, text, interrupted }) => [item, text, interrupted]),
                     [['item_1', 'Are you open?', false], ['item_2', 'We are open.', true]]);
});

test('an upstream that is busy for a moment is asked again', async () => {
    openai.reset();
    openai.fail('busy', { times: 2 });
    await mint();
    assert.equal(openai.asked('client_secrets').length, 3);
});

test('a used-up quota is not asked again', async () => {
    openai.reset();
    openai.fail('quota');
    await ask();
    assert.equal(openai.asked('client_secrets').length, 1);
    openai.reset();
});

test('an upstream with a certificate of nobody we trust gets no key', async () => {
    openai.reset();
    assert.equal((await ask({}, untrusting)).status, 502);
    assert.equal(openai.requests.length, 0);
});

test('without OPENAI_API_KEY it is misconfigured, and the log names the variable', async () => {
    const response = await ask({}, keyless);
    assert.deepEqual([response.status, response.json().error.code], [503, 'misconfigured']);
    const line = await keyless.line(({ event, endpoint }) =>
        event === 'misconfigured' && endpoint === 'realtime/token');
    assert.equal(line.variable, 'OPENAI_API_KEY');
});

test('the old WebSocket path points here', async () => {
    const response = await server.call('/api/realtime-websocket');
    assert.equal(response.status, 410);
    assert.match(response.json().error.message, /POST \/api\/realtime\/token/);
});

ends(server, set, impatient, untrusting, keyless, tooLong);
