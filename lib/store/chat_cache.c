#include "store/chat_cache.h"

#include "store/row.h"

struct found {
    struct sb_arena *arena;
    const char *reply;
};

static enum sb_error take_reply(const struct sb_db_row *row, void *context)
{
    struct found *found = context;
    return sb_row_dup(row, 0, found->arena, &found->reply) ? SB_OK : SB_E_UNAVAILABLE;
}

enum sb_error sb_chat_cache_find(struct sb_db_conn *conn, struct sb_arena *arena, const char *key,
                                 int64_t now_ms, const char **reply)
{
    struct found found = {.arena = arena};
    enum sb_error error =
        sb_db_query(conn, "SELECT reply FROM chat_cache WHERE key = $1 AND expires_at > $2",
                    SB_DB_VALUES(SB_DB_TEXT(key), SB_DB_INT(now_ms)), take_reply, &found);
    if (error == SB_OK && found.reply == NULL)
        error = SB_E_NOT_FOUND;
    if (error == SB_OK)
        *reply = found.reply;
    return error;
}

enum sb_error sb_chat_cache_store(struct sb_db_conn *tx, const char *key, const char *reply,
                                  int64_t expires_at_ms, int64_t rows_max)
{
    enum sb_error error = sb_db_exec(
        tx,
        "INSERT INTO chat_cache (key, reply, expires_at) VALUES ($1, $2, $3)"
        " ON CONFLICT (key) DO UPDATE SET reply = excluded.reply, expires_at = excluded.expires_at",
        SB_DB_VALUES(SB_DB_TEXT(key), SB_DB_TEXT(reply), SB_DB_INT(expires_at_ms)), NULL);
    if (error != SB_OK)
        return error;
    return sb_db_exec(tx,
                      "DELETE FROM chat_cache WHERE key IN (SELECT key FROM chat_cache"
                      " WHERE key <> $2 ORDER BY expires_at"
                      " LIMIT max(0, (SELECT count(*) FROM chat_cache) - $1))",
                      SB_DB_VALUES(SB_DB_INT(rows_max), SB_DB_TEXT(key)), NULL);
}

enum sb_error sb_chat_cache_expire(struct sb_db_conn *tx, int64_t now_ms, int64_t limit,
                                   int64_t *removed)
{
    return sb_db_exec(tx,
                      "DELETE FROM chat_cache WHERE key IN (SELECT key FROM chat_cache"
                      " WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
                      SB_DB_VALUES(SB_DB_INT(now_ms), SB_DB_INT(limit)), removed);
}
