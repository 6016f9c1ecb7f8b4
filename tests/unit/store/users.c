#include "store/users.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

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

TestSuite(users, .init = set_up, .fini = tear_down);

static const struct sb_user ada = {
    .id = "auth0|ada", .name = "Ada", .role = SB_ROLE_STAFF, .created_at_ms = 1234};

static enum sb_error add(struct sb_db_conn *tx, void *context)
{
    return sb_users_add(tx, context);
}

static enum sb_error ensure(struct sb_db_conn *tx, void *context)
{
    return sb_users_ensure(tx, context);
}

static enum sb_error write_user(sb_db_closure_fn *closure, const struct sb_user *user)
{
    struct sb_user copy = *user;
    return sb_db_write(store.db, closure, &copy, SB_DB_WRITE_DEADLINE_MS);
}

static enum sb_error disable(struct sb_db_conn *tx, void *context)
{
    return sb_users_disable(tx, context, true, 5000);
}

static enum sb_error enable(struct sb_db_conn *tx, void *context)
{
    return sb_users_disable(tx, context, false, 5000);
}

static struct sb_user find(const char *id)
{
    struct sb_user user = {.id = NULL};
    cr_assert_eq(sb_users_find(store.reader, store.arena, id, &user), SB_OK);
    return user;
}

Test(users, an_added_user_is_found_as_it_was)
{
    cr_assert_eq(write_user(add, &ada), SB_OK);
    struct sb_user user = find("auth0|ada");
    cr_expect_str_eq(user.id, "auth0|ada");
    cr_expect_str_eq(user.name, "Ada");
    cr_expect_eq(user.role, SB_ROLE_STAFF);
    cr_expect_eq(user.created_at_ms, 1234);
    cr_expect_not(user.disabled);
}

Test(users, an_unknown_user_is_not_found_and_the_result_untouched)
{
    struct sb_user user = ada;
    cr_expect_eq(sb_users_find(store.reader, store.arena, "nobody", &user), SB_E_NOT_FOUND);
    cr_expect_str_eq(user.id, "auth0|ada");
}

Test(users, adding_an_id_twice_is_a_conflict)
{
    cr_assert_eq(write_user(add, &ada), SB_OK);
    cr_expect_eq(write_user(add, &ada), SB_E_CONFLICT);
}

Test(users, ensuring_adds_once_and_changes_nothing_later)
{
    struct sb_user other = ada;
    other.name = "Somebody else";
    cr_expect_eq(write_user(ensure, &ada), SB_OK);
    cr_expect_eq(write_user(ensure, &other), SB_OK);
    cr_expect_str_eq(find("auth0|ada").name, "Ada");
}

Test(users, a_disabled_user_is_disabled_until_enabled)
{
    cr_assert_eq(write_user(add, &ada), SB_OK);
    store_write(&store, disable, (char *)"auth0|ada");
    cr_expect(find("auth0|ada").disabled);
    store_write(&store, enable, (char *)"auth0|ada");
    cr_expect_not(find("auth0|ada").disabled);
}

Test(users, disabling_an_unknown_user_is_not_found)
{
    cr_expect_eq(sb_db_write(store.db, disable, (char *)"nobody", SB_DB_WRITE_DEADLINE_MS),
                 SB_E_NOT_FOUND);
}

Test(users, a_full_arena_is_an_internal_error)
{
    struct sb_arena *tiny = sb_arena_new(1);
    struct sb_user user;
    cr_assert_eq(write_user(add, &ada), SB_OK);
    while (sb_arena_alloc(tiny, 16) != NULL)
        ;
    cr_expect_eq(sb_users_find(store.reader, tiny, "auth0|ada", &user), SB_E_INTERNAL);
    sb_arena_free(tiny);
}

static enum sb_error list(const struct sb_user *user, void *context)
{
    char *ids = context;
    size_t length = strlen(ids);
    snprintf(ids + length, 64 - length, "%s%s ", user->id, user->disabled ? "!" : "");
    return SB_OK;
}

Test(users, each_goes_through_all_in_the_order_of_ids)
{
    static const char *const ids[] = {"c", "a", "b"};
    char seen[64] = "";
    for (size_t i = 0; i < SB_COUNT(ids); i++)
        cr_assert_eq(write_user(add, &(struct sb_user){.id = ids[i], .name = "n"}), SB_OK);
    store_write(&store, disable, (char *)"b");
    cr_assert_eq(sb_users_each(store.reader, list, seen), SB_OK);
    cr_expect_str_eq(seen, "a b! c ");
}

Test(users, ids_are_1_to_128_bytes_of_text)
{
    char longest[SB_USER_ID_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[SB_USER_ID_MAX + 1] = '\0';
    cr_expect_not(sb_user_id_valid(longest));
    longest[SB_USER_ID_MAX] = '\0';
    cr_expect(sb_user_id_valid(longest));
    cr_expect(sb_user_id_valid("auth0|5f7c"));
    cr_expect(sb_user_id_valid("J\xc3\xbcrgen"));
    cr_expect_not(sb_user_id_valid(""));
    cr_expect_not(sb_user_id_valid(NULL));
}

Test(users, ids_hold_no_control_characters_and_no_broken_utf8)
{
    cr_expect_not(sb_user_id_valid("a\nb"));
    cr_expect_not(sb_user_id_valid("a\x7f"));
    cr_expect_not(sb_user_id_valid("a\xc2\x85"));
    cr_expect_not(sb_user_id_valid("a\xff"));
    cr_expect_not(sb_user_id_valid("a\xc3"));
    cr_expect(sb_user_id_valid("a\xc2\xa0"));
}
