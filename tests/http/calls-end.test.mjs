import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';
import { sign } from './support/tokens.mjs';

const server = await serve();
const end = (token, callId) => server.post('/api/calls/end', { token, body: { callId } });
const database = path.join(server.env.STATE_DIR, 'switchboard.db');
const sql = (text) => execFileSync('sqlite3', ['-cmd', '.timeout 5000', database, text],
                                   { encoding: 'utf8' }).trim();
/** The answer's text but for what differs in every answer. */
const text = (response) => response.text.replace(/"traceId":"[0-9a-f]{32}"/, '');

test('who started the call ends it', async () => {
    const { alice, call } = await server.openCall();
    const response = await end(alice.token, call.id);
    const { endedAt, durationSeconds, endReason } = response.json();
    assert.equal(response.status, 200);
    assert.equal(endReason, 'ended');
    assert.equal(durationSeconds, Math.floor((Date.parse(endedAt) - Date.parse(call.startedAt)) / 1000));
});

test('a moderator of the thread ends it', async () => {
    const { mod, call } = await server.openCall();
    assert.equal((await end(mod.token, call.id)).status, 200);
});

test('any other member may not, and the call goes on', async () => {
    const { bob, call } = await server.openCall();
    const response = await end(bob.token, call.id);
    assert.equal(response.status, 403);
    assert.equal(response.json().error.code, 'forbidden');
    assert.equal((await server.join(bob, call)).call.endedAt, null);
});

test('to a stranger the call is not there', async () => {
    const { eve, call } = await server.openCall();
    const [foreign, missing] = [await end(eve.token, call.id), await end(eve.token, 'call_none')];
    assert.equal(foreign.status, 404);
    assert.equal(text(foreign), text(missing));
});

test('the answer is the same every time, byte for byte, whoever asks', async () => {
    const { alice, mod, call } = await server.openCall();
    const first = await end(alice.token, call.id);
    for (const person of [alice, mod, alice])
        assert.equal(text(await end(person.token, call.id)), text(first));
});

test('of many that end at once all get the same answer', async () => {
    const { alice, mod, call } = await server.openCall();
    const all = await Promise.all([...Array(10).keys()].map((i) => end([alice, mod][i % 2].token, call.id)));
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [200]);
    assert.equal(new Set(all.map(text)).size, 1);
});

test('the answer survives a restart of the server', async () => {
    const { alice, call } = await server.openCall();
    const first = text(await end(alice.token, call.id));
    await server.restart();
    assert.equal(text(await end(alice.token, call.id)), first);
});

test('the duration is whole seconds from start to end', async () => {
    const { alice, call } = await server.openCall();
    const startedAt = Date.parse(call.startedAt) - 3725 * 1000;
    sql(`UPDATE calls SET started_at = ${startedAt} WHERE id = '${call.id}'`);
    const { endedAt, durationSeconds } = (await end(alice.token, call.id)).json();
    assert.equal(durationSeconds, Math.floor((Date.parse(endedAt) - startedAt) / 1000));
    assert.ok(durationSeconds >= 3725 && durationSeconds < 3755, `${durationSeconds}`);
});

test('a clock that was set back gives no negative duration', async () => {
    const { alice, call } = await server.openCall();
    sql(`UPDATE calls SET started_at = started_at + 3600000 WHERE id = '${call.id}'`);
    assert.equal((await end(alice.token, call.id)).json().durationSeconds, 0);
});

test('the end ends the participations and is an event', async () => {
    const { alice, bob, call } = await server.openCall();
    await server.join(alice, call);
    await server.join(bob, call);
    await end(alice.token, call.id);
    const where = `WHERE call_id = '${call.id}'`;
    assert.equal(sql(`SELECT count(*) FROM participants ${where} AND left_at IS NULL`), '0');
    assert.equal(sql(`SELECT group_concat(type) FROM call_events ${where} ORDER BY seq`),
                 'started,joined,joined,ended');
});

test('a moderator\'s ticket ends the call', async () => {
    const { mod, call } = await server.openCall();
    const { ticket } = await server.join(mod, call);
    assert.equal((await end(ticket, call.id)).status, 200);
});

test('another member\'s ticket does not', async () => {
    const { bob, call } = await server.openCall();
    const { ticket } = await server.join(bob, call);
    assert.equal((await end(ticket, call.id)).status, 403);
});

test('a ticket is good for its own call alone, not for the next of the same thread', async () => {
    const { id, mod, call } = await server.openCall();
    const { ticket } = await server.join(mod, call);
    await end(mod.token, call.id);
    const next = await server.post('/api/calls/start',
        { token: mod.token, body: { threadId: id, kind: 'audio' } });
    assert.equal(next.status, 201);
    assert.equal((await end(ticket, next.json().call.id)).status, 404);
    assert.equal((await end(ticket, call.id)).status, 200);
});

test('a ticket that was changed, or signed with the users\' secret, is refused', async () => {
    const { mod, call } = await server.openCall();
    const { ticket } = await server.join(mod, call);
    const [header, payload, signature] = ticket.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url'));
    const longer = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 1 })).toString('base64url');
    const forged = sign(server.env.JWT_SECRET, claims, { alg: 'HS256', typ: 'ticket+jwt' });
    for (const bad of [`${header}.${longer}.${signature}`, forged])
        assert.equal((await end(bad, call.id)).status, 401);
});

test('a ticket holds no secret and expires with the call token', async () => {
    const { mod, call } = await server.openCall();
    const { ticket, participant } = await server.join(mod, call);
    const { exp, ...rest } = JSON.parse(Buffer.from(ticket.split('.')[1], 'base64url'));
    assert.deepEqual(rest, { sub: mod.id, call: call.id, participant: participant.id, moderator: true });
    assert.ok(Math.abs(exp - Date.now() / 1000 - 3600) < 5);
});

test('a disabled user\'s ticket is 403', async () => {
    const { mod, call } = await server.openCall();
    const { ticket } = await server.join(mod, call);
    server.run('user', 'disable', '--id', mod.id);
    assert.equal((await end(ticket, call.id)).status, 403);
});

test('without any token it is 401', async () => {
    const { call } = await server.openCall();
    assert.equal((await end(undefined, call.id)).status, 401);
});

ends(server);
