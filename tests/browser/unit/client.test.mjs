// Tokens, errors, retries and the resumption of events, against a fetch that is none.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load, stream } from '../support/www.mjs';

const { Switchboard, SwitchboardError, backoffMs, pickMimeType, retryAfterSeconds } = await load('switchboard.js');
const { mayPass, pause } = await load('switchboard/error.js');

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

function jwt(name, expiresAtMs) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    return `${part({ alg: 'HS256' })}.${part({ sub: `${name}ÿ?>`, exp: expiresAtMs / 1000 })}.${name}`;
}

const answer = (status, body = { success: status < 400 }, headers = {}) =>
    new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
const refusal = (status, code, headers) =>
    answer(status, { error: { code, message: `no: ${code}` }, traceId: 't'.repeat(32) }, headers);

/** A client whose fetch answers by answer(url, init, number of the call); what it did is kept. */
function client(reply, options = {}) {
    const calls = [];
    const waits = [];
    const clock = { ms: NOW_MS };
    const board = new Switchboard({
        baseUrl: 'https://api.example.com/', storage: null, now: () => clock.ms,
        pause: async (ms) => { waits.push(ms); },
        fetch: async (url, init) => {
            calls.push({ url, token: init.headers.Authorization?.split('.').pop(), ...init });
            return reply(url, init, calls.length);
        },
        ...options,
    });
    return { board, calls, waits, clock };
}

/** getToken that gives first, second, third ..., each good for ttlMs of clock. */
function tokens(clock, ttlMs) {
    const names = ['first', 'second', 'third', 'fourth'];
    return async () => jwt(names.shift(), clock().ms + ttlMs);
}

test('requests that start together share one token', async () => {
    let asked = 0;
    const { board, calls } = client(() => answer(200), { getToken: async () => jwt(`t${++asked}`, NOW_MS + 600000) });
    await Promise.all([board.json('/api/a'), board.json('/api/b'), board.json('/api/c')]);
    assert.equal(asked, 1);
    assert.deepEqual(calls.map(({ token }) => token), ['t1', 't1', 't1']);
    assert.equal(calls[0].url, 'https://api.example.com/api/a');
});

test('a token is renewed half a minute before it expires, and not before', async () => {
    const all = client(() => answer(200), { getToken: tokens(() => all.clock, 600000) });
    await all.board.json('/api/a');
    all.clock.ms += 569999;
    await all.board.json('/api/a');
    all.clock.ms += 1;
    await all.board.json('/api/a');
    assert.deepEqual(all.calls.map(({ token }) => token), ['first', 'first', 'second']);
});

test('a token that a wrong clock takes for expired is used until it is refused', async () => {
    let refuse = false;
    const all = client(() => (refuse && all.calls.at(-1).token === 'first' ? refusal(401, 'unauthenticated') : answer(200)),
                       { getToken: tokens(() => all.clock, -3600000) });
    await all.board.json('/api/a');
    await all.board.json('/api/a');
    refuse = true;
    await all.board.json('/api/a');
    assert.deepEqual(all.calls.map(({ token }) => token), ['first', 'first', 'first', 'second']);
});

test('a 401 is answered with another token once, and then given to the caller', async () => {
    const all = client(() => refusal(401, 'unauthenticated'), { getToken: tokens(() => all.clock, 600000) });
    await assert.rejects(all.board.json('/api/a'), { code: 'unauthenticated', status: 401 });
    assert.deepEqual(all.calls.map(({ token }) => token), ['first', 'second']);
});

test('a 401 to a token that another request has renewed already renews nothing', async () => {
    let refuseSlow;
    const all = client((url, init, n) => {
        if (n === 1) return new Promise((resolve) => { refuseSlow = () => resolve(refusal(401, 'unauthenticated')); });
        return n === 2 ? refusal(401, 'unauthenticated') : answer(200);
    }, { getToken: tokens(() => all.clock, 600000) });
    const slow = all.board.json('/api/slow');
    await all.board.json('/api/fast');
    refuseSlow();
    await slow;
    assert.deepEqual(all.calls.map(({ token }) => token), ['first', 'first', 'second', 'second']);
});

