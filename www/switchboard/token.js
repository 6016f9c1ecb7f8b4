// The bearer token: got when first needed, shared by all requests, renewed before it expires.
import { SwitchboardError, within } from './error.js';

const EARLY_MS = 30000; // renewed so long before its end: a request takes its time
const OBTAIN_MS = 30000; // one that is never given is not waited for by all requests to come

/**
 * When a JWT expires, in milliseconds since 1970; null where that cannot be read.
 * @param {string} token
 */
export function expiryOf(token) {
    try {
        const payload = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
        const { exp } = JSON.parse(atob(payload));
        return Number.isFinite(exp) ? exp * 1000 : null;
    } catch {
        return null;
    }
}

/**
 * Whether a JWT is known to be good for a while.
 * @param {string} token
 * @param {number} nowMs
 */
export const isFresh = (token, nowMs) => (expiryOf(token) ?? 0) - EARLY_MS > nowMs;

export class TokenKeeper {
    #obtain;
    #now;
    /** @type {Promise<string|null>|null} */
    #pending = null;
    /** @type {string|null} */
    #token = null;
    #freshUntil = 0;

    /**
     * @param {() => Promise<string|null>} obtain a new token; null: there is none, and requests go
     *        without
     * @param {() => number} [now]
     */
    constructor(obtain, now = Date.now) {
        this.#obtain = obtain;
        this.#now = now;
    }

    /** @returns {Promise<string|null>} */
    get() {
        if (this.#token !== null && this.#now() < this.#freshUntil) return Promise.resolve(this.#token);
        this.#pending ??= this.#renew().finally(() => { this.#pending = null; });
        return this.#pending;
    }

    /**
     * The server refused token: the next get() obtains another, unless that has happened already.
     * @param {string} token
     */
    refuse(token) {
        if (token === this.#token) this.#token = null;
    }

    async #renew() {
        const late = new SwitchboardError({ code: 'timeout', message: 'No token was given in time.' });
        const token = await within({ ms: OBTAIN_MS, late }, () => this.#obtain());
        const expiry = (token === null ? null : expiryOf(token)) ?? Infinity;
        this.#token = token;
        // Near its end on arrival: used until then, or each request would ask for one. Over: the clocks
        // differ, and it is good until it is refused.
        this.#freshUntil = [expiry - EARLY_MS, expiry].find((end) => end > this.#now()) ?? Infinity;
        return token;
    }
}
