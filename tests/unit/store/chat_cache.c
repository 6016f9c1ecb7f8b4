#include "store/chat_cache.h"

#include <criterion/criterion.h>

#include "../support/store.h"

static struct store store;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(chat_cache, .init = set_up, .fini = tear_down);

struct act {
    const char *key, *reply;
    int64_t at_ms, max, removed;
};

static enum sb_error put_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_chat_cache_store(tx, act->key, act->reply, act->at_ms, act->max);
}

static enum sb_error expire_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_chat_cache_expire(tx, act->at_ms, act->max, &act->removed);
}

static void put(const char *key, const char *reply, int64_t expires_at_ms)
{
    store_write(&store, put_in, &(struct act){key, reply, expires_at_ms, .max = 3});
}

static const char *find(const char *key, int64_t now_ms)
{
    const char *reply = NULL;
    enum sb_error error = sb_chat_cache_find(store.reader, store.arena, key, now_ms, &reply);
    cr_assert(error == SB_OK || error == SB_E_NOT_FOUND);
    return error == SB_OK ? reply : NULL;
}

Test(chat_cache, a_reply_is_found_by_its_key_until_it_expires)
{
    put("a", "hello", 100);
    cr_assert_str_eq(find("a", 99), "hello");
    cr_assert_null(find("a", 100));
    cr_assert_null(find("b", 99));
}

Test(chat_cache, a_new_reply_takes_the_place_of_the_old_one)
{
    put("a", "old", 100);
    put("a", "new", 200);
    cr_assert_str_eq(find("a", 150), "new");
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM chat_cache"), 1);
}

Test(chat_cache, beyond_the_cap_those_that_expire_first_go)
{
    put("b", "b", 200);
    put("a", "a", 100);
    put("c", "c", 300);
    put("d", "d", 50); /* the one that is stored stays */
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM chat_cache"), 3);
    cr_assert_null(find("a", 0));
    cr_assert_not_null(find("b", 0));
    cr_assert_not_null(find("c", 0));
    cr_assert_not_null(find("d", 0));
}

Test(chat_cache, what_has_expired_is_removed_in_portions)
{
    put("a", "a", 100);
    put("b", "b", 200);
    put("c", "c", 201);
    struct act act = {.at_ms = 200, .max = 1};
    store_write(&store, expire_in, &act);
    cr_assert_eq(act.removed, 1);
    cr_assert_null(find("a", 0));
    store_write(&store, expire_in, &act);
    store_write(&store, expire_in, &act);
    cr_assert_eq(act.removed, 0);
    cr_assert_null(find("b", 0));
    cr_assert_not_null(find("c", 0));
}
