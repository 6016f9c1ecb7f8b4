// A web server under test, through etc/serve.sh, and the client's side of HTTP.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { freePort } from '../../support/port.mjs';
import { processesOf } from './process.mjs';
import { checkout, token } from './site.mjs';
import { until, within } from './wait.mjs';

export const server = process.env.SB_SERVER ?? 'lighttpd';
export const RELOAD = { lighttpd: 'SIGUSR1', apache: 'SIGUSR1', 'apache-proxy': 'SIGUSR1', nginx: 'SIGHUP' }[server];
// Whether the endpoints are started beside the server, and their locations generated at its start.
export const beside = server === 'nginx' || server === 'apache-proxy';

// One request on a connection of its own, so that no reused one blurs what the server does.
export function call(port, method, url, { body, headers = {}, host, timeout = 20000 } = {}) {
    return new Promise((resolve) => {
        const options = { port, host: '127.0.0.1', method, path: url, agent: false, timeout,
            headers: { ...(host ? { Host: host } : {}), ...headers } };
        if (body !== undefined) {
            options.headers['Content-Type'] = 'application/json';
            options.headers['Content-Length'] = Buffer.byteLength(body);
        }
        const request = http.request(options, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('error', (error) => resolve({ status: 0, error }));
            response.on('end', () => {
                const text = Buffer.concat(parts).toString();
                resolve({ status: response.statusCode, headers: response.headers, text,
                    get json() { return JSON.parse(text); } });
            });
        });
        request.on('timeout', () => request.destroy(new Error('timeout')));
        request.on('error', (error) => resolve({ status: 0, error }));
        request.end(body);
    });
}

export class Server {
    constructor(site, port, script = checkout) {
        this.site = site;
        this.port = port;
        this.output = '';
        this.state = path.join(site.dir, 'run', `serve-${port}`);
        this.child = spawn(path.join(script, 'etc/serve.sh'), [server, String(port), site.env, site.cgiBin], {
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        this.exited = new Promise((resolve) => this.child.once('exit', (code, signal) => resolve({ code, signal })));
        this.exited.then((status) => (this.status = status));
        for (const stream of [this.child.stdout, this.child.stderr])
            stream.on('data', (data) => (this.output += data));
    }

    async ready() {
        await until(`${server} is ready`, () => {
            if (this.status) throw new Error(`${server} did not start: ${this.output}`);
            return this.output.includes('ready http://');
        }, 30000);
        return this;
    }

    get master() {
        return Number(fs.readFileSync(path.join(this.state, 'server.pid'), 'utf8'));
    }

    get(url, options) {
        return call(this.port, 'GET', url, options);
    }

    start(thread, timeout) {
        const body = JSON.stringify({ threadId: thread, kind: 'audio' });
        return call(this.port, 'POST', '/api/calls/start', {
            body, timeout, headers: { Authorization: `Bearer ${token('user1')}` },
        });
    }

    // The processes that serve this site, the script aside.
    processes() {
        return processesOf(this.site.dir).filter((pid) => pid !== this.child.pid);
    }

    async stop() {
        if (!this.status) this.child.kill('SIGINT');
        return within(`the end of ${server}`, this.exited, 30000);
    }
}

export async function startServer(site, script, port) {
    return new Server(site, port ?? (await freePort()), script).ready();
}

// Keeps width requests under way until it is told to stop, which gives all results.
export function load(width, one) {
    let over = false;
    const results = [];
    const lane = async () => {
        while (!over) results.push(await one(results.length));
    };
    const lanes = Array.from({ length: width }, lane);
    return {
        results,
        async stop() {
            over = true;
            await Promise.all(lanes);
            return results;
        },
    };
}
