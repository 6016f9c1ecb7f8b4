// The web server's side of FastCGI 1.0, record by record, so that tests can also speak it wrongly.
import net from 'node:net';
import { within } from './wait.mjs';

export const TYPE = {
    BEGIN: 1,
    ABORT: 2,
    END: 3,
    PARAMS: 4,
    STDIN: 5,
    STDOUT: 6,
    STDERR: 7,
    GET_VALUES: 9,
    GET_VALUES_RESULT: 10,
    UNKNOWN: 11,
};
export const KEEP_CONN = 1;

export function record(type, id, content = Buffer.alloc(0), { version = 1, length } = {}) {
    const body = Buffer.from(content);
    const head = Buffer.from([version, type, id >> 8, id & 255, 0, 0, 0, 0]);
    head.writeUInt16BE(length ?? body.length, 4);
    return Buffer.concat([head, body]);
}

export function begin(id = 1, flags = 0, role = 1) {
    return record(TYPE.BEGIN, id, [role >> 8, role & 255, flags, 0, 0, 0, 0, 0]);
}

function lengthOf(size) {
    if (size < 128) return Buffer.from([size]);
    const long = Buffer.alloc(4);
    long.writeUInt32BE((size | 0x80000000) >>> 0);
    return long;
}

// Pairs as [[name, value], ...], so that a name can come twice.
export function pairs(list) {
    return Buffer.concat(
        list.flatMap(([name, value]) => {
            const [n, v] = [Buffer.from(name), Buffer.from(value)];
            return [lengthOf(n.length), lengthOf(v.length), n, v];
        }),
    );
}

// A whole stream: records of at most 65,535 bytes and the empty one that ends it.
export function stream(type, id, data) {
    const parts = [];
    for (let at = 0; at < data.length; at += 65535)
        parts.push(record(type, id, data.subarray(at, at + 65535)));
    return Buffer.concat([...parts, record(type, id)]);
}

// The variables of a request; `more` adds or, with undefined, removes.
export function variables(method, uri, body, more = {}) {
    const all = {
        REQUEST_METHOD: method,
        REQUEST_URI: uri,
        REMOTE_ADDR: '192.0.2.7',
        SERVER_PROTOCOL: 'HTTP/1.1',
        ...(body.length > 0
            ? { CONTENT_LENGTH: String(body.length), CONTENT_TYPE: 'application/json' }
            : {}),
        ...more,
    };
    return Object.entries(all).filter(([, value]) => value !== undefined);
}

// Everything a server sends up to the body: BEGIN and PARAMS.
export function head(list, { id = 1, flags = 0 } = {}) {
    return Buffer.concat([begin(id, flags), stream(TYPE.PARAMS, id, pairs(list))]);
}

// One connection to an endpoint's socket.
export class Peer {
    static async connect(path, options = {}) {
        const peer = new Peer();
        peer.socket = net.connect({ path, ...options });
        peer.records = [];
        peer.rest = Buffer.alloc(0);
        peer.waiters = [];
        peer.closed = new Promise((resolve) => peer.socket.once('close', resolve));
        peer.ended = new Promise((resolve) => {
            peer.socket.once('end', resolve);
            peer.socket.once('close', resolve);
        });
        peer.socket.on('error', (error) => (peer.error = error));
        peer.socket.on('data', (data) => peer.take(data));
        await within(`connecting to ${path}`, new Promise((resolve, reject) => {
            peer.socket.once('connect', resolve);
            peer.socket.once('error', reject);
        }), 10000);
        return peer;
    }

    take(data) {
        this.rest = Buffer.concat([this.rest, data]);
        while (this.rest.length >= 8) {
            const length = this.rest.readUInt16BE(4);
            const whole = 8 + length + this.rest[6];
            if (this.rest.length < whole) break;
            this.records.push({
                type: this.rest[1],
                id: this.rest.readUInt16BE(2),
                content: this.rest.subarray(8, 8 + length),
            });
            this.rest = this.rest.subarray(whole);
        }
    }

    of(type, id) {
        return this.records.filter((one) => one.type === type && (id === undefined || one.id === id));
    }

    // Resolves when the system has taken all of data.
    send(data) {
        return new Promise((resolve) => this.socket.write(data, () => resolve()));
    }

    destroy() {
        this.socket.destroy();
    }

    // The answer as it stands.
    parse(id = 1) {
        const text = Buffer.concat(this.of(TYPE.STDOUT, id).map((one) => one.content));
        const split = text.indexOf('\r\n\r\n');
        const head = (split < 0 ? text : text.subarray(0, split)).toString();
        const status = /^Status: (\d+)/m.exec(head);
        const body = split < 0 ? Buffer.alloc(0) : text.subarray(split + 4);
        return {
            status: split < 0 ? 0 : Number(status?.[1] ?? 200),
            head,
            body,
            get json() {
                return JSON.parse(body.toString());
            },
            complete: this.of(TYPE.END, id).length === 1,
        };
    }

    // The answer once the endpoint has ended the request, or closed the connection.
    async answer(ms = 10000, id = 1) {
        const complete = new Promise((resolve) => {
            const check = () => this.of(TYPE.END, id).length > 0 && resolve();
            this.socket.on('data', check);
            check();
        });
        await within('an answer', Promise.race([complete, this.ended]), ms);
        return this.parse(id);
    }
}

// One request as a well-behaved server makes it.
export async function request(path, method, uri, { body = '', params, flags, ms } = {}) {
    const data = Buffer.from(body);
    const peer = await Peer.connect(path);
    await peer.send(
        Buffer.concat([
            head(variables(method, uri, data, params), { flags }),
            stream(TYPE.STDIN, 1, data),
        ]),
    );
    try {
        return await peer.answer(ms);
    } finally {
        peer.destroy();
    }
}
