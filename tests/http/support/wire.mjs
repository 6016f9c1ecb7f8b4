// HTTP/1.1 by hand, so that tests decide about every byte: duplicate headers, odd targets, chunks.
import net from 'node:net';

const DEADLINE_MS = 20000;

/** Sends bytes to 127.0.0.1:port and gives all that comes back until the server closes. */
export function exchange(port, bytes) {
    return new Promise((resolve, reject) => {
        const parts = [];
        const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
        socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error('the server is silent')));
        socket.on('data', (part) => parts.push(part));
        socket.on('error', (error) => {
            // An answer sent before the body was read may be followed by a reset.
            if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve(Buffer.concat(parts));
            else reject(error);
        });
        socket.on('close', () => resolve(Buffer.concat(parts)));
    });
}

/** A request as bytes. headers: [[name, value], ...], sent as they are. */
export function requestBytes({ method, target, headers, body }) {
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
    return Buffer.concat([Buffer.from(head, 'latin1'), body ?? Buffer.alloc(0)]);
}

/** Body in the chunked transfer coding, size bytes a chunk. */
export function chunked(body, size) {
    const parts = [];
    for (let at = 0; at < body.length; at += size) {
        const part = body.subarray(at, at + size);
        parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
    }
    return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

function unchunk(bytes) {
    const parts = [];
    for (let at = 0; ;) {
        const end = bytes.indexOf('\r\n', at);
        const size = parseInt(bytes.toString('latin1', at, end), 16);
        if (end < 0 || Number.isNaN(size)) throw new Error('a chunk is broken');
        if (size === 0) return Buffer.concat(parts);
        parts.push(bytes.subarray(end + 2, end + 2 + size));
        at = end + 2 + size + 2;
    }
}

/** {status, headers: Map of lower-case name -> [values], header(name), text, json()}. */
export function parseResponse(bytes, method) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) throw new Error(`no response head: ${JSON.stringify(bytes.toString('latin1'))}`);
    const [statusLine, ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1]);
    const headers = new Map();
    for (const line of lines) {
        const colon = line.indexOf(':');
        const name = line.slice(0, colon).toLowerCase();
        headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()]);
    }
    let body = bytes.subarray(end + 4);
    if (headers.has('transfer-encoding') && method !== 'HEAD') body = unchunk(body);
    const length = headers.get('content-length')?.[0];
    if (length !== undefined && method !== 'HEAD' && body.length !== Number(length))
        throw new Error(`Content-Length says ${length}, the body has ${body.length} bytes`);
    const text = body.toString('utf8');
    return {
        status, headers, text,
        header: (name) => headers.get(name.toLowerCase())?.join(', '),
        json: () => JSON.parse(text),
    };
}
