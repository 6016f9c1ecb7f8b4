/* The database: reads on connections that the process's workers share, writes as closures run by
 * one writer thread.
 *
 * This header is the seam between the program and its database driver: statements are one SQL text
 * with $1..$n, and nothing outside store/db_* knows SQLite.
 *
 * Writing: sb_db_write() queues a closure and waits. The writer runs all that wait in one
 * transaction, each in a savepoint of its own, so that one fsync serves many and one failing
 * closure harms no other. When sb_db_write() returns SB_OK the effect is durable (synchronous =
 * FULL). An answer to a client is sent after that and never before. */
#ifndef SB_STORE_DB_H
#define SB_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sb_db;      /* one a process; thread-safe */
struct sb_db_conn; /* a connection, or the transaction a closure runs in; one thread at a time */
struct sb_db_row;  /* a result row, alive during the row function */

enum { SB_DB_WRITE_DEADLINE_MS = 5000, SB_DB_BATCH_MAX = 64, SB_DB_CHECKPOINT_PAGES = 1000 };

/* A bound value. Text is borrowed until the call returns; NULL text is SQL's NULL. */
struct sb_db_value {
    const char *text;
    int64_t number;
    bool is_number;
};
#define SB_DB_TEXT(value) ((struct sb_db_value){.text = (value)})
#define SB_DB_INT(value) ((struct sb_db_value){.number = (value), .is_number = true})
#define SB_DB_NULL ((struct sb_db_value){.text = NULL})

/* The values of $1..$n in order: sb_db_query(conn, sql, SB_DB_VALUES(SB_DB_TEXT(id)), row, ctx). */
#define SB_DB_VALUES(...)                                                                          \
    (const struct sb_db_value[]){__VA_ARGS__}, SB_COUNT(((const struct sb_db_value[]){__VA_ARGS__}))
#define SB_DB_NO_VALUES NULL, 0

/* Called for each row; anything but SB_OK ends the query, which returns it. */
typedef enum sb_error sb_db_row_fn(const struct sb_db_row *row, void *context);

/* The columns of a row, from 0. Text is UTF-8, NULL for SQL's NULL, alive during the row function;
 * the number of a NULL is 0. */
SB_NONNULL_ALL const char *sb_db_row_text(const struct sb_db_row *row, int column);
SB_NONNULL_ALL int64_t sb_db_row_int(const struct sb_db_row *row, int column);
SB_NONNULL_ALL bool sb_db_row_null(const struct sb_db_row *row, int column);

/* A handle for the database file path (absolute); opens nothing yet: the first use does, and tries
 * again at the next if that fails, so that a process started too early recovers. may_create:
 * the command line may create the file, an endpoint may not. NULL: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK struct sb_db *sb_db_new(const char *path, bool may_create);

/* Ends the writer after what is queued, closes and frees. NULL is allowed. No query
 * or write may be waiting. (Where the writer hangs because another process has stopped
 * in the middle of a write, db is left to the end of the process after 2 s.) */
void sb_db_free(struct sb_db *db);

/* The process's reader, alive as long as db; thread-safe. Each query borrows one of at most
 * SB_DB_READERS_MAX connections and waits where all are in use, so a row function must not query
 * the reader again. */
SB_NONNULL_ALL SB_RETURNS_NONNULL struct sb_db_conn *sb_db_reader(struct sb_db *db);

/* Frees what connections that are idle keep of the file's pages. For moments of rest. */
SB_NONNULL_ALL void sb_db_give_back(struct sb_db *db);

/* Runs a SELECT, or in a closure any statement with RETURNING. sql must be a string literal
 * (statements are cached by address). row may be NULL. Every statement is reset before this
 * returns: no read transaction stays open. SB_E_UNAVAILABLE: the database cannot be read (logged);
 * else SB_OK or what row returned. In a closure a row function may run other statements on tx. On a
 * reader the schema version is checked when it is opened: SB_E_MISCONFIGURED if there is no
 * database or it needs `switchboard migrate`. values: as many as sql has different parameters, at
 * most 16. */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error sb_db_query(struct sb_db_conn *conn, const char *sql,
                                        const struct sb_db_value *values, size_t count,
                                        sb_db_row_fn *row, void *context);

/* Runs an INSERT, UPDATE or DELETE; only inside a closure. changes (NULL allowed) gets the number
 * of rows changed. SB_E_CONFLICT: a uniqueness, foreign key or check constraint refused it, the
 * transaction goes on; SB_E_UNAVAILABLE: anything else (logged), the closure cannot succeed any
 * more whatever it returns. */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error sb_db_exec(struct sb_db_conn *tx, const char *sql,
                                       const struct sb_db_value *values, size_t count,
                                       int64_t *changes);

/* A write. It does SQL and fills its own result, nothing else: it may be run again, and its effect
 * is undone unless it returns SB_OK. */
typedef enum sb_error sb_db_closure_fn(struct sb_db_conn *tx, void *context);

/* Runs closure in the writer and waits until it is durable. context stays the caller's and must
 * live until this returns; the writer touches it at no other time.
 * SB_OK: committed. What closure returned: undone. SB_E_UNAVAILABLE: past deadline_ms before it
 * was begun, the database failed, or the outcome of the COMMIT is unknown (a retry must be safe).
 * SB_E_MISCONFIGURED: the schema needs `switchboard migrate`. */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error sb_db_write(struct sb_db *db, sb_db_closure_fn *closure, void *context,
                                        int64_t deadline_ms);

/* Leaves no copy in the database's files of what is deleted: deleted rows are overwritten in the
 * database, and its WAL, which still has them, is emptied. Waits up to a second for those who
 * read; SB_E_UNAVAILABLE: that was not enough, or the database failed (logged). */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_db_purge(struct sb_db *db);

/* The schema's version in the database (0: there is none yet), and the newest this build knows. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_db_schema_version(struct sb_db *db, int64_t *version);
int64_t sb_db_schema_newest(void);

/* Applies the migrations the database lacks, each in its own transaction, and creates the database
 * (0600) if may_create; its directory must exist. *applied counts them. Several at once: each
 * succeeds, one does the work. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_db_migrate(struct sb_db *db, int64_t *applied);

#endif
