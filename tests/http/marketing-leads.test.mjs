// POST /api/marketing/leads, and the mail that tells sales of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test, { after } from 'node:test';
import { exhaust } from './support/poll.mjs';
import { ends, serve } from './support/server.mjs';
import { authority, parseMail, startSmtp } from './support/smtp.mjs';

const origin = 'https://www.example.com';
const account = { username: 'switchboard', password: randomUUID() };
const trusted = authority();
const smtp = await startSmtp({ credentials: trusted.issue('localhost'), account });
after(() => smtp.close());

const server = await serve({
    ALLOWED_ORIGINS: origin, SALES_EMAIL: 'sales@example.com', SMTP_FROM: 'switchboard@example.com',
    SMTP_HOST: 'localhost', SMTP_PORT: smtp.port, SMTP_USERNAME: account.username,
    SMTP_PASSWORD: account.password, UPSTREAM_CA_FILE: trusted.caFile });
const bare = await serve({ ALLOWED_ORIGINS: origin, RATE_LIMIT_LEADS: null });

const database = path.join(server.env.STATE_DIR, 'switchboard.db');
const sql = (text) => execFileSync('sqlite3', ['-cmd', '.timeout 5000', database, text],
                                   { encoding: 'utf8' }).trim();
const form = (more = {}) => ({ name: 'Ann', email: 'ann@example.com', message: 'Call me', ...more });
const leave = (body, { on = server, ...options } = {}) =>
    on.post('/api/marketing/leads', { origin, body, ...options });
const send = () => server.switchboardBeside('outbox', 'send');
const outbox = () => JSON.parse(server.run('outbox', 'list', '--json'));
const mailOf = (id) => outbox().find(({ leadId }) => leadId === id);

/** What `switchboard check` says, which reads the file as the owner of STATE_DIR. */
function check(on) {
    chmodSync(on.envFile, 0o644);
    const { stdout } = on.switchboard(['check']);
    chmodSync(on.envFile, 0o600);
    return stdout;
}

/** A new lead's id. */
async function lead(more) {
    const response = await leave(form(more));
    assert.equal(response.status, 201, response.text);
    return response.json().lead.id;
}

/** Runs body while the configuration is another one; the mail that is left over is taken out. */
async function under(env, body) {
    const before = Object.fromEntries(Object.keys(env).map((name) => [name, server.env[name] ?? null]));
    server.configure(env);
    try {
        await body();
    } finally {
        server.configure(before);
        sql("DELETE FROM outbox WHERE state <> 'sent'");
    }
}

test('a lead is stored, and its mail reaches sales over TLS, signed in', async () => {
    const id = await lead({ company: 'Example', phone: '+49 30 1234', source: '/prices' });
    assert.equal(mailOf(id).state, 'queued');
    const { status, stdout } = await send();
    assert.equal(status, 0);
    assert.equal(stdout, '1 mails sent, 0 failed\n');
    assert.equal(smtp.mails.length, 1);
    const [{ from, to, tls, user, raw }] = smtp.mails;
    assert.deepEqual([from, to, tls, user],
                     ['switchboard@example.com', ['sales@example.com'], true, account.username]);
    const { headers, subject, text } = parseMail(raw);
    assert.equal(headers.get('from'), '<switchboard@example.com>');
    assert.equal(headers.get('to'), '<sales@example.com>');
    assert.equal(headers.get('reply-to'), '<ann@example.com>');
    assert.equal(subject, 'New lead: Ann');
    assert.equal(text, 'Name: Ann\r\nE-mail: ann@example.com\r\nCompany: Example\r\n' +
        `Phone: +49 30 1234\r\nSource: /prices\r\nLead: ${id}\r\n\r\nCall me\r\n`);
    const { state, attempts, sentAt, problem } = mailOf(id);
    assert.deepEqual([state, attempts, problem], ['sent', 1, null]);
    assert.ok(Date.parse(sentAt));
});

test('check has nothing to say of a mail server that is set', () => {
    assert.doesNotMatch(check(server), /SALES_EMAIL|SMTP_|cannot be read/);
});

test('a mail that is sent is not sent again', async () => {
    const before = smtp.mails.length;
    assert.equal((await send()).stdout, '0 mails sent, 0 failed\n');
    assert.equal(smtp.mails.length, before);
});

