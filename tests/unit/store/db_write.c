#include <criterion/criterion.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/store.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "store/db_sqlite.h"
#include "store/threads.h"

static struct store store;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(db_write, .init = set_up, .fini = tear_down);

static int64_t thread_count(void)
{
    return store_number(&store, "SELECT count(*) FROM threads");
}

static int64_t batches(void)
{
    return (int64_t)sb_metrics_value(SB_METRIC_WRITE_BATCHES, "");
}

static enum sb_error add_thread(struct sb_db_conn *tx, void *context)
{
    return sb_threads_add(tx, context, 1);
}

static enum sb_error add_and_refuse(struct sb_db_conn *tx, void *context)
{
    enum sb_error error = sb_threads_add(tx, context, 1);
    return error == SB_OK ? SB_E_FORBIDDEN : error;
}

static enum sb_error write_thread(const char *id)
{
    return sb_db_write(store.db, add_thread, (void *)(uintptr_t)id, SB_DB_WRITE_DEADLINE_MS);
}

/* Runs the closures as one batch, in order. */
static void write_batch(struct store_writing *writings, size_t count)
{
    int turnstile = store_block(&store);
    for (size_t i = 0; i < count; i++) {
        writings[i].store = &store;
        store_writing_start(&writings[i]);
    }
    close(turnstile);
    for (size_t i = 0; i < count; i++)
        store_writing_end(&writings[i]);
}

Test(db_write, what_is_acknowledged_is_there)
{
    cr_expect_eq(write_thread("t1"), SB_OK);
    cr_expect_eq(thread_count(), 1);
}

Test(db_write, a_refused_closure_is_undone_and_its_error_returned)
{
    cr_expect_eq(sb_db_write(store.db, add_and_refuse, (char *)"t1", SB_DB_WRITE_DEADLINE_MS),
                 SB_E_FORBIDDEN);
    cr_expect_eq(thread_count(), 0);
    cr_expect_eq(sb_metrics_value(SB_METRIC_WRITES, "outcome=\"refused\""), 1);
}

static int64_t wal_bytes(void)
{
    char path[80];
    struct stat st;
    snprintf(path, sizeof path, "%s-wal", store.path);
    cr_assert_eq(stat(path, &st), 0);
    return st.st_size;
}

Test(db_write, a_batch_of_which_nothing_is_kept_writes_nothing)
{
    cr_assert_eq(write_thread("t1"), SB_OK);
    int64_t before = batches(), bytes = wal_bytes();
    cr_expect_eq(sb_db_write(store.db, add_and_refuse, (char *)"t2", SB_DB_WRITE_DEADLINE_MS),
                 SB_E_FORBIDDEN);
    cr_expect_eq(batches(), before);
    cr_expect_eq(wal_bytes(), bytes);
}

Test(db_write, what_waits_together_shares_one_commit)
{
    struct store_writing writings[] = {{.closure = add_thread, .context = (char *)"t1"},
                                       {.closure = add_thread, .context = (char *)"t2"},
                                       {.closure = add_thread, .context = (char *)"t3"}};
    write_batch(writings, 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(writings[i].result, SB_OK);
    cr_expect_eq(thread_count(), 3);
    cr_expect_eq(batches(), 1);
}

Test(db_write, a_failing_closure_harms_no_other_of_its_batch)
{
    struct store_writing writings[] = {{.closure = add_thread, .context = (char *)"t1"},
                                       {.closure = add_and_refuse, .context = (char *)"t2"},
                                       {.closure = add_thread, .context = (char *)"t3"}};
    write_batch(writings, 3);
    cr_expect_eq(writings[0].result, SB_OK);
    cr_expect_eq(writings[1].result, SB_E_FORBIDDEN);
    cr_expect_eq(writings[2].result, SB_OK);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM threads WHERE id IN ('t1', 't3')"), 2);
    cr_expect_eq(thread_count(), 2);
    cr_expect_eq(batches(), 1);
}

Test(db_write, a_constraint_is_a_conflict_and_the_batch_goes_on)
{
    struct store_writing writings[] = {{.closure = add_thread, .context = (char *)"t1"},
                                       {.closure = add_thread, .context = (char *)"t1"},
                                       {.closure = add_thread, .context = (char *)"t3"}};
    write_batch(writings, 3);
    cr_expect_eq(writings[0].result, SB_OK);
    cr_expect_eq(writings[1].result, SB_E_CONFLICT);
    cr_expect_eq(writings[2].result, SB_OK);
    cr_expect_eq(thread_count(), 2);
}

static enum sb_error break_foreign_key(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx, "INSERT INTO thread_members VALUES ('none', 'none', 'member', 1)",
                      SB_DB_NO_VALUES, NULL);
}

