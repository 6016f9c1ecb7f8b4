#include "store/db_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

void sb_db_log(const char *operation, int code)
{
    SB_LOG(SB_LOG_ERROR, "db.error", NULL, SB_LOG_TEXT("operation", operation),
           SB_LOG_INT("sqliteCode", code), SB_LOG_TEXT("reason", sqlite3_errstr(code)));
}

/* The memory statistics cost a process-wide lock at every allocation. */
static void configure_sqlite(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static void init_readers(struct sb_db *db)
{
    struct sb_db_readers *readers = &db->readers;
    pthread_mutex_init(&readers->lock, NULL);
    pthread_cond_init(&readers->back, NULL);
    for (size_t i = 0; i < SB_DB_READERS_MAX; i++) {
        readers->conns[i] = (struct sb_db_conn){.path = db->path, .read_only = true};
        readers->idle[SB_DB_READERS_MAX - 1 - i] = &readers->conns[i];
    }
    readers->idle_count = SB_DB_READERS_MAX;
    db->reader = (struct sb_db_conn){.lenders = readers};
}

struct sb_db *sb_db_new(const char *path, bool may_create)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_sqlite);
    struct sb_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return NULL;
    db->path = strdup(path);
    if (db->path == NULL) {
        free(db);
        return NULL;
    }
    db->may_create = may_create;
    init_readers(db);
    sb_db_writer_init(&db->writer, db->path, &db->readers);
    return db;
}

void sb_db_free(struct sb_db *db)
{
    if (db == NULL || !sb_db_writer_end(&db->writer))
        return;
    sb_db_readers_close(&db->readers);
    free(db->path);
    free(db);
}

struct sb_db_conn *sb_db_reader(struct sb_db *db)
{
    return &db->reader;
}

struct sb_db_conn *sb_db_readers_take(struct sb_db_readers *readers)
{
    pthread_mutex_lock(&readers->lock);
    while (readers->idle_count == 0)
        pthread_cond_wait(&readers->back, &readers->lock);
    struct sb_db_conn *conn = readers->idle[--readers->idle_count];
    pthread_mutex_unlock(&readers->lock);
    return conn;
}

void sb_db_readers_give_back(struct sb_db_readers *readers, struct sb_db_conn *conn)
{
    pthread_mutex_lock(&readers->lock);
    readers->idle[readers->idle_count++] = conn;
    pthread_cond_signal(&readers->back);
    pthread_mutex_unlock(&readers->lock);
}

void sb_db_give_back(struct sb_db *db)
{
    struct sb_db_readers *readers = &db->readers;
    pthread_mutex_lock(&readers->lock);
    for (size_t i = 0; i < readers->idle_count; i++) {
        if (readers->idle[i]->handle != NULL)
            sqlite3_db_release_memory(readers->idle[i]->handle);
    }
    pthread_mutex_unlock(&readers->lock);
}

void sb_db_readers_close(struct sb_db_readers *readers)
{
    for (size_t i = 0; i < SB_DB_READERS_MAX; i++)
        sb_db_conn_close(sb_db_readers_take(readers));
    for (size_t i = 0; i < SB_DB_READERS_MAX; i++)
        sb_db_readers_give_back(readers, &readers->conns[i]);
}

/* PRAGMA journal_mode answers with the mode there is: where shared memory does not work (a network
 * file system) that is not WAL, and then several processes would lock each other out. */
static int ensure_wal(sqlite3 *handle)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(handle, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (code != SQLITE_OK)
        return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);
        code = mode != NULL && strcmp(mode, "wal") == 0 ? SQLITE_OK : SQLITE_PROTOCOL;
    }
    sqlite3_finalize(statement);
    return code;
}

/* A batch changes more pages than a reader's cache holds. With a cache of that size SQLite spilled
 * them to the WAL before the commit and wrote twice as much; measured with 32 threads that start
 * calls, these settings take 40 % off the writer's processor time. */
static const char reader_pragmas[] = "PRAGMA synchronous = FULL; PRAGMA cache_size = -256";
static const char writer_pragmas[] =
    "PRAGMA synchronous = FULL; PRAGMA cache_size = -512; PRAGMA cache_spill = OFF;"
    "PRAGMA secure_delete = ON"; /* what sb_db_purge() promises; Debian's SQLite does it anyway */

