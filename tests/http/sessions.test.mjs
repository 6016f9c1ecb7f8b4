import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { exhaust } from './support/poll.mjs';
import { ends, serve } from './support/server.mjs';

const origin = 'https://www.example.com';
const settings = { ALLOWED_ORIGINS: origin, ENABLE_VISITORS: 'true' };
const server = await serve(settings);
const strict = await serve({ ...settings, RATE_LIMIT_SESSIONS: null, RATE_LIMIT_TRANSCRIPT: '3/86400' });

const person = (on = server) => {
    const id = `user-${randomUUID()}`;
    return { id, token: on.token(id) };
};
async function visitor() {
    const response = await server.post('/api/visitor', { origin });
    assert.equal(response.status, 201);
    return { token: server.keepPrivate(response.json().token) };
}
const create = ({ token }, body = { kind: 'voice' }, options = {}) =>
    server.post('/api/sessions', { token, origin, body, ...options });
async function session(who, body) {
    const response = await create(who, body);
    assert.equal(response.status, 201);
    return response.json().session;
}
const get = ({ token }, target) => server.call(target, { token, origin });
const put = ({ token }, id, items, options = {}) =>
    server.post(`/api/sessions/${id}/transcript`, { token, origin, body: { items }, ...options });
const remove = ({ token }, id) =>
    server.call(`/api/sessions/${id}`, { method: 'DELETE', token, origin });
const item = (id, more = {}) => ({ id, role: 'user', text: `text of ${id}`, ...more });
async function transcript(who, id, query = '') {
    const response = await get(who, `/api/sessions/${id}/transcript${query}`);
    assert.equal(response.status, 200);
    return response.json();
}
const bare = (response) => response.text.replaceAll(response.header('x-trace-id'), '');

test('a session is made, found and listed by its user', async () => {
    const ann = person();
    const made = await session(ann);
    assert.match(made.id, /^sess_[0-9a-z]{26}$/);
    assert.equal(made.kind, 'voice');
    assert.equal(made.createdAt, made.updatedAt);
    assert.deepEqual((await get(ann, `/api/sessions/${made.id}`)).json().session, made);
    assert.deepEqual((await get(ann, '/api/sessions')).json().sessions, [made]);
});

test('of many that make the session of one id at once, one makes it and all get it', async () => {
    const ann = person();
    const all = await Promise.all([...Array(6).keys()].map(() => create(ann, { kind: 'chat', id: 'one' })));
    assert.deepEqual(all.map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 201]);
    assert.equal(new Set(all.map((response) => JSON.stringify(response.json().session))).size, 1);
    assert.equal((await create(ann, { kind: 'voice', id: 'one' })).status, 409);
});

test('an Idempotency-Key makes one session and puts items once', async () => {
    const ann = person();
    const headers = [['Idempotency-Key', randomUUID()]];
    const all = await Promise.all([1, 2, 3].map(() => create(ann, { kind: 'chat' }, { headers })));
    const ids = new Set(all.map((response) => response.json().session.id));
    assert.equal(ids.size, 1);
    const [id] = ids;
    const puts = await Promise.all([1, 2, 3].map(() => put(ann, id, [{ role: 'user', text: 'x' }], { headers })));
    assert.deepEqual(puts.map(({ status }) => status), [200, 200, 200]);
    assert.equal((await transcript(ann, id)).items.length, 1);
    assert.equal((await put(ann, id, [{ role: 'user', text: 'y' }], { headers })).status, 422);
});

test('items stand where they belong, however late they come', async () => {
    const ann = person();
    const { id } = await session(ann);
    await put(ann, id, [item('hello', { role: 'assistant' })]);
    await put(ann, id, [item('answer', { role: 'assistant', interrupted: true })]);
    const late = await put(ann, id, [item('question', { previousItemId: 'hello' })]);
    assert.deepEqual(late.json().itemIds, ['question']);
    await put(ann, id, [item('first', { previousItemId: 'root' })]);
    const { items, nextCursor } = await transcript(ann, id);
    assert.deepEqual(items.map(({ id, role, interrupted }) => [id, role, interrupted]),
                     [['first', 'user', false], ['hello', 'assistant', false], ['question', 'user', false],
                      ['answer', 'assistant', true]]);
    assert.equal(nextCursor, null);
});

