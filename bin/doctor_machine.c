/* What the doctor looks at on the machine itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor.h"
#include "store/db.h"

static const char *name_of(struct doctor *doctor, uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    const char *name = user != NULL ? sb_arena_strdup(doctor->arena, user->pw_name)
                                    : sb_arena_printf(doctor->arena, "%u", (unsigned)uid);
    return name != NULL ? name : "?";
}

/* Without a right to look, nothing can be said; what is missing is the caller's to judge. */
static bool look(struct doctor *doctor, const char *path, struct stat *st)
{
    if (path != NULL && stat(path, st) == 0)
        return true;
    if (path != NULL && errno != ENOENT && errno != ENOTDIR)
        doctor_find(doctor, DOCTOR_WARN, "%s cannot be looked at (%s) -> run this as root", path,
                    strerror(errno));
    return false;
}

/* Whether path is the owner's, and has no bit of forbidden. best: the mode to give it. */
static void check_rights(struct doctor *doctor, const char *path, const struct stat *st,
                         unsigned forbidden, unsigned best)
{
    if (st->st_uid != doctor->owner)
        doctor_find(doctor, DOCTOR_FAIL, "%s belongs to %s, not to %s -> chown %s %s", path,
                    name_of(doctor, st->st_uid), name_of(doctor, doctor->owner),
                    name_of(doctor, doctor->owner), path);
    if ((st->st_mode & forbidden) != 0)
        doctor_find(doctor, DOCTOR_FAIL, "%s has mode %04o -> chmod %04o %s", path,
                    (unsigned)st->st_mode & 07777, best, path);
}

/* --- Directories and files
 * -------------------------------------------------------------------------- */

static void check_directories(struct doctor *doctor)
{
    const struct {
        const char *variable, *path;
        unsigned forbidden, best;
    } directories[] = {{"STATE_DIR", doctor->config->state_dir, 0077, 0700},
                       {"RUN_DIR", doctor->config->run_dir, 0022, 0711},
                       {"LOG_DIR", doctor->config->log_dir, 0027, 0750}};
    struct stat st;
    for (size_t i = 0; i < SB_COUNT(directories); i++) {
        const char *path = directories[i].path;
        if (look(doctor, path, &st))
            check_rights(doctor, path, &st, directories[i].forbidden, directories[i].best);
        else if (errno == ENOENT || errno == ENOTDIR)
            doctor_find(doctor, DOCTOR_FAIL,
                        "%s %s does not exist -> install systemd/switchboard.tmpfiles.conf as "
                        "/etc/tmpfiles.d/switchboard.conf; systemd-tmpfiles --create",
                        directories[i].variable, path);
    }
    if (doctor->owner == 0)
        doctor_find(doctor, DOCTOR_FAIL,
                    "STATE_DIR %s is not a web server's -> chown it to the user of your web server",
                    doctor->config->state_dir);
}

/* The files that hold what is worth keeping to oneself, each where it is there. */
static void check_files(struct doctor *doctor)
{
    static const char *const databases[] = {"", "-wal", "-shm", ".lock"};
    static const char *const logs[] = {"switchboard.log", "audit.log"};
    struct stat st;
    for (size_t i = 0; i < SB_COUNT(databases) && doctor->config->database_path != NULL; i++) {
        const char *path =
            sb_arena_printf(doctor->arena, "%s%s", doctor->config->database_path, databases[i]);
        if (look(doctor, path, &st))
            check_rights(doctor, path, &st, 0177, 0600);
    }
    for (size_t i = 0; i < SB_COUNT(logs); i++) {
        const char *path =
            sb_arena_printf(doctor->arena, "%s/%s", doctor->config->log_dir, logs[i]);
        if (look(doctor, path, &st))
            check_rights(doctor, path, &st, 0137, 0640);
    }
}

static const char *env_file(void)
{
    const char *path = getenv("SWITCHBOARD_ENV");
    return path != NULL && *path != '\0' ? path : "/etc/switchboard/switchboard.env";
}

static void check_env_file(struct doctor *doctor)
{
    const char *path = env_file();
    struct stat st;
    if (!look(doctor, path, &st))
        return; /* without one, everything comes from the environment */
    if (st.st_uid != 0 && st.st_uid != doctor->owner)
        doctor_find(doctor, DOCTOR_FAIL, "%s belongs to %s, who can change it -> chown root %s",
                    path, name_of(doctor, st.st_uid), path);
    if ((st.st_mode & 0137) != 0)
        doctor_find(doctor, DOCTOR_FAIL, "%s holds secrets and has mode %04o -> chmod 0640 %s",
                    path, (unsigned)st.st_mode & 07777, path);
}

