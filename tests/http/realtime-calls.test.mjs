// POST /api/realtime/calls and .../{id}/hangup, and the leash that cron holds.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test, { after } from 'node:test';
import { Leaver } from './support/leaver.mjs';
import { eventually } from './support/poll.mjs';
import { origin, outcomes, serveBefore, startUpstream } from './support/realtime.mjs';
import { assertNothingRemains, reserved, spent, sql as sqlOf } from './support/remains.mjs';
import { ends } from './support/server.mjs';

const openai = await startUpstream();
after(() => openai.close());

const server = await serveBefore(openai, { ENABLE_SERVER_VAD: 'true', REALTIME_MAX_SESSION_SECONDS: '900',
                                           REALTIME_CALLS_KEEP_DAYS: '7' });
const impatient = await serveBefore(openai, { OPENAI_TIMEOUT: '1', BUDGET_USER_SECONDS: '2500' });

const sdp = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', 'm=audio 9 UDP/TLS/RTP/SAVPF 111',
             'a=rtpmap:111 opus/48000/2', ''].join('\r\n');
const person = (on = server) => {
    const id = `user-${randomUUID()}`;
    return { id, owner: `user:${id}`, token: on.token(id) };
};
const offer = (who, body = {}, on = server) =>
    on.post('/api/realtime/calls', { token: who?.token, origin, body: { sdp, ...body } });
const hangUp = (who, id, options = {}) =>
    server.post(`/api/realtime/calls/${id}/hangup`, { token: who?.token, origin, ...options });

/** The body of the answer that opened a call. */
async function open(who, body) {
    const response = await offer(who, body);
    assert.equal(response.status, 201, response.text);
    return response.json();
}

const sql = (text) => sqlOf(server, text);
const upstreamId = ({ id }) => sql(`SELECT upstream_id FROM realtime_calls WHERE id = '${id}'`);
const row = ({ id }) => sql('SELECT ended_at IS NOT NULL, ifnull(end_reason, \'\') ' +
                            `FROM realtime_calls WHERE id = '${id}'`);
/** Makes the call as old as it may be. */
const expire = ({ id }) => sql(`UPDATE realtime_calls SET expires_at = started_at WHERE id = '${id}'`);
const reap = () => server.switchboardBeside('realtime', 'reap');

test('an offer opens a call: the answer of the API, and how long the call may last', async () => {
    const { call, sdp: answer, maxSessionSeconds } = await open(person());
    const { id, startedAt, expiresAt, ...rest } = call;
    assert.match(id, /^rtcall_[0-9a-z]{26}$/);
    assert.deepEqual(rest, { endedAt: null, endReason: null });
    assert.equal(maxSessionSeconds, 900);
    assert.equal(Date.parse(expiresAt) - Date.parse(startedAt), 900000);
    assert.match(answer, /^v=0\r\n[^]*\r\nm=audio /);
});

test('the API gets the offer byte for byte and the session that is configured', async () => {
    await open(person(), { voice: 'cedar' });
    const { headers, parsed, accepted } = openai.asked('calls').at(-1);
    assert.ok(accepted);
    assert.equal(headers.authorization, `Bearer ${openai.key}`);
    assert.match(headers['openai-safety-identifier'], /^[0-9a-f]{64}$/);
    assert.equal(parsed.sdp, sdp);
    const { model, audio: { input, output } } = parsed.session;
    assert.deepEqual([model, input.turn_detection.type, output.voice],
                     ['gpt-realtime-2.1-mini', 'server_vad', 'cedar']);
});

test("the API's own id of the call stays on the server", async () => {
    const response = await offer(person());
    const id = upstreamId(response.json().call);
    assert.match(id, /^rtc_/);
    assert.ok(!response.text.includes(id));
});

test('each call is in the audit log with its id and end', async () => {
    const who = person();
    const { call, traceId } = await open(who, { sessionId: 'conversation-2' });
    const line = await server.line((one) => one.traceId === traceId, 'audit.log');
    assert.deepEqual([line.event, line.outcome, line.userId, line.object, line.conversationId, line.expiresAt],
                     ['realtime.call', 'ok', who.id, call.id, 'conversation-2', call.expiresAt]);
});

