#include "store/realtime_calls.h"

#include <criterion/criterion.h>

#include "../support/store.h"
#include "store/budgets.h"
#include "store/users.h"

enum { NOW_MS = 1000000000 };

static struct store store;
static struct sb_realtime_call call;

struct act {
    const char *id, *user_id, *upstream_id;
    int64_t now_ms, limit, removed;
    enum sb_realtime_end reason;
};

static enum sb_error add_user(struct sb_db_conn *tx, void *context)
{
    return sb_users_add(tx, context);
}

static void set_up(void)
{
    store_open(&store);
    store_write(&store, add_user, &(struct sb_user){.id = "ada", .name = "Ada"});
    store_write(&store, add_user, &(struct sb_user){.id = "bob", .name = "Bob"});
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(realtime_calls, .init = set_up, .fini = tear_down);

static enum sb_error add_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_realtime_calls_add(tx, &(struct sb_realtime_call){.id = act->id,
                                                                .user_id = act->user_id,
                                                                .upstream_id = act->upstream_id,
                                                                .started_at_ms = NOW_MS,
                                                                .expires_at_ms = act->now_ms});
}

static enum sb_error end_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_realtime_calls_end(tx, store.arena, act->reason, act->now_ms, &call);
}

static enum sb_error shorten_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_realtime_calls_shorten(tx, act->id, act->now_ms);
}

static enum sb_error tried_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_realtime_calls_tried(tx, act->id, act->now_ms);
}

static enum sb_error remove_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_realtime_calls_remove(tx, act->now_ms, act->limit, &act->removed);
}

static enum sb_error run(sb_db_closure_fn *closure, struct act act)
{
    return sb_db_write(store.db, closure, &act, SB_DB_WRITE_DEADLINE_MS);
}

/* A call of ada's that is over at expires_at_ms. */
static void open_call(const char *id, int64_t expires_at_ms)
{
    struct act act = {.id = id, .user_id = "ada", .now_ms = expires_at_ms};
    act.upstream_id = sb_arena_printf(store.arena, "up_%s", id);
    cr_assert_eq(run(add_in, act), SB_OK);
}

static enum sb_error find(const char *id, const char *user_id)
{
    return sb_realtime_calls_find(store.reader, store.arena, id, user_id, &call);
}

static enum sb_error due(int64_t now_ms, int64_t tried_before_ms)
{
    return sb_realtime_calls_next_due(store.reader, store.arena, now_ms, tried_before_ms, &call);
}

Test(realtime_calls, a_call_is_found_by_its_user)
{
    open_call("c1", NOW_MS + 60000);
    cr_assert_eq(find("c1", "ada"), SB_OK);
    cr_assert_str_eq(call.id, "c1");
    cr_assert_str_eq(call.user_id, "ada");
    cr_assert_str_eq(call.upstream_id, "up_c1");
    cr_assert_eq(call.started_at_ms, NOW_MS);
    cr_assert_eq(call.expires_at_ms, NOW_MS + 60000);
    cr_assert_eq(call.ended_at_ms, 0);
    cr_assert_null(call.end_reason);
}

Test(realtime_calls, a_call_of_another_user_is_not_there)
{
    open_call("c1", NOW_MS);
    cr_assert_eq(find("c1", "bob"), SB_E_NOT_FOUND);
    cr_assert_eq(find("c2", "ada"), SB_E_NOT_FOUND);
}

Test(realtime_calls, an_upstream_call_has_one_row)
{
    open_call("c1", NOW_MS);
    struct act same = {.id = "c2", .user_id = "ada", .upstream_id = "up_c1", .now_ms = NOW_MS};
    cr_assert_eq(run(add_in, same), SB_E_CONFLICT);
}

Test(realtime_calls, a_call_ends_once_and_stays_as_it_ended)
{
    open_call("c1", NOW_MS + 60000);
    cr_assert_eq(find("c1", "ada"), SB_OK);
    cr_assert_eq(run(end_in, (struct act){.reason = SB_REALTIME_HANGUP, .now_ms = NOW_MS + 5000}),
                 SB_OK);
    cr_assert_eq(call.ended_at_ms, NOW_MS + 5000);
    cr_assert_str_eq(call.end_reason, "hangup");
    cr_assert_eq(run(end_in, (struct act){.reason = SB_REALTIME_GONE, .now_ms = NOW_MS + 9000}),
                 SB_OK);
    cr_assert_eq(call.ended_at_ms, NOW_MS + 5000);
    cr_assert_str_eq(call.end_reason, "hangup");
}

Test(realtime_calls, a_clock_that_went_back_ends_a_call_when_it_started)
{
    open_call("c1", NOW_MS + 60000);
    cr_assert_eq(find("c1", "ada"), SB_OK);
    cr_assert_eq(run(end_in, (struct act){.reason = SB_REALTIME_GONE, .now_ms = NOW_MS - 1}),
                 SB_OK);
    cr_assert_eq(call.ended_at_ms, NOW_MS);
}

Test(realtime_calls, a_call_is_due_when_its_time_is_up)
{
    open_call("c1", NOW_MS + 60000);
    cr_assert_eq(due(NOW_MS + 59999, NOW_MS), SB_E_NOT_FOUND);
    cr_assert_eq(due(NOW_MS + 60000, NOW_MS), SB_OK);
    cr_assert_str_eq(call.id, "c1");
}