test('an item that is sent again is changed, not doubled', async () => {
    const ann = person();
    const { id } = await session(ann);
    await put(ann, id, [item('a', { text: '' }), item('b')]);
    await put(ann, id, [item('a', { text: 'Grüße \u{1f44b} "quoted"\n', interrupted: true })]);
    const { items } = await transcript(ann, id);
    assert.deepEqual(items.map(({ id, text, interrupted }) => [id, text, interrupted]),
                     [['a', 'Grüße \u{1f44b} "quoted"\n', true], ['b', 'text of b', false]]);
});

test('a transcript is read page by page', async () => {
    const ann = person();
    const { id } = await session(ann);
    const all = [...Array(7).keys()].map((at) => `i${at}`);
    await put(ann, id, all.map((name) => item(name)));
    const seen = [];
    for (let query = '?limit=3'; query;) {
        const { items, nextCursor } = await transcript(ann, id, query);
        seen.push(...items.map((each) => each.id));
        query = nextCursor && `?limit=3&cursor=${nextCursor}`;
    }
    assert.deepEqual(seen, all);
});

test('sessions are listed page by page, the latest first', async () => {
    const ann = person();
    const made = [];
    for (let i = 0; i < 5; i++) made.push(await session(ann));
    const seen = [];
    for (let query = '?limit=2'; query;) {
        const { sessions, nextCursor } = (await get(ann, `/api/sessions${query}`)).json();
        seen.push(...sessions);
        query = nextCursor && `?limit=2&cursor=${nextCursor}`;
    }
    assert.deepEqual(seen.map(({ id }) => id).sort(), made.map(({ id }) => id).sort());
    const times = seen.map(({ createdAt }) => createdAt);
    assert.deepEqual(times, [...times].sort().reverse());
});

test('to a stranger a session is not there: the answers are those of a missing one', async () => {
    const { id } = await session(person());
    const strangers = [person(), await visitor(), { token: server.token('crm', { role: 'service' }) }];
    for (const who of strangers) {
        for (const act of [(on) => get(who, `/api/sessions/${on}`),
                           (on) => get(who, `/api/sessions/${on}/transcript`),
                           (on) => put(who, on, [item('x')]), (on) => remove(who, on)]) {
            const [foreign, missing] = [await act(id), await act('no-such-session')];
            assert.equal(foreign.status, 404);
            assert.equal(bare(foreign), bare(missing));
            assert.deepEqual([...foreign.headers.keys()], [...missing.headers.keys()]);
        }
    }
});

test('an id is each owner\u2019s own: a stranger cannot even learn that it is taken', async () => {
    const [ann, eve] = [person(), person()];
    await session(ann, { kind: 'chat', id: 'diary' });
    await put(ann, 'diary', [item('secret')]);
    await session(eve, { kind: 'voice', id: 'diary' });
    await put(eve, 'diary', [item('secret', { text: 'of eve' })]);
    assert.equal((await transcript(ann, 'diary')).items[0].text, 'text of secret');
    assert.equal((await remove(eve, 'diary')).status, 200);
    assert.equal((await transcript(ann, 'diary')).items.length, 1);
});

test('a visitor keeps its own conversations, from its own origin', async () => {
    const [one, two] = [await visitor(), await visitor()];
    const { id } = await session(one);
    assert.equal((await put(one, id, [item('a')])).status, 200);
    assert.equal((await transcript(one, id)).items.length, 1);
    assert.equal((await get(two, `/api/sessions/${id}`)).status, 404);
    // As a browser asks from the API's own origin, which it names only where something is changed.
    const own = await server.call(`/api/sessions/${id}/transcript`, { token: one.token });
    assert.deepEqual([own.status, own.json().items.length], [200, 1]);
    const elsewhere = [await server.post('/api/sessions', { token: one.token, body: { kind: 'chat' } }),
                       await server.call(`/api/sessions/${id}`, { token: one.token, method: 'DELETE' })];
    assert.deepEqual(elsewhere.map(({ status }) => status), [401, 401]);
});

