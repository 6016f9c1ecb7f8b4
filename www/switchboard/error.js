// The one shape of errors, and how long to wait before trying again.

/**
 * What went wrong, from the server (docs/API.md has its codes) or on the way to it. Codes of the
 * browser's side: `network` (no answer), `timeout`, `bad_answer` (not an answer of Switchboard's),
 * `interrupted` (a stream ended early), `token_failed` (getToken() did), `microphone_denied`,
 * `microphone_missing`, `unsupported`, `connection_failed` (WebRTC).
 */
export class SwitchboardError extends Error {
    /**
     * @param {{code: string, message: string, fields?: {field: string, code: string, message: string}[],
     *          traceId?: string|null, status?: number, retryAfter?: number|null, cause?: unknown}} what
     */
    constructor({ code, message, fields = [], traceId = null, status = 0, retryAfter = null, cause }) {
        super(message, { cause });
        this.name = 'SwitchboardError';
        this.code = code;
        /** What is wrong with which field of the request; with `validation_failed` only. */
        this.fields = fields;
        /** Names the request in the server's log; null where there was no answer. */
        this.traceId = traceId;
        /** The HTTP status; 0 where there was no answer. */
        this.status = status;
        /** Seconds to wait before trying again, where the server said so; else null. */
        this.retryAfter = retryAfter;
    }

    /**
     * Of an answer that is no success.
     * @param {Response} response whose body has not been read
     * @param {() => number} [now]
     */
    static async from(response, now = Date.now) {
        const body = await response.json().catch(() => null);
        const known = typeof body?.error?.code === 'string';
        return new SwitchboardError({
            code: known ? body.error.code : 'bad_answer',
            message: known ? String(body.error.message) : `The server answered ${response.status}.`,
            fields: body?.error?.fields,
            traceId: body?.traceId ?? response.headers.get('X-Trace-Id'),
            status: response.status,
            retryAfter: retryAfterSeconds(response.headers.get('Retry-After'), now),
        });
    }
}

const PASSING = new Set([0, 429, 502, 503, 504]);

/**
 * Whether trying again later may help: no answer, too many requests, something behind is down.
 * @param {unknown} error
 * @returns {error is SwitchboardError}
 */
export function mayPass(error) {
    return error instanceof SwitchboardError && PASSING.has(error.status);
}

const WAIT_MAX_MS = 30000;

/**
 * Whether it may help before long: nobody is kept waiting for an hour in which the server refuses.
 * @param {unknown} error
 * @returns {error is SwitchboardError}
 */
export function mayPassSoon(error) {
    return mayPass(error) && (error.retryAfter ?? 0) * 1000 <= WAIT_MAX_MS;
}

/**
 * Seconds that a Retry-After header (RFC 9110, 10.2.3) asks for; null where there is none.
 * @param {string|null} header
 * @param {() => number} [now]
 */
export function retryAfterSeconds(header, now = Date.now) {
    if (header === null || header.trim() === '') return null;
    if (/^\s*\d+\s*$/.test(header)) return Number(header);
    const at = Date.parse(header);
    return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - now()) / 1000));
}

/**
 * Milliseconds to wait before the next try: doubling up to a cap, half of it by chance, so that
 * clients that failed together do not come back together. What the server asked for is the least.
 * @param {number} attempt 0 after the first failure
 * @param {{baseMs?: number, capMs?: number, retryAfter?: number|null, random?: () => number}} [options]
 */
export function backoffMs(attempt, { baseMs = 500, capMs = WAIT_MAX_MS, retryAfter = null, random = Math.random } = {}) {
    const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
    const wait = ceiling / 2 + (random() * ceiling) / 2;
    return retryAfter === null ? wait : Math.max(wait, retryAfter * 1000 + random() * baseMs);
}

const TIMER_MAX_MS = 2 ** 31 - 1; // a longer timer is due at once

/**
 * As setTimeout(), for any length.
 * @param {() => void} run
 * @param {number} ms
 */
export const after = (run, ms) => setTimeout(run, Math.min(ms, TIMER_MAX_MS));

/**
 * Does work with a signal of its own, which follows `signal` until work has ended: one that lives as
 * long as the page gathers no listeners. Rejects as soon as that signal aborts, whatever work does.
 * @template T
 * @param {{signal?: AbortSignal, ms?: number, late?: unknown}} limits after ms it ends with `late`
 * @param {(signal: AbortSignal) => T|Promise<T>} work
 * @returns {Promise<T>}
 */
export async function within({ signal, ms, late }, work) {
    signal?.throwIfAborted();
    const own = new AbortController();
    const follow = () => own.abort(signal?.reason);
    signal?.addEventListener('abort', follow);
    const timer = ms === undefined ? undefined : after(() => own.abort(late), ms);
    try {
        return await new Promise((resolve, reject) => {
            own.signal.addEventListener('abort', () => reject(own.signal.reason));
            (async () => work(own.signal))().then(resolve, reject);
        });
    } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', follow);
    }
}

/**
 * @param {number} ms
 * @param {AbortSignal} [signal] rejects at once with its reason
 * @returns {Promise<void>}
 */
export const pause = (ms, signal) => within({ signal }, (own) => new Promise((resolve) => {
    const timer = after(() => resolve(undefined), ms);
    own.addEventListener('abort', () => clearTimeout(timer));
}));
