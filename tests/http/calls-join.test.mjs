import assert from 'node:assert/strict';
import test from 'node:test';
import { ends, serve } from './support/server.mjs';
import { hmac, nowS, verify } from './support/tokens.mjs';

const jitsi = { JITSI_DOMAIN: 'meet.internal', JITSI_PUBLIC_HOST: 'meet.example.com',
                JITSI_APP_ID: 'our-app', TURN_HOST: 'turn.example.com' };
const server = await serve({ ...jitsi, TURN_SECRET: 'the-secret-coturn-shares', CALL_TOKEN_TTL: '900',
                             CALL_HEARTBEAT_SECONDS: '20' });
const fixed = await serve({ ...jitsi, TURN_USERNAME: 'turn-user', TURN_PASSWORD: 'turn-password-of-tests',
                            TURN_PORT: '3479', TURN_TLS_PORT: '0' });
const bare = await serve();

const join = (token, callId, on = server) => on.post('/api/calls/join', { token, body: { callId } });
const seconds = (time) => Date.parse(time) / 1000;

test('a member joins the open call', async () => {
    const { bob, call } = await server.openCall();
    const answer = await server.join(bob, call);
    assert.deepEqual(answer.call, call);
    const { id, joinedAt, ...rest } = answer.participant;
    assert.match(id, /^part_[0-9a-z]{26}$/);
    assert.deepEqual(rest, { userId: bob.id, moderator: false });
    assert.ok(Math.abs(Date.parse(joinedAt) - Date.now()) < 5000);
    assert.equal(answer.heartbeatSeconds, 20);
});

test('who started the call, and who moderates its thread, moderates the call', async () => {
    const { alice, mod, call } = await server.openCall();
    for (const person of [alice, mod])
        assert.equal((await server.join(person, call)).participant.moderator, true);
});

test('joining again is the same participation', async () => {
    const { bob, call } = await server.openCall();
    const [first, second] = [await server.join(bob, call), await server.join(bob, call)];
    assert.deepEqual(second.participant, first.participant);
});

test('the same user joining many times at once is one participant', async () => {
    const { bob, call } = await server.openCall();
    const all = await Promise.all([...Array(8)].map(() => server.join(bob, call)));
    assert.equal(new Set(all.map(({ participant }) => participant.id)).size, 1);
});

test('the room token holds exactly what prosody and Jitsi need, of a member', async () => {
    const { bob, call } = await server.openCall();
    const before = nowS();
    const answer = await server.join(bob, call);
    const { header, claims } = verify(server.env.JITSI_JWT_SECRET, answer.jitsi.jwt);
    assert.deepEqual(header, { alg: 'HS256', typ: 'JWT' });
    const { iat, nbf, exp, context, ...rest } = claims;
    assert.deepEqual(rest, { aud: 'our-app', iss: 'our-app', sub: 'meet.internal', room: answer.jitsi.room });
    assert.ok(iat >= before && iat <= nowS(), `${iat}`);
    assert.deepEqual([nbf, exp], [iat - 10, iat + 900]);
    const { claims: { name } } = verify(server.env.JWT_SECRET, bob.token);
    assert.deepEqual(context, { user: { id: bob.id, name, affiliation: 'member' } });
});

test('the room token of a moderator says so twice', async () => {
    const { mod, call } = await server.openCall();
    const { claims } = verify(server.env.JITSI_JWT_SECRET, (await server.join(mod, call)).jitsi.jwt);
    assert.deepEqual([claims.context.user.moderator, claims.context.user.affiliation], [true, 'owner']);
});

test('the address of the room is complete, and expires with its token', async () => {
    const { bob, call } = await server.openCall();
    const { domain, host, room, jwt, url, expiresAt } = (await server.join(bob, call)).jitsi;
    assert.deepEqual([domain, host], ['meet.internal', 'meet.example.com']);
    assert.equal(url, `https://meet.example.com/${room}#jwt=${jwt}`);
    assert.equal(seconds(expiresAt), verify(server.env.JITSI_JWT_SECRET, jwt).claims.exp);
});

