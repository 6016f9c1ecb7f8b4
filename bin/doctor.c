/* switchboard doctor: what breaks an installation, each finding with what to change. */
#include "doctor.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/origin.h"
#include "base/owner.h"
#include "verb.h"

static int examine_site(int argc, char **argv);

VERB("doctor",
     "doctor [--url BASE] [--connect HOST[:PORT]] [--server lighttpd|apache|nginx]\n"
     "                          [--server-config FILE] [--cgi-bin DIR] [--cron FILE]\n"
     "                          [--logrotate FILE] [--disk-min MIB] [--json]",
     "find what is wrong with an installation, over HTTP and on this machine", examine_site);

enum { MEMORY_MAX = 32 * 1024 * 1024, REPORT_MAX = 1024 * 1024, DISK_MIN_MIB = 512 };

static const char *const level_names[] = {"ok", "warn", "FAIL"};
static const char *const json_level_names[] = {"ok", "warn", "fail"};

/* --- The report
 * ------------------------------------------------------------------------------------- */

static void key_string(struct sb_buf *json, const char *key, const char *value)
{
    sb_json_key(json, key);
    sb_json_string(json, value);
}

/* todo: what to do, NULL where nothing is. */
static void print(struct doctor *doctor, enum doctor_level level, const char *what,
                  const char *todo)
{
    if (!doctor->as_json) {
        printf("%-4s  %-13s  %s%s%s\n", level_names[level], doctor->check->name, what,
               todo == NULL ? "" : "  -> ", todo == NULL ? "" : todo);
        return;
    }
    sb_json_open(&doctor->json, '{');
    key_string(&doctor->json, "level", json_level_names[level]);
    key_string(&doctor->json, "check", doctor->check->name);
    key_string(&doctor->json, "what", what);
    key_string(&doctor->json, "do", todo);
    sb_json_close(&doctor->json, '}');
}

void doctor_find(struct doctor *doctor, enum doctor_level level, const char *format, ...)
{
    static const char arrow[] = " -> ";
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char *split = strstr(text, arrow);
    if (split != NULL)
        *split = '\0';
    print(doctor, level, text, split == NULL ? NULL : split + sizeof arrow - 1);
    doctor->found_by_check++;
}

static void run_check(struct doctor *doctor, const struct doctor_check *check)
{
    doctor->check = check;
    doctor->found_by_check = 0;
    check->run(doctor);
    if (doctor->found_by_check == 0)
        print(doctor, DOCTOR_OK, check->well, NULL);
    doctor->found += doctor->found_by_check;
}

static void run_checks(struct doctor *doctor, const struct doctor_check *checks)
{
    for (; checks->name != NULL; checks++)
        run_check(doctor, checks);
}

/* --- The run
 * ---------------------------------------------------------------------------------------- */

/* From here on as the owner of STATE_DIR, like the endpoints. */
static void become_owner(struct doctor *doctor)
{
    char reason[512];
    if (!sb_owner_become(doctor->config->state_dir, reason, sizeof reason))
        doctor_find(doctor, DOCTOR_FAIL, "%s -> run this as root or as that user", reason);
}

static void run_as_owner(struct doctor *doctor)
{
    static const struct doctor_check owner = {"owner", "this can act as the owner of STATE_DIR",
                                              become_owner};
    run_check(doctor, &owner);
    if (doctor->found_by_check == 0)
        run_checks(doctor, doctor_owner_checks);
}

static void run_on_site(struct doctor *doctor)
{
    run_check(doctor, &doctor_site_checks[0]);
    if (doctor->found_by_check == 0)
        run_checks(doctor, doctor_site_checks + 1);
}

static int conclude(struct doctor *doctor)
{
    if (doctor->as_json) {
        sb_json_close(&doctor->json, ']');
        if (!sb_buf_ok(&doctor->json))
            return VERB_FAILED;
        puts(doctor->json.data);
    }
    say("%d findings at %s", doctor->found, doctor->options.url);
    return doctor->found == 0 ? VERB_OK : VERB_FAILED;
}

