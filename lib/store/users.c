#include "store/users.h"

#include <string.h>

#include "base/buf.h"
#include "store/row.h"

const char *const sb_role_names[] = {
    [SB_ROLE_USER] = "user", [SB_ROLE_STAFF] = "staff", [SB_ROLE_SERVICE] = "service", NULL};

/* C0, DEL and C1 (U+0080 to U+009F). */
static bool control_character(const unsigned char *sequence)
{
    return sequence[0] < 0x20 || sequence[0] == 0x7f || (sequence[0] == 0xc2 && sequence[1] < 0xa0);
}

bool sb_user_id_valid(const char *text)
{
    size_t length = text == NULL ? 0 : strnlen(text, SB_USER_ID_MAX + 1);
    if (length == 0 || length > SB_USER_ID_MAX)
        return false;
    for (size_t at = 0; at < length;) {
        size_t sequence = sb_utf8_sequence(text + at, length - at);
        if (sequence == 0 || control_character((const unsigned char *)text + at))
            return false;
        at += sequence;
    }
    return true;
}

/* id, name, role, created_at, disabled_at: but for the texts. */
static enum sb_error user_numbers(const struct sb_db_row *row, struct sb_user *user)
{
    int role = sb_row_name(row, 2, sb_role_names);
    if (role < 0)
        return SB_E_INTERNAL;
    user->role = role;
    user->created_at_ms = sb_db_row_int(row, 3);
    user->disabled = !sb_db_row_null(row, 4);
    return SB_OK;
}

struct find {
    struct sb_arena *arena;
    struct sb_user user;
    bool found;
};

static enum sb_error found_user(const struct sb_db_row *row, void *context)
{
    struct find *find = context;
    if (!sb_row_dup(row, 0, find->arena, &find->user.id) ||
        !sb_row_dup(row, 1, find->arena, &find->user.name))
        return SB_E_INTERNAL;
    find->found = true;
    return user_numbers(row, &find->user);
}

enum sb_error sb_users_find(struct sb_db_conn *conn, struct sb_arena *arena, const char *id,
                            struct sb_user *user)
{
    struct find find = {.arena = arena};
    enum sb_error error =
        sb_db_query(conn, "SELECT id, name, role, created_at, disabled_at FROM users WHERE id = $1",
                    SB_DB_VALUES(SB_DB_TEXT(id)), found_user, &find);
    if (error != SB_OK)
        return error;
    if (!find.found)
        return SB_E_NOT_FOUND;
    *user = find.user;
    return SB_OK;
}

static enum sb_error insert(struct sb_db_conn *tx, const char *sql, const struct sb_user *user)
{
    return sb_db_exec(tx, sql,
                      SB_DB_VALUES(SB_DB_TEXT(user->id), SB_DB_TEXT(user->name),
                                   SB_DB_TEXT(sb_role_names[user->role]),
                                   SB_DB_INT(user->created_at_ms),
                                   user->disabled ? SB_DB_INT(user->created_at_ms) : SB_DB_NULL),
                      NULL);
}

enum sb_error sb_users_add(struct sb_db_conn *tx, const struct sb_user *user)
{
    return insert(tx,
                  "INSERT INTO users (id, name, role, created_at, disabled_at)"
                  " VALUES ($1, $2, $3, $4, $5)",
                  user);
}

enum sb_error sb_users_ensure(struct sb_db_conn *tx, const struct sb_user *user)
{
    return insert(tx,
                  "INSERT INTO users (id, name, role, created_at, disabled_at)"
                  " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
                  user);
}

enum sb_error sb_users_disable(struct sb_db_conn *tx, const char *id, bool disabled, int64_t now_ms)
{
    int64_t changes;
    enum sb_error error = sb_db_exec(
        tx, "UPDATE users SET disabled_at = $2 WHERE id = $1",
        SB_DB_VALUES(SB_DB_TEXT(id), disabled ? SB_DB_INT(now_ms) : SB_DB_NULL), &changes);
    if (error != SB_OK)
        return error;
    return changes > 0 ? SB_OK : SB_E_NOT_FOUND;
}

struct each {
    enum sb_error (*call)(const struct sb_user *user, void *context);
    void *context;
};

static enum sb_error each_user(const struct sb_db_row *row, void *context)
{
    const struct each *each = context;
    struct sb_user user = {.id = sb_db_row_text(row, 0), .name = sb_db_row_text(row, 1)};
    enum sb_error error = user_numbers(row, &user);
    return error == SB_OK ? each->call(&user, each->context) : error;
}

enum sb_error sb_users_each(struct sb_db_conn *conn,
                            enum sb_error (*each)(const struct sb_user *user, void *context),
                            void *context)
{
    struct each state = {each, context};
    return sb_db_query(conn,
                       "SELECT id, name, role, created_at, disabled_at FROM users ORDER BY id",
                       SB_DB_NO_VALUES, each_user, &state);
}
