#include "base/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/base.h"
#include "base/config_table.h"
#include "base/log.h"

static char directory[BASE_DIR_SIZE];
static char *path;
static struct sb_config *config;
static struct sb_config_problem *problems;

static void setup(void)
{
    base_dir_make(directory);
    path = base_path(directory, "switchboard.env");
    clearenv();
}

static void teardown(void)
{
    sb_config_free(config);
    free(path);
    base_dir_remove(directory);
}

TestSuite(config, .init = setup, .fini = teardown);

static void load(const char *text, unsigned needs)
{
    base_file_write(path, text);
    sb_config_free(config);
    cr_assert(sb_config_load(path, needs, &config, &problems));
}

/* Loads NAME=VALUE alone. */
static void load_one(const char *name, const char *value)
{
    char *text;
    cr_assert_gt(asprintf(&text, "%s='%s'\n", name, value), 0);
    load(text, SB_NEEDS_CORE);
    free(text);
}

static size_t problem_count(const char *variable)
{
    size_t count = 0;
    for (const struct sb_config_problem *p = problems; p != NULL; p = p->next)
        count += strcmp(p->variable, variable) == 0;
    return count;
}

static const char *message_of(const char *variable)
{
    for (const struct sb_config_problem *p = problems; p != NULL; p = p->next) {
        if (strcmp(p->variable, variable) == 0)
            return p->message;
    }
    return "(no problem)";
}

static void assert_no_problem(void)
{
    cr_assert_null(problems, "%s %s", problems->variable, problems->message);
}

/* --- Where values come from
 * ---------------------------------------------------------------------*/

Test(config, an_empty_file_gives_the_defaults)
{
    load("", SB_NEEDS_CORE);
    assert_no_problem();
    cr_assert_eq(config->app_env, SB_ENV_DEVELOPMENT);
    cr_assert_eq(config->log_level, SB_LOG_INFO);
    cr_assert_str_eq(config->state_dir, "/var/lib/switchboard");
    cr_assert_str_eq(config->database_path, "/var/lib/switchboard/switchboard.db");
    cr_assert_eq(config->allowed_origins.count, 0);
    cr_assert_eq(config->trust_proxy.count, 0);
    cr_assert_eq(config->turn_port, 3478);
    cr_assert_eq(config->rate_count, 0);
    cr_assert_null(config->jwt_secret);
    cr_assert_not(config->cors_report_only);
}

Test(config, every_default_is_a_value_its_row_accepts)
{
    load("", SB_NEEDS_CORE);
    assert_no_problem();
    for (size_t i = 0; i < sb_config_row_count; i++) {
        if (sb_config_rows[i].fallback == NULL)
            continue;
        load_one(sb_config_rows[i].name, sb_config_rows[i].fallback);
        cr_expect_null(problems, "%s: %s", sb_config_rows[i].name,
                       problems == NULL ? "" : problems->message);
    }
}

Test(config, every_example_is_a_value_its_row_accepts)
{
    for (size_t i = 0; i < sb_config_row_count; i++) {
        if (sb_config_rows[i].example == NULL)
            continue;
        load_one(sb_config_rows[i].name, sb_config_rows[i].example);
        cr_expect_eq(problem_count(sb_config_rows[i].name), 0, "%s: %s", sb_config_rows[i].name,
                     message_of(sb_config_rows[i].name));
    }
}

Test(config, the_real_environment_wins_over_the_file)
{
    setenv("JITSI_APP_ID", "from-environment", 1);
    load("JITSI_APP_ID=from-file\nJWT_ISSUER=from-file\n", SB_NEEDS_CORE);
    cr_assert_str_eq(config->jitsi_app_id, "from-environment");
    cr_assert_str_eq(config->jwt_issuer, "from-file");
}

Test(config, a_variable_of_the_environment_that_is_empty_counts_as_absent)
{
    setenv("JITSI_APP_ID", "", 1);
    setenv("JWT_ISSUER", "", 1);
    load("JITSI_APP_ID=from-file\n", SB_NEEDS_CORE);
    cr_assert_str_eq(config->jitsi_app_id, "from-file");
    cr_assert_null(config->jwt_issuer);
}

Test(config, a_variable_of_the_file_that_is_empty_counts_as_absent)
{
    load("JITSI_APP_ID=\nJWT_SECRET=''\nTURN_PORT=\"\"\n", SB_NEEDS_USERS);
    cr_assert_str_eq(config->jitsi_app_id, "switchboard");
    cr_assert_eq(config->turn_port, 3478);
    cr_assert_not_null(strstr(message_of("JWT_SECRET"), "is not set"), "%s",
                       message_of("JWT_SECRET"));
}

