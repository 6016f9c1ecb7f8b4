// The caller of the voice bench: a turn through Switchboard, the same turn in sequence straight
// against the provider, and many turns at once.
import http from 'node:http';
import https from 'node:https';
import { nowUs } from '../../upstreams/support/standin.mjs';
import { recording, replyTo, sayNumber, sentences } from './said.mjs';

const TURN_MS = 60000;

/** Sends a request; {status, sentUs, pieces: [{us, data}]} of its answer. */
function send(url, { method = 'POST', headers = {}, body, agent }) {
    return new Promise((resolve, reject) => {
        const { request: start } = url.startsWith('https:') ? https : http;
        const pieces = [];
        const sentUs = nowUs();
        const request = start(url, { method, headers, agent, timeout: TURN_MS }, (response) => {
            response.on('data', (data) => pieces.push({ us: nowUs(), data }));
            response.on('end', () => resolve({ status: response.statusCode, sentUs, pieces }));
            response.on('error', reject);
        });
        request.on('timeout', () => request.destroy(new Error(`${url}: nothing for ${TURN_MS} ms`)));
        request.on('error', reject);
        request.end(body);
    });
}

const whole = ({ pieces }) => Buffer.concat(pieces.map(({ data }) => data)).toString('utf8');

function demand(condition, what) {
    if (!condition) throw new Error(what);
}

/** The events of a stream, each with the moment its last byte came. */
function events({ pieces }) {
    const list = [];
    let rest = '';
    for (const { us, data } of pieces) {
        const parts = (rest + data.toString('latin1')).split('\n\n');
        rest = parts.pop();
        for (const part of parts.filter((text) => text.includes('data: ')))
            list.push({ us, event: /^event: (.*)$/m.exec(part)?.[1],
                        data: JSON.parse(Buffer.from(/^data: (.*)$/m.exec(part)[1], 'latin1').toString('utf8')) });
    }
    demand(rest.trim() === '', `the stream ends in the middle: ${rest.slice(0, 200)}`);
    return list;
}

/** The bytes of the stand-in's speech: frames of 417 bytes, 26 ms each, 60 ms a character. */
const spokenBytes = (text) => 417 * Math.ceil(text.length * 60 / 26);

/** Whether a turn was answered with what belongs to its caller, whole and in order. */
function check(list, number, clauses = sentences(number)) {
    const of = (name) => list.filter(({ event }) => event === name).map(({ data }) => data);
    const said = sayNumber(number);
    demand(of('transcript')[0]?.text === said, `caller ${number}: ${JSON.stringify(list.slice(0, 2))}`);
    demand(of('delta').map(({ text }) => text).join('') === replyTo(said), `caller ${number} got another's reply`);
    demand(list.at(-1).event === 'done' && of('done').length === 1, `caller ${number}: ${JSON.stringify(list.at(-1))}`);
    const bytes = clauses.map(() => 0);
    let playing = 0;
    for (const { clause, data } of of('audio')) {
        demand(clause === playing || clause === playing + 1, `caller ${number}: clause ${clause} behind ${playing}`);
        playing = clause;
        bytes[clause] += Buffer.from(data, 'base64').length;
    }
    demand(String(bytes) === String(clauses.map(spokenBytes)), `caller ${number}: audio of ${bytes} bytes`);
}

export class Caller {
    /** base: of our server; provider: {url, key, ca} of the stand-in; tokens: of our users. */
    constructor({ base, provider, tokens }) {
        Object.assign(this, { base, provider, tokens });
        this.agent = new http.Agent({ keepAlive: true });
        this.straight = new https.Agent({ keepAlive: true, ca: provider.ca });
    }

    close() {
        this.agent.destroy();
        this.straight.destroy();
    }

