/* The SQLite driver behind store/db.h. For the files of lib/store/db_* alone. */
#ifndef SB_STORE_DB_SQLITE_H
#define SB_STORE_DB_SQLITE_H

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <sys/queue.h>

#include "store/db.h"

enum {
    SB_DB_BUSY_TIMEOUT_MS = 1000, /* against the locks of others than our writers, who queue */
    SB_DB_STATEMENTS_MAX = 24,    /* kept prepared by a connection */
    SB_DB_READERS_MAX = 4, /* connections of a process that read; each has caches of its own */
    SB_DB_QUEUE_MAX = 1024 /* writes that may wait in a process */
};

struct sb_db_statement {
    const char *sql; /* its address is the key */
    sqlite3_stmt *handle;
};

struct sb_db_readers;

struct sb_db_conn {
    struct sb_db_readers *lenders; /* the process's reader: no connection, but borrows one */
    const char *path;
    bool read_only;
    bool any_schema; /* the version is not checked */
    sqlite3 *handle; /* NULL: not open */
    int code;        /* SQLite's (extended) result of the open that failed */
    bool failed;     /* a statement failed, by more than a constraint */
    int active;      /* closures and statements that are running: what must not be closed */
    struct sb_db_statement statements[SB_DB_STATEMENTS_MAX]; /* least recently used first */
    size_t statement_count;
};

struct sb_db_row {
    sqlite3_stmt *handle;
};

struct sb_db_job {
    sb_db_closure_fn *closure;
    void *context;
    enum sb_error error;
    enum { SB_DB_QUEUED, SB_DB_TAKEN } state;
    sem_t done; /* a semaphore: who waits needs no lock to wake up */
    TAILQ_ENTRY(sb_db_job) link;
};
TAILQ_HEAD(sb_db_queue, sb_db_job);

struct sb_db_writer {
    const char *path;
    struct sb_db_readers *readers; /* of the same process */
    pthread_mutex_t lock;          /* over the next six */
    pthread_cond_t changed;
    struct sb_db_queue queue;
    size_t queued;
    bool started, stopping, ended;
    pthread_t thread;
    /* From here on the thread's own. */
    int turnstile; /* descriptor, -1: not open */
    struct sb_db_conn conn;
    struct sb_db_conn guard; /* keeps writers out of a checkpoint */
    int wal_pages;           /* in the WAL after the last commit; 0: seen to */
    int checkpoint_at;       /* pages at which the next checkpoint is due */
};

struct sb_db_readers {
    pthread_mutex_t lock;
    pthread_cond_t back;
    struct sb_db_conn conns[SB_DB_READERS_MAX];
    struct sb_db_conn
        *idle[SB_DB_READERS_MAX]; /* the one given back last, whose cache is warm, last */
    size_t idle_count;
};

struct sb_db {
    char *path;
    struct sb_db_readers readers;
    struct sb_db_conn reader;
    bool may_create;
    struct sb_db_writer writer;
};

/* Opens conn; a failure is logged. SB_E_MISCONFIGURED: there is no database, or its schema is older
 * than this build's and conn minds. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_db_conn_open(struct sb_db_conn *conn);
SB_NONNULL_ALL void sb_db_conn_close(struct sb_db_conn *conn);

/* A connection for one query; waits until there is one. */
SB_NONNULL_ALL SB_RETURNS_NONNULL struct sb_db_conn *
sb_db_readers_take(struct sb_db_readers *readers);
SB_NONNULL_ALL void sb_db_readers_give_back(struct sb_db_readers *readers, struct sb_db_conn *conn);

/* Closes all of them, so that none is open at the end; a query opens one anew. By one thread at a
 * time, which holds none itself. */
SB_NONNULL_ALL void sb_db_readers_close(struct sb_db_readers *readers);

/* Makes conn ready for use: opens it, and opens it anew if it failed before or if another file has
 * taken the place of the one it has open. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_db_conn_ready(struct sb_db_conn *conn);

/* Runs a statement without values and rows on an open connection; SQLite's result, not logged. */
SB_NONNULL_ALL SB_MUST_CHECK int sb_db_control(struct sb_db_conn *conn, const char *sql);

/* Ends the transaction conn has open, if any; closes conn where even that fails, so that it holds
 * no lock. */
SB_NONNULL_ALL void sb_db_rollback(struct sb_db_conn *conn);

/* PRAGMA user_version of an open connection; SQLite's result. */
SB_NONNULL_ALL SB_MUST_CHECK int sb_db_conn_version(struct sb_db_conn *conn, int64_t *version);

/* Logs that operation (a name or a statement, never with values) failed. */
void sb_db_log(const char *operation, int code);

/* The turnstile: writers of all processes queue at it, see DESIGN section 6. Each descriptor is a
 * place of its own in the queue. Closing it gives the turnstile back too. -1 and false: logged. */
SB_NONNULL_ALL SB_MUST_CHECK int sb_db_turnstile_open(const char *path);
SB_MUST_CHECK bool sb_db_turnstile_take(int turnstile);
void sb_db_turnstile_release(int turnstile);

SB_NONNULL_ALL void sb_db_writer_init(struct sb_db_writer *writer, const char *path,
                                      struct sb_db_readers *readers);

/* Ends the thread and closes. False: the thread hangs at the turnstile, and writer must be left
 * where it is. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_db_writer_end(struct sb_db_writer *writer);

/* The thread's round: one transaction for all jobs that wait, and a checkpoint when it is due. */
SB_NONNULL_ALL void sb_db_batch_run(struct sb_db_writer *writer);

/* For the batch: takes up to max jobs out of the queue, and hands back what is done. error other
 * than SB_OK overrides the jobs' own. */
SB_NONNULL_ALL size_t sb_db_writer_take(struct sb_db_writer *writer, struct sb_db_job **jobs,
                                        size_t max);
SB_NONNULL_ALL void sb_db_writer_settle(struct sb_db_writer *writer, struct sb_db_job **jobs,
                                        size_t count, enum sb_error error);

#endif
