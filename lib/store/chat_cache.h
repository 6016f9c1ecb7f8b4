/* Replies to chats that were given before. Of what was asked there is a hash alone. */
#ifndef SB_STORE_CHAT_CACHE_H
#define SB_STORE_CHAT_CACHE_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum { SB_CHAT_CACHE_ROWS_MAX = 10000 };

/* The reply stored under key that has not expired, in arena. SB_E_NOT_FOUND: none. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_chat_cache_find(struct sb_db_conn *conn,
                                                              struct sb_arena *arena,
                                                              const char *key, int64_t now_ms,
                                                              const char **reply);

/* Inside a closure: stores reply under key until expires_at_ms, in place of an older one. Where
 * there would be more than rows_max, those that expire first go. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_chat_cache_store(struct sb_db_conn *tx,
                                                               const char *key, const char *reply,
                                                               int64_t expires_at_ms,
                                                               int64_t rows_max);

/* Inside a closure: deletes at most limit expired replies; *removed counts them. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_chat_cache_expire(struct sb_db_conn *tx, int64_t now_ms, int64_t limit, int64_t *removed);

#endif
