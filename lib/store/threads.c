#include "store/threads.h"

#include "store/row.h"
#include "store/users.h"

const char *const sb_member_role_names[] = {
    [SB_MEMBER] = "member", [SB_MODERATOR] = "moderator", NULL};

enum sb_error sb_threads_add(struct sb_db_conn *tx, const char *id, int64_t now_ms)
{
    return sb_db_exec(tx, "INSERT INTO threads (id, created_at) VALUES ($1, $2)",
                      SB_DB_VALUES(SB_DB_TEXT(id), SB_DB_INT(now_ms)), NULL);
}

static enum sb_error note_found(const struct sb_db_row *row, void *context)
{
    (void)row;
    *(bool *)context = true;
    return SB_OK;
}

static enum sb_error read_number(const struct sb_db_row *row, void *context)
{
    *(int64_t *)context = sb_db_row_int(row, 0);
    return SB_OK;
}

/* After the change, which the error undoes. */
static enum sb_error check_size(struct sb_db_conn *tx, const char *thread_id)
{
    int64_t count = 0;
    enum sb_error error =
        sb_db_query(tx, "SELECT count(*) FROM thread_members WHERE thread_id = $1",
                    SB_DB_VALUES(SB_DB_TEXT(thread_id)), read_number, &count);
    return error == SB_OK && count > SB_THREAD_MEMBERS_MAX ? SB_E_CONFLICT : error;
}

enum sb_error sb_threads_set_member(struct sb_db_conn *tx, const char *thread_id,
                                    const char *user_id, enum sb_member_role role, int64_t now_ms)
{
    bool found = false;
    enum sb_error error = sb_db_query(tx, "SELECT 1 FROM threads WHERE id = $1",
                                      SB_DB_VALUES(SB_DB_TEXT(thread_id)), note_found, &found);
    if (error != SB_OK)
        return error;
    if (!found)
        return SB_E_NOT_FOUND;
    error = sb_users_ensure(
        tx, &(struct sb_user){
                .id = user_id, .name = user_id, .role = SB_ROLE_USER, .created_at_ms = now_ms});
    if (error != SB_OK)
        return error;
    error = sb_db_exec(tx,
                       "INSERT INTO thread_members (thread_id, user_id, role, created_at)"
                       " VALUES ($1, $2, $3, $4)"
                       " ON CONFLICT (thread_id, user_id) DO UPDATE SET role = excluded.role",
                       SB_DB_VALUES(SB_DB_TEXT(thread_id), SB_DB_TEXT(user_id),
                                    SB_DB_TEXT(sb_member_role_names[role]), SB_DB_INT(now_ms)),
                       NULL);
    return error != SB_OK ? error : check_size(tx, thread_id);
}

enum sb_error sb_threads_remove_member(struct sb_db_conn *tx, const char *thread_id,
                                       const char *user_id)
{
    int64_t changes = 0;
    enum sb_error error =
        sb_db_exec(tx, "DELETE FROM thread_members WHERE thread_id = $1 AND user_id = $2",
                   SB_DB_VALUES(SB_DB_TEXT(thread_id), SB_DB_TEXT(user_id)), &changes);
    return error == SB_OK && changes == 0 ? SB_E_NOT_FOUND : error;
}

struct member {
    enum sb_member_role role;
    bool found;
};

static enum sb_error found_member(const struct sb_db_row *row, void *context)
{
    struct member *member = context;
    int role = sb_row_name(row, 0, sb_member_role_names);
    if (role < 0)
        return SB_E_INTERNAL;
    *member = (struct member){(enum sb_member_role)role, true};
    return SB_OK;
}

enum sb_error sb_threads_member(struct sb_db_conn *conn, const char *thread_id, const char *user_id,
                                enum sb_member_role *role)
{
    struct member member = {.found = false};
    enum sb_error error = sb_db_query(
        conn, "SELECT role FROM thread_members WHERE thread_id = $1 AND user_id = $2",
        SB_DB_VALUES(SB_DB_TEXT(thread_id), SB_DB_TEXT(user_id)), found_member, &member);
    if (error != SB_OK)
        return error;
    if (!member.found)
        return SB_E_NOT_FOUND;
    *role = member.role;
    return SB_OK;
}

struct find {
    struct sb_arena *arena;
    struct sb_thread *thread;
    bool found;
};

static enum sb_error found_thread(const struct sb_db_row *row, void *context)
{
    struct find *find = context;
    find->found = true;
    find->thread->created_at_ms = sb_db_row_int(row, 1);
    return sb_row_dup(row, 0, find->arena, &find->thread->id) ? SB_OK : SB_E_UNAVAILABLE;
}

