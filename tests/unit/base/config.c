#include "base/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/base.h"
#include "../support/base_config.h"
#include "base/config_table.h"
#include "base/log.h"

TestSuite(config, .init = base_config_setup, .fini = base_config_teardown);

Test(config, an_empty_file_gives_the_defaults)
{
    base_config_load("", SB_NEEDS_CORE);
    base_config_assert_no_problem();
    cr_assert_eq(base_config->app_env, SB_ENV_DEVELOPMENT);
    cr_assert_eq(base_config->log_level, SB_LOG_INFO);
    cr_assert_str_eq(base_config->state_dir, "/var/lib/switchboard");
    cr_assert_str_eq(base_config->database_path, "/var/lib/switchboard/switchboard.db");
    cr_assert_eq(base_config->allowed_origins.count, 0);
    cr_assert_eq(base_config->trust_proxy.count, 0);
    cr_assert_eq(base_config->turn_port, 3478);
    cr_assert_eq(base_config->rate_count, 0);
    cr_assert_null(base_config->jwt_secret);
    cr_assert_not(base_config->cors_report_only);
}

Test(config, every_default_is_a_value_its_row_accepts)
{
    base_config_load("", SB_NEEDS_CORE);
    base_config_assert_no_problem();
    for (size_t i = 0; i < sb_config_row_count; i++) {
        if (sb_config_rows[i].fallback == NULL)
            continue;
        base_config_load_one(sb_config_rows[i].name, sb_config_rows[i].fallback);
        cr_expect_null(base_problems, "%s: %s", sb_config_rows[i].name,
                       base_problems == NULL ? "" : base_problems->message);
    }
}

Test(config, every_example_is_a_value_its_row_accepts)
{
    for (size_t i = 0; i < sb_config_row_count; i++) {
        if (sb_config_rows[i].example == NULL)
            continue;
        base_config_load_one(sb_config_rows[i].name, sb_config_rows[i].example);
        cr_expect_eq(base_problem_count(sb_config_rows[i].name), 0, "%s: %s",
                     sb_config_rows[i].name, base_problem_message(sb_config_rows[i].name));
    }
}

Test(config, the_real_environment_wins_over_the_file)
{
    setenv("JITSI_APP_ID", "from-environment", 1);
    base_config_load("JITSI_APP_ID=from-file\nJWT_ISSUER=from-file\n", SB_NEEDS_CORE);
    cr_assert_str_eq(base_config->jitsi_app_id, "from-environment");
    cr_assert_str_eq(base_config->jwt_issuer, "from-file");
}

Test(config, a_variable_of_the_environment_that_is_empty_counts_as_absent)
{
    setenv("JITSI_APP_ID", "", 1);
    setenv("JWT_ISSUER", "", 1);
    base_config_load("JITSI_APP_ID=from-file\n", SB_NEEDS_CORE);
    cr_assert_str_eq(base_config->jitsi_app_id, "from-file");
    cr_assert_null(base_config->jwt_issuer);
}

Test(config, a_variable_of_the_file_that_is_empty_counts_as_absent)
{
    base_config_load("JITSI_APP_ID=\nJWT_SECRET=''\nTURN_PORT=\"\"\n", SB_NEEDS_USERS);
    cr_assert_str_eq(base_config->jitsi_app_id, "switchboard");
    cr_assert_eq(base_config->turn_port, 3478);
    cr_assert_not_null(strstr(base_problem_message("JWT_SECRET"), "is not set"), "%s",
                       base_problem_message("JWT_SECRET"));
}

Test(config, the_last_line_of_a_variable_wins)
{
    base_config_load("JWT_ISSUER=first\nJWT_ISSUER=last\nJITSI_APP_ID=first\nJITSI_APP_ID=\n",
                     SB_NEEDS_CORE);
    cr_assert_str_eq(base_config->jwt_issuer, "last");
    cr_assert_str_eq(base_config->jitsi_app_id, "switchboard");
}

