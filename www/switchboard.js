// The browser's side of Switchboard's API: tokens, errors, events, voice turns, realtime sessions.
// ES modules without dependencies; docs/CLIENT.md shows how it is used.
import { SwitchboardError, after, backoffMs, mayPass, mayPassSoon, pause, within } from './switchboard/error.js';
import { RealtimeSession } from './switchboard/realtime.js';
import { SseParser, readEvents } from './switchboard/sse.js';
import { TokenKeeper, isFresh } from './switchboard/token.js';
import { voiceTurn } from './switchboard/voice.js';

export { SwitchboardError, backoffMs, retryAfterSeconds } from './switchboard/error.js';
export { RealtimeSession } from './switchboard/realtime.js';
export { SseParser } from './switchboard/sse.js';
export { Player, Recorder, newSessionId, pickMimeType } from './switchboard/voice.js';

/**
 * @typedef {object} SwitchboardOptions
 * @property {string} [baseUrl] where the API is, such as https://api.example.com; the page's own
 *           origin if left out
 * @property {() => string|null|Promise<string|null>} [getToken] gives the user's token, a new one
 *           each time; null, or no getToken: a visitor's token, where the site takes visitors
 * @property {Storage|null} [storage] keeps a visitor's token while pages are left and reloaded;
 *           sessionStorage if left out, null: nothing does
 * @property {typeof fetch} [fetch] for tests
 * @property {() => number} [now] for tests
 * @property {(ms: number, signal?: AbortSignal) => Promise<void>} [pause] for tests
 */

/**
 * @typedef {object} RequestOptions
 * @property {string} [method] POST where there is a body, else GET
 * @property {BodyInit|object} [body] a plain object is sent as JSON
 * @property {Record<string, string>} [headers]
 * @property {string} [accept]
 * @property {AbortSignal} [signal] rejects with its reason
 * @property {number} [timeoutMs] of a try: for the token, and until the head of the answer, 30,000
 * @property {number} [retries] tries after a failure that may pass soon (network, timeout, 429, 502, 503,
 *           504, with no Retry-After over 30 s): 2 for GET and with an Idempotency-Key, else 0
 * @property {boolean} [anonymous] without a token
 */

function sessionStore() {
    try {
        return globalThis.sessionStorage ?? null;
    } catch { // the user's settings forbid it
        return null;
    }
}

const TIMEOUT_MS = 30000;

/** @param {unknown} body */
const isPlain = (body) => Object.getPrototypeOf(Object(body)) === Object.prototype;

/** @param {Record<string, string>} [headers] */
const isIdempotent = (headers = {}) =>
    Object.keys(headers).some((name) => name.toLowerCase() === 'idempotency-key');

const timedOut = () => new SwitchboardError({ code: 'timeout', message: 'The server did not answer in time.' });

export class Switchboard {
    #baseUrl;
    #fetch;
    #now;
    #pause;
    #storage;
    /** The visitor's token that was given out last. @type {string|null} */
    #visitor = null;
    #tokens;

    /** @param {SwitchboardOptions} [options] */
    constructor({ baseUrl = '', getToken, storage = sessionStore(), fetch = globalThis.fetch.bind(globalThis),
                  now = Date.now, pause: wait = pause } = {}) {
        this.#storage = storage;
        this.#baseUrl = baseUrl.replace(/\/+$/, '');
        this.#fetch = fetch;
        this.#now = now;
        this.#pause = wait;
        this.#tokens = new TokenKeeper(async () => await this.#userToken(getToken) ?? this.#visitorToken(), now);
    }