for (const [name, getToken] of [['no getToken', undefined], ['a getToken that has none', () => null]])
    test(`${name}: a visitor's token is taken`, async () => {
        const { board, calls } = client((url) => (url.endsWith('/api/visitor')
            ? answer(201, { token: jwt('guest', NOW_MS + 900000) }) : answer(200)), { getToken });
        await board.json('/api/a');
        await board.json('/api/a');
        assert.deepEqual(calls.map(({ url, method, token }) => [new URL(url).pathname, method, token]),
                         [['/api/visitor', 'POST', undefined], ['/api/a', 'GET', 'guest'], ['/api/a', 'GET', 'guest']]);
    });

/** As sessionStorage. */
const store = () => {
    const kept = new Map();
    return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
};

test("a visitor's token outlives the page, until it expires or is refused", async () => {
    const storage = store();
    let visitors = 0;
    let refused = null;
    const visit = () => client((url, init) => {
        if (url.endsWith('/api/visitor')) return answer(201, { token: jwt(`guest${++visitors}`, NOW_MS + 900000) });
        return init.headers.Authorization.endsWith(refused) ? refusal(401, 'unauthenticated') : answer(200);
    }, { storage });
    const [first, second, third] = [visit(), visit(), visit()];
    await first.board.json('/api/a');
    await second.board.json('/api/a');
    assert.deepEqual([visitors, second.calls[0].token], [1, 'guest1']);
    refused = 'guest1';
    await second.board.json('/api/a');
    assert.deepEqual([visitors, second.calls.at(-1).token], [2, 'guest2']);
    third.clock.ms += 870000;
    await third.board.json('/api/a');
    assert.equal(visitors, 3);
});

/** A getToken that gives nothing until the test has ended, when give() is called. */
function hanging() {
    let give;
    const given = new Promise((resolve) => { give = () => resolve('late'); });
    return { getToken: () => given, give };
}

for (const [name, getToken, code] of [
    ['fails', () => Promise.reject(new Error('offline')), 'token_failed'],
    ['throws', () => { throw new Error('signed out'); }, 'token_failed'],
    ['gives none in time', null, 'timeout']])
    test(`a getToken that ${name} is an error like others, and the next request asks again`, async () => {
        let asked = 0;
        const hung = hanging();
        const { board, calls } = client(() => answer(200),
                                        { getToken: () => (asked++ ? 'opaque' : (getToken ?? hung.getToken)()) });
        const options = { retries: 0, timeoutMs: 20 };
        await assert.rejects(board.json('/api/a', options), (error) => error instanceof SwitchboardError
            && error.code === code && error.status === 0);
        assert.equal(calls.length, 0);
        hung.give();
        await board.json('/api/a', options);
        assert.equal(asked, code === 'timeout' ? 1 : 2);
    });

test('a getToken that hangs does not hold up what comes half a minute later', async () => {
    const real = globalThis.setTimeout;
    const due = [];
    globalThis.setTimeout = (run, ms) => (ms === 30000 ? due.push(run) : real(run, ms));
    try {
        let asked = 0;
        const { board } = client(() => answer(200), { getToken: () => (asked++ ? 'opaque' : new Promise(() => {})) });
        const hung = board.json('/api/a', { retries: 0, timeoutMs: 60000 });
        due[0]();
        await assert.rejects(hung, { code: 'timeout' });
        await board.json('/api/a');
    } finally {
        globalThis.setTimeout = real;
    }
});

