// What the command line does with personal data: usage, export, erase, clean.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync }
    from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';

const origin = 'https://www.example.com';
const server = await serve({ ALLOWED_ORIGINS: origin, ENABLE_VISITORS: 'true', RETENTION_DAYS_SESSIONS: '30',
                             RETENTION_DAYS_USAGE: '60' });
const sql = (text) => execFileSync('sqlite3', ['-cmd', '.timeout 5000',
    path.join(server.env.STATE_DIR, 'switchboard.db'), text], { encoding: 'utf8' }).trim();

/** Somebody with a conversation in which text was said. */
async function talker(text) {
    const id = `user-${randomUUID()}`;
    const who = { id, token: server.token(id) };
    assert.equal((await server.post('/api/sessions', { token: who.token, body: { kind: 'chat', id: 's' } })).status, 201);
    const items = [{ id: 'i', role: 'user', text }];
    assert.equal((await server.post('/api/sessions/s/transcript', { token: who.token, body: { items } })).status, 200);
    return who;
}
const transcript = ({ token }) => server.call('/api/sessions/s/transcript', { token });
const exported = (...person) => JSON.parse(server.run('export', ...person));
const counts = (text) => Object.fromEntries(text.trim().split('\n').map((line) => {
    const [, count, what] = line.match(/^(\d+) (.+)$/);
    return [what, Number(count)];
}));
const today = () => new Date().toISOString().slice(0, 10);
const spent = (owner, day, turns) => sql(`INSERT INTO usage VALUES (${day}, '${owner}', ${turns}, 2, 3)`);
const dayNumber = () => Math.floor(Date.now() / 86400000);

test('an export is one JSON object of all that a user has here, and of nobody else', async () => {
    const { call, alice, bob, id } = await server.openCall();
    await server.join(alice, call);
    await talker('of another');
    await server.post('/api/sessions', { token: alice.token, body: { kind: 'voice', id: 's' } });
    await server.post('/api/sessions/s/transcript',
        { token: alice.token, body: { items: [{ id: 'i', role: 'user', text: '"Grüße"' }] } });
    const all = exported('--user', alice.id);
    assert.equal(all.person, `user:${alice.id}`);
    assert.deepEqual(all.users.map((row) => row.id), [alice.id]);
    assert.deepEqual(all.memberships.map(({ threadId, role }) => [threadId, role]), [[id, 'member']]);
    assert.deepEqual(all.callsStarted.map((row) => row.id), [call.id]);
    assert.deepEqual(all.participations.map(({ callId }) => callId), [call.id]);
    assert.deepEqual(all.callEvents.map(({ type }) => type), ['started', 'joined']);
    assert.deepEqual(all.sessions.map(({ id, kind }) => [id, kind]), [['s', 'voice']]);
    assert.deepEqual(all.transcriptItems.map(({ sessionId, text }) => [sessionId, text]), [['s', '"Grüße"']]);
    assert.ok(!JSON.stringify(all).includes(bob.id));
});

test('of somebody nobody has heard of an export has the names of all kinds, and nothing', () => {
    const { person, email, exportedAt, ...kinds } = exported('--user', 'nobody');
    assert.deepEqual([person, email], ['user:nobody', null]);
    assert.ok(Math.abs(Date.parse(exportedAt) - Date.now()) < 60000);
    for (const [name, rows] of Object.entries(kinds)) assert.deepEqual(rows, [], name);
    assert.ok(Object.keys(kinds).length > 5);
});

test('an erased user is nowhere, and those it called with keep their calls', async () => {
    const { call, alice, bob, id } = await server.openCall();
    await server.join(alice, call);
    await server.join(bob, call);
    const { status, stdout, stderr } = server.switchboard(['erase', '--user', alice.id]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /audit\.log, its rotated files and your backups are as they were/);
    const done = counts(stdout);
    assert.equal(done['users deleted'], 1);
    assert.equal(done['memberships deleted'], 1);
    assert.equal(done['calls pseudonymised'], 1);
    assert.equal(done['open participations ended'], 1);
    const dump = sql('.dump');
    assert.ok(!dump.includes(alice.id));
    const shown = await server.call(`/api/threads/${id}`, { token: bob.token });
    assert.ok(!shown.text.includes(alice.id));
    const end = await server.post('/api/calls/end',
        { token: server.token(bob.id), body: { callId: call.id } });
    assert.equal(end.status, 403, 'the call is there, and bob is its member still');
});

test('a conversation that is erased is gone for its owner, who is new from then on', async () => {
    const text = `said ${randomUUID()}`;
    const [ann, bob] = [await talker(text), await talker('of bob')];
    const done = counts(server.run('erase', '--user', ann.id, '--keep-audit'));
    assert.deepEqual([done['sessions deleted'], done['transcript items deleted']], [1, 1]);
    assert.equal((await transcript(ann)).status, 404);
    assert.equal((await transcript(bob)).json().items[0].text, 'of bob');
    assert.ok(!sql('.dump').includes(text));
    const state = server.env.STATE_DIR;
    for (const name of readdirSync(state).filter((each) => each.startsWith('switchboard.db')))
        assert.ok(!readFileSync(path.join(state, name)).includes(text), `a copy is in ${name}`);
});

test('erasing twice does nothing the second time', async () => {
    const ann = await talker('x');
    server.run('erase', '--user', ann.id);
    const again = counts(server.run('erase', '--user', ann.id));
    for (const [what, count] of Object.entries(again)) assert.equal(count, 0, what);
});

