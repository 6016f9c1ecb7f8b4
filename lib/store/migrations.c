#include "store/migrations.h"

#include "base/error.h"

/* Times are milliseconds since 1970 UTC. What is looked up by its key alone is stored in that key's
 * tree (WITHOUT ROWID), one tree fewer to write. */

static const char people_and_threads[] =
    "CREATE TABLE users ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  role TEXT NOT NULL CHECK (role IN ('user', 'staff', 'service')),"
    "  disabled_at INTEGER,"
    "  created_at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE threads ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  created_at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE thread_members ("
    "  thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,"
    "  user_id TEXT NOT NULL REFERENCES users (id),"
    "  role TEXT NOT NULL CHECK (role IN ('member', 'moderator')),"
    "  created_at INTEGER NOT NULL,"
    "  PRIMARY KEY (thread_id, user_id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX thread_members_by_user ON thread_members (user_id);";

/* A start writes to calls and call_events, and every page it changes is written twice, to the WAL
 * and back. So only one tree is ordered by thread, which is a page of its own for each start:
 * calls, whose key (thread, slot) also allows a thread one open call only. All others grow at their
 * end, in pages that the starts of a batch share: ids and rooms begin with the time, and events are
 * a log that is read from a seq on. */
static const char calls[] =
    "CREATE TABLE calls ("
    "  thread_id TEXT NOT NULL REFERENCES threads (id),"
    "  slot TEXT NOT NULL," /* '' while the call is open, then its id */
    "  id TEXT NOT NULL UNIQUE,"
    "  kind TEXT NOT NULL CHECK (kind IN ('audio', 'video')),"
    "  room TEXT NOT NULL UNIQUE,"
    "  started_by TEXT NOT NULL REFERENCES users (id),"
    "  started_at INTEGER NOT NULL,"
    "  ended_at INTEGER CHECK (ended_at >= started_at),"
    "  duration_s INTEGER,"
    "  end_reason TEXT,"
    "  PRIMARY KEY (thread_id, slot),"
    "  CHECK (slot = CASE WHEN ended_at IS NULL THEN '' ELSE id END),"
    "  CHECK ((ended_at IS NULL) = (duration_s IS NULL)),"
    "  CHECK ((ended_at IS NULL) = (end_reason IS NULL))"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE participants ("
    "  call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,"
    "  id TEXT NOT NULL,"
    "  user_id TEXT NOT NULL REFERENCES users (id),"
    "  moderator INTEGER NOT NULL CHECK (moderator IN (0, 1)),"
    "  joined_at INTEGER NOT NULL,"
    "  last_seen_at INTEGER NOT NULL,"
    "  left_at INTEGER,"
    "  PRIMARY KEY (call_id, id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX participants_present ON participants (call_id, user_id)"
    "  WHERE left_at IS NULL;"

    "CREATE TABLE call_events ("
    "  seq INTEGER PRIMARY KEY,"
    "  thread_id TEXT NOT NULL,"
    "  call_id TEXT NOT NULL,"
    "  type TEXT NOT NULL,"
    "  user_id TEXT NOT NULL,"
    "  at INTEGER NOT NULL"
    ") STRICT;";

static const char service[] = "CREATE TABLE idempotency ("
                              "  principal TEXT NOT NULL,"
                              "  route TEXT NOT NULL,"
                              "  key TEXT NOT NULL,"
                              "  payload_hash TEXT NOT NULL,"
                              "  status INTEGER NOT NULL,"
                              "  body TEXT NOT NULL,"
                              "  created_at INTEGER NOT NULL,"
                              "  PRIMARY KEY (principal, route, key)"
                              ") STRICT, WITHOUT ROWID;"
                              "CREATE INDEX idempotency_by_age ON idempotency (created_at);"

                              /* One row that the readiness check writes to. */
                              "CREATE TABLE probe ("
                              "  id INTEGER PRIMARY KEY CHECK (id = 1),"
                              "  at INTEGER NOT NULL"
                              ") STRICT;";

/* The calls that the SDP relay opened at the realtime API, so that each is hung up in time. */
static const char realtime_calls[] =
    "CREATE TABLE realtime_calls ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  user_id TEXT NOT NULL REFERENCES users (id),"
    "  upstream_id TEXT NOT NULL UNIQUE,"
    "  started_at INTEGER NOT NULL,"
    "  expires_at INTEGER NOT NULL,"
    "  tried_at INTEGER NOT NULL DEFAULT 0," /* last failed hang-up */
    "  ended_at INTEGER CHECK (ended_at >= started_at),"
    "  end_reason TEXT CHECK (end_reason IN ('hangup', 'expired', 'gone')),"
    "  CHECK ((ended_at IS NULL) = (end_reason IS NULL))"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX realtime_calls_open ON realtime_calls (expires_at) WHERE ended_at IS NULL;"
    "CREATE INDEX realtime_calls_ended ON realtime_calls (ended_at) WHERE ended_at IS NOT NULL;";

/* A session's id is its owner's ("user:..." or "visitor:...") alone: what others have by that id is
 * neither seen nor in the way. Items hold long texts and move within their session, so they are
 * rows in the order they came, and the indexes alone know their places. */
static const char sessions[] =
    "CREATE TABLE sessions ("
    "  key INTEGER PRIMARY KEY,"
    "  owner TEXT NOT NULL,"
    "  id TEXT NOT NULL,"
    "  kind TEXT NOT NULL CHECK (kind IN ('chat', 'voice', 'realtime')),"
    "  created_at INTEGER NOT NULL,"
    "  updated_at INTEGER NOT NULL,"
    "  UNIQUE (owner, id)"
    ") STRICT;"
    "CREATE INDEX sessions_by_age ON sessions (owner, created_at, id);"
    "CREATE INDEX sessions_by_use ON sessions (updated_at);"

    "CREATE TABLE transcript_items ("
    "  session INTEGER NOT NULL REFERENCES sessions (key) ON DELETE CASCADE,"
    "  id TEXT NOT NULL,"
    "  place INTEGER NOT NULL CHECK (place > 0),"
    "  role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),"
    "  text TEXT NOT NULL,"
    "  interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)),"
    "  created_at INTEGER NOT NULL,"
    "  UNIQUE (session, id)"
    ") STRICT;"
    "CREATE INDEX transcript_items_in_order ON transcript_items (session, place);";

/* Days are UTC, counted since 1970. */
static const char budgets[] = "CREATE TABLE usage ("
                              "  day INTEGER NOT NULL,"
                              "  owner TEXT NOT NULL,"
                              "  turns INTEGER NOT NULL CHECK (turns >= 0),"
                              "  seconds INTEGER NOT NULL CHECK (seconds >= 0),"
                              "  tokens INTEGER NOT NULL CHECK (tokens >= 0),"
                              "  PRIMARY KEY (day, owner)"
                              ") STRICT, WITHOUT ROWID;"

                              "CREATE TABLE reservations ("
                              "  id TEXT NOT NULL PRIMARY KEY,"
                              "  owner TEXT NOT NULL,"
                              "  day INTEGER NOT NULL,"
                              "  deadline INTEGER NOT NULL,"
                              "  turns INTEGER NOT NULL CHECK (turns >= 0),"
                              "  seconds INTEGER NOT NULL CHECK (seconds >= 0),"
                              "  tokens INTEGER NOT NULL CHECK (tokens >= 0)"
                              ") STRICT, WITHOUT ROWID;"
                              "CREATE INDEX reservations_live ON reservations (deadline);";

/* What visitors leave, what staff do about it, and the mail that is still to be sent of it. */
static const char leads[] =
    "CREATE TABLE leads ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  status TEXT NOT NULL"
    "    CHECK (status IN ('new', 'contacted', 'qualified', 'closed', 'spam')),"
    "  assignee TEXT,"
    "  version INTEGER NOT NULL," /* counts the changes, from 1 */
    "  created_at INTEGER NOT NULL,"
    "  updated_at INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  email TEXT NOT NULL,"
    "  company TEXT,"
    "  phone TEXT,"
    "  source TEXT,"
    "  message TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX leads_by_status ON leads (status, id);"
    "CREATE INDEX leads_by_age ON leads (updated_at);"

    "CREATE TABLE lead_events ("
    "  seq INTEGER PRIMARY KEY,"
    "  lead_id TEXT NOT NULL REFERENCES leads (id) ON DELETE CASCADE,"
    "  at INTEGER NOT NULL,"
    "  user_id TEXT NOT NULL,"
    "  type TEXT NOT NULL CHECK (type IN ('status', 'assignee', 'note')),"
    "  before TEXT,"
    "  after TEXT"
    ") STRICT;"
    "CREATE INDEX lead_events_by_lead ON lead_events (lead_id, seq);"

    "CREATE TABLE outbox ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  lead_id TEXT REFERENCES leads (id) ON DELETE CASCADE,"
    "  recipient TEXT NOT NULL,"
    "  reply_to TEXT,"
    "  subject TEXT NOT NULL,"
    "  text TEXT NOT NULL,"
    "  state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'failed')),"
    "  attempts INTEGER NOT NULL DEFAULT 0,"
    "  created_at INTEGER NOT NULL,"
    "  due_at INTEGER NOT NULL,"
    "  leased_until INTEGER NOT NULL DEFAULT 0," /* a sender has it */
    "  sent_at INTEGER,"
    "  problem TEXT," /* of the last attempt */
    "  CHECK ((sent_at IS NOT NULL) = (state = 'sent'))"
    ") STRICT;"
    "CREATE INDEX outbox_queued ON outbox (due_at) WHERE state = 'queued';"
    "CREATE INDEX outbox_by_lead ON outbox (lead_id);";

static const char chat_cache[] =
    "CREATE TABLE chat_cache ("
    "  key TEXT NOT NULL PRIMARY KEY," /* SHA-256 of all that the reply depends on */
    "  reply TEXT NOT NULL,"
    "  expires_at INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX chat_cache_by_age ON chat_cache (expires_at);";

/* For what export and erasure look for. Not of calls, their participants and their events: there
 * such an index would double what a start writes (measured: 12.5 kB of WAL without, 21.7 with one
 * and 25.8 with two), and to scan a million calls with three million events takes half a second. */
static const char persons[] =
    "CREATE INDEX realtime_calls_by_user ON realtime_calls (user_id);"
    "CREATE INDEX usage_by_owner ON usage (owner);"
    "CREATE INDEX reservations_by_owner ON reservations (owner, day);"
    "CREATE INDEX leads_by_email ON leads (lower(email));"
    "CREATE INDEX leads_by_assignee ON leads (assignee) WHERE assignee IS NOT NULL;"
    "CREATE INDEX lead_events_by_user ON lead_events (user_id);"
    "CREATE INDEX lead_events_from ON lead_events (before) WHERE type = 'assignee';"
    "CREATE INDEX lead_events_to ON lead_events (after) WHERE type = 'assignee';";

/* What an owner keeps is bounded by its text: a sum over sessions, not over items. */
static const char session_characters[] =
    "ALTER TABLE sessions ADD COLUMN characters INTEGER NOT NULL DEFAULT 0"
    " CHECK (characters >= 0);"
    "UPDATE sessions SET characters = (SELECT coalesce(sum(length(text)), 0)"
    " FROM transcript_items WHERE session = sessions.key);";

const struct sb_migration sb_migrations[] = {
    {1, people_and_threads},
    {2, calls},
    {3, service},
    {4, realtime_calls},
    {5, sessions},
    {6, budgets},
    {7, leads},
    {8, chat_cache},
    {9, persons},
    {10, session_characters},
};
const size_t sb_migration_count = SB_COUNT(sb_migrations);
