#include "store.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "store/db_sqlite.h"

enum { ARENA_CAP = 1024 * 1024 };

void store_prepare(struct store *store)
{
    snprintf(store->dir, sizeof store->dir, "/tmp/switchboard-store-XXXXXX");
    cr_assert_not_null(mkdtemp(store->dir));
    snprintf(store->path, sizeof store->path, "%s/test.db", store->dir);
    sb_log_open(store->dir, "test", SB_LOG_DEBUG);
    cr_assert(sb_metrics_open(store->dir));
    store->db = sb_db_new(store->path, true);
    cr_assert_not_null(store->db);
    store->reader = sb_db_reader(store->db);
    store->arena = sb_arena_new(ARENA_CAP);
}

void store_open(struct store *store)
{
    int64_t applied;
    store_prepare(store);
    cr_assert_eq(sb_db_migrate(store->db, &applied), SB_OK);
}

void store_close(struct store *store)
{
    sb_db_free(store->db);
    sb_arena_free(store->arena);
    sb_log_open(NULL, NULL, SB_LOG_INFO);
    DIR *dir = opendir(store->dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(store->dir);
}

static sqlite3 *open_raw(const struct store *store)
{
    sqlite3 *handle;
    cr_assert_eq(sqlite3_open_v2(store->path, &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    sqlite3_wal_autocheckpoint(handle, 0);
    return handle;
}

int64_t store_number(const struct store *store, const char *sql)
{
    sqlite3 *handle = open_raw(store);
    sqlite3_stmt *statement;
    cr_assert_eq(sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(handle));
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(handle));
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return number;
}

void store_sql(const struct store *store, const char *sql)
{
    sqlite3 *handle = open_raw(store);
    cr_assert_eq(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

void store_write(const struct store *store, sb_db_closure_fn *closure, void *context)
{
    cr_assert_eq(sb_db_write(store->db, closure, context, SB_DB_WRITE_DEADLINE_MS), SB_OK);
}

int store_block(const struct store *store)
{
    int turnstile = sb_db_turnstile_open(store->path);
    cr_assert(turnstile >= 0 && sb_db_turnstile_take(turnstile));
    return turnstile;
}

static void *write_in_thread(void *argument)
{
    struct store_writing *writing = argument;
    writing->result =
        sb_db_write(writing->store->db, writing->closure, writing->context, writing->deadline_ms);
    return NULL;
}

static size_t queued(struct sb_db_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    size_t count = writer->queued;
    pthread_mutex_unlock(&writer->lock);
    return count;
}

void store_writing_start(struct store_writing *writing)
{
    size_t before = queued(&writing->store->db->writer);
    if (writing->deadline_ms == 0)
        writing->deadline_ms = SB_DB_WRITE_DEADLINE_MS;
    cr_assert_eq(pthread_create(&writing->thread, NULL, write_in_thread, writing), 0);
    while (queued(&writing->store->db->writer) == before)
        sched_yield();
}

enum sb_error store_writing_end(struct store_writing *writing)
{
    pthread_join(writing->thread, NULL);
    return writing->result;
}

bool store_logged(const struct store *store, const char *text)
{
    char path[64], line[8192];
    snprintf(path, sizeof path, "%s/switchboard.log", store->dir);
    FILE *log = fopen(path, "r");
    bool found = false;
    while (log != NULL && !found && fgets(line, sizeof line, log) != NULL)
        found = strstr(line, text) != NULL;
    if (log != NULL)
        fclose(log);
    return found;
}
