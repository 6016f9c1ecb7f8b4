#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/db_sqlite.h"
#include "store/migrations.h"

int64_t sb_db_schema_newest(void)
{
    return sb_migrations[sb_migration_count - 1].version;
}

/* SQLite would make it 0644; -wal and -shm inherit the mode. O_EXCL also because closing a
 * descriptor of a database that exists drops the POSIX locks this process has on it. */
static bool create(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return true;
    bool created = fd >= 0 && fchmod(fd, 0600) == 0;
    if (!created)
        SB_LOG(SB_LOG_ERROR, "db.error", NULL, SB_LOG_TEXT("operation", "create"),
               SB_LOG_TEXT("reason", strerrordesc_np(errno)));
    if (fd >= 0)
        close(fd);
    return created;
}

static int apply(struct sb_db_conn *conn, const struct sb_migration *migration)
{
    char *version = sqlite3_mprintf("PRAGMA user_version = %lld", (long long)migration->version);
    int code = version == NULL ? SQLITE_NOMEM : sb_db_control(conn, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK)
        code = sqlite3_exec(conn->handle, migration->sql, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(conn->handle, version, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sb_db_control(conn, "COMMIT");
    if (code != SQLITE_OK)
        sb_db_rollback(conn);
    sqlite3_free(version);
    return code;
}

static enum sb_error apply_missing(struct sb_db_conn *conn, int64_t *applied)
{
    int64_t version = 0, count = 0;
    int code = sb_db_conn_version(conn, &version);
    for (size_t i = 0; i < sb_migration_count && code == SQLITE_OK; i++) {
        if (sb_migrations[i].version <= version)
            continue;
        code = apply(conn, &sb_migrations[i]);
        count++;
    }
    if (code != SQLITE_OK) {
        sb_db_log("migrate", code);
        return SB_E_UNAVAILABLE;
    }
    *applied = count;
    return SB_OK;
}

/* The turnstile is held throughout, so that of several that migrate at once the others find the
 * work done. Its descriptor is not the writer's: that would let both in. */
enum sb_error sb_db_migrate(struct sb_db *db, int64_t *applied)
{
    int turnstile = sb_db_turnstile_open(db->path);
    if (turnstile < 0)
        return SB_E_UNAVAILABLE;
    enum sb_error error = SB_E_UNAVAILABLE;
    struct sb_db_conn conn = {.path = db->path, .any_schema = true};
    if (sb_db_turnstile_take(turnstile) && (!db->may_create || create(db->path)))
        error = sb_db_conn_open(&conn);
    if (error == SB_OK)
        error = apply_missing(&conn, applied);
    sb_db_conn_close(&conn);
    close(turnstile);
    return error;
}