Test(config, an_alias_stands_in_where_the_name_is_absent)
{
    base_config_load("BACKEND_CORS_ORIGINS=https://a.example\nNEXT_PUBLIC_ENABLE_VAD=true\n",
                     SB_NEEDS_CORE);
    cr_assert_eq(base_config->allowed_origins.count, 1);
    cr_assert_str_eq(base_config->allowed_origins.items[0], "https://a.example");
    cr_assert(base_config->enable_vad);
}

Test(config, the_name_wins_over_its_alias)
{
    base_config_load("BACKEND_CORS_ORIGINS=https://a.example\nALLOWED_ORIGINS=https://b.example\n",
                     SB_NEEDS_CORE);
    cr_assert_eq(base_config->allowed_origins.count, 1);
    cr_assert_str_eq(base_config->allowed_origins.items[0], "https://b.example");
}

Test(config, a_bad_alias_is_reported_under_the_name)
{
    base_config_load("BACKEND_CORS_ORIGINS=nonsense\n", SB_NEEDS_CORE);
    cr_assert_eq(base_problem_count("ALLOWED_ORIGINS"), 1);
}

Test(config, values_outlive_the_environment_and_the_file)
{
    setenv("JWT_ISSUER", "https://issuer.example", 1);
    base_config_load("JITSI_APP_ID=app\n", SB_NEEDS_CORE);
    clearenv();
    cr_assert_eq(unlink(base_config_path), 0);
    cr_assert_str_eq(base_config->jwt_issuer, "https://issuer.example");
    cr_assert_str_eq(base_config->jitsi_app_id, "app");
}

Test(config, the_environment_names_the_file)
{
    base_file_write(base_config_path, "JITSI_APP_ID=named\n");
    setenv("SWITCHBOARD_ENV", base_config_path, 1);
    cr_assert(sb_config_load(NULL, SB_NEEDS_CORE, &base_config, &base_problems));
    cr_assert_str_eq(base_config->jitsi_app_id, "named");
}

Test(config, the_path_given_wins_over_the_one_in_the_environment)
{
    setenv("SWITCHBOARD_ENV", "/nonexistent/switchboard.env", 1);
    base_config_load("JITSI_APP_ID=given\n", SB_NEEDS_CORE);
    base_config_assert_no_problem();
    cr_assert_str_eq(base_config->jitsi_app_id, "given");
}

Test(config, a_named_file_must_be_there)
{
    setenv("SWITCHBOARD_ENV", "/nonexistent/switchboard.env", 1);
    cr_assert(sb_config_load(NULL, SB_NEEDS_CORE, &base_config, &base_problems));
    cr_assert_str_eq(base_problems->variable, "SWITCHBOARD_ENV");
    cr_assert_not_null(strstr(base_problems->message, "/nonexistent/switchboard.env"));
    cr_assert_not_null(sb_config_blocking(base_problems, SB_NEEDS_CORE), "it stops everyone");
    cr_assert_str_eq(base_config->jitsi_app_id, "switchboard",
                     "there is a configuration all the same");
}

Test(config, a_directory_in_the_place_of_the_file_is_a_problem)
{
    cr_assert(sb_config_load("/", SB_NEEDS_CORE, &base_config, &base_problems));
    cr_assert_eq(base_problem_count("SWITCHBOARD_ENV"), 1);
}

Test(config, a_line_that_is_none_is_reported_by_its_number_and_nothing_of_the_file_is_used)
{
    base_config_load("JITSI_APP_ID=app\n\nJWT_SECRET hunter2\n", SB_NEEDS_CORE);
    cr_assert_eq(base_problem_count("SWITCHBOARD_ENV"), 1);
    cr_assert_not_null(strstr(base_problem_message("SWITCHBOARD_ENV"), "line 3"), "%s",
                       base_problem_message("SWITCHBOARD_ENV"));
    cr_assert_null(strstr(base_problem_message("SWITCHBOARD_ENV"), "hunter2"));
    cr_assert_str_eq(base_config->jitsi_app_id, "switchboard");
}

/* A file of so many bytes: a value and a comment to fill it. */
static void write_size(size_t size)
{
    char *text = malloc(size + 1);
    memset(text, 'x', size);
    memcpy(text, "JITSI_APP_ID=app\n#", 18);
    text[size] = '\0';
    base_file_write(base_config_path, text);
    free(text);
}

