// A mail server with STARTTLS, and the certificates it needs.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SMTPServer } from 'smtp-server';
import { freePort } from './port.mjs';

/** An authority and what it signs: {caFile, issue(host) -> {key, cert}}. */
export function authority() {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'sb-ca-'));
    const file = (name) => path.join(directory, name);
    const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', '-x509', ...newKey, '-keyout', file('ca.key'), '-out', file('ca.pem'),
            '-days', '2', '-subj', '/CN=Test authority');
    const issue = (host) => {
        openssl('req', ...newKey, '-keyout', file('key'), '-out', file('csr'), '-subj', '/CN=mail');
        writeFileSync(file('ext'), `subjectAltName=DNS:${host}\n`);
        openssl('x509', '-req', '-in', file('csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'),
                '-CAcreateserial', '-days', '2', '-extfile', file('ext'), '-out', file('cert'));
        return { key: readFileSync(file('key')), cert: readFileSync(file('cert')) };
    };
    chmodSync(directory, 0o711); // everything runs as www-data where the suite is root's
    chmodSync(file('ca.pem'), 0o644);
    return { caFile: file('ca.pem'), issue };
}

/** What a mail says: headers as they came, those folded in one, and its text. */
export function parseMail(raw) {
    const [head, body] = raw.split('\r\n\r\n');
    const lines = head.replaceAll(/\r\n[ \t]/g, ' ').split('\r\n');
    const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(),
                                                 line.slice(line.indexOf(':') + 1).trim()]));
    const words = (text) => text.replaceAll(/\?= =\?utf-8\?B\?/g, '?==?utf-8?B?')
        .replaceAll(/=\?utf-8\?B\?([^?]*)\?=/g, (_, word) => Buffer.from(word, 'base64'));
    return { lines, headers, subject: words(headers.get('subject')),
             text: Buffer.from(body, 'base64').toString() };
}

/**
 * Listens on localhost; .mails are those it took: {from, to, tls, user, raw}. options.reply may
 * give an Error to refuse a mail with; .connections counts, .commands has what came in clear.
 */
export async function startSmtp({ credentials, account, reply = () => null, port, ...options }) {
    const smtp = { mails: [], connections: 0, reply };
    smtp.server = new SMTPServer({
        ...credentials, authOptional: account === undefined, disableReverseLookup: true,
        closeTimeout: 100, logger: false, ...options,
        onConnect(session, done) {
            smtp.connections++;
            done();
        },
        onAuth(auth, session, done) {
            const good = auth.username === account.username && auth.password === account.password;
            done(good ? null : new Error('wrong password'), { user: auth.username });
        },
        onData(stream, session, done) {
            const parts = [];
            stream.on('data', (part) => parts.push(part));
            stream.on('end', () => {
                const { mailFrom, rcptTo } = session.envelope;
                const refusal = smtp.reply();
                if (!refusal)
                    smtp.mails.push({ from: mailFrom.address, to: rcptTo.map(({ address }) => address),
                                      tls: session.secure, user: session.user,
                                      raw: Buffer.concat(parts).toString() });
                done(refusal);
            });
        },
    });
    smtp.server.on('error', () => {}); // a client that hangs up is what some tests are about
    smtp.port = port ?? await freePort();
    await new Promise((resolve) => { smtp.server.listen(smtp.port, '127.0.0.1', resolve); });
    smtp.close = () => new Promise((resolve) => { smtp.server.close(resolve); });
    return smtp;
}
