#include "access/rate_limit.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../support/base.h"
#include "base/metrics.h"

static const int64_t T0 = 1800000000000; /* a multiple of every window used here */
static const struct sb_rate_policy ten_a_minute = {"ten", 10, 60};

static char dir[BASE_DIR_SIZE];

static void setup(void)
{
    base_dir_make(dir);
    cr_assert(sb_metrics_open(dir));
    cr_assert(sb_rate_limit_open(dir));
}

static void teardown(void)
{
    base_dir_remove(dir);
}

TestSuite(rate_limit_shared, .init = setup, .fini = teardown);

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

static uint64_t evictions(void)
{
    return sb_metrics_value(SB_METRIC_RATE_EVICTIONS, "");
}

/* The table. */

enum { TABLE = 65536 };

static void fill_table(int count, int64_t now_ms)
{
    for (int i = 0; i < count; i++) {
        char subject[24];
        snprintf(subject, sizeof subject, "fill:%d", i);
        (void)charge(subject, now_ms);
    }
}

Test(rate_limit_shared, evicts_nobody_from_a_table_that_is_a_sixteenth_full)
{
    fill_table(TABLE / 16, T0);
    cr_assert_eq(evictions(), 0, "nine in a set of eight: 1 in 40,000 runs at half on average");
}

Test(rate_limit_shared, counts_the_live_counters_that_give_way)
{
    fill_table(2 * TABLE, T0);
    cr_assert_geq(evictions(), TABLE, "at most 65,536 of them have a place");
    cr_assert_lt(evictions(), 2 * TABLE);
    cr_assert_eq(allowed_of(&ten_a_minute, "new", 20, T0), 10, "a new subject has its limit");
}

Test(rate_limit_shared, reuses_expired_counters_without_counting_evictions)
{
    fill_table(2 * TABLE, T0);
    uint64_t before = evictions();
    fill_table(TABLE / 16, T0 + 120000);
    cr_assert_eq(evictions(), before, "two windows later all are expired");
}

Test(rate_limit_shared, takes_a_counter_for_live_until_its_second_window_ends)
{
    fill_table(2 * TABLE, T0);
    uint64_t before = evictions();
    fill_table(TABLE / 16, T0 + 119999);
    cr_assert_gt(evictions(), before);
}

Test(rate_limit_shared, evicts_the_expired_before_the_live)
{
    fill_table(2 * TABLE, T0);
    uint64_t before = evictions();
    for (int i = 0; i < 100; i++) {
        char subject[24];
        snprintf(subject, sizeof subject, "live:%d", i);
        cr_assert_eq(allowed_of(&ten_a_minute, subject, 10, T0 + 120000), 10);
    }
    fill_table(TABLE / 16, T0 + 120000);
    for (int i = 0; i < 100; i++) {
        char subject[24];
        snprintf(subject, sizeof subject, "live:%d", i);
        cr_assert_not(charge(subject, T0 + 120000), "%s", subject);
    }
    cr_assert_eq(evictions(), before);
}

Test(rate_limit_shared, allows_every_call_without_its_file, .init = NULL, .fini = NULL)
{
    cr_assert_not(sb_rate_limit_open("/nonexistent"));
    cr_assert_eq(allowed_of(&ten_a_minute, "u", 100, T0), 100);
    cr_assert(sb_rate_limit_peek(&ten_a_minute, "u", T0).allowed);
}

/* Many processes. */

enum { PROCESSES = 8, RACED = 400, ROUNDS = 40 };

struct race {
    _Atomic int64_t allowed[RACED];
    _Atomic int64_t clock;
    int64_t now_ms;
};

static struct race *race_new(void)
{
    struct race *race =
        mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(race, MAP_FAILED);
    return race;
}

static bool hammer_one(int index, void *context)
{
    static const struct sb_rate_policy policy = {"race", 1000, 60};
    struct race *race = context;
    (void)index;
    for (int i = 0; i < 20000; i++) {
        if (sb_rate_limit_charge(&policy, "u", T0).allowed)
            atomic_fetch_add(&race->allowed[0], 1);
    }
    return true;
}

Test(rate_limit_shared, allows_exactly_the_limit_to_eight_processes_on_one_subject)
{
    struct race *race = race_new();
    cr_assert(base_race(PROCESSES, hammer_one, race));
    cr_assert_eq(race->allowed[0], 1000);
}

/* All processes take the subjects in the same order, so that each is new to all at once. */
static bool hammer_many(int index, void *context)
{
    struct race *race = context;
    (void)index;
    for (int subject = 0; subject < RACED; subject++) {
        char name[48];
        snprintf(name, sizeof name, "race:%d:%lld", subject, (long long)race->now_ms);
        for (int i = 0; i < 10; i++) {
            if (charge(name, race->now_ms))
                atomic_fetch_add(&race->allowed[subject], 1);
        }
    }
    return true;
}

/* Each round has subjects of its own, at a time when those of the round before have expired: so few
 * are alive that none has to give way. */
static void check_many(void)
{
    struct race *race = race_new();
    for (int round = 1; round <= ROUNDS; round++) {
        race->now_ms = T0 + round * 120000;
        cr_assert(base_race(PROCESSES, hammer_many, race));
        for (int subject = 0; subject < RACED; subject++) {
            cr_assert_eq(race->allowed[subject], 10, "subject %d", subject);
            race->allowed[subject] = 0;
        }
    }
}

Test(rate_limit_shared, allows_exactly_the_limit_when_many_insert_the_same_subject)
{
    check_many();
}

Test(rate_limit_shared, allows_exactly_the_limit_when_many_insert_it_into_a_full_table)
{
    fill_table(2 * TABLE, T0);
    check_many();
}

/* Ten windows of 1 s: whatever the scheduler does, nobody is later than what counts as late. */
enum { WINDOWS = 10, CALLS_A_MS = 16, OVERLOAD_LIMIT = 50 };

/* One clock for all processes; it goes on by a ms every CALLS_A_MS calls. A process that is held up
 * counts in a later window than its clock's: that one, which reset_s tells, is what is limited. */
static bool hammer_over_windows(int index, void *context)
{
    static const struct sb_rate_policy policy = {"race", OVERLOAD_LIMIT, 1};
    struct race *race = context;
    (void)index;
    for (;;) {
        int64_t passed_ms = atomic_fetch_add(&race->clock, 1) / CALLS_A_MS;
        if (passed_ms >= WINDOWS * 1000)
            return true;
        struct sb_rate_state state = sb_rate_limit_charge(&policy, "u", T0 + passed_ms);
        if (state.allowed)
            atomic_fetch_add(&race->allowed[passed_ms / 1000 + state.reset_s - 1], 1);
    }
}

Test(rate_limit_shared, allows_eight_processes_no_more_than_the_limit_in_any_window)
{
    struct race *race = race_new();
    cr_assert(base_race(PROCESSES, hammer_over_windows, race));
    for (int window = 0; window < WINDOWS; window++) {
        cr_assert_leq(race->allowed[window], OVERLOAD_LIMIT, "window %d", window);
        cr_assert_geq(race->allowed[window], OVERLOAD_LIMIT / 2, "window %d starves", window);
    }
}

static bool charge_in_child(int index, void *context)
{
    (void)index;
    (void)context;
    return sb_rate_limit_open(dir) && charge("u", T0);
}

Test(rate_limit_shared, shares_its_counters_with_processes_that_map_the_file_themselves)
{
    cr_assert(base_race(1, charge_in_child, NULL));
    cr_assert_eq(sb_rate_limit_peek(&ten_a_minute, "u", T0).remaining, 9);
}
