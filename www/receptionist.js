// The receptionist's page: hold to talk, or type, on switchboard.js.
import { Player, Recorder, Switchboard, SwitchboardError, newSessionId } from './switchboard.js';

const TAP_MS = 300; // a press that is shorter was a tap; a recording that is, holds nothing
const CLICK_MS = 1000; // a click so soon after a pointer is that pointer's

const client = new Switchboard(); // the page's own origin, as a visitor
const player = new Player();

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);
const [log, status, error, talk, talkLabel, stop, again, form, question, timings] =
    ['log', 'status', 'error', 'talk', 'talk-label', 'stop', 'again', 'ask', 'question', 'timings'].map($);

/** @type {Record<string, string>} */
const SAYS = { idle: 'Ready.', asking: 'Waiting for the microphone…', listening: 'Listening…',
               thinking: 'One moment…', speaking: 'Speaking…' };
/** @type {Record<string, string>} */
const CURES = {
    microphone_denied: 'The microphone is blocked. Allow it for this page in your browser, or type your question below.',
    microphone_missing: 'No microphone can be used. Connect one, or type your question below.',
    unsupported: 'This browser cannot record sound here. Please type your question below.',
    body_too_large: 'That was too long. Please ask a shorter question.',
    no_speech: 'I did not hear anything. Hold the button while you speak, or press it once, speak, and press again.',
    network: 'The server cannot be reached. Please check your connection, and try again.',
    timeout: 'The server did not answer in time. Please try again.',
    interrupted: 'The connection broke before the answer was complete. Please try again.',
    rate_limited: 'Too many questions at once.',
    budget_exceeded: 'No more questions can be taken for now.',
};
// Of the server's own faults users learn no more than that, and how to name it to somebody.
const FAULTS = ['upstream_error', 'upstream_timeout', 'unavailable', 'misconfigured', 'internal', 'bad_answer'];
const FAULT = 'The receptionist cannot answer at the moment. Please try again a little later.';

let sessionId = newSessionId(); // of the conversation in the log
/** Of the turn that is under way. @type {AbortController|null} */
let turn = null;
/** What is being recorded. @type {{recorder: Promise<Recorder>, since: number, latched: boolean}|null} */
let hold = null;

/** @param {string} state */
function show(state) {
    document.body.dataset.state = state;
    const tapped = hold?.latched && state === 'listening';
    status.textContent = tapped ? 'Listening. Press again to send.' : SAYS[state];
    const focused = document.activeElement === stop;
    stop.hidden = state !== 'thinking' && state !== 'speaking' && !tapped;
    if (stop.hidden && focused) talk.focus(); // not lost with the button
    talkLabel.textContent = tapped ? 'Press again to send' : state === 'listening' ? 'Let go to send' : 'Hold to talk';
}

/** @param {number|null} seconds */
function comeBack(seconds) {
    if (seconds === null) return 'Please try again later.';
    if (seconds < 100) return `Please try again in ${seconds} s.`;
    const at = new Date(Date.now() + seconds * 1000).toLocaleTimeString([], { timeStyle: 'short' });
    return `Please try again after ${at}.`;
}

/** @param {SwitchboardError} failure */
function explain(failure) {
    const reference = failure.traceId ? ` (Reference: ${failure.traceId})` : '';
    const tooLarge = failure.status === 413; // also where a proxy says so, in its own words
    const cure = CURES[tooLarge ? 'body_too_large' : failure.code];
    if (cure && failure.status === 429) return `${cure} ${comeBack(failure.retryAfter)}`;
    return cure ?? `${FAULTS.includes(failure.code) ? FAULT : failure.message}${reference}`;
}

/** @param {unknown} failure */
function fail(failure) {
    if (!(failure instanceof SwitchboardError)) console.error(failure);
    error.textContent = failure instanceof SwitchboardError ? explain(failure) : 'Something went wrong on this page.';
    show('idle');
}

function scroll() {
    log.scrollTop = log.scrollHeight;
}

/**
 * Adds an entry to the conversation; the element of its words.
 * @param {string} who @param {string} name @param {string} text
 */
function say(who, name, text) {
    const [item, label, words] = ['li', 'span', 'span'].map((tag) => document.createElement(tag));
    item.dataset.who = who;
    label.className = 'who';
    label.textContent = name;
    words.textContent = text;
    item.append(label, words);
    log.firstElementChild.append(item);
    again.hidden = false;
    scroll();
    return words;
}

/** @param {number} ms */
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

/** @param {{sttMs?: number, llmMs?: number, ttsMs?: number}} timings @param {number} [firstSoundMs] */
function showTimings({ sttMs, llmMs, ttsMs }, firstSoundMs) {
    const rows = { Hearing: sttMs, Thinking: llmMs, Speaking: ttsMs, 'First sound': firstSoundMs };
    timings.replaceChildren(...Object.entries(rows).flatMap(([name, ms]) => {
        if (ms === undefined) return [];
        const [row, term, value] = ['div', 'dt', 'dd'].map((tag) => document.createElement(tag));
        term.textContent = name;
        value.textContent = seconds(ms);
        row.append(term, value);
        return row;
    }));
    timings.hidden = false;
    scroll();
}