Test(config, the_last_line_of_a_variable_wins)
{
    load("JWT_ISSUER=first\nJWT_ISSUER=last\nJITSI_APP_ID=first\nJITSI_APP_ID=\n", SB_NEEDS_CORE);
    cr_assert_str_eq(config->jwt_issuer, "last");
    cr_assert_str_eq(config->jitsi_app_id, "switchboard");
}

Test(config, an_alias_stands_in_where_the_name_is_absent)
{
    load("BACKEND_CORS_ORIGINS=https://a.example\nNEXT_PUBLIC_ENABLE_VAD=true\n", SB_NEEDS_CORE);
    cr_assert_eq(config->allowed_origins.count, 1);
    cr_assert_str_eq(config->allowed_origins.items[0], "https://a.example");
    cr_assert(config->enable_vad);
}

Test(config, the_name_wins_over_its_alias)
{
    load("BACKEND_CORS_ORIGINS=https://a.example\nALLOWED_ORIGINS=https://b.example\n",
         SB_NEEDS_CORE);
    cr_assert_eq(config->allowed_origins.count, 1);
    cr_assert_str_eq(config->allowed_origins.items[0], "https://b.example");
}

Test(config, a_bad_alias_is_reported_under_the_name)
{
    load("BACKEND_CORS_ORIGINS=nonsense\n", SB_NEEDS_CORE);
    cr_assert_eq(problem_count("ALLOWED_ORIGINS"), 1);
}

Test(config, values_outlive_the_environment_and_the_file)
{
    setenv("JWT_ISSUER", "https://issuer.example", 1);
    load("JITSI_APP_ID=app\n", SB_NEEDS_CORE);
    clearenv();
    cr_assert_eq(unlink(path), 0);
    cr_assert_str_eq(config->jwt_issuer, "https://issuer.example");
    cr_assert_str_eq(config->jitsi_app_id, "app");
}

/* --- The file
 * ------------------------------------------------------------------------------------*/

Test(config, the_environment_names_the_file)
{
    base_file_write(path, "JITSI_APP_ID=named\n");
    setenv("SWITCHBOARD_ENV", path, 1);
    cr_assert(sb_config_load(NULL, SB_NEEDS_CORE, &config, &problems));
    cr_assert_str_eq(config->jitsi_app_id, "named");
}

Test(config, the_path_given_wins_over_the_one_in_the_environment)
{
    setenv("SWITCHBOARD_ENV", "/nonexistent/switchboard.env", 1);
    load("JITSI_APP_ID=given\n", SB_NEEDS_CORE);
    assert_no_problem();
    cr_assert_str_eq(config->jitsi_app_id, "given");
}

Test(config, a_named_file_must_be_there)
{
    setenv("SWITCHBOARD_ENV", "/nonexistent/switchboard.env", 1);
    cr_assert(sb_config_load(NULL, SB_NEEDS_CORE, &config, &problems));
    cr_assert_str_eq(problems->variable, "SWITCHBOARD_ENV");
    cr_assert_not_null(strstr(problems->message, "/nonexistent/switchboard.env"));
    cr_assert_not_null(sb_config_blocking(problems, SB_NEEDS_CORE), "it stops everyone");
    cr_assert_str_eq(config->jitsi_app_id, "switchboard", "there is a configuration all the same");
}

Test(config, a_directory_in_the_place_of_the_file_is_a_problem)
{
    cr_assert(sb_config_load(directory, SB_NEEDS_CORE, &config, &problems));
    cr_assert_eq(problem_count("SWITCHBOARD_ENV"), 1);
}

Test(config, a_line_that_is_none_is_reported_by_its_number_and_nothing_of_the_file_is_used)
{
    load("JITSI_APP_ID=app\n\nJWT_SECRET hunter2\n", SB_NEEDS_CORE);
    cr_assert_eq(problem_count("SWITCHBOARD_ENV"), 1);
    cr_assert_not_null(strstr(message_of("SWITCHBOARD_ENV"), "line 3"), "%s",
                       message_of("SWITCHBOARD_ENV"));
    cr_assert_null(strstr(message_of("SWITCHBOARD_ENV"), "hunter2"));
    cr_assert_str_eq(config->jitsi_app_id, "switchboard");
}

/* A file of so many bytes: a value and a comment to fill it. */
static void write_size(size_t size)
{
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    memcpy(text, "JITSI_APP_ID=app\n#", 18);
    text[size] = '\0';
    base_file_write(path, text);
    free(text);
}

