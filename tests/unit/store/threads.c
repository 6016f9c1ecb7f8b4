#include "store/threads.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/store.h"
#include "store/users.h"

static struct store store;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(threads, .init = set_up, .fini = tear_down);

static enum sb_error add(struct sb_db_conn *tx, void *context)
{
    return sb_threads_add(tx, context, 1);
}

static void add_thread(const char *id)
{
    store_write(&store, add, (void *)(uintptr_t)id);
}

struct membership {
    const char *thread_id, *user_id;
    enum sb_member_role role;
};

static enum sb_error set(struct sb_db_conn *tx, void *context)
{
    const struct membership *m = context;
    return sb_threads_set_member(tx, m->thread_id, m->user_id, m->role, 2);
}

static enum sb_error set_member(const char *thread_id, const char *user_id,
                                enum sb_member_role role)
{
    struct membership membership = {thread_id, user_id, role};
    return sb_db_write(store.db, set, &membership, SB_DB_WRITE_DEADLINE_MS);
}

Test(threads, adding_an_id_twice_is_a_conflict)
{
    add_thread("t");
    cr_expect_eq(sb_db_write(store.db, add, (char *)"t", SB_DB_WRITE_DEADLINE_MS), SB_E_CONFLICT);
}

Test(threads, a_member_has_the_role_it_was_given)
{
    enum sb_member_role role = SB_MEMBER;
    add_thread("t");
    cr_assert_eq(set_member("t", "ada", SB_MODERATOR), SB_OK);
    cr_assert_eq(sb_threads_member(store.reader, "t", "ada", &role), SB_OK);
    cr_expect_eq(role, SB_MODERATOR);
}

Test(threads, setting_a_member_again_changes_its_role)
{
    enum sb_member_role role = SB_MODERATOR;
    add_thread("t");
    cr_assert_eq(set_member("t", "ada", SB_MODERATOR), SB_OK);
    cr_assert_eq(set_member("t", "ada", SB_MEMBER), SB_OK);
    cr_assert_eq(sb_threads_member(store.reader, "t", "ada", &role), SB_OK);
    cr_expect_eq(role, SB_MEMBER);
}

Test(threads, a_member_nobody_has_seen_becomes_a_user_named_by_its_id)
{
    struct sb_user user;
    add_thread("t");
    cr_assert_eq(set_member("t", "ada", SB_MEMBER), SB_OK);
    cr_assert_eq(sb_users_find(store.reader, store.arena, "ada", &user), SB_OK);
    cr_expect_str_eq(user.name, "ada");
    cr_expect_eq(user.role, SB_ROLE_USER);
}

Test(threads, a_member_of_no_thread_is_not_found_and_leaves_no_user)
{
    struct sb_user user;
    cr_expect_eq(set_member("none", "ada", SB_MEMBER), SB_E_NOT_FOUND);
    cr_expect_eq(sb_users_find(store.reader, store.arena, "ada", &user), SB_E_NOT_FOUND);
}

Test(threads, a_stranger_cannot_tell_a_thread_from_none)
{
    enum sb_member_role role;
    add_thread("t");
    cr_assert_eq(set_member("t", "ada", SB_MEMBER), SB_OK);
    cr_expect_eq(sb_threads_member(store.reader, "t", "eve", &role), SB_E_NOT_FOUND);
    cr_expect_eq(sb_threads_member(store.reader, "none", "eve", &role), SB_E_NOT_FOUND);
}

static enum sb_error list(const char *thread_id, const char *user_id, enum sb_member_role role,
                          void *context)
{
    char *seen = context;
    size_t length = strlen(seen);
    snprintf(seen + length, 128 - length, "%s/%s/%s ", thread_id, user_id == NULL ? "-" : user_id,
             user_id == NULL ? "-" : sb_member_role_names[role]);
    return SB_OK;
}

Test(threads, each_goes_by_thread_then_user_and_shows_threads_without_members)
{
    char seen[128] = "";
    add_thread("b");
    add_thread("a");
    cr_assert_eq(set_member("b", "y", SB_MEMBER), SB_OK);
    cr_assert_eq(set_member("b", "x", SB_MODERATOR), SB_OK);
    cr_assert_eq(sb_threads_each(store.reader, list, seen), SB_OK);
    cr_expect_str_eq(seen, "a/-/- b/x/moderator b/y/member ");
}

static enum sb_error stop(const char *thread_id, const char *user_id, enum sb_member_role role,
                          void *context)
{
    (void)thread_id, (void)user_id, (void)role;
    ++*(int *)context;
    return SB_E_GONE;
}

Test(threads, each_ends_at_the_first_error_and_returns_it)
{
    int calls = 0;
    add_thread("a");
    add_thread("b");
    cr_expect_eq(sb_threads_each(store.reader, stop, &calls), SB_E_GONE);
    cr_expect_eq(calls, 1);
}
