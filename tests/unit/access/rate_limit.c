#include "access/rate_limit.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "../support/base.h"

static const int64_t T0 = 1800000000000; /* a multiple of every window used here */
static const struct sb_rate_policy ten_a_minute = {"ten", 10, 60};

static char dir[BASE_DIR_SIZE];

static void setup(void)
{
    base_dir_make(dir);
    cr_assert(sb_rate_limit_open(dir));
}

static void teardown(void)
{
    base_dir_remove(dir);
}

TestSuite(rate_limit, .init = setup, .fini = teardown);

static bool charge(const char *subject, int64_t now_ms)
{
    return sb_rate_limit_charge(&ten_a_minute, subject, now_ms).allowed;
}

/* How many of count calls at now_ms are allowed. */
static int64_t allowed_of(const struct sb_rate_policy *policy, const char *subject, int count,
                          int64_t now_ms)
{
    int64_t allowed = 0;
    for (int i = 0; i < count; i++)
        allowed += sb_rate_limit_charge(policy, subject, now_ms).allowed;
    return allowed;
}

/* One subject. */

Test(rate_limit, allows_the_limit_and_counts_down)
{
    for (int64_t left = 9; left >= 0; left--) {
        struct sb_rate_state state = sb_rate_limit_charge(&ten_a_minute, "u", T0 + 20500);
        cr_assert(state.allowed);
        cr_assert_eq(state.remaining, left);
        cr_assert_eq(state.reset_s, 40, "39.5 s to the end of the window");
        cr_assert_eq(state.retry_after_s, 0);
    }
    struct sb_rate_state state = sb_rate_limit_charge(&ten_a_minute, "u", T0 + 20500);
    cr_assert_not(state.allowed);
    cr_assert_eq(state.remaining, 0);
    cr_assert_eq(state.retry_after_s, state.reset_s);
}

Test(rate_limit, weighs_the_previous_window_by_what_is_left_of_it)
{
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, T0 + 59999), 10);
    cr_assert_not(charge("u", T0 + 60000), "10 * 60000 / 60000 = 10");
    cr_assert(charge("u", T0 + 60001), "floor(10 * 59999 / 60000) = 9");
    cr_assert_not(charge("u", T0 + 60001));
    cr_assert_not(charge("u", T0 + 66000), "9 and one of this window");
    cr_assert(charge("u", T0 + 66001));
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, T0 + 119999), 8);
}

Test(rate_limit, forgets_what_is_two_windows_old)
{
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, T0 + 59999), 10);
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, T0 + 120000), 10);
}

Test(rate_limit, does_not_count_refused_calls)
{
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 1000, T0), 10);
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 1000, T0 + 90000), 5);
}

Test(rate_limit, tells_subjects_and_policies_apart)
{
    const struct sb_rate_policy other = {"other", 10, 60};
    cr_assert_eq(allowed_of(&ten_a_minute, "u1", 20, T0), 10);
    cr_assert_eq(allowed_of(&ten_a_minute, "u2", 20, T0), 10);
    cr_assert_eq(allowed_of(&other, "u1", 20, T0), 10);
    cr_assert_eq(allowed_of(&ten_a_minute, "u1", 20, T0), 0, "positive control");
}

Test(rate_limit, does_not_confuse_where_the_policys_name_ends)
{
    const struct sb_rate_policy a = {"ab", 10, 60}, b = {"a", 10, 60};
    cr_assert_eq(allowed_of(&a, "c", 20, T0), 10);
    cr_assert_eq(allowed_of(&b, "bc", 20, T0), 10);
}

Test(rate_limit, peeks_without_charging)
{
    for (int i = 0; i < 100; i++) {
        struct sb_rate_state state = sb_rate_limit_peek(&ten_a_minute, "u", T0);
        cr_assert(state.allowed);
        cr_assert_eq(state.remaining, 10);
    }
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, T0), 10);
    struct sb_rate_state state = sb_rate_limit_peek(&ten_a_minute, "u", T0);
    cr_assert_not(state.allowed);
    cr_assert_eq(state.retry_after_s, 61, "the next window, and 1 ms into it");
}

Test(rate_limit, holds_the_highest_limit)
{
    const struct sb_rate_policy most = {"most", SB_RATE_LIMIT_MAX, 60};
    const struct sb_rate_policy beyond = {"beyond", SB_RATE_LIMIT_MAX + 10, 60};
    cr_assert_eq(allowed_of(&most, "u", 20000, T0), SB_RATE_LIMIT_MAX);
    cr_assert_eq(allowed_of(&beyond, "u", 20000, T0), SB_RATE_LIMIT_MAX);
    cr_assert_eq(allowed_of(&most, "u", 20000, T0 + 90000), SB_RATE_LIMIT_MAX / 2 + 1);
}

Test(rate_limit, allows_everything_at_limit_0)
{
    const struct sb_rate_policy off = {"off", 0, 60};
    cr_assert_eq(allowed_of(&off, "u", 1000, T0), 1000);
}

Test(rate_limit, applies_a_lowered_limit_at_once)
{
    const struct sb_rate_policy lowered = {"ten", 3, 60};
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 8, T0), 8);
    struct sb_rate_state state = sb_rate_limit_charge(&lowered, "u", T0);
    cr_assert_not(state.allowed);
    cr_assert_not(sb_rate_limit_peek(&lowered, "u", T0 + (state.retry_after_s - 1) * 1000).allowed);
    cr_assert(sb_rate_limit_peek(&lowered, "u", T0 + state.retry_after_s * 1000).allowed);
}

/* Clocks. */

