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
    return sb_db_exec(tx,
                      "INSERT INTO thread_members (thread_id, user_id, role, created_at)"
                      " VALUES ($1, $2, $3, $4)"
                      " ON CONFLICT (thread_id, user_id) DO UPDATE SET role = excluded.role",
                      SB_DB_VALUES(SB_DB_TEXT(thread_id), SB_DB_TEXT(user_id),
                                   SB_DB_TEXT(sb_member_role_names[role]), SB_DB_INT(now_ms)),
                      NULL);
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
