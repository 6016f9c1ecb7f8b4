#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/store.h"
#include "store/db_sqlite.h"
#include "store/threads.h"
#include "store/users.h"

static struct store store;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(db_query, .init = set_up, .fini = tear_down);

struct row {
    char texts[4][32];
    int64_t number;
    bool null;
    int rows;
};

static enum sb_error keep_texts(const struct sb_db_row *row, void *context)
{
    struct row *kept = context;
    for (int i = 0; i < 4; i++)
        snprintf(kept->texts[i], sizeof kept->texts[i], "%s", sb_db_row_text(row, i));
    return SB_OK;
}

static enum sb_error keep_number(const struct sb_db_row *row, void *context)
{
    struct row *kept = context;
    kept->number = sb_db_row_int(row, 0);
    kept->null = sb_db_row_null(row, 0);
    kept->rows++;
    return SB_OK;
}

static int64_t read_number(const char *sql)
{
    struct row row = {.rows = 0};
    cr_assert_eq(sb_db_query(store.reader, sql, SB_DB_NO_VALUES, keep_number, &row), SB_OK);
    cr_assert_eq(row.rows, 1);
    return row.number;
}

static const char user_count[] = "SELECT count(*) FROM users";

static enum sb_error add_user(struct sb_db_conn *tx, void *context)
{
    const char *id = context;
    return sb_users_add(tx, &(struct sb_user){.id = id, .name = id, .created_at_ms = 1});
}

static void add_users(void)
{
    store_write(&store, add_user, (char *)"ada");
    store_write(&store, add_user, (char *)"bob");
    store_write(&store, add_user, (char *)"cid");
}

Test(db_query, values_go_to_the_parameter_of_their_number)
{
    struct row row;
    cr_assert_eq(sb_db_query(store.reader, "SELECT $4, $2, $1 || $2, $3",
                             SB_DB_VALUES(SB_DB_TEXT("one"), SB_DB_TEXT("two"), SB_DB_INT(3),
                                          SB_DB_TEXT("four")),
                             keep_texts, &row),
                 SB_OK);
    cr_expect_str_eq(row.texts[0], "four");
    cr_expect_str_eq(row.texts[1], "two");
    cr_expect_str_eq(row.texts[2], "onetwo");
    cr_expect_str_eq(row.texts[3], "3");
}

Test(db_query, a_null_text_is_sql_null)
{
    struct row row;
    cr_assert_eq(
        sb_db_query(store.reader, "SELECT $1", SB_DB_VALUES(SB_DB_NULL), keep_number, &row), SB_OK);
    cr_expect(row.null);
    cr_expect_eq(row.number, 0);
}

Test(db_query, values_of_an_earlier_run_are_gone)
{
    static const char sql[] = "SELECT $1";
    struct row row;
    cr_assert_eq(sb_db_query(store.reader, sql, SB_DB_VALUES(SB_DB_INT(7)), keep_number, &row),
                 SB_OK);
    cr_expect_eq(row.number, 7);
    cr_assert_eq(sb_db_query(store.reader, sql, SB_DB_VALUES(SB_DB_NULL), keep_number, &row),
                 SB_OK);
    cr_expect(row.null);
}

Test(db_query, too_few_values_are_refused)
{
    struct row row = {.rows = 0};
    cr_expect_eq(
        sb_db_query(store.reader, "SELECT $1, $2", SB_DB_VALUES(SB_DB_INT(1)), keep_number, &row),
        SB_E_UNAVAILABLE);
    cr_expect_eq(row.rows, 0);
    cr_expect(store_logged(&store, "SELECT $1, $2"));
}

Test(db_query, a_reader_sees_a_commit_at_once)
{
    cr_expect_eq(read_number(user_count), 0);
    store_write(&store, add_user, (char *)"ada");
    cr_expect_eq(read_number(user_count), 1);
}

Test(db_query, a_reader_sees_what_another_process_commits)
{
    cr_expect_eq(read_number(user_count), 0);
    store_sql(&store, "INSERT INTO users VALUES ('eve', 'eve', 'user', NULL, 1)");
    cr_expect_eq(read_number(user_count), 1);
}

