// Server-sent events over fetch, which unlike EventSource can POST and send a token.
import { SwitchboardError, within } from './error.js';

const SILENCE_MS = 45000; // the server pings at least each 15 s

/**
 * @typedef {{type: string, data: string, lastEventId: string}} ServerEvent
 */

/** Parses a text/event-stream (HTML standard, 9.2.6), however it is cut into pieces. */
export class SseParser {
    #line = '';
    #skipLf = false; // the last piece ended with the CR of what may be a CRLF
    /** @type {string[]} */
    #data = [];
    #type = '';
    #id;
    #onEvent;

    /**
     * @param {(event: ServerEvent) => void} onEvent
     * @param {string} [lastEventId] of the stream that this one goes on with
     */
    constructor(onEvent, lastEventId = '') {
        this.#onEvent = onEvent;
        this.#id = lastEventId;
        /** To be sent as Last-Event-ID; '' where the server gives no ids. */
        this.lastEventId = lastEventId;
        /** Milliseconds before reconnecting, where the server said so. @type {number|null} */
        this.retryMs = null;
    }

    /**
     * Takes the next piece. An event that is not complete when the stream ends is none.
     * @param {string} text decoded, without a byte order mark
     */
    feed(text) {
        let start = this.#skipLf && text[0] === '\n' ? 1 : 0;
        if (text !== '') this.#skipLf = false;
        for (let at = start; at < text.length; at++) {
            const c = text[at];
            if (c !== '\n' && c !== '\r') continue;
            const line = this.#line + text.slice(start, at);
            this.#line = '';
            if (c === '\r') {
                if (at + 1 === text.length) this.#skipLf = true;
                else if (text[at + 1] === '\n') at++;
            }
            start = at + 1;
            this.#take(line);
        }
        this.#line += text.slice(start);
    }

    /** @param {string} line */
    #take(line) {
        if (line === '') return this.#dispatch();
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon);
        let value = colon < 0 ? '' : line.slice(colon + 1);
        if (value[0] === ' ') value = value.slice(1);
        if (field === 'data') this.#data.push(value);
        else if (field === 'event') this.#type = value;
        else if (field === 'id' && !value.includes('\0')) this.#id = value;
        else if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
    }

    #dispatch() {
        this.lastEventId = this.#id; // not before: an event cut short is to come again
        const event = { type: this.#type || 'message', data: this.#data.join('\n'), lastEventId: this.lastEventId };
        const empty = this.#data.length === 0;
        this.#data = [];
        this.#type = '';
        if (!empty) this.#onEvent(event);
    }
}

/**
 * Gives all events of an answer to parser; returns at the end of the stream. Rejects with
 * `bad_answer` where it is no stream of events, `interrupted` where it breaks or not even a ping
 * comes for 45 s, and with whatever a callback throws.
 * @param {Response} response
 * @param {SseParser} parser
 */
export async function readEvents(response, parser) {
    if (!/^text\/event-stream\b/i.test(response.headers.get('Content-Type') ?? '')) {
        response.body?.cancel().catch(() => {});
        throw new SwitchboardError({ code: 'bad_answer', message: 'The server answered without a stream of events.',
                                     traceId: response.headers.get('X-Trace-Id'), status: response.status });
    }
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder(); // drops a byte order mark
    try {
        for (;;) {
            const { done, value } = await within({ ms: SILENCE_MS, late: new Error('Nothing came any more.') },
                                                 () => reader.read()).catch((cause) => {
                throw new SwitchboardError({ code: 'interrupted', message: 'The connection broke.', cause });
            });
            if (done) return;
            parser.feed(decoder.decode(value, { stream: true }));
        }
    } finally {
        // Where a callback threw: the server shall not go on for nobody.
        reader.cancel().catch(() => {});
    }
}
