/* Calls in SQLite by better-sqlite3: one connection a process, statements prepared once, and the
 * durability of the others: WAL, synchronous=FULL. */
import { randomBytes } from 'node:crypto';

import Database from 'better-sqlite3';

import { Refusal } from './refusal.mjs';

const MEMBER = 'SELECT role FROM thread_members WHERE thread_id = ? AND user_id = ?';
const INSERT = `INSERT INTO calls (id, thread_id, slot, kind, room, started_by, started_at)
  VALUES (?, ?, '', ?, ?, ?, ?) ON CONFLICT (thread_id, slot) DO NOTHING`;
const EVENT = `INSERT INTO call_events (thread_id, call_id, type, user_id, at)
  VALUES (?, ?, 'started', ?, ?)`;
const OPEN = "SELECT id, kind, started_by, started_at FROM calls WHERE thread_id = ? AND slot = ''";

/* The time first, so that the trees grow at their ends. */
const makeId = (prefix, ms, bytes) =>
  prefix + ms.toString(16).padStart(12, '0') + randomBytes(bytes).toString('hex');

const view = (threadId, row) => ({ id: row.id, threadId, kind: row.kind, startedBy: row.started_by,
  startedAt: new Date(row.started_at).toISOString(), endedAt: null, durationSeconds: null,
  endReason: null });

export function openCalls(path) {
  const db = new Database(path, { fileMustExist: true, timeout: 20000 });
  for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON']) {
    db.pragma(pragma);
  }
  const user = db.prepare('SELECT disabled_at FROM users WHERE id = ?');
  const [member, insert, event, open] = [MEMBER, INSERT, EVENT, OPEN].map((sql) => db.prepare(sql));

  const start = db.transaction(({ threadId, kind }, userId) => {
    if (!member.get(threadId, userId)) throw new Refusal(404, 'not_found');
    const now = Date.now();
    const id = makeId('call_', now, 10);
    const { changes } = insert.run(id, threadId, kind, makeId('', now, 16), userId, now);
    if (changes === 0) return { call: view(threadId, open.get(threadId)), created: false };
    event.run(threadId, id, userId, now);
    const row = { id, kind, started_by: userId, started_at: now };
    return { call: view(threadId, row), created: true };
  });

  return {
    knows: (userId) => user.get(userId)?.disabled_at === null,
    start: (input, userId) => start.immediate(input, userId),
  };
}
