// A web server with Switchboard behind it, in a directory of its own, for the tests of one file.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, cpSync, linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync }
    from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { build, root, server as kind } from './context.mjs';
import { assertContract } from './contract.mjs';
import { assertLogs, logLines } from './logs.mjs';
import { eventually } from './poll.mjs';
import { freePort } from './port.mjs';
import { processesOf, stillAlive } from './processes.mjs';
import { nowS, sign } from './tokens.mjs';
import { exchange, parseResponse, requestBytes } from './wire.mjs';

const READY_MS = 30000;
const STOP_MS = 30000;

const secret = () => randomBytes(36).toString('base64');

function defaults(directory) {
    return {
        APP_ENV: 'development',
        STATE_DIR: path.join(directory, 'state'),
        RUN_DIR: path.join(directory, 'run'),
        LOG_DIR: path.join(directory, 'log'),
        JWT_SECRET: secret(),
        JITSI_JWT_SECRET: secret(),
        RECEPTIONIST_FILE: path.join(root, 'etc/receptionist.json'),
        OPENAI_API_KEY: `sk-${randomBytes(24).toString('hex')}`,
        OPENAI_BASE_URL: 'http://127.0.0.1:9/v1', // where nobody is: no test asks the real one
        // Tests of anything but limits are not to meet them.
        RATE_LIMIT_DEFAULT: 'off', RATE_LIMIT_HEALTH: 'off', RATE_LIMIT_CALLS_START: 'off',
        RATE_LIMIT_CALLS_JOIN: 'off', RATE_LIMIT_CALLS_END: 'off', RATE_LIMIT_THREADS: 'off',
        RATE_LIMIT_VISITOR: 'off', RATE_LIMIT_REALTIME_TOKEN: 'off', RATE_LIMIT_REALTIME_CALLS: 'off',
        RATE_LIMIT_REALTIME_HANGUP: 'off', RATE_LIMIT_SESSIONS: 'off', RATE_LIMIT_TRANSCRIPT: 'off',
        RATE_LIMIT_LEADS: 'off', RATE_LIMIT_INBOX: 'off',
        RATE_LIMIT_MARKETING_CHAT: 'off', CHAT_DAILY_QUOTA: '0',
    };
}

