// A realtime session: speech both ways by WebRTC, between the browser and the realtime API.
import { SwitchboardError, after, backoffMs, mayPassSoon, pause, within } from './error.js';
import { openMicrophone } from './voice.js';

const OPEN_MS = 15000; // from the answer's SDP until the data channel is open
const API_MS = 30000; // for the API's answer
const RESTARTS_MAX = 5;

/**
 * @typedef {object} Telemetry
 * @property {'connected'|'restart'|'ended'} event
 * @property {number} restarts so far
 * @property {number} [tokenMs] until the secret was there (`via: 'token'`)
 * @property {number} [connectMs] from the start of this connection until it was open
 * @property {number} [waitMs] before the restart
 * @property {number} [sessionMs] since start()
 * @property {string} [reason] of the restart: an error's code; of the end: stopped, expired, failed
 */

/**
 * @typedef {object} RealtimeOptions
 * @property {string} [voice] one of the server's OPENAI_REALTIME_VOICES
 * @property {string} [sessionId]
 * @property {'token'|'server'} [via] `token` (as left out): /api/realtime/token, and the browser calls the API
 *           itself, whose origin the page's Content-Security-Policy must allow (connect-src). `server`:
 *           /api/realtime/calls, and no secret reaches the browser
 * @property {number} [maxRestarts] of the whole session, 5
 * @property {(stream: MediaStream) => void} [onTrack] the voice: an audio element's srcObject
 * @property {(event: any) => void} [onEvent] of the data channel, parsed
 * @property {(telemetry: Telemetry) => void} [onTelemetry]
 * @property {(error: SwitchboardError|null) => void} [onEnd] once; null unless it failed
 * @property {typeof RTCPeerConnection} [RTCPeerConnection] for tests
 * @property {() => Promise<MediaStream>} [microphone] for tests
 * @property {typeof fetch} [fetch] for tests
 * @property {(ms: number, signal?: AbortSignal) => Promise<void>} [pause] for tests
 */

/** @param {string} message @param {unknown} [cause] */
const failed = (message, cause) => new SwitchboardError({ code: 'connection_failed', message, cause });

export class RealtimeSession {
    #client;
    #options;
    /** @type {RTCPeerConnection|null} */
    #peer = null;
    /** @type {RTCDataChannel|null} */
    #channel = null;
    /** The peer while it is connected. @type {RTCPeerConnection|null} */
    #live = null;
    /** Of via: 'server'. @type {string|null} */
    #call = null;
    /** @type {MediaStream|null} */
    #stream = null;
    #abort = new AbortController();
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    #timer;
    #startedAt = 0;
    #ended = false;

