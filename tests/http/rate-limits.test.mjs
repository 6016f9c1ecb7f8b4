// Limits of a day: the window does not end while a test runs (but at midnight UTC).
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { byServer } from './support/context.mjs';
import { eventually } from './support/poll.mjs';
import { ends, serve } from './support/server.mjs';
import { nowS, sign } from './support/tokens.mjs';

const day = 86400;
const policies = ['DEFAULT', 'HEALTH', 'CALLS_START', 'CALLS_JOIN', 'CALLS_END', 'REALTIME_TOKEN',
                  'REALTIME_CALLS', 'REALTIME_HANGUP'];
const untouched = Object.fromEntries(policies.map((name) => [`RATE_LIMIT_${name}`, null]));
const few = Object.fromEntries(policies.map((name) => [`RATE_LIMIT_${name}`, `3/${day}`]));

const factory = await serve(untouched);
const limited = await serve({ ...few, TRUST_PROXY: '127.0.0.1/32,10.9.0.0/16' });
const direct = await serve({ ...few, RATE_LIMIT_HEALTH: 'off' }); // serve.sh asks /api/health/live
const single = await serve({ RATE_LIMIT_HEALTH: '2/2', RATE_LIMIT_CALLS_START: 'off' });

/** A call as if it came through a trusted proxy from the address; a fresh one if none is given. */
const from = (forwarded, target = '/api/config', options = {}) => limited.call(target, {
    ...options, headers: [['X-Forwarded-For', forwarded], ...(options.headers ?? [])] });
let addresses = 0;
const freshAddress = () => `203.0.${++addresses >> 8}.${addresses & 255}`;
const start = (person, address, options = {}) => from(address, '/api/calls/start',
    { method: 'POST', token: person?.token, body: {}, ...options });

/** Makes the address' (or user's) three calls by ask, and gives the answer to the fourth. */
async function exhaust(ask) {
    for (let i = 0; i < 3; i++) assert.notEqual((await ask()).status, 429);
    return ask();
}

const defaults = {
    '/api/health': ['GET', 'health', 300, 60], '/api/health/ready': ['GET', 'health', 300, 60],
    '/api/config': ['GET', 'default', 100, 60], '/api/metrics': ['GET', 'default', 100, 60],
    '/api/nothing': ['GET', 'default', 100, 60], '/api/realtime-websocket': ['GET', 'default', 100, 60],
    '/api/calls/start': ['POST', 'calls-start', 10, 60], '/api/calls/join': ['POST', 'calls-join', 30, 60],
    '/api/calls/end': ['POST', 'calls-end', 30, 60],
    '/api/realtime/token': ['POST', 'realtime-token', 20, 900],
    '/api/realtime/calls': ['POST', 'realtime-calls', 20, 900],
    '/api/realtime/calls/rtcall_1/hangup': ['POST', 'realtime-hangup', 60, 60],
};
for (const [target, [method, name, limit, window]] of Object.entries(defaults))
    test(`by default ${method} ${target} has ${limit} in ${window} s`, async () => {
        const response = await factory.call(target, { method });
        assert.equal(response.header('ratelimit-policy'), `"${name}";q=${limit};w=${window}`);
    });

test('each answer says how many calls are left', async () => {
    const address = freshAddress();
    const left = [];
    for (let i = 0; i < 3; i++) left.push(/r=(\d+)/.exec((await from(address)).header('ratelimit'))[1]);
    assert.deepEqual(left, ['2', '1', '0']);
});

test('the call over the limit is 429 and names its policy and when to come back', async () => {
    const address = freshAddress();
    const response = await exhaust(() => from(address));
    assert.equal(response.status, 429);
    assert.equal(response.json().error.code, 'rate_limited');
    assert.match(response.json().error.message, /policy default allows 3 in 86400 s/);
    const retryAfter = Number(response.header('retry-after'));
    assert.ok(retryAfter > 0 && retryAfter <= 2 * day, `${retryAfter}`);
});

test('refused calls are counted', async () => {
    const value = async () => Number(/^switchboard_rate_limited_total\{policy="default"\} (\d+)$/m
        .exec((await from(freshAddress(), '/api/metrics')).text)?.[1] ?? 0);
    const before = await value();
    const address = freshAddress();
    await exhaust(() => from(address));
    assert.equal(await value(), before + 1);
});

test('one policy counts for all its endpoints together', async () => {
    const address = freshAddress();
    await from(address, '/api/config');
    await from(address, '/api/nothing');
    await from(address, '/api/metrics');
    assert.equal((await from(address, '/api/realtime-websocket')).status, 429);
});

test('policies count apart', async () => {
    const address = freshAddress();
    await exhaust(() => from(address));
    assert.equal((await from(address, '/api/health')).status, 200);
});

test('a user is limited wherever the calls come from', async () => {
    const user = { token: limited.token(`user-${randomUUID()}`) };
    assert.equal((await exhaust(() => start(user, freshAddress()))).status, 429);
});

test('users behind one address do not take from each other', async () => {
    const address = freshAddress();
    const [one, other] = [0, 1].map(() => ({ token: limited.token(`user-${randomUUID()}`) }));
    assert.equal((await exhaust(() => start(one, address))).status, 429);
    assert.equal((await start(other, address)).status, 400);
});

test('a new token gives a user no new calls', async () => {
    const sub = `user-${randomUUID()}`;
    const ask = () => start({ token: limited.token(sub, { jti: randomUUID() }) }, freshAddress());
    assert.equal((await exhaust(ask)).status, 429);
});

