#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/store.h"
#include "store/threads.h"

static struct store store;

static void set_up(void)
{
    store_prepare(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(db_open, .init = set_up, .fini = tear_down);

static void migrate(void)
{
    int64_t applied;
    cr_assert_eq(sb_db_migrate(store.db, &applied), SB_OK);
}

static enum sb_error read_threads(void)
{
    return sb_db_query(store.reader, "SELECT count(*) FROM threads", SB_DB_NO_VALUES, NULL, NULL);
}

static enum sb_error add_thread(struct sb_db_conn *tx, void *context)
{
    return sb_threads_add(tx, context, 1);
}

static enum sb_error write_thread(const char *id)
{
    return sb_db_write(store.db, add_thread, (void *)(uintptr_t)id, SB_DB_WRITE_DEADLINE_MS);
}

static void make_schema_old(void)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", (int)sb_db_schema_newest() - 1);
    store_sql(&store, sql);
}

static void make_schema_current(void)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", (int)sb_db_schema_newest());
    store_sql(&store, sql);
}

Test(db_open, no_database_is_misconfigured_until_it_is_migrated)
{
    cr_expect_eq(read_threads(), SB_E_MISCONFIGURED);
    cr_expect_eq(write_thread("t"), SB_E_MISCONFIGURED);
    cr_expect(store_logged(&store, "switchboard migrate"));
    migrate();
    cr_expect_eq(read_threads(), SB_OK);
    cr_expect_eq(write_thread("t"), SB_OK);
}

Test(db_open, a_schema_too_old_is_misconfigured_for_a_reader_until_it_is_migrated)
{
    migrate();
    make_schema_old();
    cr_expect_eq(read_threads(), SB_E_MISCONFIGURED);
    cr_expect(store_logged(&store, "switchboard migrate"));
    make_schema_current();
    cr_expect_eq(read_threads(), SB_OK);
}

Test(db_open, a_schema_too_old_is_misconfigured_for_the_writer_until_it_is_migrated)
{
    migrate();
    make_schema_old();
    cr_expect_eq(write_thread("t"), SB_E_MISCONFIGURED);
    make_schema_current();
    cr_expect_eq(write_thread("t"), SB_OK);
}

Test(db_open, a_newer_schema_is_accepted)
{
    migrate();
    store_sql(&store, "PRAGMA user_version = 1000");
    cr_expect_eq(read_threads(), SB_OK);
    cr_expect_eq(write_thread("t"), SB_OK);
}

Test(db_open, the_version_is_0_without_a_database_and_the_newest_after_migrate)
{
    int64_t version = -1;
    cr_assert_eq(sb_db_schema_version(store.db, &version), SB_OK);
    cr_expect_eq(version, 0);
    migrate();
    cr_assert_eq(sb_db_schema_version(store.db, &version), SB_OK);
    cr_expect_eq(version, sb_db_schema_newest());
}

static int mode_of(const char *suffix)
{
    char path[80];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", store.path, suffix);
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return st.st_mode & 07777;
}

Test(db_open, all_its_files_are_0600_under_umask_0)
{
    umask(0);
    migrate();
    cr_assert_eq(write_thread("t"), SB_OK);
    cr_expect_eq(mode_of(""), 0600);
    cr_expect_eq(mode_of("-wal"), 0600);
    cr_expect_eq(mode_of("-shm"), 0600);
    cr_expect_eq(mode_of(".lock"), 0600);
}

Test(db_open, all_its_files_are_0600_under_umask_0277)
{
    umask(0277);
    migrate();
    cr_assert_eq(write_thread("t"), SB_OK);
    cr_expect_eq(mode_of(""), 0600);
    cr_expect_eq(mode_of("-wal"), 0600);
    cr_expect_eq(mode_of("-shm"), 0600);
}

Test(db_open, an_endpoint_never_creates_the_database)
{
    int64_t applied = 0;
    struct sb_db *db = sb_db_new(store.path, false);
    cr_expect_eq(sb_db_migrate(db, &applied), SB_E_MISCONFIGURED);
    cr_expect_neq(access(store.path, F_OK), 0);
    sb_db_free(db);
}

Test(db_open, what_is_no_database_is_unavailable)
{
    FILE *file = fopen(store.path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);
    cr_expect_eq(read_threads(), SB_E_UNAVAILABLE);
    cr_expect_eq(write_thread("t"), SB_E_UNAVAILABLE);
}