Test(rate_limit, locks_nobody_out_when_the_clock_is_set_back)
{
    static const int64_t back_s[] = {120, 3600, 86400, 32768 * 60, 40000 * 60, 60000 * 60};
    for (size_t i = 0; i < SB_COUNT(back_s); i++) {
        char subject[32];
        snprintf(subject, sizeof subject, "u%zu", i);
        cr_assert_eq(allowed_of(&ten_a_minute, subject, 20, T0), 10);
        cr_assert_eq(allowed_of(&ten_a_minute, subject, 20, T0 - back_s[i] * 1000), 10,
                     "%lld s back", (long long)back_s[i]);
    }
}

Test(rate_limit, gives_a_caller_that_comes_late_no_calls_of_an_earlier_window)
{
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 4, T0 - 1), 4);
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 3, T0), 3);
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, T0 - 2), 3, "4 + 3 are counted at T0");
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, T0), 0);
}

Test(rate_limit, takes_ten_seconds_for_late_however_short_the_windows)
{
    const struct sb_rate_policy short_policy = {"short", 5, 1};
    cr_assert_eq(allowed_of(&short_policy, "u", 20, T0), 5);
    cr_assert_eq(allowed_of(&short_policy, "u", 20, T0 - 10000), 0);
    cr_assert_eq(allowed_of(&short_policy, "u", 20, T0 - 10001), 5, "the clock was set back");
}

Test(rate_limit, ends_a_late_callers_wait_with_the_later_window)
{
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, T0), 10);
    struct sb_rate_state state = sb_rate_limit_charge(&ten_a_minute, "u", T0 - 30000);
    cr_assert_not(state.allowed);
    cr_assert_eq(state.retry_after_s, 91);
    cr_assert(sb_rate_limit_peek(&ten_a_minute, "u", T0 - 30000 + 91000).allowed);
    cr_assert_not(sb_rate_limit_peek(&ten_a_minute, "u", T0 - 30000 + 90000).allowed);
}

Test(rate_limit, survives_a_time_before_1970)
{
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 20, -5), 10);
}

/* The definition, computed slowly. */

enum { MODEL_SUBJECTS = 5, MODEL_CALLS = 100000 };

struct model_call {
    int subject;
    int64_t at_ms;
};
static struct model_call model_calls[MODEL_CALLS]; /* those allowed */
static size_t model_count;

static int64_t model_in_window(int subject, int64_t window, int64_t window_ms)
{
    int64_t count = 0;
    for (size_t i = model_count; i-- > 0 && model_calls[i].at_ms / window_ms >= window;)
        count += model_calls[i].subject == subject && model_calls[i].at_ms / window_ms == window;
    return count;
}

static int64_t model_used(const struct sb_rate_policy *policy, int subject, int64_t now_ms)
{
    int64_t window_ms = policy->window_s * 1000, window = now_ms / window_ms;
    int64_t previous = model_in_window(subject, window - 1, window_ms);
    return previous * (window_ms - now_ms % window_ms) / window_ms +
           model_in_window(subject, window, window_ms);
}

static uint64_t random_state = 88172645463325252;

static int64_t random_below(int64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int64_t)(random_state % (uint64_t)bound);
}

static void check_refusal(const struct sb_rate_policy *policy, int subject, int64_t now_ms,
                          const struct sb_rate_state *state)
{
    cr_assert_geq(state->retry_after_s, 1);
    int64_t at_ms = now_ms + state->retry_after_s * 1000;
    cr_assert_lt(model_used(policy, subject, at_ms), policy->limit, "allowed when it says");
    cr_assert_geq(model_used(policy, subject, at_ms - 1000), policy->limit, "and no second sooner");
}

static void model_step(const struct sb_rate_policy *policy, int subject, int64_t now_ms)
{
    char name[24];
    snprintf(name, sizeof name, "user:%d", subject);
    int64_t used = model_used(policy, subject, now_ms);
    struct sb_rate_state peek = sb_rate_limit_peek(policy, name, now_ms);
    struct sb_rate_state state = sb_rate_limit_charge(policy, name, now_ms);
    cr_assert_eq(state.allowed, used < policy->limit, "%s at %lld", name, (long long)now_ms);
    cr_assert_eq(peek.allowed, state.allowed);
    if (!state.allowed) {
        cr_assert_eq(peek.retry_after_s, state.retry_after_s);
        check_refusal(policy, subject, now_ms, &state);
        return;
    }
    cr_assert_eq(peek.remaining, policy->limit - used);
    cr_assert_eq(state.remaining, policy->limit - used - 1);
    model_calls[model_count++] = (struct model_call){subject, now_ms};
}

static void compare_with_model(const struct sb_rate_policy *policy, int64_t step_max_ms)
{
    int64_t now_ms = T0 + 777;
    int refused = 0;
    model_count = 0;
    for (int i = 0; i < 8000; i++) {
        size_t before = model_count;
        now_ms += random_below(10) < 6 ? 0 : random_below(step_max_ms);
        model_step(policy, (int)random_below(MODEL_SUBJECTS), now_ms);
        refused += model_count == before;
    }
    cr_assert(model_count > 500 && refused > 500, "%zu allowed, %d refused", model_count, refused);
}

Test(rate_limit, agrees_with_the_definition_over_random_steps)
{
    compare_with_model(&(struct sb_rate_policy){"model-a", 10, 60}, 5000);
    compare_with_model(&(struct sb_rate_policy){"model-b", 3, 1}, 300);
    compare_with_model(&(struct sb_rate_policy){"model-c", 1, 7}, 4000);
    compare_with_model(&(struct sb_rate_policy){"model-d", 100, 900}, 4000);
    compare_with_model(&(struct sb_rate_policy){"model-e", 7, 86400}, 5000000);
}
