#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../../bin/doctor.h"

static struct sb_arena *arena;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(doctor_jobs, .init = setup, .fini = teardown);

#define USER_OF(text_) doctor_cron_user(arena, (text_), "clean", true)

Test(doctor_jobs, a_line_of_cron_d_names_its_user)
{
    cr_expect_str_eq(USER_OF("17 * * * * www-data flock -n /x switchboard clean\n"), "www-data");
    cr_expect_str_eq(USER_OF("A=b\n\n17 *\t* * *  ann /usr/bin/switchboard clean"), "ann");
    cr_expect_str_eq(USER_OF("@hourly ann switchboard clean >/dev/null\n"), "ann");
}

Test(doctor_jobs, a_line_of_ones_own_crontab_names_none)
{
    const char *user = doctor_cron_user(arena, "1 * * * * switchboard clean\n", "clean", false);
    cr_assert_not_null(user);
    cr_expect_str_eq(user, "");
}

Test(doctor_jobs, what_does_not_run_the_verb_does_not_count)
{
    cr_expect_null(USER_OF(""));
    cr_expect_null(USER_OF("#17 * * * * www-data switchboard clean\n"));
    cr_expect_null(USER_OF("  # 17 * * * * www-data switchboard clean\n"));
    cr_expect_null(USER_OF("17 * * * * www-data switchboard cleaner\n"));
    cr_expect_null(USER_OF("17 * * * * www-data my-switchboard clean\n"));
    cr_expect_null(USER_OF("17 * * * * www-data switchboard\nclean\n"));
    cr_expect_null(USER_OF("17 * * * * switchboard clean\n"), "its user is then `switchboard`");
}

Test(doctor_jobs, a_verb_may_be_of_several_words)
{
    const char *line = "* * * * * ann switchboard realtime reap >/dev/null\n";
    cr_expect_str_eq(doctor_cron_user(arena, line, "realtime reap", true), "ann");
    cr_expect_null(doctor_cron_user(arena, line, "realtime rea", true));
    cr_expect_null(doctor_cron_user(arena, line, "realtime reap now", true));
    cr_expect_null(USER_OF("* * * * * ann switchboard\n"));
    cr_expect_null(
        doctor_cron_user(arena, "* * * * * ann switchboard realtime\n", "realtime reap", true));
}

/* Whoever adds a job to the fragment makes the doctor look for it. */
Test(doctor_jobs, the_shipped_crontab_has_exactly_the_jobs_that_are_looked_for)
{
    FILE *file = fopen("cron/switchboard", "r");
    cr_assert_not_null(file, "run from the root of the checkout");
    static char shipped[16384];
    shipped[fread(shipped, 1, sizeof shipped - 1, file)] = '\0';
    fclose(file);
    size_t looked_for = 0, lines = 0;
    for (const char *const *verb = doctor_cron_verbs; *verb != NULL; verb++, looked_for++) {
        const char *user = doctor_cron_user(arena, shipped, *verb, true);
        cr_assert_not_null(user, "%s", *verb);
        cr_expect_str_eq(user, "www-data");
    }
    for (const char *text = shipped; (text = strstr(text, "www-data")) != NULL; text++)
        lines++;
    cr_expect_eq(lines, looked_for);
}

static bool covers(const char *text, const char **user)
{
    return doctor_logrotate_covers(arena, text, "/var/log/switchboard", user);
}

Test(doctor_jobs, a_block_for_the_logs_is_found_with_its_user)
{
    const char *user = NULL;
    cr_assert(covers("# x\n/var/log/switchboard/*.log {\n  su ann adm\n daily\n}\n", &user));
    cr_assert_str_eq(user, "ann");
    cr_assert(covers("\"/var/log/switchboard/*.log\"\n{\n daily\n}\n", &user));
    cr_assert_null(user);
}

Test(doctor_jobs, a_block_for_other_logs_does_not_count)
{
    const char *user = NULL;
    cr_expect_not(covers("", &user));
    cr_expect_not(covers("/var/log/other/*.log {\n su ann adm\n}\n", &user));
    cr_expect_not(covers("/var/log/switchboards/*.log {\n}\n", &user));
    cr_expect_not(covers("/var/log/switchboard/old/*.log {\n}\n", &user));
    cr_expect_not(covers("#/var/log/switchboard/*.log {\n}\n", &user));
    cr_expect_not(covers("/var/log/switchboard/*.log {\n", &user), "never closed");
}

Test(doctor_jobs, the_user_is_that_of_the_block_for_the_logs)
{
    const char *user = NULL;
    cr_assert(covers("/var/log/other/*.log {\n su bob adm\n}\n"
                     "/var/log/switchboard/*.log {\n su ann adm\n}\n",
                     &user));
    cr_expect_str_eq(user, "ann");
}
