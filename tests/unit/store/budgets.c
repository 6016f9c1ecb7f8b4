#include "store/budgets.h"

#include <criterion/criterion.h>
#include <string.h>

#include "../support/store.h"

static const int64_t day_ms = 86400000, now_ms = INT64_C(20000) * 86400000 + 1000;

static struct store store;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(budgets, .init = set_up, .fini = tear_down);

struct reserve {
    struct sb_reservation reservation;
    struct sb_spend limit;
    struct sb_spend site_limit;
    struct sb_reserved reserved;
};

struct settle {
    const char *id;
    struct sb_spend real;
    int64_t now_ms, removed;
};

static enum sb_error reserve_in(struct sb_db_conn *tx, void *context)
{
    struct reserve *work = context;
    return sb_budget_reserve(tx, &work->reservation, &work->limit, &work->site_limit,
                             &work->reserved);
}

static enum sb_error pay_in(struct sb_db_conn *tx, void *context)
{
    struct reserve *work = context;
    return sb_budget_pay(tx, &work->reservation, &work->limit, &work->site_limit, &work->reserved);
}

static enum sb_error refund_in(struct sb_db_conn *tx, void *context)
{
    const struct reserve *work = context;
    return sb_budget_refund(tx, &work->reservation);
}

static enum sb_error settle_in(struct sb_db_conn *tx, void *context)
{
    const struct settle *work = context;
    return sb_budget_settle(tx, work->id, &work->real);
}

static enum sb_error expire_in(struct sb_db_conn *tx, void *context)
{
    struct settle *work = context;
    return sb_budget_expire(tx, work->now_ms, 10, &work->removed);
}

static enum sb_error expire_usage_in(struct sb_db_conn *tx, void *context)
{
    struct settle *work = context;
    return sb_usage_expire(tx, work->now_ms, 10, &work->removed);
}

static const struct sb_spend limit = {10, 100, 1000};

/* Sets spend aside at at_ms for a minute. */
static enum sb_error reserve_at(const char *id, const char *owner, struct sb_spend spend,
                                int64_t at_ms, struct reserve *work)
{
    work->reservation.id = id;
    work->reservation.owner = owner;
    work->reservation.spend = spend;
    work->reservation.now_ms = at_ms;
    work->reservation.deadline_ms = at_ms + 60000;
    return sb_db_write(store.db, reserve_in, work, SB_DB_WRITE_DEADLINE_MS);
}

static enum sb_error reserve(const char *id, struct sb_spend spend)
{
    struct reserve work = {.limit = limit};
    return reserve_at(id, "user:ada", spend, now_ms, &work);
}

static void settle(const char *id, struct sb_spend real)
{
    struct settle work = {.id = id, .real = real};
    store_write(&store, settle_in, &work);
}

#define SPEND(...) ((struct sb_spend){__VA_ARGS__})

Test(budgets, a_day_is_utc)
{
    cr_assert_eq(sb_budget_day(day_ms - 1), 0);
    cr_assert_eq(sb_budget_day(day_ms), 1);
    cr_assert_eq(sb_budget_renewal_ms(day_ms - 1), day_ms);
    cr_assert_eq(sb_budget_renewal_ms(day_ms), 2 * day_ms);
}

