/* Users: people and services known by the `sub` of their tokens. */
#ifndef SB_STORE_USERS_H
#define SB_STORE_USERS_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum { SB_USER_ID_MAX = 128, SB_USER_NAME_MAX = 200 }; /* bytes */

enum sb_role { SB_ROLE_USER, SB_ROLE_STAFF, SB_ROLE_SERVICE, SB_ROLE__MAX };
extern const char *const sb_role_names[SB_ROLE__MAX + 1]; /* NULL at the end */

struct sb_user {
    const char *id, *name;
    int64_t role; /* enum sb_role */
    int64_t created_at_ms;
    bool disabled;
};

/* Whether text can be a user id: 1 to SB_USER_ID_MAX bytes of UTF-8 without control characters.
 * (A `sub` may hold what our own ids may not, such as '|'.) NULL is none. */
bool sb_user_id_valid(const char *text);

/* SB_E_NOT_FOUND: no such user. Texts of *user are in arena. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_users_find(struct sb_db_conn *conn,
                                                         struct sb_arena *arena, const char *id,
                                                         struct sb_user *user);

/* Inside a closure. SB_E_CONFLICT: the id is taken. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_users_add(struct sb_db_conn *tx,
                                                        const struct sb_user *user);

/* Inside a closure: adds the user unless the id is taken. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_users_ensure(struct sb_db_conn *tx,
                                                           const struct sb_user *user);

/* Inside a closure: disables or enables. SB_E_NOT_FOUND: no such user. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_users_disable(struct sb_db_conn *tx, const char *id,
                                                            bool disabled, int64_t now_ms);

/* Calls each for every user in the order of ids; each's user is alive during the call. */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error
sb_users_each(struct sb_db_conn *conn,
              enum sb_error (*each)(const struct sb_user *user, void *context), void *context);

#endif
