#include <unistd.h>

#include "store/db_sqlite.h"

/* All of the WAL goes into the database under a guard, as at any checkpoint (db_batch.c): the
 * TRUNCATE that follows finds nothing left to copy, whoever comes past the turnstile meanwhile. */
static int empty_wal(struct sb_db_conn *conn, struct sb_db_conn *guard)
{
    int code = sb_db_control(guard, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK) {
        code = sqlite3_wal_checkpoint_v2(conn->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        sb_db_rollback(guard);
    }
    if (code == SQLITE_OK)
        code =
            sqlite3_wal_checkpoint_v2(conn->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code;
}

static enum sb_error purge(const char *path)
{
    struct sb_db_conn conn = {.path = path, .any_schema = true},
                      guard = {.path = path, .any_schema = true};
    enum sb_error error = sb_db_conn_open(&conn);
    if (error == SB_OK)
        error = sb_db_conn_open(&guard);
    int code = error == SB_OK ? empty_wal(&conn, &guard) : SQLITE_OK;
    if (code != SQLITE_OK) {
        sb_db_log("purge", code);
        error = SB_E_UNAVAILABLE;
    }
    sb_db_conn_close(&guard);
    sb_db_conn_close(&conn);
    return error;
}

enum sb_error sb_db_purge(struct sb_db *db)
{
    int turnstile = sb_db_turnstile_open(db->path);
    enum sb_error error = SB_E_UNAVAILABLE;
    if (turnstile >= 0 && sb_db_turnstile_take(turnstile))
        error = purge(db->path);
    if (turnstile >= 0)
        close(turnstile);
    return error;
}
