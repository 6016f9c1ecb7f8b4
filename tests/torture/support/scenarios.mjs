// What is asked of each endpoint while its calls fail. A scenario makes one request after another,
// each on rows of its own:
//   good   the statuses of success (of a refusal, for endpoints that only refuse)
//   again  the same when it is asked again and may have been done before
//   rows   what a success has promised to be in the database, as [table, id]
import path from 'node:path';
import { startOpenai } from '../../upstreams/openai.mjs';
import { silence } from '../../http/support/voice.mjs';
import { checkout, makeSite, token } from '../../http/robust/support/site.mjs';

const ORIGIN = 'https://app.example';
const LIMITS = ['CALLS_JOIN', 'CALLS_END', 'SESSIONS', 'TRANSCRIPT', 'THREADS', 'VISITOR', 'REALTIME_TOKEN', 'VOICE_CHAT'];

// A site with all that the scenarios need. Limits and budgets would refuse what comes this fast.
export async function makeTorturedSite() {
    const openai = await startOpenai({ tls: false });
    return makeSite({
        ALLOWED_ORIGINS: ORIGIN,
        ENABLE_VISITORS: 'true',
        RECEPTIONIST_FILE: path.join(checkout, 'etc/receptionist.json'),
        OPENAI_API_KEY: openai.key,
        OPENAI_BASE_URL: openai.url,
        BUDGET_USER_TURNS: '0', BUDGET_USER_SECONDS: '0',
        ...Object.fromEntries(LIMITS.map((name) => [`RATE_LIMIT_${name}`, 'off'])),
    });
}

const USER = 'user1';
const ROWS = 4000;

function post(uri, body, params = {}) {
    return {
        method: 'POST', uri, body: JSON.stringify(body),
        params: { HTTP_AUTHORIZATION: `Bearer ${token(USER)}`, HTTP_ORIGIN: undefined, ...params },
    };
}

function get(uri, good, text) {
    return { method: 'GET', uri, good: [good], again: [good], text };
}

// As many open calls, each in a thread of its own.
function seedCalls(site, prefix, count) {
    const now = Date.now();
    site.seedThreads(USER, prefix, count);
    site.sql(`INSERT INTO calls (id, thread_id, slot, kind, room, started_by, started_at)
        SELECT 'call_' || id, id, '', 'audio', 'room_' || id, '${USER}', ${now} FROM threads
        WHERE id GLOB '${prefix}[0-9]*'`);
}

function seedConversation(site, id) {
    const now = Date.now();
    site.sql(`INSERT INTO sessions (owner, id, kind, created_at, updated_at)
        VALUES ('user:${USER}', '${id}', 'voice', ${now}, ${now})`);
}

function numbered(make) {
    let next = 0;
    return () => {
        if (next === ROWS) throw new Error(`more than ${ROWS} rows are needed`);
        return make(next++);
    };
}

const start = (site, prefix, params) => {
    site.seedThreads(USER, prefix, ROWS);
    return numbered((i) => ({
        ...post('/api/calls/start', { threadId: `${prefix}${i}`, kind: 'audio' }, params(i)),
        good: [201],
        again: [200, 201],
        rows: (json) => [['calls', json.call.id]],
    }));
};