test('all that join a call meet in one room', async () => {
    const { alice, bob, call } = await server.openCall();
    const rooms = [await server.join(alice, call), await server.join(bob, call)];
    assert.equal(rooms[0].jitsi.room, rooms[1].jitsi.room);
});

test('the TURN credential is the one coturn computes', async () => {
    const { bob, call } = await server.openCall();
    const { iceServers, iceExpiresAt } = await server.join(bob, call);
    const [stun, turn] = iceServers;
    assert.deepEqual(stun, { urls: ['stun:turn.example.com:3478'] });
    assert.deepEqual(turn.urls, ['turn:turn.example.com:3478?transport=udp',
                                 'turn:turn.example.com:3478?transport=tcp',
                                 'turns:turn.example.com:5349?transport=tcp']);
    assert.equal(turn.username, `${seconds(iceExpiresAt)}:${bob.id}`);
    assert.equal(turn.credential, hmac('sha1', 'the-secret-coturn-shares', turn.username, 'base64'));
    assert.ok(Math.abs(seconds(iceExpiresAt) - nowS() - 900) <= 2, iceExpiresAt);
});

test('without TURN_SECRET the fixed credentials are given', async () => {
    const { bob, call } = await fixed.openCall();
    const { iceServers: [stun, turn] } = await fixed.join(bob, call);
    assert.deepEqual(stun.urls, ['stun:turn.example.com:3479']);
    assert.deepEqual(turn, { urls: ['turn:turn.example.com:3479?transport=udp',
                                    'turn:turn.example.com:3479?transport=tcp'],
                             username: 'turn-user', credential: 'turn-password-of-tests' });
});

test('without TURN_HOST, in development, there are no ICE servers', async () => {
    const { bob, call } = await bare.openCall();
    const answer = await bare.join(bob, call);
    assert.deepEqual(answer.iceServers, []);
    assert.deepEqual([answer.jitsi.domain, answer.jitsi.host], ['localhost', 'localhost']);
});

test('to a stranger a call is not there: the answer is that of a missing one', async () => {
    const { eve, call } = await server.openCall();
    const without = (response) => ({ ...response.json(), traceId: '' });
    const [foreign, missing] = [await join(eve.token, call.id), await join(eve.token, 'call_none')];
    assert.equal(foreign.status, 404);
    assert.deepEqual(without(foreign), without(missing));
});

test('an ended call cannot be joined', async () => {
    const { alice, bob, call } = await server.openCall();
    await server.post('/api/calls/end', { token: alice.token, body: { callId: call.id } });
    const response = await join(bob.token, call.id);
    assert.equal(response.status, 410);
    assert.equal(response.json().error.code, 'gone');
});

test('to a stranger an ended call is not there either', async () => {
    const { alice, eve, call } = await server.openCall();
    await server.post('/api/calls/end', { token: alice.token, body: { callId: call.id } });
    assert.equal((await join(eve.token, call.id)).status, 404);
});

test('a ticket is no user token', async () => {
    const { bob, call } = await server.openCall();
    const { ticket } = await server.join(bob, call);
    const response = await join(ticket, call.id);
    assert.equal(response.status, 401);
    assert.match(response.header('www-authenticate'), /error="invalid_token"/);
    const line = await server.line(({ traceId }) => traceId === response.json().traceId, 'audit.log');
    assert.equal(line.reason, 'a call ticket is no user token');
});

test('a room token is no user token', async () => {
    const { bob, call } = await server.openCall();
    const { jitsi: { jwt } } = await server.join(bob, call);
    assert.equal((await join(jwt, call.id)).status, 401);
});

for (const [what, body] of Object.entries({ 'no call': {}, 'a number': { callId: 1 }, 'a path': { callId: 'a/b' } }))
    test(`invalid: ${what}`, async () => {
        const response = await server.post('/api/calls/join', { token: server.token('anyone'), body });
        assert.equal(response.status, 400);
        assert.deepEqual(response.json().error.fields.map(({ field }) => field), ['callId']);
    });

ends(server, fixed, bare);