static enum sb_error stop_at_first(const struct sb_db_row *row, void *context)
{
    (void)row;
    ++*(int *)context;
    return SB_E_GONE;
}

Test(db_query, a_row_function_that_ends_early_leaves_no_transaction_open)
{
    int rows = 0;
    add_users();
    cr_expect_eq(
        sb_db_query(store.reader, "SELECT id FROM users", SB_DB_NO_VALUES, stop_at_first, &rows),
        SB_E_GONE);
    cr_expect_eq(rows, 1);
    store_write(&store, add_user, (char *)"dan");
    cr_expect_eq(read_number(user_count), 4, "an open read transaction hides new rows");
}

static const char ids[] = "SELECT 1 FROM users";

static enum sb_error count_again(const struct sb_db_row *row, void *context)
{
    struct row *inner = context;
    (void)row;
    return sb_db_query(store.reader, ids, SB_DB_NO_VALUES, keep_number, inner);
}

Test(db_query, a_row_function_may_run_the_same_statement)
{
    struct row inner = {.rows = 0};
    add_users();
    cr_assert_eq(sb_db_query(store.reader, ids, SB_DB_NO_VALUES, count_again, &inner), SB_OK);
    cr_expect_eq(inner.rows, 9);
}

Test(db_query, more_statements_than_the_cache_holds_all_work)
{
    static const char numbers[40][10] = {
        "SELECT 0",  "SELECT 1",  "SELECT 2",  "SELECT 3",  "SELECT 4",  "SELECT 5",  "SELECT 6",
        "SELECT 7",  "SELECT 8",  "SELECT 9",  "SELECT 10", "SELECT 11", "SELECT 12", "SELECT 13",
        "SELECT 14", "SELECT 15", "SELECT 16", "SELECT 17", "SELECT 18", "SELECT 19", "SELECT 20",
        "SELECT 21", "SELECT 22", "SELECT 23", "SELECT 24", "SELECT 25", "SELECT 26", "SELECT 27",
        "SELECT 28", "SELECT 29", "SELECT 30", "SELECT 31", "SELECT 32", "SELECT 33", "SELECT 34",
        "SELECT 35", "SELECT 36", "SELECT 37", "SELECT 38", "SELECT 39"};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40; i++)
            cr_assert_eq(read_number(numbers[i]), i);
    }
}

Test(db_query, a_reader_cannot_write)
{
    cr_expect_eq(
        sb_db_exec(store.reader, "INSERT INTO threads VALUES ('t', 1)", SB_DB_NO_VALUES, NULL),
        SB_E_UNAVAILABLE);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM threads"), 0);
}

Test(db_query, a_reader_works_again_after_a_statement_failed)
{
    cr_assert_eq(sb_db_query(store.reader, "SELECT no_such_column", SB_DB_NO_VALUES, NULL, NULL),
                 SB_E_UNAVAILABLE);
    cr_expect_eq(read_number(user_count), 0);
}

static int cache_used(void)
{
    const struct sb_db_readers *readers = &store.db->readers;
    int used = 0, highest = 0;
    cr_assert_eq(readers->idle_count, SB_DB_READERS_MAX);
    cr_assert_eq(sqlite3_db_status(readers->idle[SB_DB_READERS_MAX - 1]->handle,
                                   SQLITE_DBSTATUS_CACHE_USED, &used, &highest, 0),
                 SQLITE_OK);
    return used;
}

Test(db_query, at_rest_pages_are_freed_and_read_again_when_asked_for)
{
    cr_assert_eq(read_number(user_count), 0);
    int before = cache_used();
    sb_db_give_back(store.db);
    cr_assert_lt(cache_used(), before);
    cr_assert_eq(read_number(user_count), 0);
}

Test(db_query, at_rest_connections_that_were_never_opened_stay_closed)
{
    sb_db_give_back(store.db);
    cr_assert_null(store.db->readers.idle[SB_DB_READERS_MAX - 1]->handle);
    cr_assert_eq(read_number(user_count), 0);
}