// What is asked of an endpoint: make() gives what makes its requests. stores: it uses the database;
// replays: asked again, a success is the same one; cached: an answer is kept for a second; warm: only
// asked of a process that runs, whose start is that of another scenario.
export const SCENARIOS = {
    'calls/start': { endpoint: 'calls/start', stores: true, make: (site) => start(site, 'plain', () => ({})) },
    'calls/start with Idempotency-Key': {
        endpoint: 'calls/start',
        stores: true,
        make: (site) => start(site, 'keyed', (i) => ({ HTTP_IDEMPOTENCY_KEY: `key-${i}` })),
        replays: true,
        warm: true,
    },
    'calls/join': {
        endpoint: 'calls/join',
        stores: true,
        make: (site) => {
            seedCalls(site, 'join', ROWS);
            return numbered((i) => ({
                ...post('/api/calls/join', { callId: `call_join${i}` }),
                good: [200], again: [200],
                rows: (json) => [['participants', json.participant.id]],
            }));
        },
    },
    'calls/end': {
        endpoint: 'calls/end',
        stores: true,
        make: (site) => {
            seedCalls(site, 'end', ROWS);
            return numbered((i) => ({
                ...post('/api/calls/end', { callId: `call_end${i}` }),
                good: [200], again: [200],
                rows: () => [['ended', `call_end${i}`]],
            }));
        },
    },
    sessions: {
        endpoint: 'sessions',
        stores: true,
        // Of one owner the thousand touched last are kept.
        make: () => numbered((i) => ({
            ...post('/api/sessions', { kind: 'voice', id: `talk${i}` },
                { HTTP_AUTHORIZATION: `Bearer ${token(`talker${Math.floor(i / 900)}`)}` }),
            good: [201], again: [200, 201],
            rows: () => [['sessions', `talk${i}`]],
        })),
    },
    transcript: {
        endpoint: 'sessions',
        stores: true,
        warm: true,
        make: (site) => {
            seedConversation(site, 'minutes');
            return numbered((i) => ({
                ...post('/api/sessions/minutes/transcript',
                    { items: [{ id: `item${i}`, role: 'user', text: 'Hello?', previousItemId: `item${i - 1}` }] }),
                good: [200], again: [200],
                rows: () => [['items', `item${i}`]],
            }));
        },
    },
    threads: {
        endpoint: 'threads',
        stores: true,
        make: (site) => {
            site.seedThreads('lister', 'listed', 30);
            const params = { HTTP_AUTHORIZATION: `Bearer ${token('lister')}` };
            return () => ({ ...get('/api/threads?limit=20', 200), params });
        },
    },
    visitor: {
        endpoint: 'visitor',
        make: () => () => ({
            method: 'POST', uri: '/api/visitor', params: { HTTP_ORIGIN: ORIGIN }, good: [201], again: [201],
        }),
    },
    'realtime/token': {
        endpoint: 'realtime/token',
        stores: true,
        make: () => () => ({
            ...post('/api/realtime/token', { voice: 'marin' }, { HTTP_ORIGIN: ORIGIN }),
            good: [200], again: [200],
        }),
    },
    'voice-chat': {
        endpoint: 'voice-chat',
        stores: true,
        make: () => {
            const body = silence(1, 'webm');
            const type = { CONTENT_TYPE: 'audio/webm', HTTP_ORIGIN: ORIGIN };
            return () => ({ ...post('/api/voice-chat', {}, type), body, good: [422], again: [422], text: /no_speech/ });
        },
    },
    config: { endpoint: 'config', make: () => () => get('/api/config', 200) },
    metrics: {
        endpoint: 'metrics',
        make: () => () => get('/api/metrics', 200, /switchboard_http_requests_total[^]*switchboard_metrics_dropped_total \d+\n$/),
    },
    health: { endpoint: 'health', make: () => () => get('/api/health', 200) },
    live: { endpoint: 'health', warm: true, make: () => () => get('/api/health/live', 200) },
    ready: { endpoint: 'health', stores: true, make: () => () => get('/api/health/ready', 200), cached: true },
    'not-found': { endpoint: 'not-found', make: () => () => get('/api/nowhere', 404) },
    'realtime-websocket': { endpoint: 'realtime-websocket', make: () => () => get('/api/realtime-websocket', 410) },
};

// What was promised and is not there.
export function lost(site, promised) {
    const there = new Set(site.sql(`
        SELECT 'calls ' || id FROM calls;
        SELECT 'ended ' || id FROM calls WHERE ended_at IS NOT NULL;
        SELECT 'participants ' || id FROM participants;
        SELECT 'sessions ' || id FROM sessions;
        SELECT 'items ' || id FROM transcript_items;`).split('\n'));
    return promised.map((row) => row.join(' ')).filter((row) => !there.has(row));
}

// What is wrong with the database as a whole: '' if nothing.
export function damage(site) {
    const text = site.sql('PRAGMA integrity_check; PRAGMA foreign_key_check;');
    return text === 'ok' ? '' : text;
}
