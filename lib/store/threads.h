/* Threads and their members. Membership is the only boundary between tenants. */
#ifndef SB_STORE_THREADS_H
#define SB_STORE_THREADS_H

#include <stdint.h>

#include "store/db.h"

enum { SB_THREAD_MEMBERS_MAX = 1000 }; /* of one thread */

enum sb_member_role { SB_MEMBER, SB_MODERATOR, SB_MEMBER_ROLE__MAX };
extern const char *const sb_member_role_names[SB_MEMBER_ROLE__MAX + 1]; /* NULL at the end */

/* Inside a closure. SB_E_CONFLICT: the id is taken. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_threads_add(struct sb_db_conn *tx, const char *id,
                                                          int64_t now_ms);

/* Inside a closure: adds a member or changes its role. A user who has not been seen yet gets a row
 * with its id as its name. SB_E_NOT_FOUND: no such thread. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_threads_set_member(struct sb_db_conn *tx, const char *thread_id, const char *user_id,
                      enum sb_member_role role, int64_t now_ms);

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