test('missing tokens are charged to the address', async () => {
    const address = freshAddress();
    assert.equal((await exhaust(() => start(undefined, address))).status, 429);
});

test('refused tokens are charged to the address, whatever they say', async () => {
    const address = freshAddress();
    const forged = () => ({ token: sign('another secret', { sub: randomUUID(), exp: nowS() + 60 }) });
    assert.equal((await exhaust(() => start(forged(), address))).status, 429);
});

test('a valid user behind an address that is used up still passes', async () => {
    const address = freshAddress();
    await exhaust(() => start({ token: 'a-forged-token' }, address));
    const user = { token: limited.token(`user-${randomUUID()}`) };
    assert.equal((await start(user, address)).status, 400);
});

test('denied origins are charged to the address', async () => {
    const address = freshAddress();
    const ask = () => from(address, '/api/health', { origin: 'https://evil.example' });
    assert.equal((await exhaust(ask)).status, 429);
});

test('a wrong method is charged to the address', async () => {
    const address = freshAddress();
    assert.equal((await exhaust(() => from(address, '/api/config', { method: 'DELETE' }))).status, 429);
});

test('participants have a limit of their own', async () => {
    const { mod, call } = await factory.openCall();
    const { ticket } = await factory.join(mod, call);
    const left = [];
    for (const token of [ticket, mod.token, ticket]) {
        const response = await factory.post('/api/calls/end', { token, body: { callId: call.id } });
        left.push(/r=(\d+)/.exec(response.header('ratelimit'))[1]);
    }
    assert.deepEqual(left, ['29', '29', '28']);
});

test('an IPv6 subscriber is its /64', async () => {
    const network = `2001:db8:${Math.floor(Math.random() * 65536).toString(16)}:1`;
    let host = 0;
    assert.equal((await exhaust(() => from(`${network}::${++host}`))).status, 429);
    assert.equal((await from(`${network.slice(0, -1)}2::1`)).status, 200);
});

test('an IPv4 address is the same when written as IPv6', async () => {
    const address = freshAddress();
    await exhaust(() => from(address));
    assert.equal((await from(`::ffff:${address}`)).status, 429);
});

test('X-Forwarded-For is read from the right: what a client writes before it does not count', async () => {
    const address = freshAddress();
    assert.equal((await exhaust(() => from(`${freshAddress()}, ${address}`))).status, 429);
});

test('trusted proxies are stepped over, from the right, as far as they reach', async () => {
    const address = freshAddress();
    const ask = () => from(`${freshAddress()}, ${address}, 10.9.1.1, 10.9.2.2`);
    assert.equal((await exhaust(ask)).status, 429);
});

test('an element that is no address ends the walk', async () => {
    const proxy = `10.9.${Math.floor(Math.random() * 256)}.${Math.floor(Math.random() * 256)}`;
    assert.equal((await exhaust(() => from(`${freshAddress()}, unknown, ${proxy}`))).status, 429);
});

test('two X-Forwarded-For lines are one list', async () => {
    const address = freshAddress();
    const ask = () => from(freshAddress(), '/api/config', { headers: [['X-Forwarded-For', address]] });
    assert.equal((await exhaust(ask)).status, 429);
});

test('X_Forwarded_For is not X-Forwarded-For', async () => {
    const address = freshAddress();
    const ask = () => from(address, '/api/config', { headers: [['X_Forwarded_For', freshAddress()]] });
    assert.equal((await exhaust(ask)).status, 429);
});

test('without TRUST_PROXY X-Forwarded-For is not read at all', async () => {
    const ask = () => direct.call('/api/config', { headers: [['X-Forwarded-For', freshAddress()]] });
    assert.equal((await exhaust(ask)).status, 429);
});

test('without TRUST_PROXY X_Forwarded_For is not either', async () => {
    const refused = await exhaust(() => direct.post('/api/calls/join', {
        headers: [['X_Forwarded_For', freshAddress()]], body: {} }));
    assert.equal(refused.status, 429);
    const trace = refused.header('x-trace-id');
    const line = await direct.line(({ traceId }) => traceId === trace, 'audit.log');
    assert.equal(line.address, '127.0.0.1');
});

test('the counters survive a restart of the server', async () => {
    const user = { token: direct.token(`user-${randomUUID()}`) };
    const ask = () => direct.post('/api/calls/start', { token: user.token, body: {} });
    await exhaust(ask);
    await direct.restart();
    assert.equal((await ask()).status, 429);
});

test('off switches a policy off, headers and all', async () => {
    const { alice } = single.thread();
    for (let i = 0; i < 12; i++) {
        const response = await single.post('/api/calls/start', { token: alice.token, body: {} });
        assert.equal(response.status, 400);
        assert.equal(response.header('ratelimit-policy'), undefined);
    }
});

test('after Retry-After the call is allowed', async () => {
    const ask = () => single.call('/api/health');
    let refused = await eventually('a refusal', async () => {
        const response = await ask();
        return response.status === 429 && response;
    });
    assert.equal(refused.header('ratelimit-policy'), '"health";q=2;w=2');
    const promised = Date.now() + Number(refused.header('retry-after')) * 1000;
    await eventually('the call is allowed again', async () => {
        refused = await ask();
        return refused.status === 200;
    }, 8000);
    assert.ok(Date.now() <= promised + 1000, `${Date.now() - promised} ms late`);
});

ends(factory, limited, direct, single);