static void check_env_readable(struct doctor *doctor)
{
    if (access(env_file(), R_OK) != 0 && errno == EACCES)
        doctor_find(doctor, DOCTOR_FAIL, "%s is not readable to %s -> chgrp %s %s; chmod 0640 %s",
                    env_file(), name_of(doctor, geteuid()), name_of(doctor, geteuid()), env_file(),
                    env_file());
}

static void check_disk(struct doctor *doctor)
{
    const char *const paths[] = {doctor->config->state_dir, doctor->config->log_dir,
                                 doctor->config->run_dir};
    struct statvfs fs;
    uint64_t wanted_mib[] = {(uint64_t)doctor->options.disk_min_mib,
                             (uint64_t)doctor->options.disk_min_mib, 1};
    unsigned long seen[SB_COUNT(paths)];
    for (size_t i = 0; i < SB_COUNT(paths); i++) {
        seen[i] = 0;
        if (statvfs(paths[i], &fs) != 0)
            continue; /* "directories" has said so */
        seen[i] = fs.f_fsid;
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || seen[j] == fs.f_fsid;
        uint64_t free_mib = (uint64_t)fs.f_bavail * fs.f_frsize >> 20;
        if (!again && free_mib < wanted_mib[i])
            doctor_find(doctor, DOCTOR_FAIL,
                        "the disk of %s has %llu MiB left, less than %llu -> make room: logs and "
                        "backups first",
                        paths[i], (unsigned long long)free_mib, (unsigned long long)wanted_mib[i]);
    }
}

/* --- Sockets and processes
 * ---------------------------------------------------------------------------- */

/* Who can write to a socket can crash its program (libfcgi), and speak as any user of the site. */
static void check_socket(struct doctor *doctor, const FTSENT *entry)
{
    const FTSENT *directory = entry;
    if ((entry->fts_statp->st_mode & 0002) == 0)
        return;
    while ((directory = directory->fts_parent)->fts_level >= FTS_ROOTLEVEL) {
        if ((directory->fts_statp->st_mode & 0001) == 0)
            return; /* nobody else comes this far */
    }
    doctor_find(doctor, DOCTOR_FAIL,
                "the socket %s is open to all -> chmod 0600 %s; in "
                "switchboard@.socket: SocketMode=0600",
                entry->fts_path, entry->fts_path);
}

static void check_sockets(struct doctor *doctor)
{
    char *const roots[] = {(char *)doctor->config->run_dir, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;
    while (tree != NULL && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info == FTS_DEFAULT && S_ISSOCK(entry->fts_statp->st_mode))
            check_socket(doctor, entry);
        if (entry->fts_info == FTS_DNR)
            doctor_find(doctor, DOCTOR_WARN, "%s cannot be listed -> run this as root",
                        entry->fts_path);
    }
    if (tree != NULL)
        fts_close(tree);
}

/* Whether process pid runs a program below tree that has been replaced since; its path then. */
static bool is_stale(const char *pid, const char *tree, char program[static PATH_MAX])
{
    static const char mark[] = " (deleted)";
    char link[280]; /* a name of a directory, at most */
    snprintf(link, sizeof link, "/proc/%s/exe", pid);
    ssize_t length = readlink(link, program, PATH_MAX - 1);
    if (length <= 0)
        return false;
    program[length] = '\0';
    char *end = program + length - (sizeof mark - 1);
    if (end <= program || strcmp(end, mark) != 0)
        return false;
    *end = '\0';
    size_t prefix = strlen(tree);
    return strncmp(program, tree, prefix) == 0 && program[prefix] == '/';
}

static void check_programs(struct doctor *doctor)
{
    char program[PATH_MAX];
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    if (doctor->options.cgi_bin == NULL)
        doctor_find(doctor, DOCTOR_WARN, "no endpoints were found -> say where: --cgi-bin DIR");
    else if (geteuid() != 0)
        doctor_find(doctor, DOCTOR_WARN,
                    "others' processes cannot be looked at -> run this as root");
    else
        while (processes != NULL && (entry = readdir(processes)) != NULL) {
            if (is_stale(entry->d_name, doctor->options.cgi_bin, program))
                doctor_find(doctor, DOCTOR_FAIL, "process %s runs a replaced %s -> %s",
                            entry->d_name, program, doctor_advice("version", doctor->server));
        }
    if (processes != NULL)
        closedir(processes);
}

/* --- cron and logrotate
 * ------------------------------------------------------------------------------- */

/* cron and logrotate pass over files that others than root could have written. */
static void check_roots_alone(struct doctor *doctor, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_uid != 0 || (st.st_mode & 0022) != 0))
        doctor_find(doctor, DOCTOR_FAIL,
                    "%s is passed over, since not root alone can change it -> "
                    "chown root %s; chmod 0644 %s",
                    path, path, path);
}