test('two senders at once send each mail once', async () => {
    const before = smtp.mails.length;
    const ids = await Promise.all([...Array(6).keys()].map(() => lead()));
    const all = await Promise.all([send(), send(), send()]);
    assert.deepEqual(all.map(({ status }) => status), [0, 0, 0]);
    const told = smtp.mails.slice(before).map(({ raw }) => /Lead: (\S+)/.exec(parseMail(raw).text)[1]);
    assert.deepEqual(told.sort(), ids.sort());
});

test('names of every language, and texts that look like mail, arrive as they were left', async () => {
    const name = 'Ä😀'.repeat(40);
    const message = '.\r\n..\nFrom me\n.\nQUIT\nBcc: eve@example.com\n\n--\n\tend';
    await lead({ name, message });
    assert.equal((await send()).status, 0);
    const { raw, to } = smtp.mails.at(-1);
    const mail = parseMail(raw);
    assert.equal(mail.subject, `New lead: ${name}`);
    assert.ok(mail.text.replaceAll('\r\n', '\n').includes(message.replaceAll('\r\n', '\n')));
    assert.deepEqual(to, ['sales@example.com']);
    assert.ok(raw.split('\r\n').every((line) => line.length <= 78 && /^[\x20-\x7e]*$/.test(line)));
});

for (const [field, value] of [
    ['name', 'Ann\r\nBcc: eve@example.com'], ['name', 'Ann\nX: y'],
    ['email', 'ann@example.com\r\nBcc: eve@example.com'], ['email', 'ann@example.com>, <eve@example.com'],
    ['email', 'ann@example.com\r\n.\r\nMAIL FROM:<eve@example.com>'], ['phone', '1\r\nBcc: eve@example.com'],
    ['company', 'x\r\n\r\ny'], ['source', 'x\ny'], ['website', 'http://spam.example']])
    test(`what could forge a mail is refused: ${field} ${JSON.stringify(value)}`, async () => {
        const before = sql('SELECT count(*) FROM leads');
        const response = await leave(form({ [field]: value }));
        assert.equal(response.status, 400);
        assert.deepEqual(response.json().error.fields.map((error) => error.field), [field]);
        assert.equal(sql('SELECT count(*) FROM leads'), before);
    });

test('to a server without STARTTLS nothing is sent', async () => {
    const stripped = await startSmtp({ hideSTARTTLS: true, allowInsecureAuth: true, account });
    await under({ SMTP_PORT: stripped.port }, async () => {
        const id = await lead();
        const { status, stderr } = await send();
        assert.equal(status, 1);
        assert.match(stderr, /the server offers no TLS/);
        assert.ok(stripped.connections > 0);
        assert.deepEqual(stripped.mails, []);
        const { state, attempts, problem } = mailOf(id);
        assert.deepEqual([state, attempts, problem], ['queued', 1, 'the server offers no TLS']);
    });
    await stripped.close();
});

for (const [what, credentials] of [['another host', trusted.issue('other.example')],
                                   ['an authority nobody trusts', authority().issue('localhost')]])
    test(`a server with a certificate of ${what} gets nothing`, async () => {
        const wrong = await startSmtp({ credentials, account });
        await under({ SMTP_PORT: wrong.port }, async () => {
            const id = await lead();
            const { status, stderr } = await send();
            assert.equal(status, 1);
            assert.match(stderr, /certificate/);
            assert.ok(wrong.connections > 0);
            assert.deepEqual(wrong.mails, []);
            assert.equal(mailOf(id).state, 'queued');
        });
        await wrong.close();
    });

test('mail waits for a server that is down, longer each time, and is delivered later', async () => {
    const down = await startSmtp({ credentials: trusted.issue('localhost'), account });
    await down.close();
    await under({ SMTP_PORT: down.port }, async () => {
        const id = await lead();
        assert.equal((await send()).status, 1);
        const first = mailOf(id);
        assert.equal((await send()).stdout, '0 mails sent, 0 failed\n', 'it is not due yet');
        sql(`UPDATE outbox SET due_at = 0 WHERE lead_id = '${id}'`);
        assert.equal((await send()).status, 1);
        const second = mailOf(id);
        assert.deepEqual([first.attempts, second.attempts], [1, 2]);
        const wait = ({ dueAt }) => Date.parse(dueAt) - Date.now();
        assert.ok(wait(second) > wait(first) + 60000);
        const up = await startSmtp({ credentials: trusted.issue('localhost'), account, port: down.port });
        server.run('outbox', 'retry', second.id);
        assert.equal((await send()).stdout, '1 mails sent, 0 failed\n');
        assert.equal(up.mails.length, 1);
        await up.close();
    });
});

