#include "base/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/base_config.h"

TestSuite(config_rates, .init = base_config_setup, .fini = base_config_teardown);

static void assert_rate(const char *policy, int64_t limit, int64_t window_s)
{
    const struct sb_rate_setting *rate = sb_config_rate(base_config, policy);
    cr_assert_not_null(rate, "%s", policy);
    cr_expect_eq(rate->limit, limit, "%s: %lld", policy, (long long)rate->limit);
    cr_expect_eq(rate->window_s, window_s, "%s: %lld", policy, (long long)rate->window_s);
}

Test(config_rates, rate_limits_are_set_by_policy)
{
    base_config_load(
        "RATE_LIMIT_CALLS_START=10/60\nRATE_LIMIT_AUTH=off\nRATE_LIMIT_X9=16383/86400\n"
        "RATE_LIMIT_Y=1/1\n",
        SB_NEEDS_CORE);
    base_config_assert_no_problem();
    cr_assert_eq(base_config->rate_count, 4);
    assert_rate("calls-start", 10, 60);
    assert_rate("auth", 0, 0);
    assert_rate("x9", 16383, 86400);
    assert_rate("y", 1, 1);
    cr_assert_null(sb_config_rate(base_config, "calls"));
    cr_assert_null(sb_config_rate(base_config, "CALLS_START"));
}

Test(config_rates, bad_rate_limits_are_refused_by_name)
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
        base_config_load_one("RATE_LIMIT_CALLS_START", rows[i]);
        cr_expect_eq(base_problem_count("RATE_LIMIT_CALLS_START"), 1, "%s", rows[i]);
        cr_expect_eq(base_config->rate_count, 0, "%s", rows[i]);
    }
}

Test(config_rates, rate_limits_of_the_real_environment_win)
{
    setenv("RATE_LIMIT_A", "1/1", 1);
    setenv("RATE_LIMIT_B", "2/2", 1);
    setenv("RATE_LIMITS", "3/3", 1);
    base_config_load("RATE_LIMIT_A=5/5\nRATE_LIMIT_C=6/6\n", SB_NEEDS_CORE);
    base_config_assert_no_problem();
    cr_assert_eq(base_config->rate_count, 3);
    assert_rate("a", 1, 1);
    assert_rate("b", 2, 2);
    assert_rate("c", 6, 6);
}

Test(config_rates, an_empty_rate_limit_counts_as_absent)
{
    setenv("RATE_LIMIT_A", "", 1);
    base_config_load("RATE_LIMIT_A=5/5\nRATE_LIMIT_B=\nRATE_LIMIT_C=1/1\nRATE_LIMIT_C=\n",
                     SB_NEEDS_CORE);
    base_config_assert_no_problem();
    cr_assert_eq(base_config->rate_count, 1);
    assert_rate("a", 5, 5);
}

Test(config_rates, the_last_line_of_a_rate_limit_wins)
{
    base_config_load("RATE_LIMIT_A=nonsense\nRATE_LIMIT_A=7/7\n", SB_NEEDS_CORE);
    base_config_assert_no_problem();
    cr_assert_eq(base_config->rate_count, 1);
    assert_rate("a", 7, 7);
}

Test(config_rates, a_bad_rate_limit_in_environment_and_file_is_one_problem)
{
    setenv("RATE_LIMIT_A", "bad", 1);
    base_config_load("RATE_LIMIT_A=worse\n", SB_NEEDS_CORE);
    cr_assert_eq(base_problem_count("RATE_LIMIT_A"), 1);
    cr_assert_not_null(strstr(base_problem_message("RATE_LIMIT_A"), "\"bad\""));
}

Test(config_rates, two_spellings_of_a_policy_are_one_setting)
{
    setenv("RATE_LIMIT_calls_start", "1/1", 1);
    base_config_load("RATE_LIMIT_CALLS_START=2/2\n", SB_NEEDS_CORE);
    cr_assert_eq(base_config->rate_count, 1);
    assert_rate("calls-start", 1, 1);
}
