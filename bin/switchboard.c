/* switchboard VERB ...: the administrator's command. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/owner.h"
#include "verb.h"

extern const struct verb *const __start_verbs[], *const __stop_verbs[];

void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("switchboard: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

int usage_error(const struct verb *verb, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("switchboard: ", stderr);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nusage: switchboard %s\n", verb->usage);
    va_end(args);
    return VERB_USAGE;
}

/* A missing STATE_DIR is made for whoever asks first, so that a fresh machine needs no ceremony. */
static bool own_state(const struct sb_config *config)
{
    char reason[512];
    if (mkdir(config->state_dir, 0700) == 0)
        say("made STATE_DIR %s%s", config->state_dir,
            geteuid() != 0 ? "" : "; it is root's: chown it to the user of your web server");
    if (sb_owner_become(config->state_dir, reason, sizeof reason))
        return true;
    say("STATE_DIR %s", reason);
    return false;
}

void command_count(const struct command *command)
{
    bool counted = sb_metrics_open(command->config->run_dir);
    (void)counted; /* what is to be done is done without, too */
}

bool command_open(struct command *command, unsigned needs)
{
    bool secrets = (needs & ~(unsigned)SB_NEEDS_DB) != 0;
    *command = (struct command){0};
    if (secrets && !sb_crypto_init()) {
        say("out of memory");
        return false;
    }
    if (!sb_config_load(NULL, needs, &command->config, &command->problems)) {
        say("the configuration cannot be read: %s", strerror(errno));
        return false;
    }
    const struct sb_config *config = command->config;
    const struct sb_config_problem *problem = sb_config_blocking(command->problems, needs);
    if (problem != NULL)
        say("%s %s", problem->variable, problem->message);
    /* Messages belong on the terminal here, and only those of weight. */
    sb_log_open(NULL, "switchboard", SB_LOG_ERROR);
    if (problem != NULL || !own_state(config)) {
        command_close(command);
        return false;
    }
    if ((needs & SB_NEEDS_UPSTREAM) != 0)
        command_count(command);
    if ((needs & SB_NEEDS_DB) == 0)
        return true;
    command->db = sb_db_new(config->database_path, true);
    if (command->db == NULL)
        say("out of memory");
    else
        command->reader = sb_db_reader(command->db);
    return command->db != NULL;
}

void command_close(struct command *command)
{
    sb_db_free(command->db);
    sb_config_free(command->config);
    *command = (struct command){0};
}

int outcome(enum sb_error error, const char *what)
{
    switch (error) {
    case SB_OK:
        return VERB_OK;
    case SB_E_CONFLICT:
        say("%s exists already", what);
        break;
    case SB_E_NOT_FOUND:
        say("%s does not exist", what);
        break;
    case SB_E_MISCONFIGURED:
        say("the database is not up to date; run: switchboard migrate");
        break;
    default:
        say("the database of DATABASE_URL cannot be used; see the message above");
        break;
    }
    return VERB_FAILED;
}

bool parse_options(int argc, char **argv, const struct verb_option *options)
{
    struct option longs[VERB_OPTIONS_MAX + 1] = {{NULL, 0, NULL, 0}};
    for (size_t i = 0; i < VERB_OPTIONS_MAX && options[i].name != NULL; i++)
        longs[i] = (struct option){
            options[i].name, options[i].text != NULL ? required_argument : no_argument, NULL, 0};
    int at = 0, result;
    while ((result = getopt_long(argc, argv, "", longs, &at)) == 0) {
        if (options[at].text != NULL)
            *options[at].text = optarg;
        else
            *options[at].flag = true;
    }
    return result == -1 && optind == argc;
}

int index_of(const char *text, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0)
            return i;
    }
    return -1;
}

bool find_tree(const char *given, char path[static PATH_MAX])
{
    static const char *const places[] = {"../cgi-bin", "../lib/switchboard/cgi-bin"};
    char self[PATH_MAX], candidate[2 * PATH_MAX];
    if (given != NULL)
        return realpath(given, path) != NULL;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        return false;
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < SB_COUNT(places); i++) {
        snprintf(candidate, sizeof candidate, "%s/%s", self, places[i]);
        if (realpath(candidate, path) != NULL)
            return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct verb *const *)a)->name, (*(const struct verb *const *)b)->name);
}

static int help(int argc, char **argv);

VERB("help", "help [VERB]", "this list, or how a verb is used", help);

static int help(int argc, char **argv)
{
    size_t count = (size_t)(__stop_verbs - __start_verbs);
    const struct verb **sorted = calloc(count, sizeof(const struct verb *));
    if (sorted == NULL)
        return VERB_FAILED;
    memcpy(sorted, __start_verbs, count * sizeof(const struct verb *));
    qsort(sorted, count, sizeof(const struct verb *), by_name);
    if (argc < 2)
        puts("usage: switchboard VERB ...\n");
    int status = argc < 2 ? VERB_OK : VERB_USAGE;
    for (size_t i = 0; i < count; i++) {
        if (argc < 2) {
            printf("  %-10s %s\n", sorted[i]->name, sorted[i]->summary);
        } else if (strcmp(sorted[i]->name, argv[1]) == 0) {
            printf("usage: switchboard %s\n%s\n", sorted[i]->usage, sorted[i]->summary);
            status = VERB_OK;
        }
    }
    if (status == VERB_USAGE)
        usage_error(&this_verb, "there is no verb \"%s\"", argv[1]);
    if (argc < 2)
        puts("\nThe environment file is named by SWITCHBOARD_ENV; its default is\n"
             "/etc/switchboard/switchboard.env. Real environment variables win over it.");
    free(sorted);
    return status;
}

/* Asked for anywhere behind a verb: whoever looks for its options must not have it run. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return true;
    }
    return false;
}

static int run(const struct verb *verb, int argc, char **argv)
{
    char *const how[] = {(char *)"help", argv[1], NULL};
    int status = asks_for_help(argc, argv) ? help(2, (char **)how) : verb->run(argc - 1, argv + 1);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    say("standard output cannot be written: %s", strerror(errno));
    return VERB_FAILED;
}

int main(int argc, char **argv)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); /* a core dump would hold secrets */
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    umask(027);
    sb_memory_init();
    if (argc < 2)
        return usage_error(&this_verb, "no verb given; `switchboard help` lists them");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        argv[1] = (char *)"help";
    if (strcmp(argv[1], "--version") == 0)
        argv[1] = (char *)"version";
    for (const struct verb *const *verb = __start_verbs; verb < __stop_verbs; verb++) {
        if (strcmp((*verb)->name, argv[1]) == 0)
            return run(*verb, argc, argv);
    }
    return usage_error(&this_verb, "there is no verb \"%s\"", argv[1]);
}