Test(config, a_file_may_have_256_kib_and_no_more)
{
    write_size(256 * 1024);
    cr_assert(sb_config_load(path, SB_NEEDS_CORE, &config, &problems));
    assert_no_problem();
    cr_assert_str_eq(config->jitsi_app_id, "app");
    sb_config_free(config);
    write_size(256 * 1024 + 1);
    cr_assert(sb_config_load(path, SB_NEEDS_CORE, &config, &problems));
    cr_assert_eq(problem_count("SWITCHBOARD_ENV"), 1);
    cr_assert_str_eq(config->jitsi_app_id, "switchboard");
}

Test(config, a_file_with_a_nul_is_refused)
{
    base_file_write(path, "JITSI_APP_ID=app\n");
    cr_assert_eq(truncate(path, 100), 0);
    cr_assert(sb_config_load(path, SB_NEEDS_CORE, &config, &problems));
    cr_assert_eq(problem_count("SWITCHBOARD_ENV"), 1);
}

static bool write_in_pieces(int index, void *context)
{
    (void)index;
    FILE *file = fopen(context, "w");
    for (int i = 0; i < 3000; i++) {
        fprintf(file, "# filling line %d, so that one read() does not give it all\n", i);
        fflush(file);
    }
    fputs("JITSI_APP_ID=last\n", file);
    return fclose(file) == 0;
}

