/* Realtime calls: voice sessions at the realtime API that the server opened for a user (SDP relay).
 * A row is the leash: it says whose the call is, what it is called upstream and when it must be
 * over. */
#ifndef SB_STORE_REALTIME_CALLS_H
#define SB_STORE_REALTIME_CALLS_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum sb_realtime_end {
    SB_REALTIME_HANGUP,  /* its user hung up */
    SB_REALTIME_EXPIRED, /* it was as long as it may be, and was hung up */
    SB_REALTIME_GONE,    /* it had ended upstream already */
    SB_REALTIME_END__MAX
};
extern const char *const sb_realtime_end_names[SB_REALTIME_END__MAX + 1]; /* NULL at the end */

struct sb_realtime_call {
    const char *id, *user_id, *upstream_id;
    int64_t started_at_ms;
    int64_t expires_at_ms;  /* when it is hung up */
    int64_t ended_at_ms;    /* 0: open */
    const char *end_reason; /* once ended, of sb_realtime_end_names; NULL while open */
};

/* Inside a closure: adds an open call of a user that has a row. SB_E_CONFLICT: its id or upstream
 * id is taken. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_realtime_calls_add(struct sb_db_conn *tx, const struct sb_realtime_call *call);

/* The call id if it is user_id's; texts in arena. SB_E_NOT_FOUND: it is not, or there is none. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_realtime_calls_find(struct sb_db_conn *conn, struct sb_arena *arena, const char *id,
                       const char *user_id, struct sb_realtime_call *call);

/* Inside a closure: ends the call if it is open, and updates *call to what its row says then: of
 * two that end it at once both get the same. What is set aside under its id (store/budgets.h) is
 * settled: a turn, and the seconds it lasted; one that had ended already lasted as long as it might
 * have. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_realtime_calls_end(struct sb_db_conn *tx, struct sb_arena *arena, enum sb_realtime_end reason,
                      int64_t now_ms, struct sb_realtime_call *call);

/* Inside a closure: has the call hung up from now_ms on, where it is open and would be later. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_realtime_calls_shorten(struct sb_db_conn *tx, const char *id, int64_t now_ms);

/* The open call that is to be hung up next: over at now_ms, and not tried since tried_before_ms.
 * Those that could not be hung up come last, so that one of them holds up no other.
 * SB_E_NOT_FOUND: there is none. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_realtime_calls_next_due(struct sb_db_conn *conn, struct sb_arena *arena, int64_t now_ms,
                           int64_t tried_before_ms, struct sb_realtime_call *call);

/* Inside a closure: notes that the call could not be hung up at now_ms. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_realtime_calls_tried(struct sb_db_conn *tx,
                                                                   const char *id, int64_t now_ms);

/* Inside a closure: deletes at most limit calls that ended before before_ms; *removed counts
 * them. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_realtime_calls_remove(struct sb_db_conn *tx, int64_t before_ms, int64_t limit, int64_t *removed);

#endif
