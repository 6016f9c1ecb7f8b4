// A spoken turn: the microphone, POST /api/voice-chat, and speech that plays without gaps.
import { SwitchboardError, within } from './error.js';
import { SseParser, readEvents } from './sse.js';

const TYPES = ['audio/webm;codecs=opus', 'audio/webm', 'audio/mp4', 'audio/ogg;codecs=opus'];
const RECORDING_MAX_MS = 60000;
const HEAD_MS = 120000; // the server's own time-outs come first, and say more
const MUTE_MS = 3000; // a context that has not started by then, will not without a gesture or a device
const LEAD_S = 0.02; // so long before its time a clause is handed to the audio hardware

/**
 * The first type of TYPES that this browser records (Safari: audio/mp4); '' where it knows none of
 * them, and its own default is as good as any.
 * @param {(type: string) => boolean} [isSupported]
 */
export function pickMimeType(isSupported = (type) => MediaRecorder.isTypeSupported(type)) {
    return TYPES.find(isSupported) ?? '';
}

/** @param {any} cause */
function microphoneError(cause) {
    /** @type {Record<string, [string, string]>} */
    const known = {
        NotAllowedError: ['microphone_denied', 'The use of the microphone was not allowed.'],
        SecurityError: ['microphone_denied', 'This page may not use the microphone.'],
        NotFoundError: ['microphone_missing', 'There is no microphone.'],
        NotReadableError: ['microphone_missing', 'The microphone cannot be used: another program may have it.'],
    };
    const [code, message] = known[cause?.name] ?? ['unsupported', 'This browser cannot record sound here.'];
    return new SwitchboardError({ code, message, cause });
}

/**
 * The microphone's stream. Rejects with microphone_denied, microphone_missing or unsupported: the
 * last also on pages that came by plain http from anywhere but localhost.
 * @returns {Promise<MediaStream>}
 */
export async function openMicrophone() {
    if (!globalThis.navigator?.mediaDevices?.getUserMedia) throw microphoneError(null);
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    return navigator.mediaDevices.getUserMedia({ audio }).catch((cause) => { throw microphoneError(cause); });
}

/** One recording. The microphone is let go as soon as it ends. */
export class Recorder {
    #recorder;
    /** @type {Blob[]} */
    #pieces = [];
    #timer;
    /** @type {Promise<void>} */
    #stopped;