Test(budgets, what_is_set_aside_is_within_the_limit_to_the_last_unit)
{
    cr_assert_eq(reserve("a", SPEND(10, 100, 1000)), SB_OK);
    cr_assert_eq(reserve("b", SPEND(1, 0, 0)), SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(reserve("c", SPEND(0, 0, 0)), SB_OK);
}

Test(budgets, the_one_that_is_exceeded_is_named)
{
    static const struct {
        struct sb_spend spend;
        enum sb_budget exceeded;
        const char *name;
    } rows[] = {{{11, 0, 0}, SB_BUDGET_TURNS, "turns"},
                {{0, 101, 0}, SB_BUDGET_SECONDS, "seconds"},
                {{0, 0, 1001}, SB_BUDGET_TOKENS, "tokens"}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct reserve work = {.limit = limit, .reserved = {.exceeded = SB_BUDGET__MAX}};
        cr_assert_eq(reserve_at("a", "user:ada", rows[i].spend, now_ms, &work),
                     SB_E_BUDGET_EXCEEDED);
        cr_assert_eq(work.reserved.exceeded, rows[i].exceeded);
        cr_assert_str_eq(sb_budget_names[work.reserved.exceeded], rows[i].name);
    }
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM reservations"), 0);
}

Test(budgets, a_limit_of_0_is_none)
{
    struct reserve work = {.limit = {0, 0, 0}};
    cr_assert_eq(reserve_at("a", "user:ada", SPEND(INT64_MAX / 4, INT64_MAX / 4, INT64_MAX / 4),
                            now_ms, &work),
                 SB_OK);
}

Test(budgets, a_limit_of_1_is_one)
{
    struct reserve work = {.limit = {1, 0, 0}};
    cr_assert_eq(reserve_at("a", "user:ada", SPEND(1, 0, 0), now_ms, &work), SB_OK);
    cr_assert_eq(reserve_at("b", "user:ada", SPEND(1, 0, 0), now_ms, &work), SB_E_BUDGET_EXCEEDED);
}

Test(budgets, an_absurd_demand_is_refused_not_wrapped)
{
    cr_assert_eq(reserve("a", SPEND(1, 0, 0)), SB_OK);
    cr_assert_eq(reserve("b", SPEND(INT64_MAX, 0, 0)), SB_E_BUDGET_EXCEEDED);
}

Test(budgets, settling_counts_the_real_cost_and_gives_the_rest_back)
{
    cr_assert_eq(reserve("a", SPEND(5, 0, 900)), SB_OK);
    settle("a", SPEND(1, 3, 100));
    cr_assert_eq(reserve("b", SPEND(9, 97, 900)), SB_OK);
    cr_assert_eq(reserve("c", SPEND(1, 0, 0)), SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(reserve("d", SPEND(0, 1, 0)), SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(reserve("e", SPEND(0, 0, 1)), SB_E_BUDGET_EXCEEDED);
}

Test(budgets, a_call_that_failed_costs_nothing)
{
    cr_assert_eq(reserve("a", SPEND(10, 100, 1000)), SB_OK);
    settle("a", SPEND(0, 0, 0));
    cr_assert_eq(reserve("b", SPEND(10, 100, 1000)), SB_OK);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM usage"), 0);
}

Test(budgets, settling_twice_counts_once)
{
    cr_assert_eq(reserve("a", SPEND(1, 0, 0)), SB_OK);
    settle("a", SPEND(1, 2, 3));
    settle("a", SPEND(1, 2, 3));
    settle("never", SPEND(1, 2, 3));
    cr_assert_eq(store_number(&store, "SELECT turns * 100 + seconds * 10 + tokens FROM usage"
                                      " WHERE owner = 'user:ada'"),
                 123);
    cr_assert_eq(store_number(&store, "SELECT sum(turns) FROM usage WHERE owner = 'site'"), 1);
}

/* Ada pays, at once. */
static enum sb_error pay(struct sb_spend spend, struct reserve *work)
{
    work->limit = limit;
    work->reservation.owner = "user:ada";
    work->reservation.spend = spend;
    work->reservation.now_ms = now_ms;
    return sb_db_write(store.db, pay_in, work, SB_DB_WRITE_DEADLINE_MS);
}

static int64_t spent_by(const char *owner)
{
    return store_number(&store, strcmp(owner, "site") == 0
                                    ? "SELECT sum(turns * 100000 + seconds * 1000 + tokens)"
                                      " FROM usage WHERE owner = 'site'"
                                    : "SELECT sum(turns * 100000 + seconds * 1000 + tokens)"
                                      " FROM usage WHERE owner = 'user:ada'");
}

Test(budgets, what_is_paid_is_spent_at_once_and_within_the_limit)
{
    struct reserve work = {0};
    cr_assert_eq(reserve("a", SPEND(1, 0, 0)), SB_OK);
    cr_assert_eq(pay(SPEND(4, 20, 300), &work), SB_OK);
    cr_assert_eq(pay(SPEND(5, 20, 300), &work), SB_OK);
    cr_expect_eq(spent_by("user:ada"), 940600);
    cr_expect_eq(spent_by("site"), 940600);
    cr_expect_eq(pay(SPEND(1, 0, 0), &work), SB_E_BUDGET_EXCEEDED);
    cr_expect_eq(work.reserved.exceeded, SB_BUDGET_TURNS);
    cr_expect_eq(pay(SPEND(0, 0, 401), &work), SB_E_BUDGET_EXCEEDED);
    cr_expect_eq(work.reserved.exceeded, SB_BUDGET_TOKENS);
    cr_expect_eq(spent_by("user:ada"), 940600);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM reservations"), 1);
}

Test(budgets, a_refund_takes_one_payment_back)
{
    struct reserve first = {0}, second = {0};
    cr_assert_eq(pay(SPEND(1, 2, 3), &first), SB_OK);
    cr_assert_eq(pay(SPEND(4, 5, 6), &second), SB_OK);
    store_write(&store, refund_in, &first);
    cr_expect_eq(spent_by("user:ada"), 405006);
    cr_expect_eq(spent_by("site"), 405006);
    store_write(&store, refund_in, &second);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM usage"), 0);
}

static enum sb_error erase_in(struct sb_db_conn *tx, void *context)
{
    (void)context;
    enum sb_error error =
        sb_db_exec(tx, "DELETE FROM usage WHERE owner = 'user:ada'", NULL, 0, NULL);
    return error == SB_OK ? sb_db_exec(tx, "UPDATE usage SET turns = 0", NULL, 0, NULL) : error;
}

Test(budgets, a_refund_of_what_was_erased_changes_nothing)
{
    struct reserve work = {0};
    cr_assert_eq(pay(SPEND(1, 2, 3), &work), SB_OK);
    store_write(&store, erase_in, &work);
    store_write(&store, refund_in, &work);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM usage"), 0);
}

Test(budgets, each_owner_has_its_own)
{
    struct reserve work = {.limit = limit};
    cr_assert_eq(reserve("a", SPEND(10, 0, 0)), SB_OK);
    cr_assert_eq(reserve_at("b", "visitor:ada", SPEND(10, 0, 0), now_ms, &work), SB_OK);
    cr_assert_eq(reserve_at("c", "user:bob", SPEND(10, 0, 0), now_ms, &work), SB_OK);
}

Test(budgets, a_new_day_renews_them)
{
    struct reserve work = {.limit = limit};
    cr_assert_eq(reserve("a", SPEND(10, 0, 0)), SB_OK);
    settle("a", SPEND(10, 0, 0));
    cr_assert_eq(reserve("b", SPEND(1, 0, 0)), SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(reserve_at("c", "user:ada", SPEND(10, 0, 0), now_ms + day_ms, &work), SB_OK);
}

Test(budgets, a_call_over_midnight_counts_for_the_day_it_began)
{
    cr_assert_eq(reserve("a", SPEND(1, 0, 0)), SB_OK);
    settle("a", SPEND(4, 0, 0));
    cr_assert_eq(store_number(&store, "SELECT turns FROM usage WHERE day = 20000"
                                      " AND owner = 'user:ada'"),
                 4);
}

Test(budgets, the_reservation_of_a_dead_process_counts_until_its_deadline)
{
    struct reserve work = {.limit = limit};
    cr_assert_eq(reserve("a", SPEND(10, 0, 0)), SB_OK);
    cr_assert_eq(reserve_at("b", "user:ada", SPEND(10, 0, 0), now_ms + 59999, &work),
                 SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(reserve_at("b", "user:ada", SPEND(10, 0, 0), now_ms + 60000, &work), SB_OK);
}

Test(budgets, what_is_settled_late_is_counted)
{
    struct settle work = {.now_ms = now_ms + 60000 + day_ms};
    cr_assert_eq(reserve("a", SPEND(1, 0, 0)), SB_OK);
    store_write(&store, expire_in, &work);
    cr_assert_eq(work.removed, 0);
    settle("a", SPEND(7, 0, 0));
    cr_assert_eq(store_number(&store, "SELECT sum(turns) FROM usage WHERE owner = 'user:ada'"), 7);
}

Test(budgets, reservations_are_removed_a_day_late)
{
    struct settle work = {.now_ms = now_ms + 60001 + day_ms};
    cr_assert_eq(reserve("a", SPEND(1, 0, 0)), SB_OK);
    store_write(&store, expire_in, &work);
    cr_assert_eq(work.removed, 1);
}

Test(budgets, the_site_has_a_budget_of_tokens_over_all_owners)
{
    struct reserve work = {.limit = limit, .site_limit = {.tokens = 1500}};
    cr_assert_eq(reserve_at("a", "user:ada", SPEND(0, 0, 800), now_ms, &work), SB_OK);
    settle("a", SPEND(0, 0, 700));
    cr_assert_eq(reserve_at("b", "user:bob", SPEND(0, 0, 500), now_ms, &work), SB_OK);
    cr_assert_eq(reserve_at("c", "visitor:v", SPEND(0, 0, 301), now_ms, &work),
                 SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(work.reserved.exceeded, SB_BUDGET_SITE_TOKENS);
    cr_assert_eq(reserve_at("d", "visitor:v", SPEND(0, 0, 300), now_ms, &work), SB_OK);
    cr_assert_eq(reserve_at("e", "visitor:w", SPEND(0, 0, 801), now_ms + 60000, &work),
                 SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(reserve_at("e", "visitor:w", SPEND(0, 0, 800), now_ms + 60000, &work), SB_OK,
                 "what was set aside and not settled in time counts no more");
}

Test(budgets, the_site_has_a_budget_of_seconds_over_all_owners)
{
    struct reserve work = {.limit = {.seconds = 100}, .site_limit = {.seconds = 150}};
    cr_assert_eq(reserve_at("a", "user:ada", SPEND(0, 90, 0), now_ms, &work), SB_OK);
    settle("a", SPEND(0, 80, 0));
    cr_assert_eq(reserve_at("b", "visitor:v", SPEND(0, 71, 0), now_ms, &work),
                 SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(work.reserved.exceeded, SB_BUDGET_SITE_SECONDS);
    work.reservation.seconds_least = 10;
    cr_assert_eq(reserve_at("b", "visitor:v", SPEND(0, 90, 0), now_ms, &work), SB_OK);
    cr_assert_eq(work.reserved.seconds, 70, "so many are left of the site's");
    work.reservation.seconds_least = 1;
    cr_assert_eq(reserve_at("c", "user:bob", SPEND(0, 90, 0), now_ms, &work), SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(work.reserved.exceeded, SB_BUDGET_SITE_SECONDS);
}

static enum sb_error write_usage(const struct sb_usage *usage, void *context)
{
    struct sb_buf *out = context;
    sb_buf_add_format(out, "%s %d: %d %d %d, %d %d %d\n", usage->owner, (int)usage->day,
                      (int)usage->spent.turns, (int)usage->spent.seconds, (int)usage->spent.tokens,
                      (int)usage->reserved.turns, (int)usage->reserved.seconds,
                      (int)usage->reserved.tokens);
    return SB_OK;
}

Test(budgets, the_usage_of_a_day_is_listed)
{
    struct sb_buf out;
    struct reserve work = {.limit = limit};
    sb_buf_init(&out, store.arena, 4096);
    cr_assert_eq(reserve("a", SPEND(1, 2, 3)), SB_OK);
    settle("a", SPEND(1, 2, 3));
    cr_assert_eq(reserve("b", SPEND(4, 5, 6)), SB_OK);
    cr_assert_eq(reserve_at("c", "user:zoe", SPEND(7, 0, 0), now_ms, &work), SB_OK);
    cr_assert_eq(reserve_at("d", "user:ada", SPEND(1, 1, 1), now_ms + day_ms, &work), SB_OK);
    cr_assert_eq(sb_usage_each(store.reader, 20000, now_ms, write_usage, &out), SB_OK);
    cr_assert_str_eq(out.data, "site 20000: 1 2 3, 0 0 0\n"
                               "user:ada 20000: 1 2 3, 4 5 6\n"
                               "user:zoe 20000: 0 0 0, 7 0 0\n");
}

Test(budgets, old_usage_is_removed)
{
    struct settle work = {.now_ms = now_ms};
    cr_assert_eq(reserve("a", SPEND(1, 2, 3)), SB_OK);
    settle("a", SPEND(1, 2, 3));
    store_write(&store, expire_usage_in, &work);
    cr_assert_eq(work.removed, 0);
    work.now_ms += day_ms;
    store_write(&store, expire_usage_in, &work);
    cr_assert_eq(work.removed, 2);
}

Test(budgets, fewer_seconds_are_set_aside_where_fewer_will_do)
{
    struct reserve work = {.reservation = {.seconds_least = 40}, .limit = limit};
    cr_assert_eq(reserve_at("a", "user:ada", SPEND(0, 60, 0), now_ms, &work), SB_OK);
    cr_assert_eq(work.reserved.seconds, 60);
    cr_assert_eq(reserve_at("b", "user:ada", SPEND(0, 60, 0), now_ms, &work), SB_OK);
    cr_assert_eq(work.reserved.seconds, 40);
    cr_assert_eq(store_number(&store, "SELECT seconds FROM reservations WHERE id = 'b'"), 40);
    settle("b", SPEND(0, 1, 0));
    cr_assert_eq(reserve_at("c", "user:ada", SPEND(0, 60, 0), now_ms, &work), SB_E_BUDGET_EXCEEDED);
    cr_assert_eq(work.reserved.exceeded, SB_BUDGET_SECONDS);
}

Test(budgets, fewer_seconds_are_not_set_aside_where_all_are_left)
{
    struct reserve work = {.reservation = {.seconds_least = 1}, .limit = limit};
    cr_assert_eq(reserve_at("a", "user:ada", SPEND(0, 100, 0), now_ms, &work), SB_OK);
    cr_assert_eq(work.reserved.seconds, 100);
    work.limit.seconds = 0;
    cr_assert_eq(reserve_at("b", "user:ada", SPEND(0, 60, 0), now_ms, &work), SB_OK);
    cr_assert_eq(work.reserved.seconds, 60);
}
