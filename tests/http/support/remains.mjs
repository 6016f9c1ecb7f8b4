// What a turn or a call that failed must not leave behind.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { eventually } from './poll.mjs';
import { programsOf } from './processes.mjs';
import { leftovers } from './voice.mjs';

/** What a statement gives on the server's database. */
export const sql = ({ env }, text) => execFileSync('sqlite3',
    ['-cmd', '.timeout 5000', path.join(env.STATE_DIR, 'switchboard.db'), text], { encoding: 'utf8' }).trim();

/** What owner has set aside, and what it has spent: "turns|seconds", '' for nothing. */
export const reserved = (server, owner) =>
    sql(server, `SELECT turns || '|' || seconds FROM reservations WHERE owner = '${owner}'`);
export const spent = (server, owner) =>
    sql(server, `SELECT turns || '|' || seconds FROM usage WHERE owner = '${owner}'`);

/** Conversations with a question and no answer, or with an answer twice. */
const HALF_KEPT = `SELECT s.id FROM sessions s JOIN transcript_items i ON i.session = s.key
    GROUP BY s.key HAVING sum(role = 'user') <> sum(role = 'assistant')`;

const remains = (server) => ({ reservations: sql(server, 'SELECT owner FROM reservations'),
                               halfKept: sql(server, HALF_KEPT), files: leftovers(server),
                               programs: programsOf(server.directory) });
const none = { reservations: '', halfKept: '', files: [], programs: [] };

/** Nothing is reserved, half kept, in temp_audio or running. */
export const assertNothingRemains = (server) => assert.deepEqual(remains(server), none);

/** The same soon, where the client has not waited for the end. */
export async function nothingRemains(server) {
    await eventually('the work ends', () => JSON.stringify(remains(server)) === JSON.stringify(none))
        .catch(() => assertNothingRemains(server));
}
