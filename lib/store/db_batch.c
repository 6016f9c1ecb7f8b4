#include "base/metrics.h"
#include "store/db_sqlite.h"

/* The WAL hook only stores: it runs inside COMMIT, before its locks are released. */
static int note_pages(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    *(int *)context = pages;
    return SQLITE_OK;
}

static void close_all(struct sb_db_writer *writer)
{
    sb_db_conn_close(&writer->guard);
    sb_db_conn_close(&writer->conn);
}

/* IMMEDIATE, because a transaction that reads first and writes later fails at once if another
 * writer came between. *busy: another program holds the database's lock. */
static enum sb_error begin(struct sb_db_writer *writer, bool *busy)
{
    enum sb_error error = sb_db_conn_ready(&writer->conn);
    if (error != SB_OK) {
        *busy = (writer->conn.code & 0xff) == SQLITE_BUSY;
        return error;
    }
    sqlite3_wal_hook(writer->conn.handle, note_pages, &writer->wal_pages);
    int code = sb_db_control(&writer->conn, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK)
        return SB_OK;
    sb_db_log("begin", code);
    *busy = (code & 0xff) == SQLITE_BUSY;
    if (!*busy)
        close_all(writer);
    /* SQLite falls back to shared memory that is read-only where a connection of the process could
     * not open it otherwise for a moment, and keeps that until the last of them is closed. */
    if ((code & 0xff) == SQLITE_READONLY)
        sb_db_readers_close(writer->readers);
    return SB_E_UNAVAILABLE;
}

/* Runs the job in a savepoint. False: the whole transaction is lost, because SQLite has rolled it
 * back by itself (disk full, I/O error) and the next statement would commit alone. */
static bool run_job(struct sb_db_conn *conn, struct sb_db_job *job)
{
    if (sb_db_control(conn, "SAVEPOINT job") != SQLITE_OK)
        return false;
    conn->failed = false;
    conn->active++;
    job->error = job->closure(conn, job->context);
    conn->active--;
    if (sqlite3_get_autocommit(conn->handle))
        return false;
    if (conn->failed) /* whatever the closure made of it, a part of it is missing */
        job->error = SB_E_UNAVAILABLE;
    conn->failed = false;
    return (job->error == SB_OK || sb_db_control(conn, "ROLLBACK TO job") == SQLITE_OK) &&
           sb_db_control(conn, "RELEASE job") == SQLITE_OK;
}

/* Ends the transaction; kept counts the jobs to be kept. Without any it is rolled back, which
 * writes nothing. */
static enum sb_error end(struct sb_db_writer *writer, bool lost, size_t kept)
{
    struct sb_db_conn *conn = &writer->conn;
    if (!lost) {
        int code = sb_db_control(conn, kept > 0 ? "COMMIT" : "ROLLBACK");
        if (code == SQLITE_OK) {
            if (kept > 0)
                sb_metrics_add(SB_METRIC_WRITE_BATCHES, "", 1);
            return SB_OK;
        }
        sb_db_log("commit", code);
    }
    sb_db_rollback(conn);
    close_all(writer);
    return SB_E_UNAVAILABLE;
}

static void run_jobs(struct sb_db_writer *writer)
{
    struct sb_db_job *jobs[SB_DB_BATCH_MAX];
    size_t count = sb_db_writer_take(writer, jobs, SB_DB_BATCH_MAX);
    size_t kept = 0;
    bool lost = false;
    for (size_t i = 0; i < count && !lost; i++) {
        lost = !run_job(&writer->conn, jobs[i]);
        kept += jobs[i]->error == SB_OK;
    }
    sb_db_writer_settle(writer, jobs, count, end(writer, lost, kept));
}

static void fail_waiting(struct sb_db_writer *writer, enum sb_error error)
{
    struct sb_db_job *jobs[SB_DB_BATCH_MAX];
    size_t count = sb_db_writer_take(writer, jobs, SB_DB_BATCH_MAX);
    sb_db_writer_settle(writer, jobs, count, error);
}

/* SQLite up to 3.51.2 can lose committed rows when a process commits while another checkpoints, so
 * a second connection keeps all writers out meanwhile, even those that do not know the turnstile.
 * PASSIVE never waits for readers; what they held back is due again 1,000 pages later. */
static void checkpoint(struct sb_db_writer *writer)
{
    int pages = writer->wal_pages, in_wal = 0, moved = 0;
    writer->wal_pages = 0;
    if (pages < writer->checkpoint_at - SB_DB_CHECKPOINT_PAGES)
        writer->checkpoint_at = SB_DB_CHECKPOINT_PAGES; /* the WAL was started anew */
    if (writer->conn.handle == NULL || pages < writer->checkpoint_at ||
        sb_db_conn_ready(&writer->guard) != SB_OK)
        return;
    int code = sb_db_control(&writer->guard, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK) {
        code = sqlite3_wal_checkpoint_v2(writer->conn.handle, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                         &in_wal, &moved);
        sb_db_rollback(&writer->guard);
    }
    if (code == SQLITE_OK)
        sb_metrics_add(SB_METRIC_CHECKPOINTS, "", 1);
    else
        sb_db_log("checkpoint", code);
    bool whole = code == SQLITE_OK && moved == in_wal;
    writer->checkpoint_at = SB_DB_CHECKPOINT_PAGES + (whole ? 0 : pages);
}

void sb_db_batch_run(struct sb_db_writer *writer)
{
    if (writer->turnstile < 0)
        writer->turnstile = sb_db_turnstile_open(writer->path);
    if (writer->turnstile < 0 || !sb_db_turnstile_take(writer->turnstile)) {
        fail_waiting(writer, SB_E_UNAVAILABLE);
        return;
    }
    /* Only now are jobs taken: all that came while we queued share this commit. Where the database
     * is busy they stay queued, each until its deadline. */
    bool busy = false;
    enum sb_error error = begin(writer, &busy);
    if (error == SB_OK)
        run_jobs(writer);
    else if (!busy)
        fail_waiting(writer, error);
    checkpoint(writer);
    sb_db_turnstile_release(writer->turnstile);
}