/* The crontab to look at, in arena; *with_user as doctor_cron_user() takes it. */
static const char *find_crontab(struct doctor *doctor, bool *with_user)
{
    const char *file =
        doctor->options.cron != NULL ? doctor->options.cron : "/etc/cron.d/switchboard";
    *with_user = true;
    if (doctor->options.cron != NULL || access(file, F_OK) == 0)
        return file;
    const char *own = sb_arena_printf(doctor->arena, "/var/spool/cron/crontabs/%s",
                                      name_of(doctor, doctor->owner));
    if (own == NULL || access(own, R_OK) != 0)
        return file;
    *with_user = false;
    return own;
}

static void check_cron(struct doctor *doctor)
{
    bool with_user;
    const char *file = find_crontab(doctor, &with_user);
    const char *text = doctor_read(doctor->arena, file);
    if (text == NULL) {
        doctor_find(doctor, DOCTOR_FAIL,
                    "%s cannot be read (%s) -> install -m 644 " SB_PREFIX
                    "/share/switchboard/cron/switchboard %s",
                    file, strerror(errno), file);
        return;
    }
    const char *owner = name_of(doctor, doctor->owner);
    if (with_user)
        check_roots_alone(doctor, file);
    for (const char *const *verb = doctor_cron_verbs; *verb != NULL; verb++) {
        const char *user = doctor_cron_user(doctor->arena, text, *verb, with_user);
        if (user == NULL)
            doctor_find(doctor, DOCTOR_FAIL,
                        "%s does not run `switchboard %s` -> add the line of " SB_PREFIX
                        "/share/switchboard/cron/switchboard",
                        file, *verb);
        else if (with_user && strcmp(user, owner) != 0)
            doctor_find(doctor, DOCTOR_FAIL,
                        "%s runs `switchboard %s` as %s, who is refused -> say %s in its sixth "
                        "column",
                        file, *verb, user, owner);
    }
}

static void check_logrotate(struct doctor *doctor)
{
    const char *file = doctor->options.logrotate, *user, *owner = name_of(doctor, doctor->owner);
    const char *text = doctor_read(doctor->arena, file);
    if (text == NULL)
        doctor_find(doctor, DOCTOR_FAIL,
                    "%s cannot be read (%s) -> install -m 644 " SB_PREFIX
                    "/share/switchboard/logrotate/switchboard %s",
                    file, strerror(errno), file);
    else if (!doctor_logrotate_covers(doctor->arena, text, doctor->config->log_dir, &user))
        doctor_find(doctor, DOCTOR_FAIL,
                    "%s does not rotate the logs of LOG_DIR -> begin its block "
                    "with %s/*.log {",
                    file, doctor->config->log_dir);
    else if (user == NULL || strcmp(user, owner) != 0)
        doctor_find(doctor, DOCTOR_FAIL,
                    "%s rotates as %s, not as %s -> say in its block: su %s adm", file,
                    user == NULL ? "root" : user, owner, owner);
    if (text != NULL)
        check_roots_alone(doctor, file);
}

/* --- As the owner
 * ------------------------------------------------------------------------------------- */

static void check_schema(struct doctor *doctor)
{
    int64_t version = 0;
    struct sb_db *db = doctor->config->database_path == NULL
                           ? NULL
                           : sb_db_new(doctor->config->database_path, false);
    if (db == NULL)
        doctor_find(doctor, DOCTOR_WARN, "no database is configured -> see switchboard check");
    else if (sb_db_schema_version(db, &version) != SB_OK || version == 0)
        doctor_find(doctor, DOCTOR_FAIL,
                    "there is no database that can be opened at %s -> "
                    "switchboard migrate",
                    doctor->config->database_path);
    else if (version < sb_db_schema_newest())
        doctor_find(doctor, DOCTOR_FAIL,
                    "the database has schema %lld, this build wants %lld -> switchboard migrate",
                    (long long)version, (long long)sb_db_schema_newest());
    else if (version > sb_db_schema_newest())
        doctor_find(
            doctor, DOCTOR_WARN,
            "the database has schema %lld, newer than this build's %lld -> install the newer "
            "build again when you can",
            (long long)version, (long long)sb_db_schema_newest());
    sb_db_free(db);
}

const struct doctor_check doctor_machine_checks[] = {
    {"directories", "STATE_DIR, RUN_DIR and LOG_DIR are the owner's alone", check_directories},
    {"files", "database and logs are the owner's alone", check_files},
    {"env-file", "the environment file is closed to others", check_env_file},
    {"disk", "there is room on the disk", check_disk},
    {"sockets", "no socket is open to all", check_sockets},
    {"programs", "no process runs a replaced program", check_programs},
    {"cron", "cron tidies up", check_cron},
    {"logrotate", "logs are rotated", check_logrotate},
    {NULL, NULL, NULL}};

const struct doctor_check doctor_owner_checks[] = {
    {"env-readable", "the endpoints' user reads the environment file", check_env_readable},
    {"schema", "the database has this build's schema", check_schema},
    {NULL, NULL, NULL}};