/** The programs as hard links: processes are told apart by them, and a rebuild does not disturb. */
function linkTree(from, to) {
    mkdirSync(to);
    for (const entry of readdirSync(from, { withFileTypes: true })) {
        const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
        if (entry.isDirectory()) linkTree(source, target);
        else
            try {
                linkSync(source, target);
            } catch {
                cpSync(source, target); // another file system
            }
    }
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGTERM')));

/** A directory with configuration and programs, not serving yet. env: null takes a variable out. */
export class Installation {
    constructor(env = {}) {
        this.directory = mkdtempSync(path.join(os.tmpdir(), 'sb-http-'));
        chmodSync(this.directory, 0o711); // everything runs as www-data where the suite is root's
        this.privates = new Set();
        this.statuses = new Map(); // trace id -> statuses of its answers
        this.configure({ ...defaults(this.directory), ...env });
        linkTree(path.join(build, 'cgi-bin'), path.join(this.directory, 'cgi-bin'));
        linkTree(path.join(build, 'bin'), path.join(this.directory, 'bin'));
    }

    configure(env) {
        this.env = Object.fromEntries(Object.entries({ ...this.env, ...env })
            .filter(([, value]) => value !== null));
        for (const [name, value] of Object.entries(this.env))
            if (/^(?!RATE_LIMIT_).*(SECRET|PASSWORD|TOKEN$|KEY$)/.test(name)) this.keepPrivate(value);
        this.envFile = path.join(this.directory, 'switchboard.env');
        const lines = Object.entries(this.env).map(([name, value]) => `${name}="${value}"\n`);
        writeFileSync(this.envFile, lines.join(''), { mode: 0o600 });
        chmodSync(this.envFile, 0o600);
    }

    /** text must not be found in any file of LOG_DIR when the server has ended. */
    keepPrivate(text) {
        this.privates.add(text);
        return text;
    }

    /** Runs `switchboard VERB ...`: {status, stdout, stderr}. */
    switchboard(args, input = '') {
        const clean = Object.fromEntries(['PATH', 'LANG'].map((name) => [name, process.env[name]]));
        const { status, stdout, stderr, error } = spawnSync(
            path.join(this.directory, 'bin/switchboard'), args,
            { input, encoding: 'utf8', timeout: 20000, env: { ...clean, SWITCHBOARD_ENV: this.envFile } });
        if (error && error.code !== 'EPIPE') throw error; // it may refuse without reading
        return { status, stdout, stderr };
    }

    /** The same without holding up this process, where a stand-in may have to answer. */
    async switchboardBeside(...args) {
        const clean = Object.fromEntries(['PATH', 'LANG'].map((name) => [name, process.env[name]]));
        const options = { timeout: 60000, env: { ...clean, SWITCHBOARD_ENV: this.envFile } };
        try {
            const done = await promisify(execFile)(path.join(this.directory, 'bin/switchboard'), args, options);
            return { status: 0, ...done };
        } catch ({ code: status, stdout, stderr }) {
            return { status, stdout, stderr };
        }
    }

    /** As switchboard(), which must succeed; its output. */
    run(...args) {
        const { status, stdout, stderr } = this.switchboard(args);
        assert.equal(status, 0, stderr);
        return stdout;
    }

    remove() {
        rmSync(this.directory, { recursive: true, force: true });
    }
}

/** etc: the directory of serve.sh and snippets where it is not the checkout's own. */
export class Server extends Installation {
    async start() {
        this.port = await freePort();
        if (this.ownOrigin) this.configure({ ALLOWED_ORIGINS: this.base });
        const arguments_ = [kind, this.port, this.envFile, path.join(this.directory, 'cgi-bin')];
        this.said = '';
        let ready = false;
        this.child = spawn(path.join(this.etc ?? path.join(root, 'etc'), 'serve.sh'), arguments_,
                           { stdio: ['ignore', 'pipe', 'pipe'] });
        running.add(this.child);
        this.ended = new Promise((resolve) => this.child.on('exit', (code) => {
            running.delete(this.child);
            this.child = null;
            resolve(code);
        }));
        this.child.stderr.on('data', (text) => { this.said += text; });
        this.child.stdout.on('data', (text) => {
            this.said += text;
            ready ||= this.said.includes(`ready http://127.0.0.1:${this.port}\n`);
        });
        for (const handle of [this.child, this.child.stdout, this.child.stderr]) handle.unref();
        await eventually(`${kind} serves`, () => {
            if (!this.child) throw new Error(`serve.sh ended: ${this.said}`);
            return ready;
        }, READY_MS).catch((error) => { throw new Error(`${error.message}: ${this.said}`); });
        return this;
    }

    /** Ends it as an administrator would; nothing of it may be left. */
    async stop() {
        assert.ok(this.child, `the server ended by itself: ${this.said}`);
        const alive = processesOf(this.directory);
        this.child.kill('SIGTERM');
        const code = await Promise.race([
            this.ended, eventually('the server ends', () => !this.child, STOP_MS).then(() => this.ended)]);
        assert.equal(code, 0, this.said);
        assert.deepEqual(stillAlive(alive), [], 'processes are left behind');
        assert.deepEqual(processesOf(this.directory), [], 'processes are left behind');
    }

    async restart() {
        await this.stop();
        await this.start();
    }

    get base() {
        return `http://127.0.0.1:${this.port}`;
    }

    /** Sends bytes as they are; the parsed answer, unjudged. */
    async raw(bytes, method = 'GET') {
        return parseResponse(await exchange(this.port, bytes), method);
    }

    /** A request as bytes with the headers any client sends. */
    bytes({ method = 'GET', target, headers = [], body, token, origin, accept, host }) {
        const all = [['Host', host ?? `127.0.0.1:${this.port}`], ['Connection', 'close']];
        if (token !== undefined) all.push(['Authorization', `Bearer ${token}`]);
        if (origin !== undefined) all.push(['Origin', origin]);
        if (accept !== undefined) all.push(['Accept', accept]);
        const set = (name) => headers.some(([given]) => given.toLowerCase() === name);
        const json = body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body);
        const payload = body === undefined ? undefined : Buffer.from(json ? JSON.stringify(body) : body);
        if (payload && !set('content-type')) all.push(['Content-Type', 'application/json']);
        const sized = payload || ['POST', 'PUT', 'PATCH'].includes(method);
        if (sized && !set('content-length') && !set('transfer-encoding'))
            all.push(['Content-Length', payload?.length ?? 0]);
        return requestBytes({ method, target, headers: [...all, ...headers], body: payload });
    }

    /** A request whose answer must keep the contract, whatever it says. */
    async call(target, options = {}) {
        const request = { method: 'GET', ...options, target };
        if (request.token) this.keepPrivate(request.token);
        const response = await this.raw(this.bytes(request), request.method);
        this.judge(request, response);
        return response;
    }

    judge(request, response) {
        assertContract(request, response, this.env);
        const trace = response.header('x-trace-id');
        this.statuses.set(trace, [...(this.statuses.get(trace) ?? []), response.status]);
    }

    post(target, options) {
        return this.call(target, { method: 'POST', ...options });
    }

    /** A user's token, as the identity provider would make it. */
    token(sub, claims = {}) {
        const name = this.keepPrivate(`Person ${randomUUID()}`);
        return sign(this.env.JWT_SECRET, { sub, name, iat: nowS(), exp: nowS() + 600, ...claims });
    }

    /** A new thread: {id, alice, bob, mod, eve}; alice and bob are members, mod moderates, eve is
     * a stranger. Each is {id, token}. */
    thread() {
        const suffix = randomUUID().slice(0, 8);
        const person = (name) => ({ id: `${name}-${suffix}`, token: this.token(`${name}-${suffix}`) });
        const [alice, bob, mod, eve] = ['alice', 'bob', 'mod', 'eve'].map(person);
        const id = `thread-${suffix}`;
        this.run('thread', 'add', '--id', id, '--member', `${alice.id}:member`,
                 '--member', `${bob.id}:member`, '--member', `${mod.id}:moderator`);
        return { id, alice, bob, mod, eve };
    }

    /** A new thread with a call that alice has started: the thread's members, and call. */
    async openCall() {
        const thread = this.thread();
        const started = await this.post('/api/calls/start',
            { token: thread.alice.token, body: { threadId: thread.id, kind: 'audio' } });
        assert.equal(started.status, 201);
        return { ...thread, call: started.json().call };
    }

    /** The answer of calls/join, whose secrets must not show up in a log. */
    async join(person, call) {
        const joined = await this.post('/api/calls/join', { token: person.token, body: { callId: call.id } });
        assert.equal(joined.status, 200);
        const body = joined.json();
        [body.ticket, body.jitsi.jwt, ...body.iceServers.map(({ credential }) => credential)]
            .filter((text) => text !== undefined).forEach((text) => this.keepPrivate(text));
        return body;
    }

    /** The lines of a log file so far; file is switchboard.log or audit.log. */
    lines(file = 'switchboard.log') {
        return logLines(this.env.LOG_DIR, file);
    }

    /** The first line that condition holds for, now or soon. */
    line(condition, file = 'switchboard.log') {
        return eventually(`a line in ${file}`, () => this.lines(file).find(condition));
    }
}

/** A server that serves. */
export const serve = (env) => new Server(env).start();

/** A server whose own pages may call its API. */
export const servePages = (env) => Object.assign(new Server(env), { ownOrigin: true }).start();

/** The last test of a file: what must be true of every server once its tests are done. */
export function ends(...servers) {
    test('the servers end in order and leave no process; their logs are sound and hold no secret',
         async () => {
        for (const server of servers) {
            await server.stop();
            assertLogs(server);
            server.remove();
        }
    });
}
