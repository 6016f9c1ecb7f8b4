// The bearer token: got when first needed, shared by all requests, renewed before it expires.

const EARLY_MS = 30000; // renewed so long before its end: a request takes its time

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

/** Whether a JWT is known to be good for a while. */
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

    /** The server refused token: the next get() obtains another, unless that has happened already. */
    refuse(token) {
        if (token === this.#token) this.#token = null;
    }

    async #renew() {
        const token = await this.#obtain();
        const expiry = token === null ? null : expiryOf(token);
        const freshUntil = expiry === null ? Infinity : expiry - EARLY_MS;
        this.#token = token;
        // Over on arrival: the clocks differ, or it lives shorter than that. Good until it is refused.
        this.#freshUntil = freshUntil > this.#now() ? freshUntil : Infinity;
        return token;
    }
}