Test(realtime_calls, an_ended_call_is_not_due)
{
    open_call("c1", NOW_MS);
    cr_assert_eq(find("c1", "ada"), SB_OK);
    cr_assert_eq(run(end_in, (struct act){.reason = SB_REALTIME_EXPIRED, .now_ms = NOW_MS}), SB_OK);
    cr_assert_eq(due(NOW_MS + 1, NOW_MS), SB_E_NOT_FOUND);
}

Test(realtime_calls, one_that_failed_comes_behind_the_others_and_once_a_run)
{
    open_call("c1", NOW_MS + 1);
    open_call("c2", NOW_MS + 2);
    cr_assert_eq(due(NOW_MS + 10, NOW_MS + 10), SB_OK);
    cr_assert_str_eq(call.id, "c1", "the oldest first");
    cr_assert_eq(run(tried_in, (struct act){.id = "c1", .now_ms = NOW_MS + 10}), SB_OK);
    cr_assert_eq(due(NOW_MS + 10, NOW_MS + 10), SB_OK);
    cr_assert_str_eq(call.id, "c2");
    cr_assert_eq(run(tried_in, (struct act){.id = "c2", .now_ms = NOW_MS + 10}), SB_OK);
    cr_assert_eq(due(NOW_MS + 10, NOW_MS + 10), SB_E_NOT_FOUND);
    cr_assert_eq(due(NOW_MS + 20, NOW_MS + 20), SB_OK, "the next run tries again");
    cr_assert_str_eq(call.id, "c1");
    cr_assert_eq(run(tried_in, (struct act){.id = "c1", .now_ms = NOW_MS + 15}), SB_OK);
    cr_assert_eq(due(NOW_MS + 20, NOW_MS + 20), SB_OK);
    cr_assert_str_eq(call.id, "c2", "the one that was not tried for longest");
}

Test(realtime_calls, shortening_makes_an_open_call_due_and_lengthens_none)
{
    open_call("c1", NOW_MS + 60000);
    cr_assert_eq(run(shorten_in, (struct act){.id = "c1", .now_ms = NOW_MS + 5}), SB_OK);
    cr_assert_eq(due(NOW_MS + 5, NOW_MS), SB_OK);
    cr_assert_eq(run(shorten_in, (struct act){.id = "c1", .now_ms = NOW_MS + 900}), SB_OK);
    cr_assert_eq(find("c1", "ada"), SB_OK);
    cr_assert_eq(call.expires_at_ms, NOW_MS + 5);
}

Test(realtime_calls, only_calls_that_ended_before_are_removed_in_portions)
{
    for (int i = 0; i < 3; i++) {
        const char *id = sb_arena_printf(store.arena, "old%d", i);
        open_call(id, NOW_MS);
        cr_assert_eq(find(id, "ada"), SB_OK);
        cr_assert_eq(run(end_in, (struct act){.now_ms = NOW_MS + i}), SB_OK);
    }
    open_call("open", NOW_MS);
    struct act act = {.now_ms = NOW_MS + 2, .limit = 1};
    store_write(&store, remove_in, &act);
    cr_assert_eq(act.removed, 1);
    act.limit = 10;
    store_write(&store, remove_in, &act);
    cr_assert_eq(act.removed, 1);
    cr_assert_eq(find("old2", "ada"), SB_OK);
    cr_assert_eq(find("open", "ada"), SB_OK);
}

/* What is set aside for a call that may last a minute. */
static enum sb_error reserve_in(struct sb_db_conn *tx, void *context)
{
    struct sb_reserved reserved;
    const struct sb_spend limit = {.seconds = 60}, unlimited = {0};
    return sb_budget_reserve(tx,
                             &(struct sb_reservation){.id = context,
                                                      .owner = "user:ada",
                                                      .spend = {.turns = 1, .seconds = 60},
                                                      .now_ms = NOW_MS,
                                                      .deadline_ms = NOW_MS + 90000},
                             &limit, &unlimited, &reserved);
}

static enum sb_error forget_usage(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx, "DELETE FROM usage", NULL, 0, NULL);
}

Test(realtime_calls, the_end_of_a_call_settles_for_the_seconds_it_lasted)
{
    static const struct {
        enum sb_realtime_end reason;
        int64_t ended_at_ms, seconds;
    } rows[] = {{SB_REALTIME_HANGUP, NOW_MS + 5001, 6},
                {SB_REALTIME_EXPIRED, NOW_MS + 75000, 75},
                {SB_REALTIME_GONE, NOW_MS + 5000, 5},
                {SB_REALTIME_GONE, NOW_MS + 75000, 60}, /* when it had to end at the latest */
                {SB_REALTIME_HANGUP, NOW_MS - 5000, 0}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        char *id = sb_arena_printf(store.arena, "c%zu", i);
        store_write(&store, reserve_in, id);
        open_call(id, NOW_MS + 60000);
        cr_assert_eq(find(id, "ada"), SB_OK);
        for (int again = 0; again < 2; again++)
            cr_assert_eq(
                run(end_in, (struct act){.reason = rows[i].reason, .now_ms = rows[i].ended_at_ms}),
                SB_OK);
        cr_expect_eq(store_number(&store, "SELECT sum(turns) FROM usage WHERE owner = 'user:ada'"),
                     1);
        cr_expect_eq(
            store_number(&store, "SELECT sum(seconds) FROM usage WHERE owner = 'user:ada'"),
            rows[i].seconds, "%zu", i);
        cr_expect_eq(store_number(&store, "SELECT count(*) FROM reservations"), 0);
        store_write(&store, forget_usage, NULL);
    }
}
