/* switchboard check: everything that is wrong with an installation's configuration, at once. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_load.h"
#include "base/log.h"
#include "base/owner.h"
#include "upstream/engines.h"
#include "upstream/local.h"
#include "upstream/program.h"
#include "upstream/receptionist.h"
#include "verb.h"

static int check(int argc, char **argv);

VERB("check", "check [--cgi-bin DIR] [--json]",
     "list everything that is wrong with the configuration, each with what to do", check);

enum { DESCRIPTION_MAX = 1024 * 1024, DESCRIBE_DEADLINE_MS = 1000, POLICIES_MAX = 256 };

extern char **environ;

struct report {
    struct sb_buf json;
    bool as_json;
    int errors, warnings;
};

static void add(struct report *report, const char *variable, bool warning, const char *message)
{
    if (warning)
        report->warnings++;
    else
        report->errors++;
    if (!report->as_json) {
        printf("%s: %s %s\n", warning ? "warning" : "error", variable, message);
        return;
    }
    sb_json_open(&report->json, '{');
    sb_json_key(&report->json, "variable");
    sb_json_string(&report->json, variable);
    sb_json_key(&report->json, "level");
    sb_json_string(&report->json, warning ? "warning" : "error");
    sb_json_key(&report->json, "message");
    sb_json_string(&report->json, message);
    sb_json_close(&report->json, '}');
}

SB_PRINTF(4, 5)
static void add_format(struct report *report, const char *variable, bool warning,
                       const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    add(report, variable, warning, message);
}

/* --- What the installed endpoints say of themselves ------------------------------------------- */

/* nftw() has no context argument. */
static struct {
    struct report *report;
    unsigned needs;
    int endpoints;
    const char *policies[POLICIES_MAX];
    size_t policy_count;
} tree;

static size_t read_until(int fd, char *text, size_t size, int64_t deadline_us)
{
    size_t length = 0;
    for (;;) {
        int64_t left_ms = (deadline_us - sb_clock_mono_us()) / 1000;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0 || length == size || poll(&wait, 1, (int)left_ms) <= 0)
            return 0;
        ssize_t count = read(fd, text + length, size - length);
        if (count <= 0)
            return count == 0 ? length : 0;
        length += (size_t)count;
    }
}

