// The load: clients that each do one thing after another, and know which answers they may get.
import { randomUUID } from 'node:crypto';

const THREADS = 20; // of each client
const ADDRESSES = 5000;
const STALL_MS = 20000;
const BURST = 6; // of an action by each client

const pick = (list) => list[Math.floor(Math.random() * list.length)];
const address = () => `198.18.${Math.floor(Math.random() * ADDRESSES / 250)}.${Math.floor(Math.random() * 250)}`;

/** What was asked and answered. */
export class Tally {
    requests = 0; // answers of ours, known by their trace id
    actions = new Map(); // name -> {count, worstMs}
    statuses = new Map();
    problems = []; // what should not have been

    action(name, ms) {
        const entry = this.actions.get(name) ?? { count: 0, worstMs: 0 };
        entry.count++;
        entry.worstMs = Math.max(entry.worstMs, ms);
        this.actions.set(name, entry);
    }

    problem(text) {
        if (this.problems.length < 20) this.problems.push(text);
        else this.problems.length = 21;
    }
}

class Client {
    constructor(server, origin, tally) {
        Object.assign(this, { server, origin, tally });
        this.user = this.person();
        this.service = server.token('crm', { role: 'service' });
        this.threads = [];
    }

    person() {
        const id = `user-${randomUUID()}`;
        return { id, token: this.server.token(id, { exp: Math.floor(Date.now() / 1000) + 86400 }) };
    }

    /** A request from some address behind a proxy, answered by one of the statuses expected. */
    async ask(expected, target, options = {}) {
        const request = { method: 'GET', ...options, target,
                          headers: [['X-Forwarded-For', address()], ...(options.headers ?? [])] };
        const stalled = setTimeout(() => this.tally.problem(`${request.method} ${target} stalls`), STALL_MS);
        try {
            const answer = await this.server.raw(this.server.bytes(request), request.method);
            this.tally.statuses.set(answer.status, (this.tally.statuses.get(answer.status) ?? 0) + 1);
            if (answer.header('x-trace-id')) this.tally.requests++;
            if (!expected.includes(answer.status))
                this.tally.problem(`${request.method} ${target}: ${answer.status} ${answer.text.slice(0, 200)}`);
            return answer;
        } finally {
            clearTimeout(stalled);
        }
    }

    post(expected, target, body, options = {}) {
        return this.ask(expected, target, { method: 'POST', body, token: this.user.token, origin: this.origin,
                                            ...options });
    }

    async prepare() {
        while (this.threads.length < THREADS) {
            const made = await this.post([201], '/api/threads',
                { members: [{ userId: this.user.id, role: 'member' }] }, { token: this.service });
            this.threads.push(made.json().thread.id);
        }
        return this;
    }
}

async function call(client) {
    const threadId = pick(client.threads);
    const { call: { id: callId } } = (await client.post([200, 201], '/api/calls/start',
        { threadId, kind: pick(['audio', 'video']) })).json();
    await client.post([200, 410], '/api/calls/join', { callId }); // in a burst it may be over already
    await client.post([200], '/api/calls/end', { callId });
    await client.post([410], '/api/calls/join', { callId });
}

async function conversation(client) {
    const token = (await client.post([201], '/api/visitor', undefined, { token: undefined })).json().token;
    const { session } = (await client.post([201], '/api/sessions', { kind: 'chat' }, { token })).json();
    const target = `/api/sessions/${session.id}`;
    for (let i = 0; i < 3; i++)
        await client.post([200, 201], `${target}/transcript`,
            { items: [{ id: `item-${i}`, role: 'user', text: 'What are your opening hours? '.repeat(10) }] }, { token });
    await client.ask([200], `${target}/transcript`, { token, origin: client.origin });
    await client.ask([200], target, { method: 'DELETE', token, origin: client.origin });
}

async function realtime(client) {
    await client.post([200], '/api/realtime/token', {});
    const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n' +
        'a=rtpmap:111 opus/48000/2\r\n';
    const { call: { id } } = (await client.post([201], '/api/realtime/calls', { sdp })).json();
    await client.post([200], `/api/realtime/calls/${id}/hangup`);
}

