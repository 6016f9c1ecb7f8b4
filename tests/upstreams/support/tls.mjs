// A certificate authority of our own and a certificate for the loopback, made by openssl for one run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

function openssl(...args) {
    const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}

const extensions = (usage) => `basicConstraints=critical,CA:${usage === 'ca' ? 'TRUE' : 'FALSE'}
keyUsage=critical,${usage === 'ca' ? 'keyCertSign,cRLSign' : 'digitalSignature'}
subjectKeyIdentifier=hash
${usage === 'ca' ? '' : 'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n'}`;

/** {key, cert, caFile, remove()}: key and certificate as PEM, caFile is what a client is to trust. */
export function makeCertificates() {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'sb-tls-'));
    const file = (name) => path.join(directory, name);
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    writeFileSync(file('ca.cnf'), `[req]\ndistinguished_name=dn\n[dn]\n[ca]\n${extensions('ca')}`);
    writeFileSync(file('server.ext'), extensions('server'));
    openssl('req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=Stand-in CA', '-config', file('ca.cnf'),
            '-extensions', 'ca', '-keyout', file('ca.key'), '-out', file('ca.pem'));
    openssl('req', ...newKey, '-subj', '/CN=localhost', '-config', file('ca.cnf'),
            '-keyout', file('server.key'), '-out', file('server.csr'));
    openssl('x509', '-req', '-in', file('server.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'),
            '-CAcreateserial', '-days', '2', '-extfile', file('server.ext'), '-out', file('server.pem'));
    spawnSync('chmod', ['-R', 'a+rX', directory]); // the programs under test are another user
    return {
        key: readFileSync(file('server.key')),
        cert: readFileSync(file('server.pem')),
        caFile: file('ca.pem'),
        remove: () => rmSync(directory, { recursive: true, force: true }),
    };
}