Test(config, a_file_that_comes_in_pieces_is_read_to_its_end)
{
    cr_assert_eq(mkfifo(path, 0600), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(write_in_pieces(0, path) ? 0 : 1);
    cr_assert(sb_config_load(path, SB_NEEDS_CORE, &config, &problems));
    assert_no_problem();
    cr_assert_str_eq(config->jitsi_app_id, "last");
}

Test(config, without_memory_it_fails_and_gives_nothing)
{
    static const char *const variables[] = {"TRUST_PROXY", "ALLOWED_ORIGINS", "JWT_AUDIENCE",
                                            "JWT_ISSUER",  "APP_ENV",         "RATE_LIMIT_X"};
    enum { SIZE = 2 * 1024 * 1024 };
    char *huge = malloc(SIZE);
    base_file_write(path, "");
    for (size_t shape = 0; shape < 3; shape++) {
        for (size_t i = 0; i < SIZE - 1; i++)
            huge[i] = shape == 0 || i % 2 == 0 ? '1' : ',';
        huge[shape == 2 ? 200 * 1024 : SIZE - 1] = '\0'; /* the third fits, but not its items */
        for (size_t i = 0; i < (shape == 2 ? 3 : SB_COUNT(variables)); i++) {
            struct sb_config *none = NULL;
            clearenv();
            setenv(variables[i], huge, 1);
            cr_expect_not(sb_config_load(path, SB_NEEDS_ALL, &none, &problems), "%s %zu",
                          variables[i], shape);
            cr_expect_null(none);
        }
    }
    free(huge);
}

/* RUN_DIR leaves one chunk of the arena, LOG_DIR all but so many bytes of it. */
static bool load_with(size_t bytes, struct sb_config **loaded, struct sb_config_problem **found)
{
    enum { CHUNK = 16 * 1024, ARENA = 1024 * 1024 };
    static char run_dir[ARENA], log_dir[CHUNK];
    memset(run_dir, '/', ARENA - 2 * CHUNK - 1);
    memset(log_dir, 0, sizeof log_dir);
    memset(log_dir, '/', CHUNK - 1 - bytes);
    setenv("RUN_DIR", run_dir, 1);
    setenv("LOG_DIR", log_dir, 1);
    if (!sb_config_load(path, SB_NEEDS_ALL, loaded, found))
        return false;
    cr_assert_str_eq((*loaded)->log_dir, log_dir);
    return true;
}

Test(config, memory_that_ends_anywhere_is_told_and_does_no_harm)
{
    base_file_write(path, "LOG_LEVEL=x\nSWITCHBOARD_WORKERS=x\nDATABASE_URL=sqlite:a.db\n"
                          "ALLOWED_ORIGINS=https://a.example,x\nTRUST_PROXY=::1,x\n"
                          "JWT_AUDIENCE=a,b\nRATE_LIMIT_A=1/1\nRATE_LIMIT_B=x\n");
    setenv("RATE_LIMIT_C", "1/1", 1);
    int loaded = 0, refused = 0;
    for (size_t bytes = 0; bytes < 8 * 1024; bytes += 16) {
        struct sb_config *one = NULL;
        struct sb_config_problem *found = NULL;
        bool fine = load_with(bytes, &one, &found);
        loaded += fine;
        refused += !fine;
        cr_assert_eq(fine, one != NULL);
        cr_assert_eq(fine, found != NULL, "there are problems to tell");
        sb_config_free(one);
    }
    cr_assert_gt(loaded, 0);
    cr_assert_gt(refused, 10);
}

Test(config, the_file_of_the_default_name_may_be_absent)
{
    cr_assert(sb_config_load(NULL, SB_NEEDS_CORE, &config, &problems));
    cr_assert_eq(problem_count("SWITCHBOARD_ENV"), 0, "%s", message_of("SWITCHBOARD_ENV"));
    sb_config_free(config);
    setenv("SWITCHBOARD_ENV", "", 1);
    cr_assert(sb_config_load(NULL, SB_NEEDS_CORE, &config, &problems));
    cr_assert_eq(problem_count("SWITCHBOARD_ENV"), 0, "%s", message_of("SWITCHBOARD_ENV"));
}

/* --- Types
 * ---------------------------------------------------------------------------------------*/

/* A variable of each type with values, and whether they are taken. */
static const struct {
    const char *name, *value;
    bool taken;
} values[] = {
    {"JITSI_APP_ID", "any text, at all", true},
    {"METRICS_TOKEN", "0123456789abcde", false},
    {"METRICS_TOKEN", "0123456789abcdef", true},
    {"JWT_SECRET", "0123456789abcdef0123456789abcde", false},
    {"JWT_SECRET", "0123456789abcdef0123456789abcdef", true},
    {"TURN_PASSWORD", "x", true},
    {"STATE_DIR", "/srv/x", true},
    {"STATE_DIR", "srv/x", false},
    {"STATE_DIR", "./x", false},
    {"CORS_REPORT_ONLY", "true", true},
    {"CORS_REPORT_ONLY", "TRUE", true},
    {"CORS_REPORT_ONLY", "1", true},
    {"CORS_REPORT_ONLY", "false", true},
    {"CORS_REPORT_ONLY", "0", true},
    {"CORS_REPORT_ONLY", "yes", false},
    {"CORS_REPORT_ONLY", "2", false},
    {"CORS_REPORT_ONLY", "true ", false},
    {"TURN_PORT", "1", true},
    {"TURN_PORT", "65535", true},
    {"TURN_PORT", "0", false},
    {"TURN_PORT", "65536", false},
    {"TURN_PORT", "-1", false},
    {"TURN_PORT", "+1", false},
    {"TURN_PORT", " 1", false},
    {"TURN_PORT", "1 ", false},
    {"TURN_PORT", "\v1", false},
    {"TURN_PORT", "\r1", false},
    {"TURN_PORT", "1x", false},
    {"TURN_PORT", "0x10", false},
    {"TURN_PORT", "1.5", false},
    {"TURN_PORT", "-", false},
    {"TURN_PORT", "99999999999999999999", false},
    {"LOG_LEVEL", "debug", true},
    {"LOG_LEVEL", "error", true},
    {"LOG_LEVEL", "Debug", false},
    {"LOG_LEVEL", "verbose", false},
    {"APP_ENV", "staging", false},
    {"PRODUCTION_DOMAIN", "localhost", true},
    {"PRODUCTION_DOMAIN", "https://example.com", false},
    {"PRODUCTION_DOMAIN", "example.com:443", false},
    {"PRODUCTION_DOMAIN", "example.com/", false},
    {"PRODUCTION_DOMAIN", "exa mple.com", false},
    {"JITSI_DOMAIN", "Meet.Example.com", true},
    {"JITSI_DOMAIN", "192.0.2.1", true},
    {"DATABASE_URL", "sqlite:x.db", true},
    {"DATABASE_URL", "sqlite:/srv/x.db", true},
    {"DATABASE_URL", "sqlite:", false},
    {"DATABASE_URL", "sqlite", false},
    {"DATABASE_URL", "s", false},
    {"DATABASE_URL", "mysql://x", false},
    {"DATABASE_URL", "SQLITE:x", false},
    {"ALLOWED_ORIGINS", "https://a.example", true},
    {"ALLOWED_ORIGINS", "*", true},
    {"ALLOWED_ORIGINS", "a.example", false},
    {"ALLOWED_ORIGINS", "https://a.example/", false},
    {"ALLOWED_ORIGINS", "https://a.example,null", false},
    {"ALLOWED_ORIGINS", "https://*.example", false},
    {"TRUST_PROXY", "true", true},
    {"TRUST_PROXY", "false", true},
    {"TRUST_PROXY", "10.0.0.0/8, ::1", true},
    {"TRUST_PROXY", "1", false},
    {"TRUST_PROXY", "10.0.0.1/8", false},
    {"TRUST_PROXY", "loopback", false},
};

Test(config, each_type_takes_its_values_and_refuses_others)
{
    for (size_t i = 0; i < SB_COUNT(values); i++) {
        load_one(values[i].name, values[i].value);
        cr_expect_eq(problem_count(values[i].name) == 0, values[i].taken, "%s=%s: %s",
                     values[i].name, values[i].value, message_of(values[i].name));
    }
}

Test(config, the_example_values_of_the_types_cover_every_type)
{
    bool covered[SB_CONFIG_DATABASE + 1] = {false};
    for (size_t i = 0; i < SB_COUNT(values); i++) {
        for (size_t row = 0; row < sb_config_row_count; row++) {
            if (strcmp(sb_config_rows[row].name, values[i].name) == 0)
                covered[sb_config_rows[row].type] = true;
        }
    }
    for (size_t type = 0; type < SB_COUNT(covered); type++)
        cr_expect(covered[type] || type == SB_CONFIG_LIST, "type %zu", type);
}

Test(config, refused_values_leave_the_defaults)
{
    load("TURN_PORT=70000\nSTATE_DIR=x\nLOG_LEVEL=loud\nCORS_REPORT_ONLY=perhaps\n"
         "JITSI_DOMAIN=https://x\nDATABASE_URL=mysql://x\nTRUST_PROXY=10.0.0.0/8,nonsense\n"
         "ALLOWED_ORIGINS=https://a.example,nonsense\nMETRICS_TOKEN=short\nAPP_ENV=test\n",
         SB_NEEDS_CORE);
    cr_assert_eq(config->turn_port, 3478);
    cr_assert_str_eq(config->state_dir, "/var/lib/switchboard");
    cr_assert_eq(config->log_level, SB_LOG_INFO);
    cr_assert_not(config->cors_report_only);
    cr_assert_str_eq(config->jitsi_domain, "localhost");
    cr_assert_str_eq(config->database_path, "/var/lib/switchboard/switchboard.db");
    cr_assert_eq(config->trust_proxy.count, 0, "none rather than some");
    cr_assert_eq(config->allowed_origins.count, 0, "none rather than some");
    cr_assert_null(config->metrics_token);
    cr_assert_eq(config->app_env, SB_ENV_DEVELOPMENT);
}

Test(config, each_type_is_stored_as_it_was_meant)
{
    load("APP_ENV=production\nLOG_LEVEL=error\nCORS_REPORT_ONLY=1\nALLOW_NO_ORIGIN=True\n"
         "ENABLE_VAD=0\nTURN_PORT=0443\nSTATE_DIR=/srv/state\nDATABASE_URL=sqlite:/srv/a.db\n"
         "JWT_AUDIENCE=' a ,b,, c d ,'\n",
         SB_NEEDS_CORE);
    cr_assert_eq(config->app_env, SB_ENV_PRODUCTION);
    cr_assert_eq(config->log_level, SB_LOG_ERROR);
    cr_assert(config->cors_report_only);
    cr_assert(config->allow_no_origin);
    cr_assert_not(config->enable_vad);
    cr_assert_eq(config->turn_port, 443);
    cr_assert_str_eq(config->database_url, "sqlite:/srv/a.db");
    cr_assert_str_eq(config->database_path, "/srv/a.db");
    cr_assert_eq(config->jwt_audience.count, 3);
    cr_assert_str_eq(config->jwt_audience.items[0], "a");
    cr_assert_str_eq(config->jwt_audience.items[1], "b");
    cr_assert_str_eq(config->jwt_audience.items[2], "c d");
}

Test(config, a_relative_database_lies_below_the_state_directory)
{
    load("STATE_DIR=/srv/state\nDATABASE_URL=sqlite:sub/a.db\n", SB_NEEDS_CORE);
    cr_assert_str_eq(config->database_path, "/srv/state/sub/a.db");
}

Test(config, a_list_of_nothing_but_commas_is_empty)
{
    load("JWT_AUDIENCE=' , ,, '\n", SB_NEEDS_CORE);
    assert_no_problem();
    cr_assert_eq(config->jwt_audience.count, 0);
}

static bool trusted(const char *text)
{
    struct sb_address address;
    cr_assert(sb_address_parse(text, strlen(text), &address));
    for (size_t i = 0; i < config->trust_proxy.count; i++) {
        if (sb_cidr_contains(&config->trust_proxy.items[i], &address))
            return true;
    }
    return false;
}

Test(config, trust_proxy_true_means_loopback_and_private_ranges)
{
    load("TRUST_PROXY=true\n", SB_NEEDS_CORE);
    static const char *const inside[] = {"127.0.0.1",   "::1",     "10.1.2.3", "172.31.0.1",
                                         "192.168.9.9", "fd00::1", "fe80::1"};
    static const char *const outside[] = {"128.0.0.1",  "::2",         "11.0.0.1",
                                          "172.32.0.1", "192.169.0.1", "2001:db8::1"};
    for (size_t i = 0; i < SB_COUNT(inside); i++)
        cr_expect(trusted(inside[i]), "%s", inside[i]);
    for (size_t i = 0; i < SB_COUNT(outside); i++)
        cr_expect_not(trusted(outside[i]), "%s", outside[i]);
}

Test(config, trust_proxy_lists_networks)
{
    load("TRUST_PROXY='192.0.2.0/24, 2001:db8::/32'\n", SB_NEEDS_CORE);
    cr_assert_eq(config->trust_proxy.count, 2);
    cr_assert(trusted("192.0.2.255"));
    cr_assert(trusted("2001:db8::1"));
    cr_assert_not(trusted("127.0.0.1"));
}

/* --- Problems
 * ------------------------------------------------------------------------------------*/

Test(config, all_problems_are_collected_at_once_in_the_order_of_the_table)
{
    load("TURN_PORT=x\nTRUST_PROXY=x,10.0.0.0/8,y\nAPP_ENV=x\nRATE_LIMIT_A=x\nLOG_LEVEL=x\n"
         "ALLOWED_ORIGINS=x,https://a.example,y\nENABLE_WS_PROXY=true\n",
         SB_NEEDS_USERS);
    static const char *const expected[] = {
        "APP_ENV",     "LOG_LEVEL",  "ALLOWED_ORIGINS", "ALLOWED_ORIGINS", "TRUST_PROXY",
        "TRUST_PROXY", "JWT_SECRET", "TURN_PORT",       "RATE_LIMIT_A",    "ENABLE_WS_PROXY"};
    const struct sb_config_problem *p = problems;
    for (size_t i = 0; i < SB_COUNT(expected); i++, p = p->next) {
        cr_assert_not_null(p, "%s is missing", expected[i]);
        cr_assert_str_eq(p->variable, expected[i]);
    }
    cr_assert_null(p, "%s too many", p == NULL ? "" : p->variable);
}

/* Exactly the rows that are demanded of needs are reported as not set, in order. */
static void assert_demands(bool production, unsigned needs)
{
    load(production ? "APP_ENV=production\n" : "", needs);
    const struct sb_config_problem *p = problems;
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        bool demanded =
            row->demand == SB_DEMANDED || (production && row->demand == SB_DEMANDED_IN_PRODUCTION);
        if (!demanded || (row->needs != 0 && (row->needs & needs) == 0))
            continue;
        cr_assert_not_null(p, "%s is not demanded of needs %x", row->name, needs);
        cr_assert_str_eq(p->variable, row->name, "needs %x: %s", needs, p->variable);
        cr_assert_not_null(strstr(p->message, "is not set"), "%s", p->message);
        cr_assert_eq(strstr(p->message, "production") != NULL,
                     row->demand == SB_DEMANDED_IN_PRODUCTION, "%s", p->message);
        cr_assert_eq(p->needs, row->needs);
        p = p->next;
    }
    cr_assert_null(p, "needs %x: %s", needs, p == NULL ? "" : p->variable);
}

