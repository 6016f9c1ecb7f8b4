/* SQLite up to 3.51.2 loses committed rows when one process commits while another checkpoints.
 * Here several processes write so that checkpoints fall among the commits, one of them past the
 * turnstile, and every acknowledged row is looked for afterwards. */

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/store.h"
#include "base/metrics.h"
#include "store/users.h"

enum { WRITERS = 4, ROWS = 600, PAGE = 4096 };

static struct store store;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(db_checkpoint, .init = set_up, .fini = tear_down, .timeout = 120);

/* A program that does not know the turnstile, and what it is told when it wants to write while the
 * database file is synced: that is in the middle of a checkpoint. */
static sqlite3 *intruder;
static int told;

int fdatasync(int fd)
{
    char link[32], path[96] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (intruder != NULL && readlink(link, path, sizeof path - 1) > 0 &&
        strcmp(path, store.path) == 0) {
        int code = sqlite3_exec(intruder, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        told = told == -1 || told == SQLITE_BUSY ? code : told;
        sqlite3_exec(intruder, "ROLLBACK", NULL, NULL, NULL);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static int64_t wal_bytes(void)
{
    char path[80];
    struct stat st;
    snprintf(path, sizeof path, "%s-wal", store.path);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static uint64_t checkpoints(void)
{
    return sb_metrics_value(SB_METRIC_CHECKPOINTS, "");
}

/* A row of about a page, so that a thousand of them are due for a checkpoint. */
static enum sb_error add_big_user(struct sb_db_conn *tx, void *context)
{
    static char name[3500];
    memset(name, 'x', sizeof name - 1);
    return sb_users_add(tx, &(struct sb_user){.id = context, .name = name, .created_at_ms = 1});
}

static void user_id(char id[static 32], int writer, int row)
{
    snprintf(id, 32, "w%d-%d", writer, row);
}

static void write_rows(int writer, atomic_int *acknowledged)
{
    struct sb_db *db = sb_db_new(store.path, false);
    for (int row = 0; row < ROWS; row++) {
        char id[32];
        user_id(id, writer, row);
        if (sb_db_write(db, add_big_user, id, 60000) == SB_OK)
            atomic_store(acknowledged, row + 1);
        else
            break;
    }
    sb_db_free(db);
}

static void write_rows_past_the_turnstile(int writer, atomic_int *acknowledged)
{
    sqlite3 *handle;
    sqlite3_open(store.path, &handle);
    sqlite3_busy_timeout(handle, 60000);
    sqlite3_wal_autocheckpoint(handle, 0);
    for (int row = 0; row < ROWS; row++) {
        char id[32], sql[128];
        user_id(id, writer, row);
        snprintf(sql, sizeof sql, "INSERT INTO users VALUES ('%s', 'x', 'user', NULL, 1)", id);
        if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
            break;
        atomic_store(acknowledged, row + 1);
    }
    sqlite3_close(handle);
}

Test(db_checkpoint, no_acknowledged_row_is_lost_and_the_wal_stays_bounded)
{
    pid_t children[WRITERS + 1];
    atomic_int *acknowledged =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int writer = 0; writer <= WRITERS; writer++) {
        children[writer] = fork();
        if (children[writer] == 0) {
            if (writer < WRITERS)
                write_rows(writer, &acknowledged[writer]);
            else
                write_rows_past_the_turnstile(writer, &acknowledged[writer]);
            _exit(0);
        }
    }
    /* This reader keeps the last writer from emptying the WAL when it closes. */
    cr_assert_eq(sb_db_query(store.reader, "SELECT 1", SB_DB_NO_VALUES, NULL, NULL), SB_OK);
    for (int writer = 0; writer <= WRITERS; writer++)
        waitpid(children[writer], NULL, 0);
    for (int writer = 0; writer <= WRITERS; writer++) {
        char sql[96];
        cr_expect_eq(atomic_load(&acknowledged[writer]), ROWS);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM users WHERE id LIKE 'w%d-%%'", writer);
        cr_expect_eq(store_number(&store, sql), ROWS, "writer %d", writer);
    }
    cr_log_info("%d checkpoints, WAL %ld bytes", (int)checkpoints(), (long)wal_bytes());
    cr_expect_geq(checkpoints(), 2);
    cr_expect_leq(wal_bytes(), 2 * SB_DB_CHECKPOINT_PAGES * PAGE);
}

static void write_pages(int pages)
{
    static int row;
    for (int i = 0; i < pages; i++) {
        char id[32];
        user_id(id, 0, row++);
        store_write(&store, add_big_user, id);
    }
}

/* Another process's long read transaction (a backup) holds the WAL: what cannot be moved is not
 * tried at every commit. */
Test(db_checkpoint, a_long_reader_delays_the_checkpoint_without_costing_every_commit)
{
    sqlite3 *handle;
    write_pages(10);
    cr_assert_eq(sqlite3_open(store.path, &handle), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(handle, "BEGIN; SELECT count(*) FROM users", NULL, NULL, NULL),
                 SQLITE_OK);
    write_pages(SB_DB_CHECKPOINT_PAGES);
    cr_expect(checkpoints() >= 1 &&
              (int64_t)checkpoints() <= wal_bytes() / PAGE / SB_DB_CHECKPOINT_PAGES);
    cr_assert_eq(sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    int64_t held = wal_bytes();
    write_pages(2 * SB_DB_CHECKPOINT_PAGES);
    cr_expect_leq(wal_bytes(), held + 2 * SB_DB_CHECKPOINT_PAGES * PAGE);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM users"),
                 10 + 3 * SB_DB_CHECKPOINT_PAGES);
}

Test(db_checkpoint, nobody_can_commit_while_a_checkpoint_runs)
{
    sqlite3 *handle;
    told = -1;
    cr_assert_eq(sqlite3_open(store.path, &handle), SQLITE_OK);
    intruder = handle;
    write_pages(SB_DB_CHECKPOINT_PAGES);
    sb_db_free(store.db); /* waits for the writer */
    store.reader = NULL;
    store.db = NULL;
    intruder = NULL;
    sqlite3_close(handle);
    cr_expect_geq(checkpoints(), 1);
    cr_expect_eq(told, SQLITE_BUSY, "%d", told);
}

static bool file_holds(const char *suffix, const char *text)
{
    static char bytes[1 << 20];
    char path[80];
    snprintf(path, sizeof path, "%s%s", store.path, suffix);
    FILE *file = fopen(path, "r");
    size_t length = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    if (file != NULL)
        fclose(file);
    return memmem(bytes, length, text, strlen(text)) != NULL;
}

static enum sb_error delete_users(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx, "DELETE FROM users", SB_DB_NO_VALUES, NULL);
}

Test(db_checkpoint, a_purge_leaves_no_copy_of_what_is_deleted)
{
    store_write(&store, add_big_user, (char[]){"a person"});
    cr_expect_eq(sb_db_purge(store.db), SB_OK);
    cr_expect(file_holds("", "a person"), "or the test would see nothing");
    store_write(&store, delete_users, NULL);
    store_write(&store, add_big_user, (char[]){"another"});
    cr_expect(file_holds("", "a person") || file_holds("-wal", "a person"));
    cr_expect_eq(sb_db_purge(store.db), SB_OK);
    cr_expect_eq(wal_bytes(), 0);
    cr_expect(!file_holds("", "a person"));
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM users"), 1);
}

Test(db_checkpoint, a_purge_that_a_reader_holds_up_says_so)
{
    sqlite3 *handle;
    store_write(&store, add_big_user, (char[]){"a person"});
    cr_assert_eq(sqlite3_open(store.path, &handle), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(handle, "BEGIN; SELECT count(*) FROM users", NULL, NULL, NULL),
                 SQLITE_OK);
    store_write(&store, delete_users, NULL);
    cr_expect_eq(sb_db_purge(store.db), SB_E_UNAVAILABLE);
    cr_expect(store_logged(&store, "\"operation\":\"purge\""));
    cr_assert_eq(sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    cr_expect_eq(sb_db_purge(store.db), SB_OK);
    sqlite3_close(handle);
}
