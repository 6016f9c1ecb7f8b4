/* Calls and who takes part in them. A thread has at most one open call; the database itself holds
 * that (the key of its table). */
#ifndef SB_STORE_CALLS_H
#define SB_STORE_CALLS_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum sb_call_kind { SB_CALL_AUDIO, SB_CALL_VIDEO, SB_CALL_KIND__MAX };
extern const char *const sb_call_kind_names[SB_CALL_KIND__MAX + 1]; /* NULL at the end */

struct sb_call {
    const char *id, *thread_id, *started_by;
    const char *room; /* [a-z0-9_-], fresh and unguessable */
    int64_t kind;     /* enum sb_call_kind */
    int64_t started_at_ms;
    int64_t ended_at_ms;    /* 0: open */
    int64_t duration_s;     /* once ended: whole seconds, rounded down; -1 while open */
    const char *end_reason; /* once ended: "ended"; NULL while open */
};

struct sb_participant {
    const char *id, *call_id, *user_id;
    bool moderator;
    int64_t joined_at_ms;
};

struct sb_call_start {
    const char *thread_id, *user_id;
    enum sb_call_kind kind;
};

/* All three run inside a closure; texts of their results are in arena. For someone who is no
 * member of the thread, a call or thread that exists is SB_E_NOT_FOUND like one that does not. */

/* Opens the call of start's thread, or gives the one already open (*created false). Records the
 * event "started". */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_calls_start(struct sb_db_conn *tx,
                                                          struct sb_arena *arena,
                                                          const struct sb_call_start *start,
                                                          struct sb_call *call, bool *created);

/* Makes user_id a participant of an open call, or finds the open participation it has. Whoever
 * started the call and the thread's moderators are its moderators. Records the event "joined" for
 * a new one. SB_E_GONE: the call has ended. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_calls_join(struct sb_db_conn *tx, struct sb_arena *arena, const char *call_id,
              const char *user_id, struct sb_call *call, struct sb_participant *participant);

/* Ends a call and the open participations in it, and records the event "ended"; a call that has
 * ended already is given as it is, so that the answer is the same every time. SB_E_FORBIDDEN:
 * user_id is a member but neither the starter nor a moderator. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_calls_end(struct sb_db_conn *tx,
                                                        struct sb_arena *arena, const char *call_id,
                                                        const char *user_id, struct sb_call *call);

#endif
