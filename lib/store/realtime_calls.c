#include "store/realtime_calls.h"

#include "store/budgets.h"
#include "store/row.h"

const char *const sb_realtime_end_names[] = {[SB_REALTIME_HANGUP] = "hangup",
                                             [SB_REALTIME_EXPIRED] = "expired",
                                             [SB_REALTIME_GONE] = "gone",
                                             NULL};

#define COLUMNS "id, user_id, upstream_id, started_at, expires_at, ended_at, end_reason"

struct found {
    struct sb_arena *arena;
    struct sb_realtime_call call;
    bool found;
};

static enum sb_error take_row(const struct sb_db_row *row, void *context)
{
    struct found *found = context;
    struct sb_realtime_call *call = &found->call;
    bool copied = sb_row_dup(row, 0, found->arena, &call->id) &&
                  sb_row_dup(row, 1, found->arena, &call->user_id) &&
                  sb_row_dup(row, 2, found->arena, &call->upstream_id) &&
                  sb_row_dup(row, 6, found->arena, &call->end_reason);
    call->started_at_ms = sb_db_row_int(row, 3);
    call->expires_at_ms = sb_db_row_int(row, 4);
    call->ended_at_ms = sb_db_row_int(row, 5);
    found->found = true;
    return copied ? SB_OK : SB_E_UNAVAILABLE;
}

/* What a query that gives at most one row came to. */
static enum sb_error conclude(enum sb_error error, const struct found *found,
                              struct sb_realtime_call *call)
{
    if (error != SB_OK)
        return error;
    if (!found->found)
        return SB_E_NOT_FOUND;
    *call = found->call;
    return SB_OK;
}

enum sb_error sb_realtime_calls_add(struct sb_db_conn *tx, const struct sb_realtime_call *call)
{
    return sb_db_exec(
        tx,
        "INSERT INTO realtime_calls (id, user_id, upstream_id, started_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        SB_DB_VALUES(SB_DB_TEXT(call->id), SB_DB_TEXT(call->user_id), SB_DB_TEXT(call->upstream_id),
                     SB_DB_INT(call->started_at_ms), SB_DB_INT(call->expires_at_ms)),
        NULL);
}

enum sb_error sb_realtime_calls_find(struct sb_db_conn *conn, struct sb_arena *arena,
                                     const char *id, const char *user_id,
                                     struct sb_realtime_call *call)
{
    struct found found = {.arena = arena};
    enum sb_error error =
        sb_db_query(conn, "SELECT " COLUMNS " FROM realtime_calls WHERE id = $1 AND user_id = $2",
                    SB_DB_VALUES(SB_DB_TEXT(id), SB_DB_TEXT(user_id)), take_row, &found);
    return conclude(error, &found, call);
}

static enum sb_error settle(struct sb_db_conn *tx, const struct sb_realtime_call *call, bool gone)
{
    bool late = gone && call->expires_at_ms < call->ended_at_ms;
    int64_t end_ms = late ? call->expires_at_ms : call->ended_at_ms;
    int64_t lasted_ms = end_ms > call->started_at_ms ? end_ms - call->started_at_ms : 0;
    const struct sb_spend real = {.turns = 1, .seconds = (lasted_ms + 999) / 1000};
    return sb_budget_settle(tx, call->id, &real);
}

enum sb_error sb_realtime_calls_end(struct sb_db_conn *tx, struct sb_arena *arena,
                                    enum sb_realtime_end reason, int64_t now_ms,
                                    struct sb_realtime_call *call)
{
    enum sb_error error =
        sb_db_exec(tx,
                   "UPDATE realtime_calls SET end_reason = $3,"
                   " ended_at = CASE WHEN started_at > $2 THEN started_at ELSE $2 END"
                   " WHERE id = $1 AND ended_at IS NULL",
                   SB_DB_VALUES(SB_DB_TEXT(call->id), SB_DB_INT(now_ms),
                                SB_DB_TEXT(sb_realtime_end_names[reason])),
                   NULL);
    if (error == SB_OK)
        error = sb_realtime_calls_find(tx, arena, call->id, call->user_id, call);
    return error != SB_OK ? error : settle(tx, call, reason == SB_REALTIME_GONE);
}

enum sb_error sb_realtime_calls_shorten(struct sb_db_conn *tx, const char *id, int64_t now_ms)
{
    return sb_db_exec(tx,
                      "UPDATE realtime_calls SET expires_at = $2"
                      " WHERE id = $1 AND ended_at IS NULL AND expires_at > $2",
                      SB_DB_VALUES(SB_DB_TEXT(id), SB_DB_INT(now_ms)), NULL);
}

enum sb_error sb_realtime_calls_next_due(struct sb_db_conn *conn, struct sb_arena *arena,
                                         int64_t now_ms, int64_t tried_before_ms,
                                         struct sb_realtime_call *call)
{
    struct found found = {.arena = arena};
    enum sb_error error =
        sb_db_query(conn,
                    "SELECT " COLUMNS " FROM realtime_calls"
                    " WHERE ended_at IS NULL AND expires_at <= $1 AND tried_at < $2"
                    " ORDER BY tried_at, expires_at, id LIMIT 1",
                    SB_DB_VALUES(SB_DB_INT(now_ms), SB_DB_INT(tried_before_ms)), take_row, &found);
    return conclude(error, &found, call);
}

enum sb_error sb_realtime_calls_tried(struct sb_db_conn *tx, const char *id, int64_t now_ms)
{
    return sb_db_exec(tx, "UPDATE realtime_calls SET tried_at = $2 WHERE id = $1",
                      SB_DB_VALUES(SB_DB_TEXT(id), SB_DB_INT(now_ms)), NULL);
}

enum sb_error sb_realtime_calls_remove(struct sb_db_conn *tx, int64_t before_ms, int64_t limit,
                                       int64_t *removed)
{
    return sb_db_exec(tx,
                      "DELETE FROM realtime_calls WHERE id IN (SELECT id FROM realtime_calls"
                      " WHERE ended_at IS NOT NULL AND ended_at < $1 ORDER BY ended_at LIMIT $2)",
                      SB_DB_VALUES(SB_DB_INT(before_ms), SB_DB_INT(limit)), removed);
}