const offers = {
    'no offer': { sdp: undefined }, 'an empty one': { sdp: '' }, 'no SDP': { sdp: 'hello' },
    'no audio': { sdp: 'v=0\r\nm=video 9\r\n' }, 'a control character': { sdp: `${sdp}\u0007` },
    'over 64 KiB': { sdp: `${sdp}a=${'x'.repeat(65536)}\r\n` }, 'a voice nobody offers': { voice: 'hal' },
    'a model': { model: 'gpt-realtime-2.1' }, 'a session': { session: {} },
};
for (const [what, body] of Object.entries(offers))
    test(`invalid: ${what}`, async () => {
        openai.reset();
        const response = await offer(person(), body);
        assert.deepEqual([response.status, response.json().error.code], [400, 'validation_failed']);
        assert.equal(openai.requests.length, 0);
    });

test('an offer of 64 KiB passes', async () => {
    await open(person(), { sdp: `${sdp}a=`.padEnd(65534, 'x') + '\r\n' });
});

test('a user and an allowed origin are demanded', async () => {
    openai.reset();
    assert.equal((await offer(undefined)).status, 401);
    for (const wrong of [undefined, 'https://evil.example']) {
        const options = { token: person().token, origin: wrong };
        assert.equal((await server.post('/api/realtime/calls', { ...options, body: { sdp } })).status, 403);
        assert.equal((await server.post('/api/realtime/calls/rtcall_1/hangup', options)).status, 403);
    }
    assert.equal((await hangUp(undefined, 'rtcall_1')).status, 401);
    assert.equal(openai.requests.length, 0);
});

test('its user hangs up: the call ends at the API, and the answer stays the same', async () => {
    const who = person();
    const { call } = await open(who);
    const id = upstreamId(call);
    const [first, second] = [await hangUp(who, call.id), await hangUp(who, call.id)];
    assert.deepEqual([first.status, second.status], [200, 200]);
    const { endedAt, endReason, ...rest } = first.json().call;
    assert.equal(endReason, 'hangup');
    assert.ok(Date.parse(endedAt) >= Date.parse(call.startedAt));
    assert.deepEqual(rest, { id: call.id, startedAt: call.startedAt, expiresAt: call.expiresAt });
    assert.deepEqual(second.json().call, first.json().call);
    assert.equal(openai.calls.get(id), 'ended');
});

test("another user's call looks like none at all, and goes on", async () => {
    const { call } = await open(person());
    const eve = person();
    const [foreign, missing] = [await hangUp(eve, call.id), await hangUp(eve, 'rtcall_none')];
    const without = (response) => ({ ...response.json(), traceId: '' });
    assert.equal(foreign.status, 404);
    assert.deepEqual(without(foreign), without(missing));
    assert.equal(openai.calls.get(upstreamId(call)), 'open');
});

test('a call that ended at the API by itself is gone', async () => {
    const who = person();
    const { call } = await open(who);
    openai.calls.set(upstreamId(call), 'ended');
    assert.equal((await hangUp(who, call.id)).json().call.endReason, 'gone');
});

test('two hang up at once: both get the same answer', async () => {
    const who = person();
    const { call } = await open(who);
    const [one, other] = await Promise.all([hangUp(who, call.id), hangUp(who, call.id)]);
    assert.deepEqual([one.status, other.status], [200, 200]);
    assert.deepEqual(one.json().call, other.json().call);
});

for (const [fault, [status, code, upstreamCode]] of Object.entries(outcomes))
    test(`"${fault}" while opening is one clean ${status} ${code}, and no call`, async () => {
        openai.reset();
        openai.fail(fault);
        const before = sql('SELECT count(*) FROM realtime_calls');
        const who = person();
        const response = await offer(who);
        openai.reset();
        assert.deepEqual([response.status, response.json().error.code], [status, code], response.text);
        assert.equal(sql('SELECT count(*) FROM realtime_calls'), before);
        assert.deepEqual([reserved(server, who.owner), spent(server, who.owner)], ['', '']);
        const { traceId } = response.json();
        const line = await server.line((one) => one.event === 'upstream.fetch' && one.traceId === traceId);
        assert.equal(line.upstreamCode, upstreamCode);
    });