    /**
     * @param {import('../switchboard.js').Switchboard} client
     * @param {RealtimeOptions} [options]
     */
    constructor(client, options = {}) {
        this.#client = client;
        this.#options = { via: 'token', maxRestarts: RESTARTS_MAX, microphone: openMicrophone,
                          RTCPeerConnection: globalThis.RTCPeerConnection,
                          fetch: globalThis.fetch.bind(globalThis), pause, ...options };
        this.restarts = 0;
    }

    /**
     * Opens the microphone and the session; rejects with a SwitchboardError, restarts included, and
     * where stop() was called meanwhile.
     */
    async start() {
        this.#startedAt = performance.now();
        try {
            if (!this.#options.RTCPeerConnection)
                throw new SwitchboardError({ code: 'unsupported', message: 'This browser has no WebRTC.' });
            const stream = this.#stream = await this.#options.microphone();
            if (this.#ended) {
                this.#close();
                throw this.#abort.signal.reason;
            }
            await this.#open(stream);
        } catch (error) {
            this.#end('failed', error);
            throw error;
        }
    }

    /**
     * Sends an event to the API; false where the session is not open at the moment.
     * @param {object} event
     */
    send(event) {
        if (this.#channel?.readyState !== 'open') return false;
        this.#channel.send(JSON.stringify(event));
        return true;
    }

    /** Hangs up. */
    stop() {
        this.#end('stopped', null);
    }

    /** @param {Telemetry['event']} event @param {Partial<Telemetry>} details */
    #tell(event, details) {
        this.#options.onTelemetry?.({ event, restarts: this.restarts, ...details });
    }

    /** @param {string} reason @param {any} error */
    #end(reason, error) {
        if (this.#ended) return;
        this.#ended = true;
        this.#abort.abort(failed('The session was ended.'));
        clearTimeout(this.#timer);
        this.#close();
        this.#tell('ended', { reason, sessionMs: performance.now() - this.#startedAt });
        this.#options.onEnd?.(error);
    }

    #close() {
        if (this.#ended) this.#stream?.getTracks().forEach((track) => track.stop());
        const [peer, call] = [this.#peer, this.#call];
        this.#peer = this.#channel = this.#call = null;
        peer?.close();
        // What fails here is hung up by the server itself when the call expires.
        if (call) this.#client.request(`/api/realtime/calls/${call}/hangup`, { method: 'POST' }).catch(() => {});
    }

    /**
     * Connects; after a failure that may pass again, with waits, as often as is allowed.
     * @param {MediaStream} stream
     */
    async #open(stream) {
        for (;;) {
            try {
                return await this.#connect(stream);
            } catch (cause) {
                this.#close();
                const error = cause instanceof SwitchboardError ? cause : failed('The connection could not be made.', cause);
                if (this.#ended || !mayPassSoon(error) || this.restarts >= this.#options.maxRestarts) throw error;
                await this.#wait(error);
            }
        }
    }

    /** @param {SwitchboardError} error */
    async #wait(error) {
        const waitMs = backoffMs(this.restarts, { retryAfter: error.retryAfter });
        this.restarts++;
        this.#tell('restart', { reason: error.code, waitMs });
        await this.#options.pause(waitMs, this.#abort.signal);
    }

    /** @param {MediaStream} stream */
    async #connect(stream) {
        const began = performance.now();
        /** @type {{tokenMs?: number}} */
        const timings = {};
        const peer = this.#peer = new this.#options.RTCPeerConnection();
        const channel = this.#channel = peer.createDataChannel('oai-events');
        stream.getTracks().forEach((track) => peer.addTrack(track, stream));
        peer.ontrack = ({ streams }) => this.#options.onTrack?.(streams[0]);
        channel.onmessage = ({ data }) => this.#options.onEvent?.(JSON.parse(data));
        /** @type {Promise<void>} */
        const opened = new Promise((resolve, reject) => {
            channel.onopen = () => resolve();
            const lose = () => {
                reject(failed('The connection could not be made.'));
                if (peer === this.#peer) this.#lost(peer, stream);
            };
            channel.onclose = lose;
            peer.onconnectionstatechange = () => { if (peer.connectionState === 'failed') lose(); };
        });
        opened.catch(() => {});
        const offer = await peer.createOffer();
        await peer.setLocalDescription(offer);
        const { sdp, maxSessionSeconds } = await this.#exchange(peer.localDescription?.sdp ?? offer.sdp ?? '', timings);
        if (this.#ended) throw this.#abort.signal.reason;
        await peer.setRemoteDescription({ type: 'answer', sdp }).catch((cause) => {
            throw failed('The answer could not be used.', cause);
        });
        const late = failed('The connection took too long.');
        await within({ signal: this.#abort.signal, ms: OPEN_MS, late }, () => opened);
        this.#live = peer;
        // Of the first connection: restarts do not make a session longer.
        this.#timer ??= after(() => this.#end('expired', null), maxSessionSeconds * 1000);
        this.#tell('connected', { ...timings, connectMs: performance.now() - began });
    }

    /** @param {string} offer @param {{tokenMs?: number}} timings */
    async #exchange(offer, timings) {
        const { voice, sessionId, via, fetch } = this.#options;
        const { signal } = this.#abort;
        const asked = { ...(voice !== undefined && { voice }), ...(sessionId !== undefined && { sessionId }) };
        if (via === 'server') {
            // Not ended by stop(): who opens a call is to learn its id, and hang up.
            const answer = await this.#client.json('/api/realtime/calls', { body: { ...asked, sdp: offer } });
            this.#call = answer.call.id;
            return answer;
        }
        const began = performance.now();
        const session = await this.#client.json('/api/realtime/token', { body: asked, signal });
        timings.tokenMs = performance.now() - began;
        const late = failed('The realtime API did not answer in time.');
        const sdp = await within({ signal, ms: API_MS, late }, async (own) => {
            const answer = await fetch(session.url, {
                method: 'POST', body: offer, signal: own, credentials: 'omit',
                headers: { 'Content-Type': 'application/sdp', Authorization: `Bearer ${session.client_secret}` },
            });
            if (!answer.ok) throw new SwitchboardError({ code: 'connection_failed', status: answer.status,
                message: `The realtime API answered ${answer.status}.` });
            return answer.text();
        }).catch((cause) => {
            throw cause instanceof SwitchboardError ? cause : failed('The realtime API cannot be reached.', cause);
        });
        return { sdp, maxSessionSeconds: session.maxSessionSeconds };
    }

    /**
     * An open connection broke. One that was never open fails where it is awaited.
     * @param {RTCPeerConnection} peer
     * @param {MediaStream} stream
     */
    #lost(peer, stream) {
        if (this.#ended || this.#live !== peer) return;
        this.#live = null;
        const error = failed('The connection broke.');
        this.#close();
        const again = this.restarts < this.#options.maxRestarts
            ? this.#wait(error).then(() => this.#open(stream)) : Promise.reject(error);
        again.catch((reason) => this.#end('failed', reason));
    }
}