/* What `path --describe` prints, within the deadline; its length, 0 if it failed. */
static size_t describe(const char *path, char *text, size_t size)
{
    int ends[2], status = 0;
    pid_t child;
    char *const argv[] = {(char *)path, (char *)"--describe", NULL};
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    int error = posix_spawn(&child, path, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t length = 0;
    if (error == 0) {
        length = read_until(ends[0], text, size,
                            sb_clock_mono_us() + (int64_t)DESCRIBE_DEADLINE_MS * 1000);
        if (length == 0)
            kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    close(ends[0]);
    return status == 0 ? length : 0;
}

static void take_needs(const json_t *description)
{
    size_t index;
    json_t *need;
    json_array_foreach(json_object_get(description, "needs"), index, need)
    {
        int bit = json_is_string(need) ? index_of(json_string_value(need), sb_needs_names) : -1;
        if (bit >= 0)
            tree.needs |= 1u << bit;
    }
}

static void no_memory_for_descriptions(void)
{
    add(tree.report, "endpoint", false, "descriptions could not be kept: out of memory");
}

static void take_policy(const char *name)
{
    tree.policies[tree.policy_count] = strdup(name);
    if (tree.policies[tree.policy_count] != NULL)
        tree.policy_count++;
    else
        no_memory_for_descriptions();
}

static void take_policies(json_t *description)
{
    const char *path, *method;
    json_t *operations, *operation;
    json_object_foreach(json_object_get(description, "paths"), path, operations)
    {
        json_object_foreach(operations, method, operation)
        {
            const char *name = json_string_value(
                json_object_get(json_object_get(operation, "x-rate-limit"), "policy"));
            if (name != NULL && tree.policy_count < POLICIES_MAX)
                take_policy(name);
        }
    }
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *where)
{
    static char text[DESCRIPTION_MAX];
    (void)where;
    if (type != FTW_F || (st->st_mode & 0111) == 0)
        return 0;
    size_t length = describe(path, text, sizeof text);
    json_error_t error;
    bool no_memory;
    json_t *description = sb_json_load(text, length, &error, &no_memory);
    if (json_is_object(description)) {
        tree.endpoints++;
        take_needs(description);
        take_policies(description);
    } else if (no_memory) {
        no_memory_for_descriptions();
    } else {
        add_format(tree.report, "endpoint", false,
                   "%s does not answer --describe; remove or rebuild it", path);
    }
    json_decref(description);
    return 0;
}

static void check_endpoints(struct report *report, const char *given)
{
    char path[PATH_MAX];
    tree.report = report;
    if (!find_tree(given, path) || nftw(path, visit, 16, FTW_PHYS) != 0 || tree.endpoints == 0)
        add(report, "endpoint", false,
            "no endpoints were found; say where they are with --cgi-bin DIR");
}

/* --- Configuration and directories ------------------------------------------------------------ */

static bool policy_known(const char *name)
{
    if (strcmp(name, "default") == 0)
        return true;
    for (size_t i = 0; i < tree.policy_count; i++) {
        if (strcmp(tree.policies[i], name) == 0)
            return true;
    }
    return false;
}

static void check_rates(struct report *report, const struct sb_config *config)
{
    for (size_t i = 0; i < config->rate_count; i++) {
        if (!policy_known(config->rates[i].policy))
            add_format(report, "RATE_LIMIT_*", true,
                       "sets the policy \"%s\", which no installed endpoint has",
                       config->rates[i].policy);
    }
}

/* Once the process is the owner: whether it can work in the directory. */
static bool check_directory(struct report *report, const char *variable, const char *path)
{
    if (access(path, R_OK | W_OK | X_OK) == 0)
        return true;
    add_format(report, variable, false,
               "%s cannot be used (%s); make it for the owner of STATE_DIR", path, strerror(errno));
    return false;
}

/* Not a problem of the configuration itself: a site may want no mail. */
static void check_mail(struct report *report, const struct sb_config *config)
{
    if ((tree.needs & SB_NEEDS_MAIL) != 0 && config->sales_email == NULL &&
        config->smtp_host == NULL && config->smtp_from == NULL)
        add(report, "SALES_EMAIL", true,
            "is not set: leads are stored, but nobody is mailed; set SALES_EMAIL, SMTP_HOST and "
            "SMTP_FROM");
}

static void check_env_file(struct report *report)
{
    const char *path = getenv("SWITCHBOARD_ENV");
    struct stat st;
    if (path == NULL || *path == '\0')
        path = "/etc/switchboard/switchboard.env";
    if (stat(path, &st) != 0)
        add_format(report, "SWITCHBOARD_ENV", true,
                   "is not set, and there is no %s: variables that are not in the environment have "
                   "their defaults",
                   path);
    else if ((st.st_mode & 0007) != 0)
        add_format(report, "SWITCHBOARD_ENV", true,
                   "%s holds secrets and is open to all; chmod it 0640 or tighter", path);
}

/* From here on as the owner of STATE_DIR, like the endpoints: what is not readable to it is not
 * readable to them, and no program of the tree runs as root. */
static bool become_owner(struct report *report, const struct sb_config *config)
{
    char reason[512];
    bool owner = sb_owner_become(config->state_dir, reason, sizeof reason);
    if (!owner)
        add(report, "STATE_DIR", false, reason);
    else if (geteuid() == 0)
        add_format(report, "STATE_DIR", true,
                   "%s belongs to root; chown it to the user of your web server, whose endpoints "
                   "refuse it otherwise",
                   config->state_dir);
    return owner;
}

static void check_database(struct report *report, const struct sb_config *config)
{
    int64_t version = 0;
    char directory[PATH_MAX];
    if (config->database_path == NULL || (tree.needs & SB_NEEDS_DB) == 0)
        return;
    snprintf(directory, sizeof directory, "%s", config->database_path);
    if (!check_directory(report, "DATABASE_URL", dirname(directory)))
        return;
    struct sb_db *db = sb_db_new(config->database_path, false);
    if (db == NULL)
        return;
    if (sb_db_schema_version(db, &version) != SB_OK)
        add(report, "DATABASE_URL", false,
            "names a database that cannot be opened; run: switchboard migrate");
    else if (version == 0)
        add(report, "DATABASE_URL", false,
            "names a database that is not made yet; run: switchboard migrate");
    else if (version < sb_db_schema_newest())
        add(report, "DATABASE_URL", false,
            "names a database with an old schema; run: switchboard migrate");
    sb_db_free(db);
}

/* As the owner: what is not readable to it is not readable to the endpoints. */
static void check_authorities(struct report *report, const struct sb_config *config)
{
    if (config->upstream_ca_file != NULL && sb_fetch_prepare(config) == SB_E_MISCONFIGURED)
        add_format(report, "UPSTREAM_CA_FILE", false,
                   "%s holds no certificate in PEM, or is not readable to the owner of STATE_DIR; "
                   "name a file that is, or leave the variable out",
                   config->upstream_ca_file);
}

/* What the engines need that the endpoints have: keys and programs. */
static void check_engines(struct report *report, const struct sb_config *config)
{
    struct sb_engines engines = {.hearing = NULL};
    const char *reason, *variable = sb_engines_problem(config, tree.needs, &engines, &reason);
    if (variable != NULL)
        add(report, variable, false, reason);
    const struct {
        const char *name, *command;
        bool used;
    } programs[] = {
        {"DECODE_COMMAND", config->decode_command, (tree.needs & SB_NEEDS_HEARING) != 0},
        {"STT_COMMAND", config->stt_command, engines.hearing == &sb_local_hearing},
        {"TTS_COMMAND", config->tts_command, engines.speaking == &sb_local_speaking}};
    for (size_t i = 0; i < SB_COUNT(programs); i++) {
        if (programs[i].used && !sb_program_exists(programs[i].command))
            add(report, programs[i].name, false,
                "its program is not installed; the default ones are in the packages ffmpeg, "
                "pocketsphinx (with pocketsphinx-en-us) and flite");
    }
}

static void check_receptionist(struct report *report, const struct sb_config *config)
{
    char problem[256];
    if ((tree.needs & SB_NEEDS_THINKING) == 0)
        return;
    struct sb_receptionist *receptionist =
        sb_receptionist_load(config->receptionist_file, problem, sizeof problem);
    if (receptionist == NULL)
        add_format(report, "RECEPTIONIST_FILE", false, "%s: %s", config->receptionist_file,
                   problem);
    sb_receptionist_free(receptionist);
}

static int conclude(struct report *report)
{
    if (report->as_json) {
        sb_json_close(&report->json, ']');
        if (!sb_buf_ok(&report->json)) {
            say("the report is too long, or there is no memory for it");
            return VERB_FAILED;
        }
        puts(report->json.data);
    }
    say("%d errors, %d warnings, %d endpoints", report->errors, report->warnings, tree.endpoints);
    sb_buf_free(&report->json);
    return report->errors == 0 ? VERB_OK : VERB_FAILED;
}

static int unreadable(void)
{
    say("the configuration cannot be read: %s", strerror(errno));
    return VERB_FAILED;
}

/* Where the file could not be read, all else would be said of defaults. */
static bool add_unread_file(struct report *report, const struct sb_config_problem *problem)
{
    for (; problem != NULL; problem = problem->next) {
        if (strcmp(problem->variable, "SWITCHBOARD_ENV") != 0 || problem->warning)
            continue;
        add(report, problem->variable, false, problem->message);
        return true;
    }
    return false;
}

static int run(struct report *report, const char *cgi_bin)
{
    struct sb_config *config;
    struct sb_config_problem *problems;
    sb_buf_init(&report->json, NULL, DESCRIPTION_MAX);
    sb_json_open(&report->json, '[');
    sb_log_open(NULL, "switchboard", SB_LOG_LEVEL__MAX); /* the report says it better */
    if (!sb_config_load(NULL, 0, &config, &problems))
        return unreadable();
    bool owner = become_owner(report, config);
    sb_config_free(config);
    check_endpoints(report, cgi_bin);
    if (!sb_config_load(NULL, tree.needs, &config, &problems))
        return unreadable();
    if (add_unread_file(report, problems)) {
        sb_config_free(config);
        return conclude(report);
    }
    for (; problems != NULL; problems = problems->next)
        add(report, problems->variable, problems->warning, problems->message);
    check_rates(report, config);
    check_mail(report, config);
    check_env_file(report);
    if (owner) {
        bool state = check_directory(report, "STATE_DIR", config->state_dir);
        check_directory(report, "RUN_DIR", config->run_dir);
        check_directory(report, "LOG_DIR", config->log_dir);
        if (state)
            check_database(report, config);
        check_authorities(report, config);
    }
    check_engines(report, config);
    check_receptionist(report, config);
    sb_config_free(config);
    return conclude(report);
}

static int check(int argc, char **argv)
{
    struct report report = {0};
    const char *cgi_bin = NULL;
    const struct verb_option known[] = {
        {"cgi-bin", &cgi_bin, NULL}, {"json", NULL, &report.as_json}, {NULL, NULL, NULL}};
    if (!parse_options(argc, argv, known))
        return usage_error(&this_verb, "an option is not known");
    return run(&report, cgi_bin);
}
