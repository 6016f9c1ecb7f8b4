#include "store/idempotency.h"

#include <string.h>

#include "store/row.h"

enum { EXPIRE_BY_THE_WAY = 8 };

struct answer {
    struct sb_arena *arena;
    const char *payload_hash;
    int64_t status;
    const char *body;
    enum sb_error error;
};

static enum sb_error found_answer(const struct sb_db_row *row, void *context)
{
    struct answer *answer = context;
    if (strcmp(sb_db_row_text(row, 0), answer->payload_hash) != 0) {
        answer->error = SB_E_IDEMPOTENCY_MISMATCH;
        return SB_OK;
    }
    answer->status = sb_db_row_int(row, 1);
    bool copied = sb_row_dup(row, 2, answer->arena, &answer->body);
    answer->error = copied ? SB_OK : SB_E_INTERNAL;
    return SB_OK;
}

enum sb_error sb_idempotency_find(struct sb_db_conn *tx, struct sb_arena *arena,
                                  const struct sb_idempotency_key *key, int64_t now_ms,
                                  int64_t *status, const char **body)
{
    struct answer answer = {
        .arena = arena, .payload_hash = key->payload_hash, .error = SB_E_NOT_FOUND};
    enum sb_error error =
        sb_db_query(tx,
                    "SELECT payload_hash, status, body FROM idempotency"
                    " WHERE principal = $1 AND route = $2 AND key = $3 AND created_at > $4",
                    SB_DB_VALUES(SB_DB_TEXT(key->principal), SB_DB_TEXT(key->route),
                                 SB_DB_TEXT(key->key), SB_DB_INT(now_ms - SB_IDEMPOTENCY_KEEP_MS)),
                    found_answer, &answer);
    if (error != SB_OK)
        return error;
    if (answer.error != SB_OK)
        return answer.error;
    *status = answer.status;
    *body = answer.body;
    return SB_OK;
}

enum sb_error sb_idempotency_store(struct sb_db_conn *tx, const struct sb_idempotency_key *key,
                                   int64_t now_ms, int64_t status, const char *body)
{
    int64_t changes, removed;
    enum sb_error error = sb_db_exec(
        tx,
        "INSERT INTO idempotency (principal, route, key, payload_hash, status, body, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (principal, route, key) DO UPDATE SET payload_hash = excluded.payload_hash,"
        " status = excluded.status, body = excluded.body, created_at = excluded.created_at"
        " WHERE idempotency.created_at <= $8",
        SB_DB_VALUES(SB_DB_TEXT(key->principal), SB_DB_TEXT(key->route), SB_DB_TEXT(key->key),
                     SB_DB_TEXT(key->payload_hash), SB_DB_INT(status), SB_DB_TEXT(body),
                     SB_DB_INT(now_ms), SB_DB_INT(now_ms - SB_IDEMPOTENCY_KEEP_MS)),
        &changes);
    if (error != SB_OK)
        return error;
    if (changes == 0)
        return SB_E_CONFLICT;
    return sb_idempotency_expire(tx, now_ms, EXPIRE_BY_THE_WAY, &removed);
}

enum sb_error sb_idempotency_expire(struct sb_db_conn *tx, int64_t now_ms, int64_t limit,
                                    int64_t *removed)
{
    return sb_db_exec(tx,
                      "DELETE FROM idempotency WHERE (principal, route, key) IN"
                      " (SELECT principal, route, key FROM idempotency WHERE created_at <= $1"
                      " ORDER BY created_at LIMIT $2)",
                      SB_DB_VALUES(SB_DB_INT(now_ms - SB_IDEMPOTENCY_KEEP_MS), SB_DB_INT(limit)),
                      removed);
}
