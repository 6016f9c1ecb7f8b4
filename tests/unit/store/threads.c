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

static struct sb_thread thread;

static enum sb_error find(const char *id)
{
    return sb_threads_find(store.reader, store.arena, id, &thread);
}

Test(threads, a_thread_is_found_with_its_members_in_the_order_of_their_ids)
{
    add_thread("t");
    add_thread("other");
    cr_assert_eq(set_member("t", "y", SB_MODERATOR), SB_OK);
    cr_assert_eq(set_member("t", "x", SB_MEMBER), SB_OK);
    cr_assert_eq(set_member("other", "z", SB_MEMBER), SB_OK);
    store_sql(&store, "UPDATE users SET name = 'Xena' WHERE id = 'x'");
    cr_assert_eq(find("t"), SB_OK);
    cr_expect_str_eq(thread.id, "t");
    cr_expect_eq(thread.created_at_ms, 1);
    cr_assert_eq(thread.member_count, 2);
    cr_expect_str_eq(thread.members[0].user_id, "x");
    cr_expect_str_eq(thread.members[0].name, "Xena");
    cr_expect_eq(thread.members[0].role, SB_MEMBER);
    cr_expect_str_eq(thread.members[1].user_id, "y");
    cr_expect_eq(thread.members[1].role, SB_MODERATOR);
}

Test(threads, a_thread_that_is_not_there_is_not_found)
{
    thread.id = "before";
    cr_expect_eq(find("none"), SB_E_NOT_FOUND);
    cr_expect_str_eq(thread.id, "before");
}

static enum sb_error drop(struct sb_db_conn *tx, void *context)
{
    const struct membership *m = context;
    return sb_threads_remove_member(tx, m->thread_id, m->user_id);
}

static enum sb_error remove_member(const char *thread_id, const char *user_id)
{
    struct membership membership = {thread_id, user_id, SB_MEMBER};
    return sb_db_write(store.db, drop, &membership, SB_DB_WRITE_DEADLINE_MS);
}

Test(threads, a_removed_member_is_one_no_more_and_the_others_stay)
{
    enum sb_member_role role;
    add_thread("t");
    cr_assert_eq(set_member("t", "ada", SB_MEMBER), SB_OK);
    cr_assert_eq(set_member("t", "bob", SB_MEMBER), SB_OK);
    cr_assert_eq(remove_member("t", "ada"), SB_OK);
    cr_expect_eq(sb_threads_member(store.reader, "t", "ada", &role), SB_E_NOT_FOUND);
    cr_expect_eq(sb_threads_member(store.reader, "t", "bob", &role), SB_OK);
    cr_expect_eq(remove_member("t", "ada"), SB_E_NOT_FOUND);
    cr_expect_eq(remove_member("none", "bob"), SB_E_NOT_FOUND);
}

Test(threads, a_full_thread_takes_no_more_members_but_changes_their_roles)
{
    enum sb_member_role role;
    add_thread("t");
    store_sql(&store,
              "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
              " INSERT INTO users (id, name, role, created_at)"
              " SELECT 'u' || i, 'u', 'user', 1 FROM n");
    store_sql(&store, "INSERT INTO thread_members (thread_id, user_id, role, created_at)"
                      " SELECT 't', id, 'member', 1 FROM users WHERE id <> 'u1000'");
    cr_expect_eq(set_member("t", "u1000", SB_MEMBER), SB_OK, "the last there is room for");
    cr_expect_eq(set_member("t", "ada", SB_MEMBER), SB_E_CONFLICT);
    cr_expect_eq(sb_threads_member(store.reader, "t", "ada", &role), SB_E_NOT_FOUND);
    cr_expect_eq(set_member("t", "u1", SB_MODERATOR), SB_OK);
    cr_assert_eq(find("t"), SB_OK);
    cr_expect_eq(thread.member_count, SB_THREAD_MEMBERS_MAX);
}

/* The ids of a page of ada's threads, joined. */
static const char *page_of(const char *below, size_t max)
{
    static char ids[128];
    struct sb_membership *list;
    size_t count;
    ids[0] = '\0';
    cr_assert_eq(sb_threads_of_user(store.reader, store.arena,
                                    &(struct sb_threads_page){"ada", below, max}, &list, &count),
                 SB_OK);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(ids);
        snprintf(ids + length, sizeof ids - length, "%s/%s ", list[i].thread_id,
                 sb_member_role_names[list[i].role]);
        cr_expect_eq(list[i].created_at_ms, 1);
    }
    return ids;
}

Test(threads, a_users_threads_come_page_by_page_from_the_highest_id)
{
    static const char *const ids[] = {"b", "Z", "_", "0", "-", "z"};
    cr_expect_str_eq(page_of(NULL, 9), "");
    for (size_t i = 0; i < SB_COUNT(ids); i++) {
        add_thread(ids[i]);
        cr_assert_eq(set_member(ids[i], "ada", i == 0 ? SB_MODERATOR : SB_MEMBER), SB_OK);
    }
    add_thread("foreign");
    cr_assert_eq(set_member("foreign", "eve", SB_MEMBER), SB_OK);
    cr_expect_str_eq(page_of(NULL, 9), "z/member b/moderator _/member Z/member 0/member -/member ");
    cr_expect_str_eq(page_of(NULL, 2), "z/member b/moderator ");
    cr_expect_str_eq(page_of("b", 2), "_/member Z/member ");
    cr_expect_str_eq(page_of("Y", 9), "0/member -/member ", "of an id that is gone");
    cr_expect_str_eq(page_of("-", 9), "");
}
