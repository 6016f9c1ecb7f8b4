import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const server = await serve();
const service = server.token('crm', { role: 'service' });
const create = (body, options) => server.post('/api/threads', { token: service, body, ...options });
const person = () => {
    const id = `user-${randomUUID()}`;
    return { id, token: server.token(id) };
};
const member = ({ id }, role = 'member') => ({ userId: id, role });
const bare = (response) => response.text.replaceAll(response.header('x-trace-id'), '');

test('a thread that a service makes can be called in by its members', async () => {
    const [ann, bob] = [person(), person()];
    const made = await create({ members: [member(ann), member(bob, 'moderator')] });
    assert.equal(made.status, 201);
    const { thread } = made.json();
    assert.match(thread.id, /^thread_[0-9a-z]{26}$/);
    assert.deepEqual(thread.members.map(({ userId, role }) => [userId, role]).sort(),
                     [[ann.id, 'member'], [bob.id, 'moderator']].sort());
    const call = await server.post('/api/calls/start',
        { token: ann.token, body: { threadId: thread.id, kind: 'audio' } });
    assert.equal(call.status, 201);
});

test('of many that make a thread of one id at once, one does and the others conflict', async () => {
    const threadId = `t-${randomUUID()}`;
    const all = await Promise.all([...Array(6).keys()].map(() =>
        create({ threadId, members: [member(person())] })));
    assert.deepEqual(all.map(({ status }) => status).sort(), [201, 409, 409, 409, 409, 409]);
    const shown = await server.call(`/api/threads/${threadId}`, { token: service });
    assert.equal(shown.json().thread.members.length, 1);
});

test('an Idempotency-Key makes one thread, whatever the number of tries', async () => {
    const body = { members: [member(person())] };
    const headers = [['Idempotency-Key', randomUUID()]];
    const all = await Promise.all([...Array(4).keys()].map(() => create(body, { headers })));
    assert.deepEqual(all.map(({ status }) => status), [201, 201, 201, 201]);
    assert.equal(new Set(all.map((response) => response.json().thread.id)).size, 1);
    const other = await create({ members: [member(person())] }, { headers });
    assert.equal(other.status, 422);
});

test('a wrong member is named in the answer', async () => {
    const response = await create({ members: [member(person()), { userId: 7, role: 'owner' }] });
    assert.equal(response.status, 400);
    assert.deepEqual(response.json().error.fields.map(({ field, code }) => [field, code]),
                     [['members[1].userId', 'type'], ['members[1].role', 'not_allowed']]);
});

test('only a service makes threads and changes members', async () => {
    const { id, mod } = server.thread();
    const staff = server.token('sam', { role: 'staff' });
    for (const token of [mod.token, staff]) {
        const refused = [
            await server.post('/api/threads', { token, body: { members: [member(mod)] } }),
            await server.post(`/api/threads/${id}/members`, { token, body: member(person()) }),
            await server.call(`/api/threads/${id}/members/${mod.id}`, { method: 'DELETE', token }),
        ];
        assert.deepEqual(refused.map((response) => response.json().error?.code),
                         ['forbidden', 'forbidden', 'forbidden']);
    }
    assert.equal((await server.post('/api/threads', { body: {} })).status, 401);
});

test('a role of the users table counts like one of the token', async () => {
    const bot = person();
    server.run('user', 'add', '--id', bot.id, '--name', 'Bot', '--role', 'service');
    assert.equal((await create({ members: [member(bot)] }, { token: bot.token })).status, 201);
});

test('a user lists all of its threads and no other, page by page', async () => {
    const ann = person();
    const made = [];
    for (let i = 0; i < 5; i++)
        made.push((await create({ members: [member(ann, i === 2 ? 'moderator' : 'member')] }))
            .json().thread.id);
    await create({ members: [member(person())] });
    const seen = [];
    let target = '/api/threads?limit=2';
    for (let pages = 1; ; pages++) {
        const { threads, nextCursor } = (await server.call(target, { token: ann.token })).json();
        seen.push(...threads);
        if (nextCursor === null) {
            assert.equal(pages, 3);
            break;
        }
        target = `/api/threads?limit=2&cursor=${nextCursor}`;
    }
    assert.deepEqual(seen.map(({ id }) => id).sort(), made.sort());
    assert.deepEqual(seen.filter(({ role }) => role === 'moderator').length, 1);
});

for (const cursor of ['x', 'dGhyZWFkczo', 'Y2FsbHM6dDE', 'x%20y', '..', 'a'.repeat(301)])
    test(`no cursor: ${cursor.slice(0, 20)}`, async () => {
        const response = await server.call(`/api/threads?cursor=${cursor}`, { token: person().token });
        assert.equal(response.status, 400);
    });

test('to a stranger a thread is not there: the answer is that of a missing one', async () => {
    const { id, eve } = server.thread();
    const staff = server.token('sam', { role: 'staff' });
    for (const token of [eve.token, staff]) {
        const foreign = await server.call(`/api/threads/${id}`, { token });
        const missing = await server.call('/api/threads/no-such-thread', { token });
        assert.equal(foreign.status, 404);
        assert.equal(bare(foreign), bare(missing));
        assert.deepEqual([...foreign.headers.keys()], [...missing.headers.keys()]);
    }
});

test('a member that is added is in, and out when removed', async () => {
    const { id, alice, eve } = server.thread();
    const see = async () => (await server.call(`/api/threads/${id}`, { token: eve.token })).status;
    const set = (role) => server.post(`/api/threads/${id}/members`,
                                      { token: service, body: member(eve, role) });
    assert.equal(await see(), 404);
    assert.deepEqual([(await set('member')).status, await see()], [201, 200]);
    assert.equal((await set('moderator')).status, 200);
    const { thread } = (await server.call(`/api/threads/${id}`, { token: alice.token })).json();
    assert.equal(thread.members.find(({ userId }) => userId === eve.id).role, 'moderator');
    const remove = () => server.call(`/api/threads/${id}/members/${eve.id}`,
                                     { method: 'DELETE', token: service });
    assert.deepEqual([(await remove()).status, await see(), (await remove()).status], [200, 404, 404]);
});

test('a member whose id fits no path is removed by query', async () => {
    const id = `auth0|${randomUUID()}@example.com`;
    const { thread } = (await create({ members: [member({ id }), member(person())] })).json();
    const removed = await server.call(
        `/api/threads/${thread.id}/members?userId=${encodeURIComponent(id)}`,
        { method: 'DELETE', token: service });
    assert.equal(removed.status, 200);
    const shown = await server.call(`/api/threads/${thread.id}`, { token: service });
    assert.deepEqual(shown.json().thread.members.map(({ userId }) => userId === id), [false]);
});

test('who is in a thread when it is removed from cannot start or join its calls', async () => {
    const { id, bob, call } = await server.openCall();
    await server.call(`/api/threads/${id}/members/${bob.id}`, { method: 'DELETE', token: service });
    const join = await server.post('/api/calls/join', { token: bob.token, body: { callId: call.id } });
    const start = await server.post('/api/calls/start',
                                    { token: bob.token, body: { threadId: id, kind: 'audio' } });
    assert.deepEqual([join.status, start.status], [404, 404]);
});

test('methods that are not there are 405', async () => {
    for (const [target, method] of [['/api/threads', 'PUT'], ['/api/threads/t', 'DELETE'],
                                    ['/api/threads/t/members', 'GET']])
        assert.equal((await server.call(target, { method })).status, 405, target);
    assert.equal((await server.call('/api/threads/t/x')).status, 404);
});

ends(server);