test('opening is never tried twice: a second try could be a second call', async () => {
    openai.reset();
    openai.fail('busy', { times: 1 });
    assert.equal((await offer(person())).status, 502);
    assert.equal(openai.asked('calls').length, 1);
});

test('an API that does not answer is a 504 in time', async () => {
    openai.reset();
    openai.fail('slow');
    const response = await offer(person(impatient), {}, impatient);
    openai.reset();
    assert.deepEqual([response.status, response.json().error.code], [504, 'upstream_timeout']);
    assertNothingRemains(impatient);
    assert.equal(sqlOf(impatient, 'SELECT count(*) FROM usage'), '0');
});

test('a call sets aside what it may last, and its hang-up settles for what it lasted', async () => {
    const who = person();
    const { call } = await open(who);
    assert.deepEqual([reserved(server, who.owner), spent(server, who.owner)], ['1|900', '']);
    sql(`UPDATE realtime_calls SET started_at = started_at - 100000 WHERE id = '${call.id}'`);
    const { startedAt, endedAt } = (await hangUp(who, call.id)).json().call;
    const lastedS = Math.ceil((Date.parse(endedAt) - Date.parse(startedAt)) / 1000);
    assert.ok(lastedS >= 100);
    assert.deepEqual([reserved(server, who.owner), spent(server, who.owner)], ['', `1|${lastedS}`]);
    await hangUp(who, call.id);
    assert.equal(spent(server, who.owner), `1|${lastedS}`, 'once');
});

test('a call that the reaper ends is settled by it', async () => {
    const who = person();
    const { call } = await open(who);
    sql(`UPDATE realtime_calls SET started_at = started_at - 950000, expires_at = expires_at - 950000
         WHERE id = '${call.id}'`);
    assert.equal((await reap()).status, 0);
    const [turns, seconds] = spent(server, who.owner).split('|').map(Number);
    assert.equal(turns, 1);
    assert.ok(seconds >= 950 && seconds < 1000, `${seconds}: it went on until it was reaped`);
    assert.equal(reserved(server, who.owner), '');
});

test('a day that has not enough left gives a shorter call, and then none', async () => {
    const who = person(impatient);
    const limits = [];
    for (let i = 0; i < 2; i++) limits.push((await offer(who, {}, impatient)).json().maxSessionSeconds);
    assert.deepEqual(limits, [1800, 700]);
    openai.reset();
    const refused = await offer(who, {}, impatient);
    assert.deepEqual([refused.status, refused.json().error.code], [429, 'budget_exceeded']);
    assert.match(refused.json().error.message, /^The budget of seconds for today is used up/);
    assert.equal(openai.requests.length, 0);
    sqlOf(impatient, 'UPDATE realtime_calls SET expires_at = started_at');
    assert.equal((await impatient.switchboardBeside('realtime', 'reap')).status, 0);
    assertNothingRemains(impatient);
});

test('a call whose browser has gone before it got the answer is ended by the reaper, and settled', async () => {
    openai.reset();
    openai.delaysMs = { calls: 300 };
    const who = person();
    const leaver = new Leaver(`${server.base}/api/realtime/calls`, { origin, token: who.token, body: { sdp } });
    await eventually('the API is asked', () => openai.asked('calls').length === 1);
    leaver.leave();
    const id = await eventually('the call is recorded', () =>
        sql(`SELECT id FROM realtime_calls WHERE user_id = '${who.id}'`));
    openai.reset();
    assert.equal(reserved(server, who.owner), '1|900');
    expire({ id });
    assert.equal((await reap()).status, 0);
    assert.deepEqual([row({ id }), reserved(server, who.owner)], ['1|expired', '']);
});

