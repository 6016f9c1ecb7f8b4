/* Answers kept for 24 hours under a client's Idempotency-Key, written in the transaction of the
 * effect they report. Because writers queue, a second request with the key of one in flight waits
 * for it and then finds its answer. */
#ifndef SB_STORE_IDEMPOTENCY_H
#define SB_STORE_IDEMPOTENCY_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum { SB_IDEMPOTENCY_KEEP_MS = 24 * 60 * 60 * 1000 };

struct sb_idempotency_key {
    const char *principal;    /* who sent it */
    const char *route;        /* "POST /api/calls/start" */
    const char *key;          /* the header's value */
    const char *payload_hash; /* SHA-256 of the body, hexadecimal */
};

/* Inside a closure: the answer stored under key, *status and *body (in arena). SB_E_NOT_FOUND: none
 * in the last 24 hours; SB_E_IDEMPOTENCY_MISMATCH: one for another payload. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_idempotency_find(struct sb_db_conn *tx,
                                                               struct sb_arena *arena,
                                                               const struct sb_idempotency_key *key,
                                                               int64_t now_ms, int64_t *status,
                                                               const char **body);

/* Inside a closure: stores the answer, over an expired one if need be, and deletes a few that have
 * expired. SB_E_CONFLICT: there is one that has not. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_idempotency_store(struct sb_db_conn *tx, const struct sb_idempotency_key *key, int64_t now_ms,
                     int64_t status, const char *body);

/* Inside a closure: deletes at most limit expired answers; *removed counts them. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_idempotency_expire(struct sb_db_conn *tx, int64_t now_ms, int64_t limit, int64_t *removed);

#endif