static enum sb_error break_check(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx, "INSERT INTO users VALUES ('u', 'u', 'king', NULL, 1)", SB_DB_NO_VALUES,
                      NULL);
}

Test(db_write, foreign_keys_and_checks_are_conflicts)
{
    cr_expect_eq(sb_db_write(store.db, break_foreign_key, NULL, SB_DB_WRITE_DEADLINE_MS),
                 SB_E_CONFLICT);
    cr_expect_eq(sb_db_write(store.db, break_check, NULL, SB_DB_WRITE_DEADLINE_MS), SB_E_CONFLICT);
}

static enum sb_error swallow_failure(struct sb_db_conn *tx, void *context)
{
    enum sb_error error = sb_threads_add(tx, context, 1);
    (void)!sb_db_exec(tx, "INSERT INTO nowhere VALUES (1)", SB_DB_NO_VALUES, NULL);
    return error;
}

Test(db_write, a_closure_that_ignores_a_failed_statement_is_undone)
{
    struct store_writing writings[] = {{.closure = swallow_failure, .context = (char *)"t1"},
                                       {.closure = add_thread, .context = (char *)"t2"}};
    write_batch(writings, 2);
    cr_expect_eq(writings[0].result, SB_E_UNAVAILABLE);
    cr_expect_eq(writings[1].result, SB_OK);
    cr_expect_eq(thread_count(), 1);
}

static enum sb_error cap_pages(struct sb_db_conn *tx, void *context)
{
    enum sb_error error = sb_threads_add(tx, context, 1);
    if (error == SB_OK)
        error = sb_db_exec(tx, "PRAGMA max_page_count = 1", SB_DB_NO_VALUES, NULL);
    return error; /* SQLite takes the present size for the smallest cap */
}

/* Several statements, of which the first that needs a page fails: those after it must not commit
 * alone. */
static enum sb_error fill_disk(struct sb_db_conn *tx, void *context)
{
    static char big[64 * 1024];
    memset(big, 'x', sizeof big - 1);
    enum sb_error error = sb_threads_add(tx, big, 1);
    enum sb_error after = sb_threads_add(tx, context, 1);
    cr_expect_eq(error, SB_E_UNAVAILABLE);
    cr_expect_eq(after, SB_E_UNAVAILABLE);
    return SB_OK;
}