/** Ends the turn that is under way, if there is one, and its speech. */
function interrupt() {
    turn?.abort();
    turn = null;
    player.reset();
    log.setAttribute('aria-busy', 'false');
}

/** @param {{audio?: Blob, text?: string}} what */
async function take(what) {
    interrupt();
    const mine = turn = new AbortController();
    const askedAt = performance.now();
    /** @type {number|undefined} */
    let firstSoundMs;
    /** @type {HTMLElement|undefined} */
    let words;
    const sound = () => {
        firstSoundMs ??= performance.now() - askedAt;
        show('speaking');
    };
    error.textContent = '';
    timings.hidden = true;
    show('thinking');
    log.setAttribute('aria-busy', 'true'); // read out once it is whole, not word by word
    if (what.text !== undefined) say('you', 'You', what.text);
    player.addEventListener('clause', sound, { signal: mine.signal });
    try {
        const done = await client.voiceTurn({
            ...what, sessionId, player, signal: mine.signal,
            onTranscript: (text) => say('you', 'You', text),
            onDelta: (text) => {
                words ??= say('reception', 'Reception', '');
                words.textContent += text;
                scroll();
            },
        });
        log.setAttribute('aria-busy', 'false');
        await player.finished();
        if (turn !== mine) return;
        showTimings(done.timings, firstSoundMs);
        show('idle');
    } catch (failure) {
        if (turn !== mine) return;
        fail(failure);
        if (question.value === '') question.value = what.text ?? ''; // to be sent again
    } finally {
        if (turn === mine) interrupt();
    }
}

// --- Hold to talk, or tap and tap again -----------------------------------------------------------

async function press() {
    if (hold?.latched) return finish();
    if (hold) return;
    interrupt();
    player.unlock();
    error.textContent = '';
    const mine = hold = { recorder: Recorder.start(), since: Infinity, latched: false };
    show('asking');
    try {
        const recorder = await mine.recorder;
        if (hold !== mine) return;
        mine.since = recorder.startedAt;
        recorder.ended.then(() => { if (hold === mine) finish(); }); // it is as long as it may be
        show('listening');
    } catch (failure) {
        if (hold !== mine) return;
        hold = null;
        fail(failure);
    }
}

/** Also a press that ended before there was a microphone, as while one is asked for, was a tap. */
function release() {
    if (!hold || hold.latched) return;
    if (performance.now() - hold.since >= TAP_MS) return finish();
    hold.latched = true;
    show(document.body.dataset.state ?? 'idle');
}

async function finish({ send = true } = {}) {
    if (!hold) return;
    const mine = hold;
    hold = null;
    show('idle');
    const recorder = await mine.recorder.catch((failure) => { if (!hold) fail(failure); });
    if (!recorder) return;
    const long = performance.now() - recorder.startedAt >= TAP_MS;
    const audio = await recorder.stop();
    if (hold || !send) return;
    if (long) await take({ audio });
    else error.textContent = CURES.no_speech;
}

const discard = () => finish({ send: false });

let pointedAt = -Infinity;
talk.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0) return;
    talk.setPointerCapture(event.pointerId);
    pointedAt = event.timeStamp;
    press();
});
for (const type of ['pointerup', 'lostpointercapture']) talk.addEventListener(type, release);
talk.addEventListener('pointercancel', discard);
talk.addEventListener('contextmenu', (/** @type {Event} */ event) => event.preventDefault()); // a long touch

/** @param {KeyboardEvent} event */
const isHoldKey = ({ key }) => key === ' ' || key === 'Enter';
talk.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    if (!isHoldKey(event)) return;
    event.preventDefault();
    if (!event.repeat) press();
});
talk.addEventListener('keyup', (/** @type {KeyboardEvent} */ event) => {
    if (!isHoldKey(event)) return;
    event.preventDefault();
    release();
});
talk.addEventListener('blur', () => { if (!hold?.latched) discard(); });
document.addEventListener('visibilitychange', () => { if (document.hidden) discard(); });

// Assistive technology presses without holding, and not all of it by a pointer.
talk.addEventListener('click', (/** @type {PointerEvent} */ event) => {
    if (event.detail !== 0 || event.timeStamp - pointedAt < CLICK_MS) return;
    press();
    release();
});

// --- Everything else -----------------------------------------------------------------------------

form.addEventListener('submit', (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const text = question.value.trim();
    if (text === '') return;
    player.unlock();
    question.value = '';
    take({ text });
});

function cancel() {
    discard();
    interrupt();
    show('idle');
}
stop.addEventListener('click', cancel);
again.addEventListener('click', () => {
    cancel();
    sessionId = newSessionId();
    log.firstElementChild.replaceChildren();
    timings.hidden = true;
    error.textContent = '';
    again.hidden = true;
    status.textContent = 'A new conversation. Ready.';
    talk.focus();
});
document.addEventListener('keydown', ({ key }) => { if (key === 'Escape') cancel(); });
player.addEventListener('idle', () => { document.body.dataset.played = String(player.played); });