    /** @param {MediaStream} stream @param {{maxMs?: number}} [options] */
    constructor(stream, { maxMs = RECORDING_MAX_MS } = {}) {
        const mimeType = pickMimeType();
        this.#recorder = new MediaRecorder(stream, mimeType === '' ? {} : { mimeType });
        this.#recorder.ondataavailable = ({ data }) => this.#pieces.push(data);
        this.#stopped = new Promise((resolve) => {
            this.#recorder.onstop = () => {
                clearTimeout(this.#timer);
                stream.getTracks().forEach((track) => track.stop()); // what ended may have been the recorder
                resolve();
            };
        });
        this.#recorder.start();
        this.startedAt = performance.now();
        this.#timer = setTimeout(() => this.stop(), maxMs);
    }

    /**
     * Asks for the microphone and records.
     * @param {{maxMs?: number}} [options] the recording ends by itself after maxMs, 60,000
     */
    static async start(options) {
        if (typeof MediaRecorder === 'undefined') throw microphoneError(null);
        const stream = await openMicrophone();
        try {
            return new Recorder(stream, options);
        } catch (cause) {
            stream.getTracks().forEach((track) => track.stop());
            throw microphoneError(cause);
        }
    }

    /**
     * Resolves when the recording has ended: by stop(), after maxMs, or because the microphone did.
     * @returns {Promise<void>}
     */
    get ended() {
        return this.#stopped;
    }

    /** Ends the recording. @returns {Promise<Blob>} */
    async stop() {
        if (this.#recorder.state !== 'inactive') this.#recorder.stop();
        await this.#stopped;
        return new Blob(this.#pieces, { type: this.#recorder.mimeType });
    }
}

/** @param {string} base64 */
function bytesOf(base64) {
    const text = atob(base64);
    return Uint8Array.from(text, (c) => c.charCodeAt(0));
}

/**
 * Plays clauses of speech one after the other: each is decoded as soon as it is there in whole, and
 * starts with the sample after the last one of the clause before. Make one for the page, call
 * unlock() in a user's gesture. Events: `clause` (at and durationS, by the audio clock) when one is
 * scheduled, `idle` when there is silence again.
 */
export class Player extends EventTarget {
    /** @type {AudioContext|null} */
    #context = null;
    /** The audio so far of each clause. @type {Map<number, BlobPart[]>} */
    #pieces = new Map();
    #chain = Promise.resolve(); // decoding overlaps, scheduling is in order
    /** @type {Set<AudioBufferSourceNode>} */
    #sources = new Set();
    #next = 0; // when the clause after the last one starts, by the context's clock
    #turn = 0; // what was decoded for an earlier turn is not played

    constructor() {
        super();
        /** Clauses that have been played to the end since the page was loaded. */
        this.played = 0;
        /** Clauses that could not be decoded. */
        this.failed = 0;
    }

    /** Browsers let a page play sound only after a gesture: call this in the handler of one. */
    unlock() {
        this.#unlocked();
    }

    #unlocked() {
        const context = this.#context ??= new globalThis.AudioContext();
        // Not 'suspended' alone: iOS has 'interrupted', after a call.
        if (context.state !== 'running') context.resume().catch(() => {});
        return context;
    }

    /** Counts the calls of reset(): what belongs to an earlier turn is not to be added any more. */
    get turn() {
        return this.#turn;
    }

    /** Falls silent at once, and forgets what was still to come. */
    reset() {
        const spoke = this.speaking;
        this.#turn++;
        for (const source of this.#sources) {
            source.onended = null;
            source.stop();
        }
        this.#sources.clear();
        this.#pieces.clear();
        this.#chain = Promise.resolve();
        this.#next = 0;
        if (spoke) this.dispatchEvent(new Event('idle'));
    }

    /** Whether something is playing, or is scheduled. */
    get speaking() {
        return this.#sources.size > 0;
    }

    /**
     * Takes an `audio` event's data.
     * @param {{clause: number, data: string, last: boolean}} piece
     */
    add({ clause, data, last }) {
        const pieces = this.#pieces.get(clause) ?? [];
        this.#pieces.set(clause, pieces);
        if (data !== '') pieces.push(bytesOf(data));
        if (!last) return;
        this.#pieces.delete(clause);
        if (pieces.length === 0) return;
        const context = this.#unlocked();
        const turn = this.#turn;
        const whole = new Blob(pieces).arrayBuffer();
        const decoded = whole.then((bytes) => context.decodeAudioData(bytes));
        decoded.catch(() => {}); // it is the chain that tells
        this.#chain = this.#chain.then(() => decoded).then((buffer) => {
            if (turn === this.#turn) this.#schedule(context, buffer);
        }, () => { this.failed++; });
    }

    /** @param {AudioContext} context @param {AudioBuffer} buffer */
    #schedule(context, buffer) {
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(context.destination);
        const at = Math.max(this.#next, context.currentTime + LEAD_S);
        this.#next = at + buffer.duration;
        this.#sources.add(source);
        source.onended = () => {
            this.played++;
            this.#sources.delete(source);
            if (!this.speaking) this.dispatchEvent(new Event('idle'));
        };
        source.start(at);
        this.dispatchEvent(Object.assign(new Event('clause'), { at, durationS: buffer.duration }));
    }

    /**
     * Resolves when all that was added has been decoded and played, or reset() was called; after 3 s
     * also where the browser plays nothing: no unlock() in a gesture, no device for sound.
     */
    async finished() {
        const turn = this.#turn;
        await this.#chain;
        if (turn !== this.#turn || !this.speaking) return;
        /** @type {ReturnType<typeof setTimeout>|undefined} */
        let timer;
        await new Promise((resolve) => {
            this.addEventListener('idle', resolve, { once: true });
            timer = setTimeout(() => { if (this.#context?.state !== 'running') resolve(null); }, MUTE_MS);
        });
        clearTimeout(timer);
    }
}

/**
 * An id for a new conversation: turns and transcripts under one sessionId belong together.
 * @returns {string}
 */
export function newSessionId() {
    const random = crypto.getRandomValues(new Uint8Array(16)); // randomUUID() is not for plain http
    return `web_${Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/**
 * @typedef {object} VoiceResult what `done` says
 * @property {string} reply
 * @property {string} format the audio's media type
 * @property {string} engine who took part
 * @property {string} [sessionId] as it was given
 * @property {{sttMs?: number, llmMs?: number, ttsMs?: number, ttfaMs?: number, totalMs: number}} timings
 * @property {string} traceId
 */

/**
 * @typedef {object} VoiceTurn
 * @property {Blob} [audio] what was said; or
 * @property {string} [text] what was typed
 * @property {string} [sessionId] of the conversation: what was said before in it is known
 * @property {string} [language] ISO 639, such as en
 * @property {Player} [player] speaks the answer, until signal aborts, another turn begins or reset() is called
 * @property {AbortSignal} [signal] ends the turn at once; the promise rejects with its reason
 * @property {(text: string) => void} [onTranscript] what was understood; not for a text
 * @property {(text: string) => void} [onDelta] the answer's next words
 * @property {(piece: {clause: number, format: string, data: string, last: boolean}) => void} [onAudio]
 * @property {(result: VoiceResult) => void} [onDone]
 * @property {(error: SwitchboardError) => void} [onError]
 */

/**
 * The player's part in a turn: that of the turn before ends with it, and it ends with its own.
 * @param {Player} [player]
 */
function speaker(player) {
    player?.reset();
    const turn = player?.turn;
    return {
        /** @param {{clause: number, data: string, last: boolean}} piece */
        add: (piece) => { if (player?.turn === turn) player?.add(piece); },
        silence: () => { if (player?.turn === turn) player?.reset(); },
    };
}

/** @param {VoiceTurn} turn */
function bodyOf({ audio, text, sessionId, language }) {
    const fields = Object.fromEntries(Object.entries({ text, sessionId, language })
        .filter(([, value]) => value !== undefined));
    if (audio === undefined) return fields;
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
    form.append('audio', audio, 'recording');
    return form;
}

/**
 * Takes one turn: posts, and passes the answer's events on as they come. Resolves with what `done`
 * said once all has been received (the player may still speak); rejects with a SwitchboardError.
 * @param {{request: import('../switchboard.js').Switchboard['request']}} client
 * @param {VoiceTurn} turn
 * @returns {Promise<VoiceResult>}
 */
export async function voiceTurn(client, turn) {
    const { signal } = turn;
    const speech = speaker(turn.player);
    /** @type {VoiceResult|null} */
    let result = null;
    let status = 200;
    /** @type {Record<string, (data: any) => void>} */
    const on = {
        transcript: ({ text }) => turn.onTranscript?.(text),
        delta: ({ text }) => turn.onDelta?.(text),
        audio: (piece) => {
            speech.add(piece);
            turn.onAudio?.(piece);
        },
        done: (done) => { result = done; },
        error: ({ error, traceId }) => { throw new SwitchboardError({ ...error, traceId, status }); },
    };
    const parser = new SseParser(({ type, data }) => {
        if (!signal?.aborted) on[type]?.(JSON.parse(data));
    });
    signal?.addEventListener('abort', speech.silence, { once: true }); // also when all of it is here
    try {
        await within({ signal }, async (own) => {
            const response = await client.request('/api/voice-chat', {
                method: 'POST', body: bodyOf(turn), accept: 'text/event-stream', signal: own, timeoutMs: HEAD_MS });
            status = response.status;
            await readEvents(response, parser);
        });
        if (result === null)
            throw new SwitchboardError({ code: 'interrupted', message: 'The answer ended early.', status });
        turn.onDone?.(result);
        return result;
    } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (error instanceof SwitchboardError) turn.onError?.(error);
        throw error;
    }
}