Test(db_write, a_disk_that_fills_up_in_the_second_closure_fails_the_whole_batch)
{
    struct store_writing writings[] = {{.closure = cap_pages, .context = (char *)"t1"},
                                       {.closure = fill_disk, .context = (char *)"t2"},
                                       {.closure = add_thread, .context = (char *)"t3"}};
    write_batch(writings, 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(writings[i].result, SB_E_UNAVAILABLE);
    cr_expect_eq(thread_count(), 0);
    cr_expect(store_logged(&store, "\"sqliteCode\":13"));
    cr_expect_eq(write_thread("t4"), SB_OK);
}

static enum sb_error defer_violation(struct sb_db_conn *tx, void *context)
{
    enum sb_error error = sb_db_exec(tx, "PRAGMA defer_foreign_keys = ON", SB_DB_NO_VALUES, NULL);
    return error == SB_OK ? break_foreign_key(tx, context) : error;
}

Test(db_write, a_commit_that_fails_fails_the_whole_batch_and_the_next_write_works)
{
    struct store_writing writings[] = {{.closure = add_thread, .context = (char *)"t1"},
                                       {.closure = defer_violation},
                                       {.closure = add_and_refuse, .context = (char *)"t3"}};
    write_batch(writings, 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(writings[i].result, SB_E_UNAVAILABLE);
    cr_expect_eq(thread_count(), 0);
    cr_expect_eq(write_thread("t4"), SB_OK);
    cr_expect_eq(thread_count(), 1);
}

static enum sb_error note_run(struct sb_db_conn *tx, void *context)
{
    (void)tx;
    atomic_store((atomic_bool *)context, true);
    return SB_OK;
}

Test(db_write, a_job_past_its_deadline_is_unavailable_and_never_runs)
{
    atomic_bool ran = false;
    int turnstile = store_block(&store);
    int64_t start_us = sb_clock_mono_us();
    cr_expect_eq(sb_db_write(store.db, note_run, &ran, 50), SB_E_UNAVAILABLE);
    int64_t waited_us = sb_clock_mono_us() - start_us;
    cr_expect(waited_us >= 50000 && waited_us < 2000000, "%ld us", (long)waited_us);
    close(turnstile);
    cr_expect_eq(write_thread("t1"), SB_OK); /* a later batch: the first job's would be over */
    cr_expect_not(atomic_load(&ran));
    cr_expect_eq(sb_metrics_value(SB_METRIC_WRITES, "outcome=\"late\""), 1);
}

struct slow {
    atomic_bool begun, go_on;
};

static enum sb_error wait_in_closure(struct sb_db_conn *tx, void *context)
{
    struct slow *slow = context;
    atomic_store(&slow->begun, true);
    while (!atomic_load(&slow->go_on))
        sched_yield();
    return sb_threads_add(tx, "slow", 1);
}

Test(db_write, a_job_in_progress_is_waited_for_past_its_deadline)
{
    struct slow slow = {false, false};
    struct store_writing writing = {
        .store = &store, .closure = wait_in_closure, .context = &slow, .deadline_ms = 300};
    int turnstile = store_block(&store);
    store_writing_start(&writing);
    close(turnstile);
    while (!atomic_load(&slow.begun))
        sched_yield();
    cr_expect_eq(sb_db_write(store.db, add_thread, (char *)"late", 400), SB_E_UNAVAILABLE);
    atomic_store(&slow.go_on, true); /* its own deadline has passed by now */
    cr_expect_eq(store_writing_end(&writing), SB_OK);
    cr_expect_eq(thread_count(), 1);
}

Test(db_write, jobs_outlast_a_program_that_locks_the_database_without_the_turnstile)
{
    sqlite3 *handle;
    cr_assert_eq(sqlite3_open(store.path, &handle), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct store_writing writing = {
        .store = &store, .closure = add_thread, .context = (char *)"t1"};
    store_writing_start(&writing);
    while (!store_logged(&store, "\"operation\":\"begin\""))
        sched_yield(); /* the busy timeout has passed once */
    cr_assert_eq(sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    cr_expect_eq(store_writing_end(&writing), SB_OK);
    sqlite3_close(handle);
}

Test(db_write, a_full_queue_is_unavailable_at_once)
{
    static struct store_writing writings[SB_DB_QUEUE_MAX];
    static char ids[SB_DB_QUEUE_MAX][16];
    int turnstile = store_block(&store);
    for (int i = 0; i < SB_DB_QUEUE_MAX; i++) {
        snprintf(ids[i], sizeof ids[i], "t%d", i);
        writings[i] = (struct store_writing){
            .store = &store, .closure = add_thread, .context = ids[i], .deadline_ms = 60000};
        store_writing_start(&writings[i]);
    }
    int64_t start_us = sb_clock_mono_us();
    cr_expect_eq(write_thread("beyond"), SB_E_UNAVAILABLE);
    cr_expect_lt(sb_clock_mono_us() - start_us, 1000000);
    close(turnstile);
    for (int i = 0; i < SB_DB_QUEUE_MAX; i++)
        cr_expect_eq(store_writing_end(&writings[i]), SB_OK);
    cr_expect_eq(thread_count(), SB_DB_QUEUE_MAX);
    cr_expect_eq(batches(), SB_DB_QUEUE_MAX / SB_DB_BATCH_MAX);
}

static enum sb_error note_signals(struct sb_db_conn *tx, void *context)
{
    (void)tx;
    pthread_sigmask(SIG_BLOCK, NULL, context);
    return SB_OK;
}

Test(db_write, the_writer_takes_no_signals)
{
    sigset_t signals;
    store_write(&store, note_signals, &signals);
    cr_expect(sigismember(&signals, SIGTERM) == 1 && sigismember(&signals, SIGUSR1) == 1);
}

enum { THREADS = 8, WRITES = 200 };

static void *write_many(void *argument)
{
    for (int i = 0; i < WRITES; i++) {
        char id[32];
        snprintf(id, sizeof id, "t%d-%d", (int)(intptr_t)argument, i);
        cr_assert_eq(write_thread(id), SB_OK);
    }
    return NULL;
}

Test(db_write, threads_that_write_at_once_share_commits_and_lose_nothing)
{
    pthread_t threads[THREADS];
    int64_t start_us = sb_clock_mono_us();
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, write_many, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    int64_t took_us = sb_clock_mono_us() - start_us;
    cr_log_info("%d writes, %ld commits, %ld us", THREADS * WRITES, (long)batches(), (long)took_us);
    cr_expect_eq(thread_count(), THREADS * WRITES);
    cr_expect_lt(batches(), THREADS * WRITES);
    cr_expect_eq(sb_metrics_value(SB_METRIC_WRITES, "outcome=\"ok\""), THREADS * WRITES);
}

Test(db_write, a_writer_that_hangs_at_the_turnstile_does_not_hang_the_end)
{
    struct sb_db *db = sb_db_new(store.path, false);
    atomic_bool ran = false;
    store_block(&store); /* to the end of this process */
    cr_expect_eq(sb_db_write(db, note_run, &ran, 10), SB_E_UNAVAILABLE);
    int64_t start_us = sb_clock_mono_us();
    sb_db_free(db);
    cr_expect_lt(sb_clock_mono_us() - start_us, 5000000);
}
