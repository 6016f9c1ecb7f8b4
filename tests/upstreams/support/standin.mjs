// What the stand-ins share: a TLS server that checks requests by routes, fails as it is told to, waits
// as it is told to, and remembers what it was asked.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError } from './errors.mjs';
import { faults } from './faults.mjs';
import { makeCertificates } from './tls.mjs';

const BODY_MAX = 64 << 20;

/** Microseconds of the monotonic clock, which all processes of a machine share. */
export const nowUs = () => Number(process.hrtime.bigint() / 1000n);

async function readBody(request) {
    const parts = [];
    let length = 0;
    for await (const part of request) {
        length += part.length;
        if (length > BODY_MAX) throw new ApiError(413, { message: 'The body is too large.' });
        parts.push(part);
    }
    return Buffer.concat(parts);
}

/** The body as JSON, whose Content-Type must say so. */
export function jsonBody({ headers, body }) {
    if (!/^application\/json(; *charset=utf-8)?$/i.test(headers['content-type'] ?? ''))
        throw new ApiError(400, { message: `Unsupported content type: ${headers['content-type']}` });
    try {
        return JSON.parse(body.toString('utf8'));
    } catch {
        throw new ApiError(400, { message: 'We could not parse the JSON body of your request.' });
    }
}

export class StandIn {
    /** prefix: of every path ("/v1"); routes: [{method, path: RegExp, name, handle}]. */
    constructor({ prefix, routes, tls = true }) {
        Object.assign(this, { prefix, routes, requests: [], faults: [], delaysMs: {}, sockets: new Set() });
        this.certificates = tls ? makeCertificates() : null;
        const serve = (request, response) => this.take(request, response);
        this.server = tls ? https.createServer(this.certificates, serve) : http.createServer(serve);
        this.server.on(tls ? 'secureConnection' : 'connection', (socket) => {
            this.sockets.add(socket);
            socket.on('close', () => this.sockets.delete(socket)).on('error', () => {});
        });
    }

    async listen(port = 0) {
        await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
        this.url = `${this.certificates ? 'https' : 'http'}://127.0.0.1:${this.server.address().port}${this.prefix}`;
        this.server.unref();
        return this;
    }

    get caFile() {
        return this.certificates?.caFile;
    }

    async close() {
        for (const socket of this.sockets) socket.destroy();
        await new Promise((resolve) => this.server.close(resolve));
        this.certificates?.remove();
    }

    /** The next `times` requests to route (by name; all without one) fail as support/faults.mjs says. */
    fail(fault, { times = Infinity, route } = {}) {
        if (!(fault in faults)) throw new Error(`there is no fault ${fault}`);
        this.faults.push({ fault, times, route });
    }

    /** Nothing fails or waits any more, and what was asked is forgotten. */
    reset() {
        this.faults = [];
        this.delaysMs = {};
        this.requests.length = 0;
    }

    /** The requests to a route since the last reset. */
    asked(route) {
        return this.requests.filter((request) => request.route === route);
    }

    fault(route, faults) {
        const found = faults.find((fault) => fault.times > 0 && (fault.route ?? route) === route);
        if (found) found.times--;
        return found?.fault;
    }

    async take(request, response) {
        response.setHeader('x-request-id', `req_${randomBytes(16).toString('hex')}`);
        response.on('error', () => {});
        try {
            const body = await readBody(request);
            if (request.url.startsWith('/stand-in/')) return this.control(request, response, body);
            await this.answer(request, response, body);
        } catch (error) {
            if (!(error instanceof ApiError)) {
                if (response.socket?.destroyed ?? true) return; // the client has gone
                console.error(error);
                error = new ApiError(500, { type: 'server_error', message: `The stand-in failed: ${error.message}` });
            }
            if (response.headersSent) return response.socket.destroy();
            response.writeHead(error.status, { 'content-type': 'application/json', ...error.headers });
            response.end(JSON.stringify(error.body));
        }
    }

    async answer(request, response, body) {
        const [path, query] = request.url.split('?');
        const known = this.routes.filter((route) => route.path.test(path.slice(this.prefix.length)));
        const route = known.find(({ method }) => method === request.method);
        if (!path.startsWith(`${this.prefix}/`) || known.length === 0)
            throw new ApiError(404, { message: `Invalid URL (${request.method} ${path})` });
        if (!route) throw new ApiError(405, { message: `Not allowed: ${request.method} ${path}` });
        const { headers, method } = request;
        const planned = this.faults; // what is planned after a reset is not for a request from before it
        const times = { receivedUs: nowUs(), sentUs: [] }; // of the whole request, and of each piece of the answer
        const call = { route: route.name, method, path, query, headers, body, response, times,
                       match: route.path.exec(path.slice(this.prefix.length)) };
        const record = { route: route.name, method, path, query, headers, body, times };
        this.requests.push(record);
        const make = await route.handle.call(this, call); // throws where the contract is broken
        record.accepted = true;
        if (call.parsed !== undefined) record.parsed = call.parsed;
        await pause(this.delaysMs[route.name] ?? 0);
        call.fault = this.fault(route.name, planned);
        if (call.fault && faults[call.fault]) return faults[call.fault](request, response);
        await make(call);
    }

    /** For who started it by hand: POST /stand-in/{fail,delays,reset} with JSON, GET /stand-in/requests. */
    control(request, response, body) {
        const action = request.url.slice('/stand-in/'.length);
        const given = body.length > 0 ? JSON.parse(body) : {};
        if (action === 'fail') this.fail(given.fault, given);
        else if (action === 'delays') this.delaysMs = given;
        else if (action === 'reset') this.reset();
        else if (action !== 'requests') throw new ApiError(404, { message: `nothing to control: ${action}` });
        const shown = this.requests.map(({ route, path, accepted, parsed, times }) => ({ route, path, accepted, parsed, times }));
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify(action === 'requests' ? shown : { ok: true }));
    }
}

/** Sends JSON as the answer. */
export const reply = (value, status = 200, headers = {}) => ({ response, times }) => {
    times.sentUs.push(nowUs());
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(value));
};

/** Sends server-sent events: [data, ...]; a text is sent as it is, anything else as JSON. pauseMs lies
 * between them. */
export const stream = (events, pauseMs = 0) => async ({ response, fault, times }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    const middle = Math.ceil(events.length / 2);
    for (const [index, event] of events.entries()) {
        if (index > 0) await pause(pauseMs);
        if (index === middle && fault === 'stream_cut') return response.socket.destroy();
        if (index === middle && fault === 'stream_error') {
            const error = { message: 'The server had an error.', type: 'server_error', param: null, code: null };
            return response.end(`data: ${JSON.stringify({ error })}\n\n`);
        }
        times.sentUs.push(nowUs());
        const data = typeof event.data === 'string' ? event.data : JSON.stringify(event.data);
        response.write(`${event.event ? `event: ${event.event}\n` : ''}data: ${data}\n\n`);
    }
    response.end();
};