static int examine(struct doctor *doctor)
{
    struct stat st;
    sb_buf_init(&doctor->json, doctor->arena, REPORT_MAX);
    sb_json_open(&doctor->json, '[');
    sb_log_open(NULL, "switchboard", SB_LOG_LEVEL__MAX); /* the report says it better */
    if (stat(doctor->config->state_dir, &st) == 0)
        doctor->owner = st.st_uid;
    run_checks(doctor, doctor_machine_checks);
    run_as_owner(doctor);
    run_on_site(doctor);
    return conclude(doctor);
}

/* --- The call
 * --------------------------------------------------------------------------------------- */

static bool take_number(const char *text, int64_t *number)
{
    char *end;
    *number = strtoll(text, &end, 10);
    return end != text && *end == '\0' && *number >= 0;
}

static bool parse(struct doctor *doctor, int argc, char **argv)
{
    struct doctor_options *options = &doctor->options;
    const char *server = NULL, *disk_min = NULL;
    const struct verb_option known[] = {{"url", &options->url, NULL},
                                        {"connect", &options->connect, NULL},
                                        {"server", &server, NULL},
                                        {"server-config", &options->server_config, NULL},
                                        {"cgi-bin", &options->cgi_bin, NULL},
                                        {"cron", &options->cron, NULL},
                                        {"logrotate", &options->logrotate, NULL},
                                        {"disk-min", &disk_min, NULL},
                                        {"json", NULL, &doctor->as_json},
                                        {NULL, NULL, NULL}};
    if (!parse_options(argc, argv, known))
        return false;
    int number = server == NULL ? DOCTOR_UNKNOWN : index_of(server, doctor_server_names);
    doctor->server = number < 0 ? DOCTOR_UNKNOWN : (enum doctor_server)number;
    return (server == NULL || doctor->server != DOCTOR_UNKNOWN) &&
           (disk_min == NULL || take_number(disk_min, &options->disk_min_mib));
}

/* The site's address: --url, else the configuration's; NULL: neither says a good one. */
static const char *find_url(const struct doctor *doctor)
{
    const char *url = doctor->options.url, *domain = doctor->config->production_domain;
    if (url == NULL)
        return domain == NULL ? NULL : sb_arena_printf(doctor->arena, "https://%s", domain);
    size_t length = strlen(url);
    url = sb_arena_strndup(doctor->arena, url, length - (length > 0 && url[length - 1] == '/'));
    return url != NULL && sb_origin_valid(url) ? url : NULL;
}

static int run(struct doctor *doctor)
{
    struct sb_config *config;
    struct sb_config_problem *problems;
    char cgi_bin[PATH_MAX];
    doctor->arena = sb_arena_new(MEMORY_MAX);
    if (doctor->arena == NULL || !sb_config_load(NULL, 0, &config, &problems)) {
        say("out of memory");
        sb_arena_free(doctor->arena);
        return VERB_FAILED;
    }
    doctor->config = config;
    doctor->options.cgi_bin = find_tree(doctor->options.cgi_bin, cgi_bin)
                                  ? sb_arena_strdup(doctor->arena, cgi_bin)
                                  : NULL;
    doctor->options.url = find_url(doctor);
    int status =
        doctor->options.url == NULL
            ? usage_error(&this_verb, "say where the site is: --url http[s]://HOST[:PORT], "
                                      "or PRODUCTION_DOMAIN in the configuration")
            : examine(doctor);
    sb_config_free(config);
    sb_arena_free(doctor->arena);
    return status;
}

static int examine_site(int argc, char **argv)
{
    struct doctor doctor = {
        .options = {.logrotate = "/etc/logrotate.d/switchboard", .disk_min_mib = DISK_MIN_MIB}};
    if (!parse(&doctor, argc, argv))
        return usage_error(&this_verb, "an option is not known, or its value is not one");
    return run(&doctor);
}
