#include "store/sessions.h"

#include <string.h>

#include "store/row.h"

const char *const sb_session_kind_names[] = {[SB_SESSION_CHAT] = "chat",
                                             [SB_SESSION_VOICE] = "voice",
                                             [SB_SESSION_REALTIME] = "realtime",
                                             NULL};
const char *const sb_item_role_names[] = {
    [SB_ITEM_USER] = "user", [SB_ITEM_ASSISTANT] = "assistant", NULL};

/* Between the places of items that were put at the end: 32 may be put behind one of them, each
 * before the last, until all have to be spread again. */
static const int64_t gap = INT64_C(1) << 32;

static enum sb_error read_number(const struct sb_db_row *row, void *context)
{
    *(int64_t *)context = sb_db_row_int(row, 0);
    return SB_OK;
}

/* The key of a session's row. */
static enum sb_error find_key(struct sb_db_conn *conn, const char *owner, const char *id,
                              int64_t *key)
{
    int64_t found = 0; /* SQLite's row ids begin with 1 */
    enum sb_error error =
        sb_db_query(conn, "SELECT key FROM sessions WHERE owner = $1 AND id = $2",
                    SB_DB_VALUES(SB_DB_TEXT(owner), SB_DB_TEXT(id)), read_number, &found);
    if (error != SB_OK)
        return error;
    *key = found;
    return found == 0 ? SB_E_NOT_FOUND : SB_OK;
}

/* Sessions */

struct sessions {
    struct sb_arena *arena;
    struct sb_session *list;
    size_t count;
};

/* id, kind, created_at, updated_at */
static enum sb_error add_session(const struct sb_db_row *row, void *context)
{
    struct sessions *sessions = context;
    struct sb_session *session = &sessions->list[sessions->count++];
    session->kind = sb_row_name(row, 1, sb_session_kind_names);
    session->created_at_ms = sb_db_row_int(row, 2);
    session->updated_at_ms = sb_db_row_int(row, 3);
    if (!sb_row_dup(row, 0, sessions->arena, &session->id))
        return SB_E_UNAVAILABLE;
    return session->kind < 0 ? SB_E_INTERNAL : SB_OK;
}

enum sb_error sb_sessions_find(struct sb_db_conn *conn, struct sb_arena *arena, const char *owner,
                               const char *id, struct sb_session *session)
{
    struct sb_session found;
    struct sessions one = {.arena = arena, .list = &found};
    enum sb_error error =
        sb_db_query(conn,
                    "SELECT id, kind, created_at, updated_at FROM sessions"
                    " WHERE owner = $1 AND id = $2",
                    SB_DB_VALUES(SB_DB_TEXT(owner), SB_DB_TEXT(id)), add_session, &one);
    if (error != SB_OK)
        return error;
    if (one.count == 0)
        return SB_E_NOT_FOUND;
    *session = found;
    return SB_OK;
}

/* Makes room for the one that was just made: nobody is refused a conversation for having had many.
 * The count is the index's; rows are looked at only of owners who have too many. */
static enum sb_error prune(struct sb_db_conn *tx, const char *owner, const char *made)
{
    int64_t count = 0;
    enum sb_error error = sb_db_query(tx, "SELECT count(*) FROM sessions WHERE owner = $1",
                                      SB_DB_VALUES(SB_DB_TEXT(owner)), read_number, &count);
    if (error != SB_OK || count <= SB_SESSIONS_OWNER_MAX)
        return error;
    return sb_db_exec(
        tx,
        "DELETE FROM sessions WHERE key IN (SELECT key FROM sessions"
        " WHERE owner = $1 AND id <> $2 ORDER BY updated_at, key LIMIT $3)",
        SB_DB_VALUES(SB_DB_TEXT(owner), SB_DB_TEXT(made), SB_DB_INT(count - SB_SESSIONS_OWNER_MAX)),
        NULL);
}