/** A server that does as talk says with each connection. */
async function startTalker(talk) {
    const sockets = new Set();
    const talker = net.createServer((socket) => {
        sockets.add(socket.on('error', () => {}));
        talk(socket);
    });
    await new Promise((resolve) => { talker.listen(0, '127.0.0.1', resolve); });
    return { port: talker.address().port, close: () => new Promise((resolve) => {
        sockets.forEach((socket) => socket.destroy());
        talker.close(resolve);
    }) };
}

/** Takes the mail, and hangs up in place of saying so. */
async function startCutter() {
    const cutter = await startSmtp({ credentials: trusted.issue('localhost'), account });
    cutter.reply = () => cutter.server.connections.forEach((connection) => connection._socket.destroy());
    return cutter;
}

const faults = {
    'says nothing': [() => startTalker(() => {}), /[Tt]imeout/],
    'hangs up at once': [() => startTalker((socket) => socket.destroy()), /./],
    'speaks of something else': [() => startTalker((socket) => socket.end('<html>\r\n'.repeat(100))), /./],
    'hangs up in the middle of a line': [() => startTalker((socket) => socket.end('220 mail.exam')), /./],
    'hangs up behind the mail': [startCutter, /./],
};
for (const [what, [start, problem]] of Object.entries(faults))
    test(`to a server that ${what} the mail is still to be sent, and is`, async () => {
        const faulty = await start();
        const id = await lead();
        await under({ SMTP_PORT: faulty.port }, async () => {
            const { status, stdout } = await send();
            assert.deepEqual([status, stdout], [1, '0 mails sent, 1 failed\n']);
            const mail = mailOf(id);
            assert.deepEqual([mail.state, mail.attempts], ['queued', 1]);
            assert.match(mail.problem, problem);
            assert.equal(sql(`SELECT leased_until > 0 FROM outbox WHERE lead_id = '${id}'`), '0', 'it is nobody\'s');
            server.configure({ SMTP_PORT: smtp.port });
            server.run('outbox', 'retry', mail.id);
            assert.equal((await send()).stdout, '1 mails sent, 0 failed\n');
            assert.equal(mailOf(id).state, 'sent');
        });
        await faulty.close();
    });

test('what a server refuses is tried ten times, then it has failed; it can be tried again', async () => {
    smtp.reply = () => Object.assign(new Error('mailbox is full'), { responseCode: 452 });
    const id = await lead();
    for (let attempt = 1; attempt <= 10; attempt++) {
        assert.equal(mailOf(id).state, 'queued');
        assert.equal((await send()).status, 1);
        assert.equal(mailOf(id).attempts, attempt);
        sql(`UPDATE outbox SET due_at = 0 WHERE lead_id = '${id}'`);
    }
    assert.equal(mailOf(id).state, 'failed');
    assert.equal((await send()).stdout, '0 mails sent, 0 failed\n');
    smtp.reply = () => null;
    assert.equal(server.run('outbox', 'retry'), '1 mails are due\n');
    assert.equal((await send()).status, 0);
    assert.equal(mailOf(id).state, 'sent');
});

const refusals = {
    'the sender': [{ onMailFrom: (address, session, done) => done(refusal(553)) }, 'refuses SMTP_FROM (status 553)'],
    'the recipient': [{ onRcptTo: (address, session, done) => done(refusal(550)) },
                      'refuses the recipient (status 550)'],
    'what is mailed': [{ reply: () => refusal(552) }, 'refuses the mail (status 552)'],
    'anybody who has not signed in': [{ account }, 'demands SMTP_USERNAME and SMTP_PASSWORD (status 530)'],
};
const refusal = (responseCode) => Object.assign(new Error('sales@example.com is gone'), { responseCode });
for (const [what, [options, problem]] of Object.entries(refusals))
    test(`a server that refuses ${what} is told apart, without its words`, async () => {
        const strict = await startSmtp({ credentials: trusted.issue('localhost'), ...options });
        await under({ SMTP_PORT: strict.port, SMTP_USERNAME: null, SMTP_PASSWORD: null }, async () => {
            const id = await lead();
            assert.equal((await send()).status, 1);
            assert.equal(mailOf(id).problem, `the server ${problem}`);
        });
        await strict.close();
    });

