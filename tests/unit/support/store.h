/* A migrated database in a directory of its own below /tmp, for the tests of lib/store. */
#ifndef SB_TESTS_SUPPORT_STORE_H
#define SB_TESTS_SUPPORT_STORE_H

#include <pthread.h>

#include "base/arena.h"
#include "store/db.h"

struct store {
    char dir[40], path[64];
    struct sb_db *db;
    struct sb_db_conn *reader;
    struct sb_arena *arena;
};

/* Makes the directory, sends log and metrics there; the database does not exist yet. */
void store_prepare(struct store *store);
/* store_prepare() and a migrated database. */
void store_open(struct store *store);
/* Closes and removes everything. */
void store_close(struct store *store);

/* One number, and statements, through a connection of their own: what another process sees. */
int64_t store_number(const struct store *store, const char *sql);
void store_sql(const struct store *store, const char *sql);

/* Writes that must succeed. */
void store_write(const struct store *store, sb_db_closure_fn *closure, void *context);

/* Holds the turnstile as another process would; the result gives it back when it is closed. */
int store_block(const struct store *store);

/* A write in a thread of its own. */
struct store_writing {
    const struct store *store;
    sb_db_closure_fn *closure;
    void *context;
    int64_t deadline_ms;
    enum sb_error result;
    pthread_t thread;
};

/* Starts it and returns when it is queued: to be used while the turnstile is held. */
void store_writing_start(struct store_writing *writing);
enum sb_error store_writing_end(struct store_writing *writing);

/* Whether the log holds text. */
bool store_logged(const struct store *store, const char *text);

#endif