    /** @param {SwitchboardOptions['getToken']} getToken */
    async #userToken(getToken) {
        try {
            return await getToken?.();
        } catch (cause) {
            throw new SwitchboardError({ code: 'token_failed', message: 'The token of the user could not be had.', cause });
        }
    }

    async #visitorToken() {
        const key = `switchboard-visitor ${this.#baseUrl}`;
        const kept = this.#storage?.getItem(key) ?? null;
        // One that was given out here before was refused, or is over.
        if (kept !== null && kept !== this.#visitor && isFresh(kept, this.#now())) return this.#visitor = kept;
        const { token } = await this.json('/api/visitor', { method: 'POST', anonymous: true });
        this.#keep(key, token);
        return this.#visitor = token;
    }

    /** @param {string} key @param {string} token */
    #keep(key, token) {
        try {
            this.#storage?.setItem(key, token);
        } catch { // it is full: the token is good for this page
        }
    }

    /**
     * Sends a request with a token, renewed once on a 401. Rejects with a SwitchboardError unless
     * the answer is a success (2xx), or with the signal's reason.
     * @param {string} path such as /api/threads
     * @param {RequestOptions} [options]
     * @returns {Promise<Response>}
     */
    async request(path, options = {}) {
        const method = options.method ?? (options.body === undefined ? 'GET' : 'POST');
        const retries = options.retries ?? (method === 'GET' || isIdempotent(options.headers) ? 2 : 0);
        for (let attempt = 0; ; attempt++) {
            try {
                return await this.#authorized(path, { ...options, method });
            } catch (error) {
                if (!mayPassSoon(error) || attempt >= retries) throw error;
                await this.#pause(backoffMs(attempt, { retryAfter: error.retryAfter }), options.signal);
            }
        }
    }

    /**
     * As request(); the parsed body of the answer.
     * @param {string} path
     * @param {RequestOptions} [options]
     * @returns {Promise<any>}
     */
    json(path, options = {}) {
        return within({ signal: options.signal }, async (signal) => {
            const response = await this.request(path, { ...options, signal });
            try {
                return await response.json();
            } catch (cause) {
                throw new SwitchboardError({ code: 'bad_answer', message: 'The server answered without valid JSON.',
                                             traceId: response.headers.get('X-Trace-Id'),
                                             status: response.status, cause });
            }
        });
    }

    /** @param {string} path @param {RequestOptions} options */
    async #authorized(path, options) {
        if (options.anonymous) return this.#once(path, options, null);
        const token = await this.#token(options);
        try {
            return await this.#once(path, options, token);
        } catch (error) {
            if (!(error instanceof SwitchboardError) || error.status !== 401 || token === null) throw error;
            this.#tokens.refuse(token);
            return this.#once(path, options, await this.#token(options));
        }
    }

    /** @param {RequestOptions} options */
    #token({ signal, timeoutMs: ms = TIMEOUT_MS }) {
        return within({ signal, ms, late: timedOut() }, () => this.#tokens.get());
    }

    /** @param {string} path @param {RequestOptions} options @param {string|null} token */
    async #once(path, { method, body, headers = {}, accept = 'application/json', signal, timeoutMs = TIMEOUT_MS }, token) {
        signal?.throwIfAborted();
        const abort = new AbortController();
        const forward = () => abort.abort(signal?.reason);
        signal?.addEventListener('abort', forward, { once: true });
        const timer = after(() => abort.abort(timedOut()), timeoutMs);
        try {
            const json = body !== undefined && isPlain(body);
            const response = await this.#fetch(this.#baseUrl + path, {
                method,
                body: json ? JSON.stringify(body) : /** @type {BodyInit|undefined} */ (body),
                headers: { Accept: accept, ...(json && { 'Content-Type': 'application/json' }),
                           ...(token !== null && { Authorization: `Bearer ${token}` }), ...headers },
                credentials: 'omit',
                signal: abort.signal,
            });
            if (!response.ok) throw await SwitchboardError.from(response, this.#now);
            return response; // a later abort of signal still ends its body
        } catch (cause) {
            signal?.removeEventListener('abort', forward);
            if (abort.signal.aborted) throw abort.signal.reason;
            if (cause instanceof SwitchboardError) throw cause;
            throw new SwitchboardError({ code: 'network', message: 'The server cannot be reached.', cause });
        } finally {
            clearTimeout(timer);
        }
    }

    /**
     * Listens to a stream of events, reconnecting after failures with Last-Event-ID where the
     * server gives ids. Resolves when signal aborts or the server says that there is no more (204);
     * rejects with what cannot pass (403, 404, ...).
     * @param {string} path
     * @param {{onEvent: (event: import('./switchboard/sse.js').ServerEvent) => void, onOpen?: () => void,
     *          onRetry?: (error: SwitchboardError, waitMs: number) => void, signal?: AbortSignal}} options
     */
    async events(path, { onEvent, onOpen, onRetry, signal }) {
        let failures = 0;
        /** @param {import('./switchboard/sse.js').ServerEvent} event */
        const take = (event) => {
            failures = 0;
            if (!signal?.aborted) onEvent(event); // of a piece, others may follow the one that ended it
        };
        let [lastEventId, retryMs] = ['', 0];
        while (!signal?.aborted) {
            const parser = new SseParser(take, lastEventId);
            let failure = new SwitchboardError({ code: 'interrupted', message: 'The stream ended.' });
            try {
                const more = await within({ signal }, (own) => this.#listen(path, parser, own, onOpen));
                if (!more) return;
            } catch (error) {
                if (signal?.aborted) return;
                if (!mayPass(error)) throw error;
                failure = error;
            }
            if (signal?.aborted) return;
            lastEventId = parser.lastEventId;
            retryMs = parser.retryMs ?? retryMs;
            const wait = Math.max(retryMs, backoffMs(failures++, { retryAfter: failure.retryAfter }));
            onRetry?.(failure, wait);
            await this.#pause(wait, signal).catch(() => {});
        }
    }

    /**
     * One connection of events(); whether there may be another.
     * @param {string} path
     * @param {SseParser} parser
     * @param {AbortSignal} signal
     * @param {() => void} [onOpen]
     */
    async #listen(path, parser, signal, onOpen) {
        /** @type {Record<string, string>} */
        const headers = parser.lastEventId === '' ? {} : { 'Last-Event-ID': parser.lastEventId };
        const response = await this.request(path, { headers, accept: 'text/event-stream', signal, retries: 0 });
        if (response.status === 204) return false;
        onOpen?.();
        await readEvents(response, parser);
        return true;
    }

    /**
     * One spoken turn; see voiceTurn() of switchboard/voice.js.
     * @param {import('./switchboard/voice.js').VoiceTurn} turn
     */
    voiceTurn(turn) {
        return voiceTurn(this, turn);
    }

    /**
     * A realtime session by WebRTC, not started yet.
     * @param {import('./switchboard/realtime.js').RealtimeOptions} [options]
     */
    realtime(options) {
        return new RealtimeSession(this, options);
    }
}
