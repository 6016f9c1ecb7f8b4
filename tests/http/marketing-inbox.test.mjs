// GET and PATCH /api/marketing/inbox: what staff see of leads and do about them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const origin = 'https://www.example.com';
const server = await serve({ ALLOWED_ORIGINS: origin });
const person = (role) => {
    const id = `user-${randomUUID()}`;
    return { id, token: server.token(id, role ? { role } : {}) };
};
const sam = person('staff');
const inbox = (query = '', token = sam.token) => server.call(`/api/marketing/inbox${query}`, { token });
const change = (id, body, token = sam.token) =>
    server.call(`/api/marketing/inbox/${id}`, { method: 'PATCH', token, body });

/** A new lead's id; its name is good to find it by. */
async function lead(more = {}) {
    const response = await server.post('/api/marketing/leads',
        { origin, body: { name: 'Ann', email: 'ann@example.com', message: 'Call me', ...more } });
    assert.equal(response.status, 201, response.text);
    return response.json().lead.id;
}

test('staff find a lead by its text, and read what was left', async () => {
    const name = randomUUID();
    const id = await lead({ name, company: 'Example' });
    const { leads, nextCursor } = (await inbox(`?q=${name.toUpperCase()}&status=new`)).json();
    assert.equal(nextCursor, null);
    assert.equal(leads.length, 1);
    const { createdAt, updatedAt, ...rest } = leads[0];
    assert.equal(createdAt, updatedAt);
    assert.deepEqual(rest, { id, version: 1, status: 'new', assignee: null, name, company: 'Example',
                             email: 'ann@example.com', phone: null, source: null, message: 'Call me' });
});

test('a change is kept with who made it, and its text is in no log', async () => {
    const id = await lead();
    const note = server.keepPrivate(`Rang her ${randomUUID()}`);
    const changed = await change(id, { status: 'qualified', assignee: sam.id, note });
    assert.equal(changed.status, 200);
    assert.deepEqual([changed.json().lead.status, changed.json().lead.assignee], ['qualified', sam.id]);
    const { lead: shown, history } = (await inbox(`/${id}`)).json();
    assert.equal(shown.version, 2);
    assert.deepEqual(history.map(({ by, type, from, to }) => [by, type, from, to]),
                     [[sam.id, 'status', 'new', 'qualified'], [sam.id, 'assignee', null, sam.id],
                      [sam.id, 'note', null, note]]);
    const { leads } = (await inbox(`?assignee=${sam.id}&status=qualified`)).json();
    assert.ok(leads.some((one) => one.id === id));
    await server.line(({ event, object }) => event === 'leads.change' && object === id, 'audit.log');
});

test('of many that change one version at once, one does', async () => {
    const id = await lead();
    const all = await Promise.all(['contacted', 'qualified', 'closed', 'spam'].map((status) =>
        change(id, { status, version: 1 })));
    assert.deepEqual(all.map(({ status }) => status).sort(), [200, 409, 409, 409]);
    const { lead: shown, history } = (await inbox(`/${id}`)).json();
    assert.equal(shown.version, 2);
    assert.equal(history.length, 1);
});

test('the inbox is read page by page, each lead once', async () => {
    const name = randomUUID();
    const made = [];
    for (let i = 0; i < 5; i++) made.push(await lead({ name }));
    const seen = [];
    for (let cursor = ''; cursor !== null;) {
        const page = (await inbox(`?q=${name}&limit=2${cursor}`)).json();
        seen.push(...page.leads.map(({ id }) => id));
        cursor = page.nextCursor === null ? null : `&cursor=${page.nextCursor}`;
    }
    assert.deepEqual(seen, [...seen].sort().reverse());
    assert.deepEqual([...seen].sort(), made.sort());
});

test('nobody but staff reads or changes leads', async () => {
    const id = await lead();
    for (const { token } of [person(), person('service')])
        for (const answer of [await inbox('', token), await inbox(`/${id}`, token),
                              await change(id, { status: 'spam' }, token)])
            assert.equal(answer.status, 403);
    assert.equal((await server.call('/api/marketing/inbox')).status, 401);
    assert.equal((await inbox(`/${id}`)).json().lead.status, 'new');
});

test('what cannot be is refused and changes nothing', async () => {
    const id = await lead();
    for (const [body, field] of [[{}, 'status'], [{ status: 'old' }, 'status'], [{ note: '\u001b[2J' }, 'note'],
                                 [{ assignee: 'a\nb' }, 'assignee'], [{ version: 0 }, 'version'],
                                 [{ note: 'x'.repeat(1001) }, 'note'], [{ email: 'x@y.z' }, 'email']]) {
        const response = await change(id, body);
        assert.equal(response.status, 400);
        assert.equal(response.json().error.fields[0].field, field);
    }
    assert.equal((await change('lead_none', { status: 'spam' })).status, 404);
    assert.equal((await inbox('/lead_none')).status, 404);
    assert.equal((await inbox('?status=old')).status, 400);
    assert.equal((await inbox('?cursor=x')).status, 400);
    assert.equal((await inbox(`/${id}`)).json().lead.version, 1);
});

ends(server);
