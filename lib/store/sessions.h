/* Conversations (in the API: sessions) and what was said in them.
 *
 * A session belongs to one owner, a user or a visitor, as sb_principal_owner() writes it; its id is
 * unique for its owner alone, so that nobody learns of another's by guessing. What is not the
 * owner's is SB_E_NOT_FOUND like what does not exist.
 *
 * Order of a transcript: an item stands directly behind the one it names as its previous, if that
 * is there when the item first comes; before all others if it names "root"; else at the end. There
 * it stays: an item that is sent again changes what it says, not its place. */
#ifndef SB_STORE_SESSIONS_H
#define SB_STORE_SESSIONS_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum {
    SB_SESSIONS_OWNER_MAX = 1000,    /* of one owner */
    SB_SESSIONS_TEXT_MAX = 20000000, /* characters in all items of a user */
    SB_SESSIONS_VISITOR_TEXT_MAX = 500000,
    SB_SESSION_ITEMS_MAX = 5000,     /* of one session */
    SB_SESSION_BATCH_MAX = 100,      /* items put or read at once */
    SB_ITEM_TEXT_MAX = 8000,         /* characters */
    SB_ITEMS_PAGE_BYTES = 128 * 1024 /* of text after which a page of items ends */
};

enum sb_session_kind {
    SB_SESSION_CHAT,
    SB_SESSION_VOICE,
    SB_SESSION_REALTIME,
    SB_SESSION_KIND__MAX
};
extern const char *const sb_session_kind_names[SB_SESSION_KIND__MAX + 1]; /* NULL at the end */

enum sb_item_role { SB_ITEM_USER, SB_ITEM_ASSISTANT, SB_ITEM_ROLE__MAX };
extern const char *const sb_item_role_names[SB_ITEM_ROLE__MAX + 1]; /* NULL at the end */

struct sb_session {
    const char *id;
    int64_t kind; /* enum sb_session_kind */
    int64_t created_at_ms;
    int64_t updated_at_ms; /* when an item was last put */
};

struct sb_item {
    const char *id;          /* unique in its session */
    int64_t role;            /* enum sb_item_role */
    const char *text;        /* UTF-8, may be empty: not heard yet */
    bool interrupted;        /* it was cut off: text may say more than was heard */
    const char *previous_id; /* put: the item before it, NULL: not said. Not read back */
    int64_t created_at_ms;   /* when it first came; put: ignored */
};

/* Inside a closure: makes *session (all but updated_at_ms set) or gives the one the owner has under
 * this id (*created false). Where the owner would have more than SB_SESSIONS_OWNER_MAX, the one
 * that was untouched for longest goes, with its items. SB_E_CONFLICT: the session under this id is
 * of another kind. Texts in arena. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_sessions_open(struct sb_db_conn *tx, struct sb_arena *arena, const char *owner,
                 struct sb_session *session, bool *created);

/* Texts in arena. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_sessions_find(struct sb_db_conn *conn,
                                                            struct sb_arena *arena,
                                                            const char *owner, const char *id,
                                                            struct sb_session *session);

/* Which of an owner's sessions: those older than the one made at before_ms with before_id (NULL:
 * all), max of them at most. */
struct sb_sessions_page {
    const char *owner, *before_id;
    int64_t before_ms;
    size_t max; /* 1 or more */
};

/* An owner's sessions, the latest made first. *list and its texts are in arena. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_sessions_of_owner(struct sb_db_conn *conn, struct sb_arena *arena,
                     const struct sb_sessions_page *page, struct sb_session **list, size_t *count);

/* Inside a closure: deletes a session with its items. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_sessions_remove(struct sb_db_conn *tx,
                                                              const char *owner, const char *id);

/* Inside a closure: deletes at most limit sessions untouched since before_ms, with their items;
 * *removed counts them. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_sessions_expire(struct sb_db_conn *tx, int64_t before_ms, int64_t limit, int64_t *removed);

/* Items to be put into a session, in this order. */
struct sb_items_batch {
    const char *owner, *session_id;
    const struct sb_item *items;
    size_t count; /* at most SB_SESSION_BATCH_MAX */
    int64_t now_ms;
};

/* Inside a closure: adds the items, or changes role, text and interrupted of those that are there.
 * Where the owner would have more text than SB_SESSIONS_TEXT_MAX (a visitor:
 * SB_SESSIONS_VISITOR_TEXT_MAX), the sessions that were untouched for longest go. SB_E_CONFLICT:
 * this one alone would have more, or more than SB_SESSION_ITEMS_MAX items. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_sessions_put(struct sb_db_conn *tx,
                                                           const struct sb_items_batch *batch);

/* Which items of a session: those behind the item after_id (NULL: from the first; of an item that
 * is not there: none), max of them at most, and none beyond SB_ITEMS_PAGE_BYTES of text but the
 * first. */
struct sb_items_page {
    const char *owner, *session_id, *after_id;
    size_t max; /* 1 or more */
};

/* *list and its texts are in arena, in the order of the transcript; *more: others follow. */
struct sb_items {
    struct sb_item *list;
    size_t count;
    bool more;
};
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_sessions_items(struct sb_db_conn *conn,
                                                             struct sb_arena *arena,
                                                             const struct sb_items_page *page,
                                                             struct sb_items *items);

/* The last items of a session (page->after_id is ignored), for a reply: max of them at most, in the
 * order of the transcript, and no more than SB_ITEMS_PAGE_BYTES of text but for the last. Reads
 * what it gives and nothing before it. *more: others come before. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_sessions_last(struct sb_db_conn *conn,
                                                            struct sb_arena *arena,
                                                            const struct sb_items_page *page,
                                                            struct sb_items *items);

#endif