Test(config, a_variable_is_demanded_only_of_those_who_need_it)
{
    for (unsigned needs = 0; needs <= SB_NEEDS_ALL; needs++)
        assert_demands(false, needs);
}

Test(config, production_demands_more)
{
    for (unsigned needs = 0; needs <= SB_NEEDS_ALL; needs++)
        assert_demands(true, needs);
}

Test(config, production_demands_what_a_public_site_must_have)
{
    load("APP_ENV=production\n", SB_NEEDS_ALL);
    static const char *const expected[] = {"PRODUCTION_DOMAIN", "JWT_SECRET",   "METRICS_TOKEN",
                                           "JITSI_JWT_SECRET",  "JITSI_DOMAIN", "TURN_HOST"};
    for (size_t i = 0; i < SB_COUNT(expected); i++)
        cr_expect_eq(problem_count(expected[i]), 1, "%s", expected[i]);
}

Test(config, a_star_origin_is_refused_in_production_alone)
{
    load("ALLOWED_ORIGINS=*\n", SB_NEEDS_CORE);
    cr_assert_eq(config->allowed_origins.count, 1);
    load("ALLOWED_ORIGINS=*\nAPP_ENV=production\nPRODUCTION_DOMAIN=a.example\n", SB_NEEDS_CORE);
    cr_assert_eq(problem_count("ALLOWED_ORIGINS"), 1);
    cr_assert_eq(config->allowed_origins.count, 0, "and not used");
}

