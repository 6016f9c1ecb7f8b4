// An endpoint under faults: as a FastCGI process on a socket of its own, or run once as plain CGI.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { Peer, head, stream, TYPE, variables } from '../../http/robust/support/fastcgi.mjs';
import { owner, root } from '../../http/robust/support/site.mjs';
import { until, within } from '../../http/robust/support/wait.mjs';
import { Faults } from './faults.mjs';

const ANSWER_MS = 15000;
let made = 0;

function child(command, env, stdin) {
    const process_ = spawn(command[0], command.slice(1), { stdio: [stdin, 'pipe', 'pipe'], env });
    const run = { process: process_, stdout: [], stderr: '' };
    process_.stdout.on('data', (data) => run.stdout.push(data));
    process_.stderr.on('data', (data) => (run.stderr += data));
    run.exited = new Promise((resolve) =>
        process_.once('close', (code, signal) => resolve((run.status = { code, signal }))));
    return run;
}

function environment(site) {
    return { PATH: process.env.PATH, SWITCHBOARD_ENV: site.env };
}

// Started as the owner: what a start by root does first, looking up names, is glibc's, which aborts
// where it gets no memory.
const asOwner = root ? ['/usr/bin/setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'] : [];

function preload(faults) {
    return ['/usr/bin/env', ...Object.entries(faults.env).map(([name, value]) => `${name}=${value}`)];
}

export class Program {
    // fault, at: armed from the program's first instruction on; without them, not at all.
    constructor(site, name, { fault, at, settings } = {}) {
        const unique = `${name.replaceAll('/', '.')}-${++made}`;
        this.faults = new Faults(path.join(site.dir, `${unique}.faults`));
        if (fault) this.faults.arm(fault, at);
        this.socket = path.join(site.dir, `${unique}.sock`);
        const program = path.join(site.cgiBin, name);
        this.run = child(
            ['spawn-fcgi', '-n', '-M', '0600', '-s', this.socket, '--', ...asOwner, ...preload(this.faults), program],
            { ...environment(site), ...settings }, 'ignore');
    }

    get pid() {
        return this.run.process.pid;
    }

    get ended() {
        return this.run.status;
    }

    // The socket is there a moment before anybody listens, and after the program has ended.
    async connect() {
        let peer;
        await until('a connection', async () => {
            peer = fs.existsSync(this.socket) && (await Peer.connect(this.socket).catch(() => undefined));
            return peer || this.ended;
        });
        return peer;
    }

    // The answer, and all that the program did for it: it closes the connection last. One that could
    // not connect, or got nothing, is { status: 0, complete: false }.
    async ask({ method, uri, body = '', params }) {
        const data = Buffer.from(body);
        const peer = await this.connect();
        if (!peer) return { status: 0, complete: false };
        peer.send(Buffer.concat([head(variables(method, uri, data, params)), stream(TYPE.STDIN, 1, data)]));
        try {
            await within(`the answer to ${method} ${uri}`, peer.ended, ANSWER_MS);
            return peer.parse();
        } finally {
            peer.destroy();
        }
    }

    // How it ended: in order, if it still runs.
    async stop() {
        this.faults.disarm();
        if (!this.ended) this.run.process.kill('SIGTERM');
        return within('the end of the program', this.run.exited, ANSWER_MS);
    }

    // Whatever has happened, nothing of it is left.
    async kill() {
        if (!this.ended) this.run.process.kill('SIGKILL');
        await this.run.exited;
        this.faults.close();
        fs.rmSync(this.socket, { force: true });
    }
}

// Runs the program to its end. For CGI: request is what ask() takes.
export async function runOnce(site, program, { args = [], request, faults, settings }) {
    const env = { ...environment(site), ...settings };
    const body = Buffer.from(request?.body ?? '');
    if (request)
        Object.assign(env, Object.fromEntries(variables(request.method, request.uri, body, request.params)));
    const run = child([...asOwner, ...preload(faults), program, ...args], env, 'pipe');
    run.process.stdin.on('error', () => {}); // it may end without reading
    run.process.stdin.end(body);
    try {
        await within(`the end of ${program}`, run.exited, ANSWER_MS);
    } catch (error) {
        run.process.kill('SIGKILL');
        throw error;
    }
    return { ...run.status, stdout: Buffer.concat(run.stdout), stderr: run.stderr };
}
