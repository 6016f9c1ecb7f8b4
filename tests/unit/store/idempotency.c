#include "store/idempotency.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "../support/store.h"

enum { NOW_MS = 1000000000 };

static struct store store;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(idempotency, .init = set_up, .fini = tear_down);

static const struct sb_idempotency_key first = {"ada", "POST /api/calls/start", "k1", "hash1"};

struct act {
    struct sb_idempotency_key key;
    int64_t now_ms, status, removed;
    const char *body;
};

static enum sb_error find_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_idempotency_find(tx, store.arena, &act->key, act->now_ms, &act->status, &act->body);
}

static enum sb_error store_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_idempotency_store(tx, &act->key, act->now_ms, act->status, act->body);
}

static enum sb_error expire_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_idempotency_expire(tx, act->now_ms, 2, &act->removed);
}

static enum sb_error run(sb_db_closure_fn *closure, struct act *act)
{
    return sb_db_write(store.db, closure, act, SB_DB_WRITE_DEADLINE_MS);
}

static struct act answer(struct sb_idempotency_key key, int64_t now_ms, const char *body)
{
    return (struct act){.key = key, .now_ms = now_ms, .status = 201, .body = body};
}

static void store_first(void)
{
    struct act act = answer(first, NOW_MS, "{\"a\":1}");
    cr_assert_eq(run(store_in, &act), SB_OK);
}

static enum sb_error find(struct sb_idempotency_key key, int64_t now_ms, struct act *act)
{
    *act = (struct act){.key = key, .now_ms = now_ms};
    return run(find_in, act);
}

static int64_t rows(void)
{
    return store_number(&store, "SELECT count(*) FROM idempotency");
}

Test(idempotency, an_unknown_key_is_not_found)
{
    struct act act;
    cr_expect_eq(find(first, NOW_MS, &act), SB_E_NOT_FOUND);
}

Test(idempotency, the_same_payload_gets_the_stored_answer)
{
    struct act act;
    store_first();
    cr_assert_eq(find(first, NOW_MS + 1000, &act), SB_OK);
    cr_expect_eq(act.status, 201);
    cr_expect_str_eq(act.body, "{\"a\":1}");
}

Test(idempotency, another_payload_is_a_mismatch)
{
    struct sb_idempotency_key other = first;
    struct act act;
    store_first();
    other.payload_hash = "hash2";
    cr_expect_eq(find(other, NOW_MS, &act), SB_E_IDEMPOTENCY_MISMATCH);
    cr_expect_null(act.body);
}

Test(idempotency, keys_of_others_and_of_other_routes_are_not_found)
{
    struct sb_idempotency_key other = first;
    struct act act;
    store_first();
    other.principal = "bob";
    cr_expect_eq(find(other, NOW_MS, &act), SB_E_NOT_FOUND);
    other = first;
    other.route = "POST /api/marketing/leads";
    cr_expect_eq(find(other, NOW_MS, &act), SB_E_NOT_FOUND);
}

Test(idempotency, an_answer_lives_24_hours_to_the_millisecond)
{
    struct act act;
    store_first();
    cr_expect_eq(find(first, NOW_MS + SB_IDEMPOTENCY_KEEP_MS - 1, &act), SB_OK);
    cr_expect_eq(find(first, NOW_MS + SB_IDEMPOTENCY_KEEP_MS, &act), SB_E_NOT_FOUND);
}

Test(idempotency, a_stored_answer_is_not_replaced_while_it_lives)
{
    struct act again = answer(first, NOW_MS + SB_IDEMPOTENCY_KEEP_MS - 1, "{\"b\":2}");
    struct act act;
    store_first();
    cr_expect_eq(run(store_in, &again), SB_E_CONFLICT);
    cr_assert_eq(find(first, NOW_MS, &act), SB_OK);
    cr_expect_str_eq(act.body, "{\"a\":1}");
}

Test(idempotency, an_expired_answer_gives_way_to_a_new_one)
{
    int64_t later_ms = NOW_MS + SB_IDEMPOTENCY_KEEP_MS;
    struct act again = answer(first, later_ms, "{\"b\":2}");
    struct act act;
    store_first();
    again.key.payload_hash = "hash2";
    cr_assert_eq(run(store_in, &again), SB_OK);
    cr_assert_eq(find(again.key, later_ms, &act), SB_OK);
    cr_expect_str_eq(act.body, "{\"b\":2}");
}

static void store_keys(int count, int64_t now_ms)
{
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        struct act act = answer(first, now_ms, "{}");
        act.key.key = key;
        cr_assert_eq(run(store_in, &act), SB_OK);
    }
}

Test(idempotency, expire_deletes_at_most_its_limit_and_counts)
{
    struct act act = {.now_ms = NOW_MS + SB_IDEMPOTENCY_KEEP_MS};
    store_keys(3, NOW_MS);
    cr_assert_eq(run(expire_in, &act), SB_OK);
    cr_expect_eq(act.removed, 2);
    cr_assert_eq(run(expire_in, &act), SB_OK);
    cr_expect_eq(act.removed, 1);
    cr_expect_eq(rows(), 0);
}

Test(idempotency, expire_leaves_what_still_lives)
{
    struct act act = {.now_ms = NOW_MS + SB_IDEMPOTENCY_KEEP_MS - 1};
    store_keys(3, NOW_MS);
    cr_assert_eq(run(expire_in, &act), SB_OK);
    cr_expect_eq(act.removed, 0);
    cr_expect_eq(rows(), 3);
}

Test(idempotency, storing_deletes_a_few_expired_answers)
{
    struct act act = answer(first, NOW_MS + SB_IDEMPOTENCY_KEEP_MS, "{}");
    store_keys(12, NOW_MS);
    cr_assert_eq(run(store_in, &act), SB_OK);
    cr_expect_eq(rows(), 12 - 8 + 1);
}