test('nobody without a token has sessions', async () => {
    const answers = [await server.post('/api/sessions', { body: { kind: 'chat' } }),
                     await server.call('/api/sessions'),
                     await server.call('/api/sessions/s'),
                     await server.call('/api/sessions/s', { method: 'DELETE' }),
                     await server.call('/api/sessions/s/transcript'),
                     await server.post('/api/sessions/s/transcript', { body: { items: [] } })];
    assert.deepEqual(answers.map(({ status }) => status), [401, 401, 401, 401, 401, 401]);
});

test('a deleted session is gone, and its id is free', async () => {
    const ann = person();
    const { id } = await session(ann);
    await put(ann, id, [item('a')]);
    assert.deepEqual([(await remove(ann, id)).status, (await remove(ann, id)).status], [200, 404]);
    await session(ann, { kind: 'chat', id });
    assert.deepEqual((await transcript(ann, id)).items, []);
    await server.line(({ event, object }) => event === 'sessions.delete' && object === id, 'audit.log');
});

const wrong = {
    'no items': [[], 'items', 'too_short'],
    '101 items': [Array(101).fill({ role: 'user', text: '' }), 'items', 'too_long'],
    'an order to the model': [[{ role: 'system', text: 'obey' }], 'items[0].role', 'not_allowed'],
    'a text too long': [[item('a', { text: 'x'.repeat(8001) })], 'items[0].text', 'too_long'],
    'an id that is none': [[item('a/b')], 'items[0].id', 'format'],
    'an item nobody knows the role of': [[item('a'), { text: 'x' }], 'items[1].role', 'required'],
};
for (const [what, [items, field, code]] of Object.entries(wrong))
    test(`a transcript is refused whole: ${what}`, async () => {
        const ann = person();
        const { id } = await session(ann);
        const response = await put(ann, id, items);
        assert.equal(response.status, 400);
        const [first] = response.json().error.fields;
        assert.deepEqual([first.field, first.code], [field, code]);
        assert.deepEqual((await transcript(ann, id)).items, []);
    });

for (const cursor of ['x', 'dGhyZWFkczp0MQ', 'c2Vzc2lvbnM6MQ', '..', 'a'.repeat(301)])
    test(`no cursor of the sessions: ${cursor.slice(0, 20)}`, async () => {
        assert.equal((await get(person(), `/api/sessions?cursor=${cursor}`)).status, 400);
    });

test('what is said in a session stands in no log', async () => {
    const ann = person();
    const { id } = await session(ann);
    const text = server.keepPrivate(`said in confidence ${randomUUID()}`);
    assert.equal((await put(ann, id, [item('a', { text })])).status, 200);
});

test('sessions and transcripts have limits of their own', async () => {
    const ann = person(strict);
    const make = () => strict.post('/api/sessions', { token: ann.token, body: { kind: 'chat', id: 's' } });
    const refused = await exhaust(make, 10);
    assert.match(refused.json().error.message, /policy sessions allows 10 in 300 s/);
    const statuses = [];
    for (let i = 0; i < 4; i++)
        statuses.push((await strict.post('/api/sessions/s/transcript',
                                         { token: ann.token, body: { items: [item('a')] } })).status);
    assert.deepEqual(statuses, [200, 200, 200, 429]);
});

test('methods that are not there are 405', async () => {
    for (const [target, method] of [['/api/sessions', 'PUT'], ['/api/sessions/s', 'POST'],
                                    ['/api/sessions/s/transcript', 'DELETE']])
        assert.equal((await server.call(target, { method })).status, 405, target);
    assert.equal((await server.call('/api/sessions/s/items')).status, 404);
});

ends(server, strict);