Test(config, a_file_may_have_256_kib_and_no_more)
{
    write_size(256 * 1024);
    cr_assert(sb_config_load(base_config_path, SB_NEEDS_CORE, &base_config, &base_problems));
    base_config_assert_no_problem();
    cr_assert_str_eq(base_config->jitsi_app_id, "app");
    sb_config_free(base_config);
    write_size(256 * 1024 + 1);
    cr_assert(sb_config_load(base_config_path, SB_NEEDS_CORE, &base_config, &base_problems));
    cr_assert_eq(base_problem_count("SWITCHBOARD_ENV"), 1);
    cr_assert_str_eq(base_config->jitsi_app_id, "switchboard");
}

Test(config, a_file_with_a_nul_is_refused)
{
    base_file_write(base_config_path, "JITSI_APP_ID=app\n");
    cr_assert_eq(truncate(base_config_path, 100), 0);
    cr_assert(sb_config_load(base_config_path, SB_NEEDS_CORE, &base_config, &base_problems));
    cr_assert_eq(base_problem_count("SWITCHBOARD_ENV"), 1);
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
    cr_assert_eq(mkfifo(base_config_path, 0600), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(write_in_pieces(0, base_config_path) ? 0 : 1);
    cr_assert(sb_config_load(base_config_path, SB_NEEDS_CORE, &base_config, &base_problems));
    base_config_assert_no_problem();
    cr_assert_str_eq(base_config->jitsi_app_id, "last");
}

Test(config, without_memory_it_fails_and_gives_nothing)
{
    static const char *const variables[] = {"TRUST_PROXY", "ALLOWED_ORIGINS", "JWT_AUDIENCE",
                                            "JWT_ISSUER",  "APP_ENV",         "RATE_LIMIT_X"};
    enum { SIZE = 2 * 1024 * 1024 };
    char *huge = malloc(SIZE);
    base_file_write(base_config_path, "");
    for (size_t shape = 0; shape < 3; shape++) {
        for (size_t i = 0; i < SIZE - 1; i++)
            huge[i] = shape == 0 || i % 2 == 0 ? '1' : ',';
        huge[shape == 2 ? 200 * 1024 : SIZE - 1] = '\0'; /* the third fits, but not its items */
        for (size_t i = 0; i < (shape == 2 ? 3 : SB_COUNT(variables)); i++) {
            struct sb_config *none = NULL;
            clearenv();
            setenv(variables[i], huge, 1);
            cr_expect_not(sb_config_load(base_config_path, SB_NEEDS_ALL, &none, &base_problems),
                          "%s %zu", variables[i], shape);
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
    if (!sb_config_load(base_config_path, SB_NEEDS_ALL, loaded, found))
        return false;
    cr_assert_str_eq((*loaded)->log_dir, log_dir);
    return true;
}

Test(config, memory_that_ends_anywhere_is_told_and_does_no_harm)
{
    base_file_write(base_config_path,
                    "LOG_LEVEL=x\nSWITCHBOARD_WORKERS=x\nDATABASE_URL=sqlite:a.db\n"
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
        cr_assert_eq(fine, found != NULL, "there are base_problems to tell");
        sb_config_free(one);
    }
    cr_assert_gt(loaded, 0);
    cr_assert_gt(refused, 10);
}

Test(config, the_file_of_the_default_name_may_be_absent)
{
    cr_assert(sb_config_load(NULL, SB_NEEDS_CORE, &base_config, &base_problems));
    cr_assert_eq(base_problem_count("SWITCHBOARD_ENV"), 0, "%s",
                 base_problem_message("SWITCHBOARD_ENV"));
    sb_config_free(base_config);
    setenv("SWITCHBOARD_ENV", "", 1);
    cr_assert(sb_config_load(NULL, SB_NEEDS_CORE, &base_config, &base_problems));
    cr_assert_eq(base_problem_count("SWITCHBOARD_ENV"), 0, "%s",
                 base_problem_message("SWITCHBOARD_ENV"));
}

Test(config, free_of_null_is_allowed)
{
    sb_config_free(NULL);
    cr_assert_null(base_config, "nothing was loaded");
}