struct pragma {
    const char *sql;
    int64_t value;
};

static enum sb_error keep(const struct sb_db_row *row, void *context)
{
    *(int64_t *)context = sb_db_row_int(row, 0);
    return SB_OK;
}

static void check_pragmas(struct sb_db_conn *conn, int64_t cache_size)
{
    const struct pragma pragmas[] = {{"PRAGMA synchronous", 2},
                                     {"PRAGMA foreign_keys", 1},
                                     {"PRAGMA trusted_schema", 0},
                                     {"PRAGMA wal_autocheckpoint", 0},
                                     {"PRAGMA cache_size", cache_size}};
    for (size_t i = 0; i < SB_COUNT(pragmas); i++) {
        int64_t value = -1;
        cr_assert_eq(sb_db_query(conn, pragmas[i].sql, SB_DB_NO_VALUES, keep, &value), SB_OK);
        cr_expect_eq(value, pragmas[i].value, "%s", pragmas[i].sql);
    }
}

static enum sb_error check_writer(struct sb_db_conn *tx, void *context)
{
    (void)context;
    check_pragmas(tx, -512);
    return SB_OK;
}

Test(db_open, every_connection_is_durable_and_never_checkpoints_by_itself)
{
    migrate();
    check_pragmas(store.reader, -256);
    store_write(&store, check_writer, NULL);
}

/* As where descriptors run out at the wrong moment: SQLite then opens the file read-only. */
Test(db_open, a_writer_that_could_only_read_is_opened_anew)
{
    char lock[80];
    migrate();
    snprintf(lock, sizeof lock, "%s.lock", store.path);
    cr_assert_eq(chmod(store.dir, 0777), 0);
    cr_assert_eq(chmod(lock, 0666), 0);
    cr_assert_eq(chmod(store.path, 0444), 0);
    uid_t self = geteuid();
    cr_assert(self != 0 || seteuid(65534) == 0);
    cr_assert_eq(write_thread("one"), SB_E_UNAVAILABLE);
    cr_assert_eq(seteuid(self), 0);
    cr_assert_eq(chmod(store.path, 0600), 0);
    cr_assert_eq(write_thread("two"), SB_OK);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM threads"), 1);
}

Test(db_open, a_database_put_in_its_place_is_noticed)
{
    char other[80];
    int64_t applied;
    snprintf(other, sizeof other, "%s/other.db", store.dir);
    migrate();
    cr_assert_eq(write_thread("before"), SB_OK);
    cr_assert_eq(read_threads(), SB_OK);
    struct sb_db *db = sb_db_new(other, true);
    cr_assert_eq(sb_db_migrate(db, &applied), SB_OK);
    sb_db_free(db);
    char wal[80], shm[80];
    snprintf(wal, sizeof wal, "%s-wal", store.path);
    snprintf(shm, sizeof shm, "%s-shm", store.path);
    cr_assert(unlink(wal) == 0 && unlink(shm) == 0 && rename(other, store.path) == 0);
    int64_t threads = -1;
    cr_expect_eq(write_thread("after"), SB_OK);
    cr_expect_eq(
        sb_db_query(store.reader, "SELECT count(*) FROM threads", SB_DB_NO_VALUES, keep, &threads),
        SB_OK);
    cr_expect_eq(threads, 1);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM threads WHERE id = 'after'"), 1);
}

Test(db_open, migrate_applies_each_migration_once)
{
    int64_t applied = -1;
    cr_assert_eq(sb_db_migrate(store.db, &applied), SB_OK);
    cr_expect_eq(applied, sb_db_schema_newest());
    cr_assert_eq(sb_db_migrate(store.db, &applied), SB_OK);
    cr_expect_eq(applied, 0);
}

Test(db_open, processes_that_migrate_at_once_all_succeed)
{
    enum { PROCESSES = 8 };
    pid_t children[PROCESSES];
    int turnstile = store_block(&store);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            int64_t applied;
            close(turnstile); /* or the lock would stay with this copy */
            struct sb_db *db = sb_db_new(store.path, true);
            _exit(sb_db_migrate(db, &applied) == SB_OK ? (int)applied : 100);
        }
    }
    close(turnstile);
    int applied = 0;
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        waitpid(children[i], &status, 0);
        cr_assert(WIFEXITED(status));
        applied += WEXITSTATUS(status);
    }
    cr_expect_eq(applied, (int)sb_db_schema_newest());
}