Test(config, a_set_value_that_is_wrong_is_reported_to_those_without_the_need_as_well)
{
    load("TURN_PORT=x\n", SB_NEEDS_CORE);
    cr_assert_eq(problem_count("TURN_PORT"), 1);
    cr_assert_null(sb_config_blocking(problems, SB_NEEDS_CORE), "but stops only who needs it");
    cr_assert_not_null(sb_config_blocking(problems, SB_NEEDS_TURN));
}

Test(config, no_problem_shows_a_secret)
{
    size_t secrets = 0;
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        if (row->type != SB_CONFIG_SECRET)
            continue;
        secrets++;
        load_one(row->name, "hunter2");
        if (row->min > 7)
            cr_expect_eq(problem_count(row->name), 1, "%s", row->name);
        for (const struct sb_config_problem *p = problems; p != NULL; p = p->next)
            cr_expect_null(strstr(p->message, "hunter2"), "%s", p->message);
    }
    cr_assert_gt(secrets, 3);
}

Test(config, no_problem_shows_the_password_of_a_database)
{
    load("DATABASE_URL=postgresql//user:hunter2@host/db\n", SB_NEEDS_DB);
    cr_assert_eq(problem_count("DATABASE_URL"), 1);
    cr_assert_null(strstr(message_of("DATABASE_URL"), "hunter2"));
}

