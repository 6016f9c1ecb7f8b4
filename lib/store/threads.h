/* Threads and their members. Membership is the only boundary between tenants. */
#ifndef SB_STORE_THREADS_H
#define SB_STORE_THREADS_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum { SB_THREAD_MEMBERS_MAX = 1000 }; /* of one thread */

enum sb_member_role { SB_MEMBER, SB_MODERATOR, SB_MEMBER_ROLE__MAX };
extern const char *const sb_member_role_names[SB_MEMBER_ROLE__MAX + 1]; /* NULL at the end */

struct sb_thread_member {
    const char *user_id, *name;
    int64_t role; /* enum sb_member_role */
};

struct sb_thread {
    const char *id;
    int64_t created_at_ms;
    struct sb_thread_member *members; /* by user id */
    size_t member_count;
};

/* A thread as one of its members sees it in a list. */
struct sb_membership {
    const char *thread_id;
    int64_t role;          /* enum sb_member_role */
    int64_t created_at_ms; /* of the thread */
};

/* Inside a closure. SB_E_CONFLICT: the id is taken. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_threads_add(struct sb_db_conn *tx, const char *id,
                                                          int64_t now_ms);

/* Inside a closure: adds a member or changes its role. A user who has not been seen yet gets a row
 * with its id as its name. SB_E_NOT_FOUND: no such thread. SB_E_CONFLICT: it has
 * SB_THREAD_MEMBERS_MAX members already. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_threads_set_member(struct sb_db_conn *tx, const char *thread_id, const char *user_id,
                      enum sb_member_role role, int64_t now_ms);

/* Inside a closure. SB_E_NOT_FOUND: no such thread, or it has no such member. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_threads_remove_member(struct sb_db_conn *tx, const char *thread_id, const char *user_id);

/* The thread with its members, texts and array in arena. SB_E_NOT_FOUND: there is none. Whether the
 * caller may see it is sb_threads_member()'s to say. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_threads_find(struct sb_db_conn *conn,
                                                           struct sb_arena *arena, const char *id,
                                                           struct sb_thread *thread);

/* Which of a user's threads: those with an id below `below` (NULL: all), max of them at most. */
struct sb_threads_page {
    const char *user_id, *below;
    size_t max; /* 1 or more */
};

/* The threads a user is a member of, the highest ids first: the latest, where the ids were made by
 * sb_id_make(). *list and its texts are in arena. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_threads_of_user(struct sb_db_conn *conn, struct sb_arena *arena,
                   const struct sb_threads_page *page, struct sb_membership **list, size_t *count);

/* The role of user_id in thread_id; SB_E_NOT_FOUND where it has none or there is no such thread:
 * a stranger cannot tell which. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_threads_member(struct sb_db_conn *conn,
                                                             const char *thread_id,
                                                             const char *user_id,
                                                             enum sb_member_role *role);

/* Calls each for every member of every thread, by thread then user; user_id is NULL for a thread
 * without members. */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error
sb_threads_each(struct sb_db_conn *conn,
                enum sb_error (*each)(const char *thread_id, const char *user_id,
                                      enum sb_member_role role, void *context),
                void *context);

#endif