    /** A turn by events: when what came, in microseconds since the request. */
    async turn(body = recording(0), { type = 'audio/wav', number = 0, checked = true } = {}) {
        const answer = await send(`${this.base}/api/voice-chat`, { agent: this.agent, body, headers: {
            Authorization: `Bearer ${this.tokens[number % this.tokens.length]}`, Accept: 'text/event-stream',
            'Content-Type': type, 'Content-Length': body.length } });
        demand(answer.status === 200, `status ${answer.status}: ${whole(answer).slice(0, 300)}`);
        const list = events(answer);
        if (checked) check(list, number);
        const audio = list.filter(({ event, data }) => event === 'audio' && data.data !== '');
        const done = list.at(-1);
        demand(audio.length > 0 && done.event === 'done', `no audio: ${JSON.stringify(done)}`);
        return { sent_us: answer.sentUs, done_us: done.us, ttfa_us: audio[0].us - answer.sentUs,
                 all_us: audio.at(-1).us - answer.sentUs, timings: done.data.timings };
    }

    /** Of the stand-in: see its control(). */
    async control(action, given) {
        const url = this.provider.url.replace('/v1', '/stand-in/') + action;
        const body = given && JSON.stringify(given);
        return JSON.parse(whole(await send(url, { method: body ? 'POST' : 'GET', agent: this.straight, body })));
    }

    /** The stand-in forgets what it was asked, and waits so. */
    async prepare(delays) {
        await this.control('reset');
        await this.control('delays', delays);
    }

    ask(path, headers, body) {
        return send(this.provider.url + path, { agent: this.straight, body, headers: {
            Authorization: `Bearer ${this.provider.key}`, 'Content-Length': Buffer.byteLength(body), ...headers } });
    }

    /** Hearing, then the whole reply, then the speech of all of it: as one writes it first. */
    async sequence(number = 0) {
        const json = { 'Content-Type': 'application/json' };
        const boundary = 'x'.repeat(30);
        const part = (head, data) => [`--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`, data, '\r\n'];
        const form = Buffer.concat([
            ...part('name="file"; filename="recording.wav"\r\nContent-Type: audio/wav', recording(number)),
            ...part('name="model"', 'gpt-transcribe'), ...part('name="response_format"', 'json'),
            `--${boundary}--\r\n`].map((data) => Buffer.from(data)));
        const heard = await this.ask('/audio/transcriptions',
                                     { 'Content-Type': `multipart/form-data; boundary=${boundary}` }, form);
        const said = JSON.parse(whole(heard)).text;
        demand(said === sayNumber(number), whole(heard));
        const thought = await this.ask('/chat/completions', json, JSON.stringify({
            model: 'gpt-6-luna', stream: true, messages: [{ role: 'user', content: said }] }));
        const reply = whole(thought).split('\n\n').map((line) => line.slice('data: '.length))
            .filter((data) => data.startsWith('{')).map((data) => JSON.parse(data).choices[0]?.delta.content ?? '').join('');
        demand(reply === replyTo(said), reply);
        const spoken = await this.ask('/audio/speech', json, JSON.stringify({
            model: 'gpt-4o-mini-tts', input: reply, voice: 'marin', response_format: 'mp3' }));
        const bytes = spoken.pieces.reduce((sum, { data }) => sum + data.length, 0);
        demand(spoken.status === 200 && bytes === spokenBytes(reply), `${bytes} bytes of speech`);
        return { sent_us: heard.sentUs, ttfa_us: spoken.pieces[0].us - heard.sentUs,
                 all_us: spoken.pieces.at(-1).us - heard.sentUs };
    }

    /** A turn as the stand-in saw it: what it took itself, from having each request to sending the piece
     * that the next stage waits for (of the model's answer the one numbered `thought`), and the gaps before,
     * between and behind, which are ours. */
    async stages({ sent_us, ttfa_us }, thought) {
        const asked = await this.control('requests');
        const first = (route) => asked.filter((request) => request.route === route).map(({ times }) => times)
            .sort((a, b) => a.receivedUs - b.receivedUs)[0];
        const spans = [['transcriptions', 0], ['chat', thought], ['speech', 0]]
            .map(([route, piece]) => [first(route).receivedUs, first(route).sentUs.at(piece)]);
        const begins = [...spans.map(([received]) => received), sent_us + ttfa_us];
        return { ideal_us: spans.reduce((sum, [from, to]) => sum + to - from, 0),
                 gaps_us: begins.map((begin, at) => begin - (at === 0 ? sent_us : spans[at - 1][1])) };
    }
}