#define TURN "TURN_HOST=turn.example\n"
#define LONG_SECRET "0123456789abcdef0123456789abcdef"

Test(config, turn_takes_a_secret_or_a_user_with_a_password)
{
    static const struct {
        const char *text;
        bool fine;
    } rows[] = {
        {TURN, false},
        {TURN "TURN_USERNAME=u\n", false},
        {TURN "TURN_PASSWORD=p\n", false},
        {TURN "TURN_USERNAME=u\nTURN_PASSWORD=p\n", true},
        {TURN "TURN_SECRET=" LONG_SECRET "\n", true},
        {"TURN_USERNAME=u\n", true},
        {"", true},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        load(rows[i].text, SB_NEEDS_TURN);
        cr_expect_eq(problem_count("TURN_SECRET") == 0, rows[i].fine, "%s", rows[i].text);
    }
}

Test(config, a_short_turn_secret_is_not_called_unset)
{
    load(TURN "TURN_SECRET=short\n", SB_NEEDS_TURN);
    cr_assert_eq(problem_count("TURN_SECRET"), 1);
    cr_assert_not_null(strstr(message_of("TURN_SECRET"), "shorter"));
}

Test(config, a_turn_user_holds_no_colon)
{
    load("TURN_USERNAME=a:b\n", SB_NEEDS_TURN);
    cr_assert_eq(problem_count("TURN_USERNAME"), 1);
}

Test(config, a_websocket_proxy_cannot_be_had)
{
    load("ENABLE_WS_PROXY=true\n", SB_NEEDS_CORE);
    cr_assert_eq(problem_count("ENABLE_WS_PROXY"), 1);
    cr_assert_not_null(sb_config_blocking(problems, SB_NEEDS_CORE));
    load("ENABLE_WS_PROXY=false\n", SB_NEEDS_CORE);
    assert_no_problem();
}

Test(config, names_of_other_software_are_answered_with_a_hint)
{
    for (size_t i = 0; i < sb_config_foreign_count; i++) {
        load_one(sb_config_foreigns[i].name, "true");
        cr_expect_eq(problem_count(sb_config_foreigns[i].name), 1);
        cr_expect_str_eq(message_of(sb_config_foreigns[i].name), sb_config_foreigns[i].hint);
    }
}

Test(config, a_public_domain_in_development_is_a_warning_that_stops_nothing)
{
    load("PRODUCTION_DOMAIN=www.example.com\n", SB_NEEDS_CORE);
    cr_assert_eq(problem_count("APP_ENV"), 1);
    cr_assert(problems->warning);
    cr_assert_null(sb_config_blocking(problems, SB_NEEDS_ALL));
    load("PRODUCTION_DOMAIN=localhost\n", SB_NEEDS_CORE);
    assert_no_problem();
}

Test(config, blocking_gives_the_first_error_that_concerns)
{
    struct sb_config_problem third = {"THIRD", "", 0, false, NULL};
    struct sb_config_problem second = {"SECOND", "", SB_NEEDS_DB | SB_NEEDS_TURN, false, &third};
    struct sb_config_problem first = {"FIRST", "", 0, true, &second};
    cr_assert_eq(sb_config_blocking(&first, SB_NEEDS_DB), &second);
    cr_assert_eq(sb_config_blocking(&first, SB_NEEDS_TURN | SB_NEEDS_JITSI), &second);
    cr_assert_eq(sb_config_blocking(&first, SB_NEEDS_JITSI), &third);
    cr_assert_eq(sb_config_blocking(&first, SB_NEEDS_CORE), &third);
    cr_assert_null(sb_config_blocking(NULL, SB_NEEDS_ALL));
}

