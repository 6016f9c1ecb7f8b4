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

/* A start writes to calls and call_events: every index on them costs every start. The ids of calls
 * and the rooms begin with the time, so their trees grow at the end; the others are by thread.
 * Events are found by (thread_id, seq): seq is the rowid, which every index ends with. */
static const char calls[] =
    "CREATE TABLE calls ("
    "  id TEXT NOT NULL PRIMARY KEY,"
    "  thread_id TEXT NOT NULL REFERENCES threads (id),"
    "  kind TEXT NOT NULL CHECK (kind IN ('audio', 'video')),"
    "  room TEXT NOT NULL UNIQUE,"
    "  started_by TEXT NOT NULL REFERENCES users (id),"
    "  started_at INTEGER NOT NULL,"
    "  ended_at INTEGER CHECK (ended_at >= started_at),"
    "  duration_s INTEGER,"
    "  end_reason TEXT,"
    "  CHECK ((ended_at IS NULL) = (duration_s IS NULL)),"
    "  CHECK ((ended_at IS NULL) = (end_reason IS NULL))"
    ") STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX calls_open ON calls (thread_id) WHERE ended_at IS NULL;"
    "CREATE INDEX calls_by_thread ON calls (thread_id, started_at);"

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
    "  thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,"
    "  call_id TEXT NOT NULL,"
    "  type TEXT NOT NULL,"
    "  user_id TEXT NOT NULL,"
    "  at INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX call_events_by_thread ON call_events (thread_id);";

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

const struct sb_migration sb_migrations[] = {
    {1, people_and_threads},
    {2, calls},
    {3, service},
};
const size_t sb_migration_count = SB_COUNT(sb_migrations);