static enum sb_error add(struct sb_db_conn *tx, const char *owner, const struct sb_session *session)
{
    enum sb_error error =
        sb_db_exec(tx,
                   "INSERT INTO sessions (owner, id, kind, created_at, updated_at)"
                   " VALUES ($1, $2, $3, $4, $4)",
                   SB_DB_VALUES(SB_DB_TEXT(owner), SB_DB_TEXT(session->id),
                                SB_DB_TEXT(sb_session_kind_names[session->kind]),
                                SB_DB_INT(session->created_at_ms)),
                   NULL);
    return error != SB_OK ? error : prune(tx, owner, session->id);
}

enum sb_error sb_sessions_open(struct sb_db_conn *tx, struct sb_arena *arena, const char *owner,
                               struct sb_session *session, bool *created)
{
    struct sb_session found;
    enum sb_error error = sb_sessions_find(tx, arena, owner, session->id, &found);
    if (error == SB_OK && found.kind != session->kind)
        return SB_E_CONFLICT;
    if (error == SB_E_NOT_FOUND) {
        error = add(tx, owner, session);
        if (error != SB_OK)
            return error;
        session->updated_at_ms = session->created_at_ms;
        *created = true;
        return SB_OK;
    }
    if (error != SB_OK)
        return error;
    *session = found;
    *created = false;
    return SB_OK;
}

enum sb_error sb_sessions_of_owner(struct sb_db_conn *conn, struct sb_arena *arena,
                                   const struct sb_sessions_page *page, struct sb_session **list,
                                   size_t *count)
{
    struct sessions result = {arena, sb_arena_alloc(arena, page->max * sizeof **list), 0};
    if (result.list == NULL)
        return SB_E_UNAVAILABLE;
    bool first = page->before_id == NULL;
    enum sb_error error = sb_db_query(
        conn,
        "SELECT id, kind, created_at, updated_at FROM sessions"
        " WHERE owner = $1 AND (created_at, id) < ($2, $3)"
        " ORDER BY created_at DESC, id DESC LIMIT $4",
        SB_DB_VALUES(SB_DB_TEXT(page->owner), SB_DB_INT(first ? INT64_MAX : page->before_ms),
                     SB_DB_TEXT(first ? "" : page->before_id), SB_DB_INT((int64_t)page->max)),
        add_session, &result);
    if (error != SB_OK)
        return error;
    *list = result.list;
    *count = result.count;
    return SB_OK;
}

enum sb_error sb_sessions_remove(struct sb_db_conn *tx, const char *owner, const char *id)
{
    int64_t changes = 0;
    enum sb_error error = sb_db_exec(tx, "DELETE FROM sessions WHERE owner = $1 AND id = $2",
                                     SB_DB_VALUES(SB_DB_TEXT(owner), SB_DB_TEXT(id)), &changes);
    return error == SB_OK && changes == 0 ? SB_E_NOT_FOUND : error;
}

enum sb_error sb_sessions_expire(struct sb_db_conn *tx, int64_t before_ms, int64_t limit,
                                 int64_t *removed)
{
    return sb_db_exec(tx,
                      "DELETE FROM sessions WHERE key IN (SELECT key FROM sessions"
                      " WHERE updated_at < $1 ORDER BY updated_at LIMIT $2)",
                      SB_DB_VALUES(SB_DB_INT(before_ms), SB_DB_INT(limit)), removed);
}

/* Putting items */

/* Characters of an item's text, as it is kept (-1: it is not) and as it is put. */
struct lengths {
    int64_t before, after;
};

static enum sb_error read_lengths(const struct sb_db_row *row, void *context)
{
    *(struct lengths *)context = (struct lengths){sb_db_row_int(row, 0), sb_db_row_int(row, 1)};
    return SB_OK;
}