static enum sb_error add_found_member(const struct sb_db_row *row, void *context)
{
    struct find *find = context;
    struct sb_thread_member *member = &find->thread->members[find->thread->member_count++];
    member->role = sb_row_name(row, 2, sb_member_role_names);
    if (!sb_row_dup(row, 0, find->arena, &member->user_id) ||
        !sb_row_dup(row, 1, find->arena, &member->name))
        return SB_E_UNAVAILABLE;
    return member->role < 0 ? SB_E_INTERNAL : SB_OK;
}

enum sb_error sb_threads_find(struct sb_db_conn *conn, struct sb_arena *arena, const char *id,
                              struct sb_thread *thread)
{
    struct sb_thread result = {
        .members = sb_arena_alloc(arena, SB_THREAD_MEMBERS_MAX * sizeof(struct sb_thread_member))};
    struct find find = {arena, &result, false};
    if (result.members == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_db_query(conn, "SELECT id, created_at FROM threads WHERE id = $1",
                                      SB_DB_VALUES(SB_DB_TEXT(id)), found_thread, &find);
    if (error == SB_OK && !find.found)
        error = SB_E_NOT_FOUND;
    if (error == SB_OK)
        error = sb_db_query(conn,
                            "SELECT m.user_id, u.name, m.role FROM thread_members m"
                            " JOIN users u ON u.id = m.user_id"
                            " WHERE m.thread_id = $1 ORDER BY m.user_id LIMIT $2",
                            SB_DB_VALUES(SB_DB_TEXT(id), SB_DB_INT(SB_THREAD_MEMBERS_MAX)),
                            add_found_member, &find);
    if (error == SB_OK)
        *thread = result;
    return error;
}

struct page {
    struct sb_arena *arena;
    struct sb_membership *list;
    size_t count;
};

static enum sb_error add_membership(const struct sb_db_row *row, void *context)
{
    struct page *page = context;
    struct sb_membership *membership = &page->list[page->count++];
    membership->role = sb_row_name(row, 1, sb_member_role_names);
    membership->created_at_ms = sb_db_row_int(row, 2);
    if (!sb_row_dup(row, 0, page->arena, &membership->thread_id))
        return SB_E_UNAVAILABLE;
    return membership->role < 0 ? SB_E_INTERNAL : SB_OK;
}

enum sb_error sb_threads_of_user(struct sb_db_conn *conn, struct sb_arena *arena,
                                 const struct sb_threads_page *page, struct sb_membership **list,
                                 size_t *count)
{
    static const char above_all_ids[] = "~"; /* one range of the index, with a cursor or without */
    struct page result = {arena, sb_arena_alloc(arena, page->max * sizeof **list), 0};
    if (result.list == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error =
        sb_db_query(conn,
                    "SELECT m.thread_id, m.role, t.created_at FROM thread_members m"
                    " JOIN threads t ON t.id = m.thread_id"
                    " WHERE m.user_id = $1 AND m.thread_id < $2"
                    " ORDER BY m.thread_id DESC LIMIT $3",
                    SB_DB_VALUES(SB_DB_TEXT(page->user_id),
                                 SB_DB_TEXT(page->below == NULL ? above_all_ids : page->below),
                                 SB_DB_INT((int64_t)page->max)),
                    add_membership, &result);
    if (error != SB_OK)
        return error;
    *list = result.list;
    *count = result.count;
    return SB_OK;
}

struct each {
    enum sb_error (*call)(const char *thread_id, const char *user_id, enum sb_member_role role,
                          void *context);
    void *context;
};

static enum sb_error each_member(const struct sb_db_row *row, void *context)
{
    const struct each *each = context;
    int role = sb_db_row_null(row, 2) ? SB_MEMBER : sb_row_name(row, 2, sb_member_role_names);
    if (role < 0)
        return SB_E_INTERNAL;
    return each->call(sb_db_row_text(row, 0), sb_db_row_text(row, 1), (enum sb_member_role)role,
                      each->context);
}

enum sb_error sb_threads_each(struct sb_db_conn *conn,
                              enum sb_error (*each)(const char *thread_id, const char *user_id,
                                                    enum sb_member_role role, void *context),
                              void *context)
{
    struct each state = {each, context};
    return sb_db_query(conn,
                       "SELECT t.id, m.user_id, m.role FROM threads t"
                       " LEFT JOIN thread_members m ON m.thread_id = t.id"
                       " ORDER BY t.id, m.user_id",
                       SB_DB_NO_VALUES, each_member, &state);
}
