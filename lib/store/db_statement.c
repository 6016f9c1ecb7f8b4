#include <string.h>

#include "store/db_sqlite.h"

static const char *const parameter_names[] = {"$1",  "$2",  "$3",  "$4",  "$5",  "$6",
                                              "$7",  "$8",  "$9",  "$10", "$11", "$12",
                                              "$13", "$14", "$15", "$16"};

static void remove_at(struct sb_db_conn *conn, size_t at)
{
    conn->statement_count--;
    memmove(conn->statements + at, conn->statements + at + 1,
            (conn->statement_count - at) * sizeof conn->statements[0]);
}

/* A statement in use is out of the cache, so that a row function may run the same SQL again. */
static int take(struct sb_db_conn *conn, const char *sql, sqlite3_stmt **handle)
{
    for (size_t i = 0; i < conn->statement_count; i++) {
        if (conn->statements[i].sql == sql) {
            *handle = conn->statements[i].handle;
            remove_at(conn, i);
            return SQLITE_OK;
        }
    }
    return sqlite3_prepare_v3(conn->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, handle, NULL);
}

/* Reset ends the statement's read transaction: one left open would hide new rows. */
static void put_back(struct sb_db_conn *conn, const char *sql, sqlite3_stmt *handle)
{
    sqlite3_reset(handle);
    sqlite3_clear_bindings(handle);
    if (conn->statement_count == SB_DB_STATEMENTS_MAX) {
        sqlite3_finalize(conn->statements[0].handle);
        remove_at(conn, 0);
    }
    conn->statements[conn->statement_count++] = (struct sb_db_statement){sql, handle};
}

/* By name, because SQLite numbers parameters by their first appearance. */
static int bind(sqlite3_stmt *handle, const struct sb_db_value *values, size_t count)
{
    if ((size_t)sqlite3_bind_parameter_count(handle) != count || count > SB_COUNT(parameter_names))
        return SQLITE_RANGE;
    int code = SQLITE_OK;
    for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
        int at = sqlite3_bind_parameter_index(handle, parameter_names[i]);
        if (values[i].is_number)
            code = sqlite3_bind_int64(handle, at, values[i].number);
        else
            code = sqlite3_bind_text(handle, at, values[i].text, -1, SQLITE_STATIC);
    }
    return code;
}

static enum sb_error failure(struct sb_db_conn *conn, const char *sql, int code)
{
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_FOREIGNKEY:
    case SQLITE_CONSTRAINT_CHECK:
        return SB_E_CONFLICT;
    default:
        conn->failed = true;
        sb_db_log(sql, code);
        return SB_E_UNAVAILABLE;
    }
}

static enum sb_error step(struct sb_db_conn *conn, const char *sql, sqlite3_stmt *handle,
                          sb_db_row_fn *row, void *context)
{
    int code;
    while ((code = sqlite3_step(handle)) == SQLITE_ROW) {
        const struct sb_db_row current = {handle};
        enum sb_error error = row == NULL ? SB_OK : row(&current, context);
        if (error != SB_OK)
            return error;
    }
    return code == SQLITE_DONE ? SB_OK : failure(conn, sql, code);
}

static enum sb_error run(struct sb_db_conn *conn, const char *sql, const struct sb_db_value *values,
                         size_t count, sb_db_row_fn *row, void *context)
{
    enum sb_error error = sb_db_conn_ready(conn);
    if (error != SB_OK)
        return error;
    sqlite3_stmt *handle = NULL;
    int code = take(conn, sql, &handle);
    if (code == SQLITE_OK)
        code = bind(handle, values, count);
    if (code != SQLITE_OK) {
        sqlite3_finalize(handle);
        return failure(conn, sql, code);
    }
    conn->active++;
    error = step(conn, sql, handle, row, context);
    conn->active--;
    put_back(conn, sql, handle);
    return error;
}

enum sb_error sb_db_query(struct sb_db_conn *conn, const char *sql,
                          const struct sb_db_value *values, size_t count, sb_db_row_fn *row,
                          void *context)
{
    if (conn->lenders == NULL)
        return run(conn, sql, values, count, row, context);
    struct sb_db_conn *borrowed = sb_db_readers_take(conn->lenders);
    enum sb_error error = run(borrowed, sql, values, count, row, context);
    sb_db_readers_give_back(conn->lenders, borrowed);
    return error;
}

enum sb_error sb_db_exec(struct sb_db_conn *tx, const char *sql, const struct sb_db_value *values,
                         size_t count, int64_t *changes)
{
    enum sb_error error = sb_db_query(tx, sql, values, count, NULL, NULL);
    if (error == SB_OK && changes != NULL)
        *changes = sqlite3_changes64(tx->handle);
    return error;
}

int sb_db_control(struct sb_db_conn *conn, const char *sql)
{
    sqlite3_stmt *handle = NULL;
    int code = take(conn, sql, &handle);
    if (code != SQLITE_OK)
        return code;
    code = sqlite3_step(handle);
    put_back(conn, sql, handle);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

void sb_db_rollback(struct sb_db_conn *conn)
{
    if (!sqlite3_get_autocommit(conn->handle) && sb_db_control(conn, "ROLLBACK") != SQLITE_OK)
        sb_db_conn_close(conn);
}

const char *sb_db_row_text(const struct sb_db_row *row, int column)
{
    return (const char *)sqlite3_column_text(row->handle, column);
}

int64_t sb_db_row_int(const struct sb_db_row *row, int column)
{
    return sqlite3_column_int64(row->handle, column);
}

bool sb_db_row_null(const struct sb_db_row *row, int column)
{
    return sqlite3_column_type(row->handle, column) == SQLITE_NULL;
}