test('a signal ends the wait for a token', async () => {
    const { getToken, give } = hanging();
    const { board } = client(() => answer(200), { getToken });
    const abort = new AbortController();
    const ending = board.json('/api/a', { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(ending, { message: 'enough' });
    give();
});

test('a token that has less than half a minute left is used until its end', async () => {
    const all = client(() => answer(200), { getToken: tokens(() => all.clock, 20000) });
    await all.board.json('/api/a');
    all.clock.ms += 19999;
    await all.board.json('/api/a');
    all.clock.ms += 1;
    await all.board.json('/api/a');
    assert.deepEqual(all.calls.map(({ token }) => token), ['first', 'first', 'second']);
});

test("a visitor's token that cannot be stored is used all the same", async () => {
    const storage = { getItem: () => null, setItem: () => { throw new DOMException('full', 'QuotaExceededError'); } };
    const { board, calls } = client((url) => (url.endsWith('/api/visitor')
        ? answer(201, { token: jwt('guest', NOW_MS + 900000) }) : answer(200)), { storage });
    await board.json('/api/a');
    assert.equal(calls[1].token, 'guest');
});

test('where no token can be had, the next request asks again', async () => {
    const { board } = client((url, init, n) => (n === 1 ? refusal(403, 'forbidden')
        : answer(201, { token: jwt('guest', NOW_MS + 900000) })));
    await assert.rejects(board.json('/api/a'), { code: 'forbidden' });
    await board.json('/api/a');
});

test('an error has all that the server said', async () => {
    const fields = [{ field: 'kind', code: 'not_allowed', message: 'must be one of: audio video' }];
    const { board } = client(() => answer(400, { error: { code: 'validation_failed', message: 'No.', fields },
                                                 traceId: 'abc' }), { getToken: () => 'opaque' });
    await assert.rejects(board.json('/api/a', { body: { kind: 'x' } }), (error) => {
        assert.ok(error instanceof SwitchboardError);
        const { code, message, traceId, status, retryAfter } = error;
        assert.deepEqual({ code, message, fields: error.fields, traceId, status, retryAfter },
                         { code: 'validation_failed', message: 'No.', fields, traceId: 'abc', status: 400, retryAfter: null });
        return true;
    });
});

test('an answer of something else than Switchboard is told apart', async () => {
    const { board } = client(() => new Response('<html>', { status: 502 }), { getToken: () => 'opaque' });
    await assert.rejects(board.json('/api/a', { retries: 0 }), { code: 'bad_answer', status: 502 });
});

for (const body of ['{}', 'null', '"no"', '{"error":null}', '{"error":{"code":7}}'])
    test(`an error of another shape is a bad answer: ${body}`, async () => {
        const { board } = client(() => new Response(body, { status: 400 }), { getToken: () => 'opaque' });
        await assert.rejects(board.json('/api/a'), { name: 'SwitchboardError', code: 'bad_answer', status: 400 });
    });

test('a success that is no JSON is a bad answer', async () => {
    const { board } = client(() => new Response('<html>', { status: 200 }), { getToken: () => 'opaque' });
    await assert.rejects(board.json('/api/a'), { code: 'bad_answer', status: 200 });
});

test('a body that is an object goes as JSON, another as it is', async () => {
    const { board, calls } = client(() => answer(200), { getToken: () => 'opaque' });
    await board.json('/api/a', { body: { a: 1 } });
    const form = new FormData();
    await board.json('/api/a', { body: form });
    assert.equal(calls[0].body, '{"a":1}');
    assert.equal(calls[0].headers['Content-Type'], 'application/json');
    assert.equal(calls[1].body, form);
    assert.equal(calls[1].headers['Content-Type'], undefined);
    assert.deepEqual(calls.map(({ method }) => method), ['POST', 'POST']);
});

test('a GET is tried again after what may pass, no sooner than Retry-After says', async () => {
    const { board, calls, waits } = client((url, init, n) => {
        if (n === 1) throw new TypeError('failed to fetch');
        return n === 2 ? refusal(503, 'unavailable', { 'Retry-After': '7' }) : answer(200);
    }, { getToken: () => 'opaque' });
    await board.json('/api/a');
    assert.equal(calls.length, 3);
    assert.ok(waits[0] >= 250 && waits[0] <= 500, String(waits[0]));
    assert.ok(waits[1] >= 7000 && waits[1] <= 7500, String(waits[1]));
});

test('a POST is tried once, with an Idempotency-Key again; what cannot pass never', async () => {
    const busy = client(() => refusal(503, 'unavailable'), { getToken: () => 'opaque' });
    await assert.rejects(busy.board.json('/api/a', { body: {} }));
    assert.equal(busy.calls.length, 1);
    await assert.rejects(busy.board.json('/api/a', { body: {}, headers: { 'Idempotency-Key': 'k' } }));
    await assert.rejects(busy.board.json('/api/a', { body: {}, headers: { 'idempotency-key': 'k' } }));
    assert.equal(busy.calls.length, 7);
    const gone = client(() => refusal(404, 'not_found'), { getToken: () => 'opaque' });
    await assert.rejects(gone.board.json('/api/a'));
    assert.equal(gone.calls.length, 1);
});

test('who is to come back in more than half a minute is told so, and does not wait', async () => {
    for (const [seconds, tries] of [['30', 3], ['31', 1], ['36000', 1]]) {
        const { board, calls } = client(() => refusal(429, 'rate_limited', { 'Retry-After': seconds }),
                                        { getToken: () => 'opaque' });
        await assert.rejects(board.json('/api/a'), { code: 'rate_limited', retryAfter: Number(seconds) });
        assert.equal(calls.length, tries, seconds);
    }
});

test('a wait or a time-out that no timer takes is long, and not over at once', async () => {
    const { board } = client(async () => {
        await new Promise((resolve) => { setTimeout(resolve, 20); });
        return answer(200);
    }, { getToken: () => 'opaque' });
    await board.json('/api/a', { timeoutMs: Infinity, retries: 0 });
    const abort = new AbortController();
    const first = await Promise.race([pause(1e12, abort.signal).catch(() => 'ended'), pause(20).then(() => 'the other')]);
    abort.abort();
    assert.equal(first, 'the other');
});

test('a signal that outlives its requests keeps no listener of theirs', async () => {
    const { signal } = new AbortController();
    const kept = new Set();
    signal.addEventListener = (type, listener) => kept.add(listener);
    signal.removeEventListener = (type, listener) => kept.delete(listener);
    const { board } = client((url, init, n) => (n === 3 ? answer(204) : n === 2 ? stream('data: a\n\n') : answer(200)),
                             { getToken: () => 'opaque' });
    await board.json('/api/a', { signal });
    await board.events('/api/e', { signal, onEvent: () => {} });
    assert.equal(kept.size, 0);
});

test('no answer in time is a timeout; a signal ends a request with its reason', async () => {
    const never = (url, { signal }) => new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
    });
    const { board } = client(never, { getToken: () => 'opaque' });
    await assert.rejects(board.json('/api/a', { timeoutMs: 1, retries: 0 }), { code: 'timeout', status: 0 });
    const abort = new AbortController();
    const ending = board.json('/api/a', { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(ending, { message: 'enough' });
});

test('events resume after the last id, and end with a 204', async () => {
    const { board, calls } = client((url, init, n) => [stream('id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: lost'),
        refusal(503, 'unavailable', { 'Retry-After': '2' }), stream('id: 4\ndata: c\n\n'), answer(204)][n - 1],
        { getToken: () => 'opaque' });
    const [seen, retries] = [[], []];
    await board.events('/api/e', { onEvent: ({ data }) => seen.push(data),
                                   onRetry: ({ code }, wait) => retries.push([code, wait >= 2000]) });
    assert.deepEqual(seen, ['a', 'b', 'c']);
    assert.deepEqual(retries, [['interrupted', false], ['unavailable', true], ['interrupted', false]]);
    // Not 3, whose event never came whole.
    assert.deepEqual(calls.map(({ headers }) => headers['Last-Event-ID']), [undefined, '2', '2', '4']);
});

test('what the server said of reconnecting holds for the connections that fail after it', async () => {
    const { board, waits } = client((url, init, n) => [stream('retry: 5000\ndata: a\n\n'),
        refusal(503, 'unavailable'), answer(204)][n - 1], { getToken: () => 'opaque' });
    await board.events('/api/e', { onEvent: () => {} });
    assert.equal(waits.length, 2);
    waits.forEach((ms) => assert.ok(ms >= 5000, String(ms)));
});

test('nothing comes after the event that ended them', async () => {
    const abort = new AbortController();
    const seen = [];
    const { board } = client(() => stream('data: a\n\ndata: b\n\n'), { getToken: () => 'opaque' });
    await board.events('/api/e', { signal: abort.signal, onEvent: ({ data }) => {
        seen.push(data);
        abort.abort();
    } });
    assert.deepEqual(seen, ['a']);
});

test('a page in place of a stream of events is a bad answer, and not asked for again', async () => {
    const { board, calls } = client(() => new Response('<html>', { headers: { 'Content-Type': 'text/html' } }),
                                    { getToken: () => 'opaque' });
    await assert.rejects(board.events('/api/e', { onEvent: () => {} }), { code: 'bad_answer', status: 200 });
    assert.equal(calls.length, 1);
});

test('events end with what cannot pass, and when the caller throws', async () => {
    const gone = client(() => refusal(403, 'forbidden'), { getToken: () => 'opaque' });
    await assert.rejects(gone.board.events('/api/e', { onEvent: () => {} }), { code: 'forbidden' });
    const fine = client(() => stream('data: a\n\n'), { getToken: () => 'opaque' });
    await assert.rejects(fine.board.events('/api/e', { onEvent: () => { throw new TypeError('mine'); } }), { message: 'mine' });
});

test('waits double up to the cap, half of them by chance', () => {
    const at = (attempt, random) => backoffMs(attempt, { baseMs: 100, capMs: 1000, random: () => random });
    assert.deepEqual([0, 1, 2, 3, 4, 100, 5000].map((attempt) => at(attempt, 1)), [100, 200, 400, 800, 1000, 1000, 1000]);
    assert.deepEqual([0, 1, 4].map((attempt) => at(attempt, 0)), [50, 100, 500]);
    assert.equal(backoffMs(0, { retryAfter: 90, random: () => 0 }), 90000, 'over the cap where the server says so');
});

test('Retry-After is read as seconds and as a date', () => {
    const now = () => NOW_MS;
    assert.equal(retryAfterSeconds('12', now), 12);
    assert.equal(retryAfterSeconds('Thu, 01 Jan 2026 00:00:30 GMT', now), 30);
    assert.equal(retryAfterSeconds('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
    for (const none of [null, '', 'soon']) assert.equal(retryAfterSeconds(none, now), null);
});

test('recordings are webm where the browser can, mp4 where it cannot, else its default', () => {
    const only = (...types) => pickMimeType((type) => types.includes(type));
    assert.equal(only('audio/webm;codecs=opus', 'audio/webm', 'audio/mp4'), 'audio/webm;codecs=opus');
    assert.equal(only('audio/mp4'), 'audio/mp4');
    assert.equal(only(), '');
});

test('what may pass is no answer, too many requests, and what is down behind', () => {
    const passes = (status) => mayPass(new SwitchboardError({ code: 'x', message: 'x', status }));
    assert.deepEqual([0, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504].filter(passes), [0, 429, 502, 503, 504]);
    assert.equal(mayPass(new Error('x')), false);
});

test('a pause ends in time, or at once with the reason of its signal', async () => {
    const began = performance.now();
    await pause(30);
    assert.ok(performance.now() - began >= 29);
    const abort = new AbortController();
    const paused = pause(1e9, abort.signal);
    abort.abort(new Error('enough'));
    await assert.rejects(paused, { message: 'enough' });
    await assert.rejects(pause(1e9, abort.signal), { message: 'enough' });
    await pause(1, new AbortController().signal);
});