test('a hang-up that fails is a 502, and cron does it', async () => {
    const who = person();
    const { call } = await open(who);
    openai.fail('invalid_key', { route: 'hangup' });
    assert.equal((await hangUp(who, call.id)).status, 502);
    assert.equal(row(call), '0|');
    openai.reset();
    assert.equal((await reap()).status, 0);
    assert.equal(row(call), '1|expired');
    assert.equal(openai.calls.get(upstreamId(call)), 'ended');
});

test('a hang-up that fails keeps the seconds set aside until it is done', async () => {
    const who = person();
    const { call } = await open(who);
    openai.fail('overloaded', { route: 'hangup' });
    assert.equal((await hangUp(who, call.id)).status, 502);
    openai.reset();
    assert.deepEqual([reserved(server, who.owner), spent(server, who.owner)], ['1|900', '']);
    await reap();
    assert.deepEqual([reserved(server, who.owner), spent(server, who.owner).split('|')[0]], ['', '1']);
});

test('reap ends what is over and nothing else', async () => {
    const [old, young] = [await open(person()), await open(person())];
    expire(old.call);
    const { status, stdout } = await reap();
    assert.equal(status, 0);
    assert.equal(stdout, '1 calls hung up, 0 had ended, 0 are left\n');
    assert.deepEqual([row(old.call), row(young.call)], ['1|expired', '0|']);
    assert.equal(openai.calls.get(upstreamId(old.call)), 'ended');
    assert.equal(openai.calls.get(upstreamId(young.call)), 'open');
});

test('reap is done with a call that the API does not have any more', async () => {
    const { call } = await open(person());
    expire(call);
    openai.calls.delete(upstreamId(call));
    assert.equal((await reap()).stdout, '0 calls hung up, 1 had ended, 0 are left\n');
    assert.equal(row(call), '1|gone');
});

test('reap tries again at its next run, and says so by its exit status', async () => {
    const { call } = await open(person());
    expire(call);
    openai.fail('overloaded', { route: 'hangup' });
    const failed = await reap();
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, new RegExp(`call ${call.id} could not be hung up`));
    assert.ok(!failed.stderr.includes(openai.key));
    assert.equal(row(call), '0|');
    openai.reset();
    assert.equal((await reap()).stdout, '1 calls hung up, 0 had ended, 0 are left\n');
});

test('one call that cannot be hung up holds up no other', async () => {
    const [stuck, fine] = [await open(person()), await open(person())];
    expire(stuck.call);
    sql(`UPDATE realtime_calls SET expires_at = started_at + 1 WHERE id = '${fine.call.id}'`);
    openai.fail('invalid_key', { route: 'hangup', times: 1 });
    assert.equal((await reap()).stdout, '1 calls hung up, 0 had ended, 1 are left\n');
    assert.deepEqual([row(stuck.call), row(fine.call)], ['0|', '1|expired']);
    await reap();
    assert.equal(row(stuck.call), '1|expired');
});

test('a reaped call answers its user as ended', async () => {
    const who = person();
    const { call } = await open(who);
    expire(call);
    await reap();
    assert.equal((await hangUp(who, call.id)).json().call.endReason, 'expired');
});

test('reap has nothing to say where nothing is over, even without a key', async () => {
    const { status, stdout, stderr } = await impatient.switchboardBeside('realtime', 'reap');
    assert.deepEqual([status, stdout, stderr], [0, '0 calls hung up, 0 had ended, 0 are left\n', '']);
});

test('clean removes calls that ended longer ago than they are kept', async () => {
    const who = person();
    const calls = [];
    for (let i = 0; i < 3; i++) calls.push((await open(who)).call);
    for (const { id } of calls.slice(0, 2)) await hangUp(who, id);
    const week = 7 * 24 * 3600 * 1000;
    sql(`UPDATE realtime_calls SET started_at = started_at - ${week} - 60000, ` +
        `ended_at = ended_at - ${week} - 60000 WHERE id = '${calls[0].id}'`);
    assert.match(server.run('clean'), /^1 ended realtime calls removed$/m);
    assert.deepEqual(calls.map(row), ['', '1|hangup', '0|']);
});

ends(server, impatient);