static enum sb_error measure(struct sb_db_conn *tx, int64_t key, const struct sb_item *item,
                             struct lengths *lengths)
{
    return sb_db_query(tx,
                       "SELECT coalesce((SELECT length(text) FROM transcript_items"
                       " WHERE session = $1 AND id = $2), -1), length($3)",
                       SB_DB_VALUES(SB_DB_INT(key), SB_DB_TEXT(item->id), SB_DB_TEXT(item->text)),
                       read_lengths, lengths);
}

static enum sb_error change_item(struct sb_db_conn *tx, int64_t key, const struct sb_item *item)
{
    return sb_db_exec(tx,
                      "UPDATE transcript_items SET role = $3, text = $4, interrupted = $5"
                      " WHERE session = $1 AND id = $2",
                      SB_DB_VALUES(SB_DB_INT(key), SB_DB_TEXT(item->id),
                                   SB_DB_TEXT(sb_item_role_names[item->role]),
                                   SB_DB_TEXT(item->text), SB_DB_INT(item->interrupted)),
                      NULL);
}

struct neighbours {
    bool found;
    int64_t before, after; /* places; after 0: there is none */
};

static enum sb_error read_neighbours(const struct sb_db_row *row, void *context)
{
    *(struct neighbours *)context =
        (struct neighbours){true, sb_db_row_int(row, 0), sb_db_row_int(row, 1)};
    return SB_OK;
}

static enum sb_error place_at_end(struct sb_db_conn *tx, int64_t key, int64_t *place)
{
    int64_t last = 0;
    enum sb_error error =
        sb_db_query(tx, "SELECT max(place) FROM transcript_items WHERE session = $1",
                    SB_DB_VALUES(SB_DB_INT(key)), read_number, &last);
    *place = last + gap;
    return error;
}

/* The places before and behind one that follows the item previous_id, as find_place() says. */
static enum sb_error find_neighbours(struct sb_db_conn *tx, int64_t key, const char *previous_id,
                                     struct neighbours *at)
{
    enum sb_error error = SB_OK;
    at->found = false;
    if (previous_id != NULL)
        error =
            sb_db_query(tx,
                        "SELECT p.place, (SELECT min(n.place) FROM transcript_items n"
                        " WHERE n.session = $1 AND n.place > p.place)"
                        " FROM transcript_items p WHERE p.session = $1 AND p.id = $2",
                        SB_DB_VALUES(SB_DB_INT(key), SB_DB_TEXT(previous_id)), read_neighbours, at);
    if (error == SB_OK && !at->found && previous_id != NULL && strcmp(previous_id, "root") == 0)
        error = sb_db_query(tx, "SELECT 0, min(place) FROM transcript_items WHERE session = $1",
                            SB_DB_VALUES(SB_DB_INT(key)), read_neighbours, at);
    return error;
}

/* Of all items: to make room at one place alone would be as much work, again at the next. */
static enum sb_error spread(struct sb_db_conn *tx, int64_t key)
{
    return sb_db_exec(tx,
                      "UPDATE transcript_items SET place = ordered.number * $2"
                      " FROM (SELECT id, row_number() OVER (ORDER BY place) AS number"
                      " FROM transcript_items WHERE session = $1) ordered"
                      " WHERE transcript_items.session = $1 AND transcript_items.id = ordered.id",
                      SB_DB_VALUES(SB_DB_INT(key), SB_DB_INT(gap)), NULL);
}

/* Where an item stands that is to follow the item previous_id; NULL: none, "root": the beginning.
 */
static enum sb_error find_place(struct sb_db_conn *tx, int64_t key, const char *previous_id,
                                int64_t *place)
{
    struct neighbours at;
    enum sb_error error = find_neighbours(tx, key, previous_id, &at);
    if (error == SB_OK && at.found && at.after == at.before + 1) {
        error = spread(tx, key);
        if (error == SB_OK)
            error = find_neighbours(tx, key, previous_id, &at);
    }
    if (error != SB_OK)
        return error;
    if (!at.found)
        return place_at_end(tx, key, place);
    *place = at.after == 0 ? at.before + gap : at.before + (at.after - at.before) / 2;
    return error;
}