test('attempts to mail count in the metrics, though no endpoint makes them', async () => {
    const counted = async (outcome) => {
        const { text } = await server.call('/api/metrics', { token: server.env.METRICS_TOKEN });
        const line = `switchboard_upstream_requests_total{upstream="mail",outcome="${outcome}"} `;
        return Number(text.split('\n').find((one) => one.startsWith(line))?.slice(line.length) ?? 0);
    };
    const before = [await counted('ok'), await counted('failed')];
    await lead();
    await send();
    await under({ SMTP_PASSWORD: `wrong-${randomUUID()}` }, async () => {
        await lead();
        await send();
    });
    assert.deepEqual([await counted('ok'), await counted('failed')], before.map((count) => count + 1));
});

test('a wrong password is said, and kept out of every answer', async () => {
    await under({ SMTP_PASSWORD: `wrong-${randomUUID()}` }, async () => {
        const id = await lead();
        const { status, stdout, stderr } = await send();
        assert.equal(status, 1);
        assert.match(stderr, /refuses SMTP_USERNAME or SMTP_PASSWORD/);
        assert.ok(!(stdout + stderr + server.run('outbox', 'list')).includes(server.env.SMTP_PASSWORD));
        assert.equal(mailOf(id).state, 'queued');
    });
});

test('a mail that another sender has is left to it until its lease is over', async () => {
    const id = await lead();
    sql(`UPDATE outbox SET attempts = 1, leased_until = ${Date.now() + 60000} WHERE lead_id = '${id}'`);
    assert.equal((await send()).stdout, '0 mails sent, 0 failed\n');
    sql(`UPDATE outbox SET leased_until = 1 WHERE lead_id = '${id}'`);
    assert.equal((await send()).stdout, '1 mails sent, 0 failed\n');
    assert.equal(mailOf(id).attempts, 2);
});

test('an Idempotency-Key leaves one lead, whatever the number of tries', async () => {
    const headers = [['Idempotency-Key', randomUUID()]];
    const all = await Promise.all([...Array(4).keys()].map(() => leave(form(), { headers })));
    assert.deepEqual(all.map(({ status }) => status), [201, 201, 201, 201]);
    const ids = new Set(all.map((response) => response.json().lead.id));
    assert.equal(ids.size, 1);
    assert.equal(sql(`SELECT count(*) FROM outbox WHERE lead_id = '${[...ids][0]}'`), '1');
    assert.equal((await leave(form({ message: 'other' }), { headers })).status, 422);
});

test('without a mail server leads are stored, nothing is mailed, and check says so', async () => {
    const response = await leave(form(), { on: bare });
    assert.equal(response.status, 201);
    assert.deepEqual(JSON.parse(bare.run('outbox', 'list', '--json')), []);
    assert.equal(bare.run('outbox', 'send'), '0 mails sent, 0 failed: no mail server is set\n');
    assert.match(check(bare), /warning: SALES_EMAIL is not set: leads are stored/);
});

test('an address leaves five leads a minute; other sites and bare programs none', async () => {
    const refused = await exhaust(() => leave(form(), { on: bare }), 5, 1);
    assert.match(refused.json().error.message, /policy leads allows 5 in 60 s/);
    assert.equal((await leave(form(), { origin: 'https://evil.example' })).status, 403);
    assert.equal((await leave(form(), { origin: undefined })).status, 403);
});

test('a lead that nobody touched for a year is removed with its mail', async () => {
    const [old, young] = [await lead(), await lead()];
    const days = (count) => Date.now() - count * 86400000;
    sql(`UPDATE leads SET updated_at = ${days(366)} WHERE id = '${old}'`);
    sql(`UPDATE leads SET updated_at = ${days(364)} WHERE id = '${young}'`);
    assert.match(server.run('clean'), /^1 leads removed$/m);
    assert.equal(sql(`SELECT group_concat(id) FROM leads WHERE id IN ('${old}', '${young}')`), young);
    assert.equal(mailOf(old), undefined);
    assert.ok(mailOf(young));
});

ends(server, bare);