/* The order matters. The busy timeout comes first: turning WAL on takes locks. No connection may
 * checkpoint by itself: SQLite before 3.51.3 loses committed rows if another process commits
 * meanwhile, see db_batch.c. */
static int set_up(struct sb_db_conn *conn)
{
    sqlite3 *handle = conn->handle;
    int code = sqlite3_busy_timeout(handle, SB_DB_BUSY_TIMEOUT_MS);
    if (code == SQLITE_OK)
        code = sqlite3_wal_autocheckpoint(handle, 0);
    if (code == SQLITE_OK && !conn->read_only)
        code = ensure_wal(handle);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(handle, conn->read_only ? reader_pragmas : writer_pragmas, NULL, NULL,
                            NULL);
    return code;
}

int sb_db_conn_version(struct sb_db_conn *conn, int64_t *version)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(conn->handle, "PRAGMA user_version", -1, &statement, NULL);
    if (code != SQLITE_OK)
        return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *version = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

static enum sb_error needs_migration(int64_t version)
{
    SB_LOG(SB_LOG_ERROR, "db.schema", NULL, SB_LOG_INT("version", version),
           SB_LOG_INT("wanted", sb_db_schema_newest()),
           SB_LOG_TEXT("hint", "run: switchboard migrate"));
    return SB_E_MISCONFIGURED;
}

static enum sb_error check_schema(struct sb_db_conn *conn)
{
    int64_t version = 0;
    conn->code = sb_db_conn_version(conn, &version);
    if (conn->code != SQLITE_OK) {
        sb_db_log("schema", conn->code);
        return SB_E_UNAVAILABLE;
    }
    return version < sb_db_schema_newest() ? needs_migration(version) : SB_OK;
}

enum sb_error sb_db_conn_open(struct sb_db_conn *conn)
{
    int flags = conn->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    conn->code = SQLITE_OK;
    if (access(conn->path, F_OK) != 0 && errno == ENOENT)
        return needs_migration(0);
    conn->code = sqlite3_open_v2(conn->path, &conn->handle,
                                 flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    /* SQLite opens a file read-only that it cannot open otherwise, be it for a lack of descriptors
     * that lasts a moment, and the connection would stay so. */
    if (conn->code == SQLITE_OK && !conn->read_only && sqlite3_db_readonly(conn->handle, "main"))
        conn->code = SQLITE_READONLY;
    if (conn->code == SQLITE_OK)
        conn->code = set_up(conn);
    enum sb_error error = SB_OK;
    if (conn->code != SQLITE_OK) {
        sb_db_log("open", conn->code);
        error = SB_E_UNAVAILABLE;
    } else if (!conn->any_schema) {
        error = check_schema(conn);
    }
    if (error != SB_OK)
        sb_db_conn_close(conn);
    return error;
}

void sb_db_conn_close(struct sb_db_conn *conn)
{
    for (size_t i = 0; i < conn->statement_count; i++)
        sqlite3_finalize(conn->statements[i].handle);
    conn->statement_count = 0;
    sqlite3_close(conn->handle);
    conn->handle = NULL;
    conn->failed = false;
}

/* Whether the file is no longer at its path: after a restore, what is written to the old one is
 * lost. */
static bool moved(struct sb_db_conn *conn)
{
    int has_moved = 0;
    int code = sqlite3_file_control(conn->handle, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    return code == SQLITE_OK && has_moved != 0;
}

enum sb_error sb_db_conn_ready(struct sb_db_conn *conn)
{
    if (conn->active > 0)
        return conn->failed ? SB_E_UNAVAILABLE : SB_OK;
    if (conn->handle != NULL && (conn->failed || moved(conn)))
        sb_db_conn_close(conn);
    return conn->handle != NULL ? SB_OK : sb_db_conn_open(conn);
}

enum sb_error sb_db_schema_version(struct sb_db *db, int64_t *version)
{
    if (access(db->path, F_OK) != 0 && errno == ENOENT) {
        *version = 0;
        return SB_OK;
    }
    struct sb_db_conn conn = {.path = db->path, .read_only = true, .any_schema = true};
    enum sb_error error = sb_db_conn_open(&conn);
    if (error != SB_OK)
        return error;
    int code = sb_db_conn_version(&conn, version);
    if (code != SQLITE_OK)
        sb_db_log("schema", code);
    sb_db_conn_close(&conn);
    return code == SQLITE_OK ? SB_OK : SB_E_UNAVAILABLE;
}
