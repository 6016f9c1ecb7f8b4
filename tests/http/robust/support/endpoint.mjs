// One endpoint started by hand on a socket of its own, as spawn-fcgi does it.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { Peer, head, request, stream, TYPE, variables } from './fastcgi.mjs';
import { processesRunning } from './process.mjs';
import { token } from './site.mjs';
import { until, within } from './wait.mjs';

// Without a quarantine, which grows for a while.
const ASAN = 'detect_leaks=1:quarantine_size_mb=0:thread_local_quarantine_size_kb=0';

let made = 0;

class Endpoint {
    constructor(site, name, { env = {}, descriptorsMax = 256, as, program } = {}) {
        this.site = site;
        this.program = program ?? path.join(site.cgiBin, name);
        this.socket = path.join(site.dir, `${name.replaceAll('/', '.')}-${++made}.sock`);
        this.stderr = '';
        const prefix = as === undefined ? []
            : ['/usr/bin/setpriv', `--reuid=${as}`, '--clear-groups', '--'];
        const command = ['spawn-fcgi', '-n', '-M', '0600', '-s', this.socket, '--', ...prefix, this.program];
        this.child = spawn('/bin/sh', ['-c', `ulimit -n ${descriptorsMax}; exec "$@"`, 'sh', ...command], {
            stdio: ['ignore', 'ignore', 'pipe'],
            env: { PATH: process.env.PATH, SWITCHBOARD_ENV: site.env, ASAN_OPTIONS: ASAN, ...env },
        });
        this.child.stderr.on('data', (data) => (this.stderr += data));
        this.exited = new Promise((resolve) =>
            this.child.once('exit', (code, signal) => resolve({ code, signal })));
        this.exited.then((status) => (this.status = status));
    }

    get pid() {
        return this.child.pid;
    }

    // Ready once it answers: the socket is there before the program is.
    async ready() {
        await until(`${this.program} runs`, () => {
            if (this.status) throw new Error(`ended at its start: ${this.stderr}`);
            return processesRunning(this.program).includes(this.pid);
        });
        const answer = await this.get('/api/none-of-its-own');
        if (!answer.complete) throw new Error(`no answer: ${this.stderr}`);
        return this;
    }

    get(uri, options) {
        return request(this.socket, 'GET', uri, options);
    }

    signal(name) {
        process.kill(this.pid, name);
    }

    // It must end well: a crash, or a sanitizer's report, is seen here.
    async stop(ms = 12000) {
        if (!this.status) this.signal('SIGTERM');
        try {
            await within('the end of the endpoint', this.exited, ms);
        } catch (error) {
            this.signal('SIGKILL');
            throw error;
        }
        if (this.status.code !== 0)
            throw new Error(`${this.program} ended with ${JSON.stringify(this.status)}: ${this.stderr}`);
    }
}

export function startEndpoint(site, name, options) {
    return new Endpoint(site, name, options).ready();
}

// Stops all of them even where one did not end well.
export async function stopAll(...endpoints) {
    const ends = await Promise.allSettled(endpoints.map((one) => one?.stop()));
    const bad = ends.find(({ status }) => status === 'rejected');
    if (bad) throw bad.reason;
}

// The head of POST /api/calls/start with a body of its own, and the body.
export function startCall(thread, user = 'user1', more = {}) {
    const body = Buffer.from(JSON.stringify({ threadId: thread, kind: 'audio' }));
    const params = variables('POST', '/api/calls/start', body, {
        HTTP_AUTHORIZATION: `Bearer ${token(user)}`,
        ...more,
    });
    return { body, params, head: head(params), whole: Buffer.concat([head(params), stream(TYPE.STDIN, 1, body)]) };
}

// A connection with the request's head and half of its body sent.
export async function halfSent(endpoint, thread) {
    const call = startCall(thread);
    const half = call.body.length >> 1;
    const peer = await Peer.connect(endpoint.socket);
    const rest = stream(TYPE.STDIN, 1, call.body.subarray(half));
    await peer.send(Buffer.concat([call.head, stream(TYPE.STDIN, 1, call.body.subarray(0, half)).subarray(0, -8)]));
    return { peer, finish: () => peer.send(rest) };
}