/* Of a session, while items are put into it. */
struct putting {
    int64_t key;
    int64_t room;       /* for so many more items */
    int64_t characters; /* that have come, less those that went */
};

static enum sb_error put_item(struct sb_db_conn *tx, const struct sb_item *item, int64_t now_ms,
                              struct putting *putting)
{
    int64_t key = putting->key, place;
    struct lengths lengths;
    enum sb_error error = measure(tx, key, item, &lengths);
    if (error != SB_OK)
        return error;
    putting->characters += lengths.after - (lengths.before < 0 ? 0 : lengths.before);
    if (lengths.before >= 0)
        return change_item(tx, key, item);
    if (putting->room-- <= 0)
        return SB_E_CONFLICT;
    error = find_place(tx, key, item->previous_id, &place);
    if (error != SB_OK)
        return error;
    return sb_db_exec(
        tx,
        "INSERT INTO transcript_items (session, id, place, role, text, interrupted, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        SB_DB_VALUES(SB_DB_INT(key), SB_DB_TEXT(item->id), SB_DB_INT(place),
                     SB_DB_TEXT(sb_item_role_names[item->role]), SB_DB_TEXT(item->text),
                     SB_DB_INT(item->interrupted), SB_DB_INT(now_ms)),
        NULL);
}

static enum sb_error begin_putting(struct sb_db_conn *tx, const struct sb_items_batch *batch,
                                   struct putting *putting)
{
    int64_t count = 0;
    enum sb_error error = find_key(tx, batch->owner, batch->session_id, &putting->key);
    if (error == SB_OK)
        error = sb_db_query(tx, "SELECT count(*) FROM transcript_items WHERE session = $1",
                            SB_DB_VALUES(SB_DB_INT(putting->key)), read_number, &count);
    putting->room = SB_SESSION_ITEMS_MAX - count;
    return error;
}

/* Keeps the sessions last put into, this one first, that together have no more text than max. */
static enum sb_error bound_text(struct sb_db_conn *tx, const char *owner, int64_t key, int64_t max)
{
    int64_t own = 0, all = 0;
    enum sb_error error = sb_db_query(tx, "SELECT characters FROM sessions WHERE key = $1",
                                      SB_DB_VALUES(SB_DB_INT(key)), read_number, &own);
    if (error == SB_OK && own > max)
        return SB_E_CONFLICT;
    if (error == SB_OK)
        error = sb_db_query(tx, "SELECT sum(characters) FROM sessions WHERE owner = $1",
                            SB_DB_VALUES(SB_DB_TEXT(owner)), read_number, &all);
    if (error != SB_OK || all <= max)
        return error;
    return sb_db_exec(tx,
                      "DELETE FROM sessions WHERE key IN (SELECT key FROM (SELECT key,"
                      " sum(characters) OVER (ORDER BY updated_at DESC, key DESC) AS total"
                      " FROM sessions WHERE owner = $1 AND key <> $2) newest WHERE total > $3)",
                      SB_DB_VALUES(SB_DB_TEXT(owner), SB_DB_INT(key), SB_DB_INT(max - own)), NULL);
}

enum sb_error sb_sessions_put(struct sb_db_conn *tx, const struct sb_items_batch *batch)
{
    static const char visitor[] = "visitor:";
    bool guest = strncmp(batch->owner, visitor, strlen(visitor)) == 0;
    struct putting putting = {.characters = 0};
    enum sb_error error = begin_putting(tx, batch, &putting);
    for (size_t i = 0; error == SB_OK && i < batch->count; i++)
        error = put_item(tx, &batch->items[i], batch->now_ms, &putting);
    /* Processes of a build that did not count yet may have put what is made shorter here. */
    if (error == SB_OK)
        error = sb_db_exec(tx,
                           "UPDATE sessions SET updated_at = max(updated_at, $2),"
                           " characters = max(characters + $3, 0) WHERE key = $1",
                           SB_DB_VALUES(SB_DB_INT(putting.key), SB_DB_INT(batch->now_ms),
                                        SB_DB_INT(putting.characters)),
                           NULL);
    if (error != SB_OK)
        return error;
    return bound_text(tx, batch->owner, putting.key,
                      guest ? SB_SESSIONS_VISITOR_TEXT_MAX : SB_SESSIONS_TEXT_MAX);
}