Test(config, unknown_variables_are_nobodys_business)
{
    load("SOMETHING_ELSE=1\nPATH=/bin\n", SB_NEEDS_CORE);
    assert_no_problem();
}

/* --- Rate limits
 * ---------------------------------------------------------------------------------*/

static void assert_rate(const char *policy, int64_t limit, int64_t window_s)
{
    const struct sb_rate_setting *rate = sb_config_rate(config, policy);
    cr_assert_not_null(rate, "%s", policy);
    cr_expect_eq(rate->limit, limit, "%s: %lld", policy, (long long)rate->limit);
    cr_expect_eq(rate->window_s, window_s, "%s: %lld", policy, (long long)rate->window_s);
}

Test(config, rate_limits_are_set_by_policy)
{
    load("RATE_LIMIT_CALLS_START=10/60\nRATE_LIMIT_AUTH=off\nRATE_LIMIT_X9=16383/86400\n"
         "RATE_LIMIT_Y=1/1\n",
         SB_NEEDS_CORE);
    assert_no_problem();
    cr_assert_eq(config->rate_count, 4);
    assert_rate("calls-start", 10, 60);
    assert_rate("auth", 0, 0);
    assert_rate("x9", 16383, 86400);
    assert_rate("y", 1, 1);
    cr_assert_null(sb_config_rate(config, "calls"));
    cr_assert_null(sb_config_rate(config, "CALLS_START"));
}

Test(config, bad_rate_limits_are_refused_by_name)
{
    static const char *const rows[] = {"10",
                                       "10/",
                                       "/60",
                                       "/",
                                       "10/60/1",
                                       "0/60",
                                       "16384/60",
                                       "10/0",
                                       "10/86401",
                                       "-1/60",
                                       "10/-1",
                                       "10 /60",
                                       "10/ 60",
                                       "+10/60",
                                       "x/60",
                                       "10/x",
                                       "10/60s",
                                       "OFF",
                                       "0",
                                       "on",
                                       "00000010/60",
                                       "1e3/60",
                                       "99999999999999999999/60"};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        load_one("RATE_LIMIT_CALLS_START", rows[i]);
        cr_expect_eq(problem_count("RATE_LIMIT_CALLS_START"), 1, "%s", rows[i]);
        cr_expect_eq(config->rate_count, 0, "%s", rows[i]);
    }
}

Test(config, rate_limits_of_the_real_environment_win)
{
    setenv("RATE_LIMIT_A", "1/1", 1);
    setenv("RATE_LIMIT_B", "2/2", 1);
    setenv("RATE_LIMITS", "3/3", 1);
    load("RATE_LIMIT_A=5/5\nRATE_LIMIT_C=6/6\n", SB_NEEDS_CORE);
    assert_no_problem();
    cr_assert_eq(config->rate_count, 3);
    assert_rate("a", 1, 1);
    assert_rate("b", 2, 2);
    assert_rate("c", 6, 6);
}

Test(config, an_empty_rate_limit_counts_as_absent)
{
    setenv("RATE_LIMIT_A", "", 1);
    load("RATE_LIMIT_A=5/5\nRATE_LIMIT_B=\nRATE_LIMIT_C=1/1\nRATE_LIMIT_C=\n", SB_NEEDS_CORE);
    assert_no_problem();
    cr_assert_eq(config->rate_count, 1);
    assert_rate("a", 5, 5);
}

Test(config, the_last_line_of_a_rate_limit_wins)
{
    load("RATE_LIMIT_A=nonsense\nRATE_LIMIT_A=7/7\n", SB_NEEDS_CORE);
    assert_no_problem();
    cr_assert_eq(config->rate_count, 1);
    assert_rate("a", 7, 7);
}

Test(config, a_bad_rate_limit_in_environment_and_file_is_one_problem)
{
    setenv("RATE_LIMIT_A", "bad", 1);
    load("RATE_LIMIT_A=worse\n", SB_NEEDS_CORE);
    cr_assert_eq(problem_count("RATE_LIMIT_A"), 1);
    cr_assert_not_null(strstr(message_of("RATE_LIMIT_A"), "\"bad\""));
}

Test(config, two_spellings_of_a_policy_are_one_setting)
{
    setenv("RATE_LIMIT_calls_start", "1/1", 1);
    load("RATE_LIMIT_CALLS_START=2/2\n", SB_NEEDS_CORE);
    cr_assert_eq(config->rate_count, 1);
    assert_rate("calls-start", 1, 1);
}

Test(config, free_of_null_is_allowed)
{
    sb_config_free(NULL);
    cr_assert_null(config, "nothing was loaded");
}