/** A guest's questions, of which most were asked before, and at times an enquiry. */
async function marketing(client) {
    const open = { token: undefined };
    const content = `What do you offer at number ${Math.floor(Math.random() * 500)}?`;
    await client.post([200], '/api/marketing/chat', { messages: [{ role: 'user', content }] }, open);
    await client.post([201], '/api/marketing/leads',
        { name: 'Ann', email: 'ann@example.com', message: 'Call me' }, open);
}

async function turn(client) {
    await client.post([200], '/api/voice-chat', { text: 'What are your opening hours?' });
}

async function health(client) {
    await client.ask([200, 429], '/api/health');
    await client.ask([200, 429], '/api/health/live', { method: 'HEAD' });
    await client.ask([200, 429], '/api/health/ready');
}

async function settings(client) {
    await client.ask([200], '/api/config', { origin: client.origin });
    await client.ask([200], '/api/config', { method: 'OPTIONS', origin: client.origin });
    await client.ask([410], '/api/realtime-websocket');
}

async function lists(client) {
    await client.ask([200], '/api/threads?limit=5', { token: client.user.token });
    await client.ask([200], '/api/sessions?limit=5', { token: client.user.token, origin: client.origin });
    await client.ask([200], '/api/metrics');
}

/** A mistake that a client can make; none may cost the server anything. */
const mistakes = [
    (c) => c.ask([404], `/api/${randomUUID()}`),
    (c) => c.ask([405], '/api/health', { method: 'DELETE' }),
    (c) => c.ask([403], '/api/config', { origin: 'https://evil.example' }),
    (c) => c.post([401], '/api/calls/start', { threadId: 'x' }, { token: undefined }),
    (c) => c.post([401], '/api/calls/start', { threadId: 'x' }, { token: `${c.user.token}x` }),
    (c) => c.post([401], '/api/sessions', { kind: 'chat' }, { token: 'no.token.atall' }),
    (c) => c.post([404], '/api/calls/start', { threadId: randomUUID(), kind: 'audio' }),
    (c) => c.post([404], '/api/calls/end', { callId: 'call_unknown' }),
    (c) => c.post([400], '/api/calls/start', '{"threadId":'),
    (c) => c.post([400], '/api/calls/start', { threadId: 7, kind: 'smoke', more: null }),
    (c) => c.post([400], '/api/threads', `[${'['.repeat(100)}`, { token: c.service }),
    (c) => c.post([413], '/api/calls/start', Buffer.alloc(100000, 'x')),
    (c) => c.post([415], '/api/calls/start', 'a=b', { headers: [['Content-Type', 'text/plain']] }),
    (c) => c.post([403], '/api/threads', { members: [] }),
    (c) => c.post([401], '/api/voice-chat', { text: 'hello' }, { token: undefined }),
    (c) => c.post([400], '/api/voice-chat', {}),
    (c) => c.post([400], '/api/realtime/token', { voice: '' }),
];

const actions = [
    { name: 'call', weight: 8, act: call },
    { name: 'conversation', weight: 3, act: conversation },
    { name: 'realtime', weight: 2, act: realtime },
    { name: 'marketing', weight: 2, act: marketing },
    { name: 'turn', weight: 1, act: turn },
    { name: 'health', weight: 4, act: health },
    { name: 'settings', weight: 4, act: settings },
    { name: 'lists', weight: 2, act: lists },
    { name: 'mistake', weight: 10, act: (client) => pick(mistakes)(client) },
];
const lots = actions.flatMap((action) => Array(action.weight).fill(action));

async function live(client, until) {
    while (Date.now() < until) {
        const { name, act } = pick(lots);
        const started = performance.now();
        try {
            await act(client);
        } catch (error) {
            client.tally.problem(`${name}: ${error.message}`);
        }
        client.tally.action(name, performance.now() - started);
    }
}

/** As much at once of each as there will hardly be again, so that what is opened only then is open. */
async function burst(clients) {
    for (const { act } of actions)
        await Promise.all(clients.flatMap((client) => Array.from({ length: BURST }, () => act(client)))
            .map((done) => done.catch((error) => clients[0].tally.problem(`in a burst: ${error.message}`))));
}

/** Asks server by so many clients at once until a time (ms since 1970). */
export async function load({ server, origin, clients, tally, until }) {
    const all = await Promise.all(Array.from({ length: clients }, () =>
        new Client(server, origin, tally).prepare()));
    await burst(all);
    await Promise.all(all.map((client) => live(client, until)));
}