/* Reading items */

struct items {
    struct sb_arena *arena;
    struct sb_items result;
    size_t max, bytes;
};

/* id, role, text, interrupted, created_at */
static enum sb_error add_item(const struct sb_db_row *row, void *context)
{
    struct items *items = context;
    struct sb_items *result = &items->result;
    if (result->more)
        return SB_OK;
    items->bytes += strlen(sb_db_row_text(row, 2));
    if (result->count == items->max || (result->count > 0 && items->bytes > SB_ITEMS_PAGE_BYTES)) {
        result->more = true;
        return SB_OK;
    }
    struct sb_item *item = &result->list[result->count++];
    item->role = sb_row_name(row, 1, sb_item_role_names);
    item->interrupted = sb_db_row_int(row, 3) != 0;
    item->created_at_ms = sb_db_row_int(row, 4);
    if (!sb_row_dup(row, 0, items->arena, &item->id) ||
        !sb_row_dup(row, 2, items->arena, &item->text))
        return SB_E_UNAVAILABLE;
    return item->role < 0 ? SB_E_INTERNAL : SB_OK;
}

/* Memory for a page, and the key of its session. */
static enum sb_error begin_page(struct sb_db_conn *conn, struct sb_arena *arena,
                                const struct sb_items_page *page, struct items *items, int64_t *key)
{
    *items = (struct items){.arena = arena, .max = page->max};
    items->result.list = sb_arena_alloc(arena, page->max * sizeof(struct sb_item));
    if (items->result.list == NULL)
        return SB_E_UNAVAILABLE;
    return find_key(conn, page->owner, page->session_id, key);
}

enum sb_error sb_sessions_items(struct sb_db_conn *conn, struct sb_arena *arena,
                                const struct sb_items_page *page, struct sb_items *items)
{
    int64_t key;
    struct items read;
    enum sb_error error = begin_page(conn, arena, page, &read, &key);
    if (error != SB_OK)
        return error;
    error = sb_db_query(
        conn,
        "SELECT id, role, text, interrupted, created_at FROM transcript_items"
        " WHERE session = $1 AND place > CASE WHEN $2 IS NULL THEN 0 ELSE"
        " (SELECT place FROM transcript_items WHERE session = $1 AND id = $2) END"
        " ORDER BY place LIMIT $3",
        SB_DB_VALUES(SB_DB_INT(key), SB_DB_TEXT(page->after_id), SB_DB_INT((int64_t)page->max + 1)),
        add_item, &read);
    if (error == SB_OK)
        *items = read.result;
    return error;
}

enum sb_error sb_sessions_last(struct sb_db_conn *conn, struct sb_arena *arena,
                               const struct sb_items_page *page, struct sb_items *items)
{
    int64_t key;
    struct items read;
    enum sb_error error = begin_page(conn, arena, page, &read, &key);
    if (error != SB_OK)
        return error;
    error = sb_db_query(conn,
                        "SELECT id, role, text, interrupted, created_at FROM transcript_items"
                        " WHERE session = $1 ORDER BY place DESC LIMIT $2",
                        SB_DB_VALUES(SB_DB_INT(key), SB_DB_INT((int64_t)page->max + 1)), add_item,
                        &read);
    if (error != SB_OK)
        return error;
    struct sb_item *list = read.result.list;
    for (size_t low = 0, high = read.result.count; low + 1 < high; low++, high--) {
        struct sb_item swapped = list[low];
        list[low] = list[high - 1];
        list[high - 1] = swapped;
    }
    *items = read.result;
    return SB_OK;
}