test('with --keep-audit nothing is said of the audit log, which stays as it is', async () => {
    const ann = await talker('x');
    await server.call('/api/sessions/s', { method: 'DELETE', token: ann.token });
    await server.line(({ userId }) => userId === ann.id, 'audit.log');
    const { stderr } = server.switchboard(['erase', '--user', ann.id, '--keep-audit']);
    assert.equal(stderr, '');
    assert.ok(server.lines('audit.log').some(({ userId }) => userId === ann.id));
});

test('a visitor is exported and erased by its own id', async () => {
    const { token, visitorId } = (await server.post('/api/visitor', { origin })).json();
    server.keepPrivate(token);
    await server.post('/api/sessions', { token, origin, body: { kind: 'chat', id: 's' } });
    assert.deepEqual(exported('--visitor', visitorId).sessions.map(({ id }) => id), ['s']);
    assert.deepEqual(exported('--user', visitorId).sessions, []);
    assert.equal(counts(server.run('erase', '--visitor', visitorId))['sessions deleted'], 1);
    assert.deepEqual(exported('--visitor', visitorId).sessions, []);
});

test('who is known by an address alone can be asked for', () => {
    const { person, email, users } = exported('--email', 'guy@example.com');
    assert.deepEqual([person, email, users], [null, 'guy@example.com', []]);
    assert.equal(server.switchboard(['erase', '--email', 'guy@example.com', '--keep-audit']).status, 0);
});

test('usage lists what was spent on a day, as text and as JSON lines', () => {
    const ann = `user:${randomUUID()}`;
    spent(ann, dayNumber(), 1);
    spent(ann, 20000, 7);
    assert.match(server.run('usage'), new RegExp(`^${ann}\t1 turns\t2 seconds\t3 tokens$`, 'm'));
    assert.equal(server.run('usage', '--day', '2024-10-04'), `${ann}\t7 turns\t2 seconds\t3 tokens\n`);
    const rows = server.run('usage', '--json', '--day', today()).trim().split('\n').map((row) => JSON.parse(row));
    assert.deepEqual(rows.find(({ owner }) => owner === ann),
        { owner: ann, spent: { turns: 1, seconds: 2, tokens: 3 }, reserved: { turns: 0, seconds: 0, tokens: 0 } });
    assert.equal(server.run('usage', '--day', '2020-01-01'), '');
});

test('clean removes what is older than it is to be kept', async () => {
    const [old, fresh] = [await talker('old'), await talker('fresh')];
    const before = (days) => Date.now() - days * 86400000;
    sql(`UPDATE sessions SET updated_at = ${before(31)} WHERE owner = 'user:${old.id}';` +
        `UPDATE sessions SET updated_at = ${before(29)} WHERE owner = 'user:${fresh.id}'`);
    sql(`INSERT INTO reservations VALUES ('b1', 'user:x', 1, ${before(2)}, 1, 1, 1),` +
        ` ('b2', 'user:x', 1, ${before(0)}, 1, 1, 1)`);
    spent('user:old', dayNumber() - 61, 1);
    spent('user:old', dayNumber() - 60, 1);
    const said = server.run('clean');
    assert.match(said, /^1 unused conversations removed$/m);
    assert.match(said, /^1 stale reservations removed$/m);
    assert.match(said, /^[12] days of usage removed$/m, 'one may be left by another test');
    assert.deepEqual([(await transcript(old)).status, (await transcript(fresh)).status], [404, 200]);
    assert.equal(sql("SELECT count(*) FROM usage WHERE owner = 'user:old'"), '1');
});

test('clean removes recordings a crash left, but no link, nothing new and nothing else', () => {
    const state = server.env.STATE_DIR, directory = path.join(state, 'temp_audio');
    const { uid, gid } = statSync(state);
    const put = (name, ageS) => {
        const file = path.join(state, name), at = Date.now() / 1000 - ageS;
        writeFileSync(file, 'speech', { mode: 0o600 });
        chownSync(file, uid, gid);
        utimesSync(file, at, at);
        return file;
    };
    mkdirSync(directory, { mode: 0o700 });
    chownSync(directory, uid, gid);
    const [old, fresh, target] = [put('temp_audio/old', 3700), put('temp_audio/fresh', 3500), put('kept', 9999)];
    const link = path.join(directory, 'link');
    symlinkSync(target, link);
    assert.match(server.run('clean'), /^1 recordings removed$/m);
    assert.deepEqual([old, fresh, target, link].map((file) => existsSync(file)), [false, true, true, true]);
    assert.match(server.run('clean'), /^0 recordings removed$/m);
});

const usage = {
    'nobody to export': ['export'],
    'two persons': ['export', '--user', 'a', '--visitor', 'b'],
    'an address that is none': ['erase', '--email', ''],
    'a person without an id': ['erase', '--user', ''],
    'a person with a line end': ['erase', '--user', 'a\nb'],
    'an option of erase alone': ['export', '--user', 'a', '--keep-audit'],
    'an argument too many': ['erase', '--user', 'a', 'b'],
    'a day there is not': ['usage', '--day', '2026-02-31'],
    'a day that is none': ['usage', '--day', 'today'],
};
for (const [what, args] of Object.entries(usage))
    test(`a usage error, which exits 2 and changes nothing: ${what}`, () => {
        const { status, stdout, stderr } = server.switchboard(args);
        assert.deepEqual([status, stdout], [2, '']);
        assert.match(stderr, /^switchboard: .+\nusage: switchboard /m);
    });

ends(server);
