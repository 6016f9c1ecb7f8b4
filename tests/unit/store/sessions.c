#include "store/sessions.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

TestSuite(sessions, .init = set_up, .fini = tear_down);

struct act {
    const char *owner, *id;
    struct sb_session session;
    bool created;
    int64_t before_ms, limit, removed;
};

static enum sb_error open_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_sessions_open(tx, store.arena, act->owner, &act->session, &act->created);
}

static enum sb_error remove_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_sessions_remove(tx, act->owner, act->id);
}

static enum sb_error expire_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_sessions_expire(tx, act->before_ms, act->limit, &act->removed);
}

static enum sb_error put_in(struct sb_db_conn *tx, void *context)
{
    return sb_sessions_put(tx, context);
}

static enum sb_error run(sb_db_closure_fn *closure, void *context)
{
    return sb_db_write(store.db, closure, context, SB_DB_WRITE_DEADLINE_MS);
}

static enum sb_error open_kind(const char *owner, const char *id, int64_t now_ms, int64_t kind,
                               struct act *act)
{
    *act =
        (struct act){.owner = owner, .session = {.id = id, .kind = kind, .created_at_ms = now_ms}};
    return run(open_in, act);
}

static void open_at(const char *owner, const char *id, int64_t now_ms)
{
    struct act act;
    cr_assert_eq(open_kind(owner, id, now_ms, SB_SESSION_VOICE, &act), SB_OK);
}

static enum sb_error put_at(const char *owner, const struct sb_item *items, size_t count,
                            int64_t now_ms)
{
    struct sb_items_batch batch = {owner, "s1", items, count, now_ms};
    return run(put_in, &batch);
}

/* Puts one item of text id behind previous_id. */
static void put(const char *id, const char *previous_id)
{
    const struct sb_item item = {.id = id, .text = id, .previous_id = previous_id};
    cr_assert_eq(put_at("user:ada", &item, 1, NOW_MS), SB_OK);
}

typedef enum sb_error read_fn(struct sb_db_conn *conn, struct sb_arena *arena,
                              const struct sb_items_page *page, struct sb_items *items);

static struct sb_items read_page(read_fn *read, const char *after_id, size_t max)
{
    struct sb_items items;
    const struct sb_items_page page = {"user:ada", "s1", after_id, max};
    cr_assert_eq(read(store.reader, store.arena, &page, &items), SB_OK);
    return items;
}

/* The ids of a page in one text. */
static const char *ids(read_fn *read, const char *after_id, size_t max)
{
    struct sb_items items = read_page(read, after_id, max);
    const char *text = "";
    for (size_t i = 0; i < items.count; i++)
        text = sb_arena_printf(store.arena, "%s%s%s", text, i == 0 ? "" : " ", items.list[i].id);
    return text;
}

static enum sb_error find(const char *owner, const char *id, struct sb_session *session)
{
    return sb_sessions_find(store.reader, store.arena, owner, id, session);
}

Test(sessions, a_session_is_made_once_and_found_by_its_owner)
{
    struct act act;
    struct sb_session session;
    cr_assert_eq(open_kind("user:ada", "s1", NOW_MS, SB_SESSION_REALTIME, &act), SB_OK);
    cr_assert(act.created);
    cr_assert_eq(act.session.updated_at_ms, NOW_MS);
    cr_assert_eq(open_kind("user:ada", "s1", NOW_MS + 5, SB_SESSION_REALTIME, &act), SB_OK);
    cr_assert_not(act.created);
    cr_assert_eq(act.session.created_at_ms, NOW_MS);
    cr_assert_eq(find("user:ada", "s1", &session), SB_OK);
    cr_assert_str_eq(session.id, "s1");
    cr_assert_eq(session.kind, SB_SESSION_REALTIME);
    cr_assert_eq(session.created_at_ms, NOW_MS);
}

Test(sessions, an_id_of_another_kind_is_a_conflict)
{
    struct act act;
    open_at("user:ada", "s1", NOW_MS);
    cr_assert_eq(open_kind("user:ada", "s1", NOW_MS, SB_SESSION_CHAT, &act), SB_E_CONFLICT);
}

Test(sessions, an_id_is_each_owners_own)
{
    struct act act;
    struct sb_session session;
    open_at("user:ada", "s1", NOW_MS);
    cr_assert_eq(find("user:bob", "s1", &session), SB_E_NOT_FOUND);
    cr_assert_eq(find("visitor:ada", "s1", &session), SB_E_NOT_FOUND);
    cr_assert_eq(open_kind("user:bob", "s1", NOW_MS, SB_SESSION_CHAT, &act), SB_OK);
    cr_assert(act.created);
}

Test(sessions, what_is_not_the_owners_can_neither_be_written_nor_read_nor_removed)
{
    const struct sb_item item = {.id = "i1", .text = "x"};
    struct sb_items items;
    open_at("user:ada", "s1", NOW_MS);
    put("i0", NULL);
    cr_assert_eq(put_at("user:bob", &item, 1, NOW_MS), SB_E_NOT_FOUND);
    const struct sb_items_page page = {.owner = "user:bob", .session_id = "s1", .max = 9};
    cr_assert_eq(sb_sessions_items(store.reader, store.arena, &page, &items), SB_E_NOT_FOUND);
    cr_assert_eq(sb_sessions_last(store.reader, store.arena, &page, &items), SB_E_NOT_FOUND);
    struct act act = {.owner = "user:bob", .id = "s1"};
    cr_assert_eq(run(remove_in, &act), SB_E_NOT_FOUND);
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 9), "i0");
}

Test(sessions, a_list_has_the_latest_first_and_goes_on_where_it_ended)
{
    struct sb_session *list;
    size_t count;
    open_at("user:ada", "b", NOW_MS);
    open_at("user:ada", "a", NOW_MS);
    open_at("user:ada", "c", NOW_MS - 1);
    open_at("user:ada", "d", NOW_MS + 1);
    open_at("user:bob", "e", NOW_MS);
    struct sb_sessions_page page = {.owner = "user:ada", .max = 2};
    cr_assert_eq(sb_sessions_of_owner(store.reader, store.arena, &page, &list, &count), SB_OK);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(list[0].id, "d");
    cr_assert_str_eq(list[1].id, "b");
    page.before_ms = NOW_MS;
    page.before_id = "b";
    page.max = 9;
    cr_assert_eq(sb_sessions_of_owner(store.reader, store.arena, &page, &list, &count), SB_OK);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(list[0].id, "a");
    cr_assert_str_eq(list[1].id, "c");
}

Test(sessions, a_removed_session_takes_its_items_with_it)
{
    open_at("user:ada", "s1", NOW_MS);
    put("i1", NULL);
    struct act act = {.owner = "user:ada", .id = "s1"};
    cr_assert_eq(run(remove_in, &act), SB_OK);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM transcript_items"), 0);
    cr_assert_eq(run(remove_in, &act), SB_E_NOT_FOUND);
}

Test(sessions, what_was_not_used_for_long_expires_oldest_first)
{
    const struct sb_item item = {.id = "i1", .text = "x"};
    open_at("user:ada", "s1", NOW_MS);
    open_at("user:ada", "s2", NOW_MS + 1);
    open_at("user:ada", "s3", NOW_MS + 2);
    cr_assert_eq(put_at("user:ada", &item, 1, NOW_MS + 100), SB_OK);
    struct act act = {.before_ms = NOW_MS + 2, .limit = 9};
    cr_assert_eq(run(expire_in, &act), SB_OK);
    cr_assert_eq(act.removed, 1, "s1 was used, s3 is not old enough");
    struct sb_session session;
    cr_assert_eq(find("user:ada", "s2", &session), SB_E_NOT_FOUND);
    act = (struct act){.before_ms = NOW_MS + 1000, .limit = 1};
    cr_assert_eq(run(expire_in, &act), SB_OK);
    cr_assert_eq(find("user:ada", "s3", &session), SB_E_NOT_FOUND);
    cr_assert_eq(find("user:ada", "s1", &session), SB_OK);
}

Test(sessions, items_without_a_previous_one_stand_in_the_order_they_came)
{
    open_at("user:ada", "s1", NOW_MS);
    put("z", NULL);
    put("a", NULL);
    put("m", "not-there");
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 9), "z a m");
}

Test(sessions, an_item_that_comes_late_stands_behind_the_one_it_names)
{
    open_at("user:ada", "s1", NOW_MS);
    put("hello", NULL);
    put("answer", "question");
    put("question", "hello");
    put("next", "answer");
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 9), "hello question answer next");
}

Test(sessions, the_first_item_comes_late_as_well)
{
    open_at("user:ada", "s1", NOW_MS);
    put("answer", "question");
    put("next", "answer");
    put("question", "root");
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 9), "question answer next");
    put("root", NULL);
    put("behind", "root");
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 9), "question answer next root behind",
                     "an item of that name is one as any other");
}

Test(sessions, any_number_of_items_fits_before_all_and_a_first_one_into_nothing)
{
    char id[16];
    const char *expected = "";
    open_at("user:ada", "s1", NOW_MS);
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "i%d", i);
        put(id, "root");
        expected = sb_arena_printf(store.arena, "%s%s%s", id, i == 0 ? "" : " ", expected);
    }
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 200), expected);
}

Test(sessions, any_number_of_items_fits_behind_one)
{
    char id[16];
    const char *expected = "";
    open_at("user:ada", "s1", NOW_MS);
    put("first", NULL);
    put("last", NULL);
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "i%d", i);
        put(id, "first");
        expected = sb_arena_printf(store.arena, "%s %s", id, expected);
    }
    expected = sb_arena_printf(store.arena, "first %slast", expected);
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 200), expected);
}

/* Else each place that somebody has filled up costs a change of all items behind it, in turn. */
Test(sessions, places_that_ran_out_are_spread_at_once)
{
    char id[16];
    open_at("user:ada", "s1", NOW_MS);
    put("a", NULL);
    put("b", NULL);
    put("c", NULL);
    for (int i = 0; i < 64; i++) {
        snprintf(id, sizeof id, "i%d", i);
        put(id, i % 2 == 0 ? "a" : "b");
    }
    static const char full[] = "SELECT count(*) FROM transcript_items a JOIN transcript_items b"
                               " ON b.place = a.place + 1";
    cr_assert_geq(store_number(&store, full), 2);
    put("one more", "a");
    cr_assert_eq(store_number(&store, full), 0);
}

Test(sessions, an_item_that_is_sent_again_changes_in_its_place)
{
    open_at("user:ada", "s1", NOW_MS);
    put("i1", NULL);
    put("i2", NULL);
    const struct sb_item item = {.id = "i1",
                                 .role = SB_ITEM_ASSISTANT,
                                 .text = "cut",
                                 .interrupted = true,
                                 .previous_id = "i2"};
    cr_assert_eq(put_at("user:ada", &item, 1, NOW_MS + 7), SB_OK);
    struct sb_items items = read_page(sb_sessions_items, NULL, 9);
    cr_assert_eq(items.count, 2);
    cr_assert_str_eq(items.list[0].id, "i1");
    cr_assert_str_eq(items.list[0].text, "cut");
    cr_assert_eq(items.list[0].role, SB_ITEM_ASSISTANT);
    cr_assert(items.list[0].interrupted);
    cr_assert_eq(items.list[0].created_at_ms, NOW_MS);
    cr_assert_not(items.list[1].interrupted);
    cr_assert_eq(items.list[1].role, SB_ITEM_USER);
}

Test(sessions, items_say_when_a_session_was_used_last)
{
    struct sb_session session;
    const struct sb_item item = {.id = "i1", .text = "x"};
    open_at("user:ada", "s1", NOW_MS);
    cr_assert_eq(put_at("user:ada", &item, 1, NOW_MS + 50), SB_OK);
    cr_assert_eq(put_at("user:ada", &item, 1, NOW_MS - 50), SB_OK);
    cr_assert_eq(find("user:ada", "s1", &session), SB_OK);
    cr_assert_eq(session.updated_at_ms, NOW_MS + 50);
}

/* Puts batches of 100 until there are count. */
static void fill(size_t count)
{
    char names[SB_SESSION_BATCH_MAX][16];
    struct sb_item items[SB_SESSION_BATCH_MAX];
    for (size_t at = 0; at < count; at += SB_SESSION_BATCH_MAX) {
        for (size_t i = 0; i < SB_SESSION_BATCH_MAX; i++) {
            snprintf(names[i], sizeof names[i], "n%zu", at + i);
            items[i] = (struct sb_item){.id = names[i], .text = "x"};
        }
        cr_assert_eq(put_at("user:ada", items, SB_SESSION_BATCH_MAX, NOW_MS), SB_OK);
    }
}

Test(sessions, a_full_session_takes_no_more_items_but_changes)
{
    const struct sb_item one_more[] = {{.id = "more", .text = "x"}},
                         again[] = {{.id = "n7", .text = "y"}};
    open_at("user:ada", "s1", NOW_MS);
    fill(SB_SESSION_ITEMS_MAX);
    cr_assert_eq(put_at("user:ada", one_more, 1, NOW_MS), SB_E_CONFLICT);
    cr_assert_eq(put_at("user:ada", again, 1, NOW_MS), SB_OK);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM transcript_items"),
                 SB_SESSION_ITEMS_MAX);
}

/* Puts one item with so many characters into the owner's session of that name. */
static enum sb_error put_long(const char *owner, const char *session, const char *id,
                              size_t characters, int64_t now_ms)
{
    char *text = malloc(2 * characters + 1);
    cr_assert_not_null(text);
    for (size_t i = 0; i < characters; i++)
        memcpy(text + 2 * i, "\u00e9", 2);
    text[2 * characters] = '\0';
    const struct sb_item item = {.id = id, .text = text};
    struct sb_items_batch batch = {owner, session, &item, 1, now_ms};
    enum sb_error error = run(put_in, &batch);
    free(text);
    return error;
}

static int64_t sessions_left(void)
{
    return store_number(&store, "SELECT count(*) FROM sessions");
}

static int64_t characters(void)
{
    return store_number(&store, "SELECT sum(characters) FROM sessions");
}

#define GUEST "visitor:one"
enum { GUEST_MAX = SB_SESSIONS_VISITOR_TEXT_MAX };

Test(sessions, the_text_of_an_owner_is_counted_in_characters_as_items_come_change_and_go)
{
    open_at(GUEST, "s1", NOW_MS);
    cr_assert_eq(put_long(GUEST, "s1", "a", 10, NOW_MS), SB_OK);
    cr_assert_eq(put_long(GUEST, "s1", "b", 5, NOW_MS), SB_OK);
    cr_expect_eq(characters(), 15);
    cr_assert_eq(put_long(GUEST, "s1", "a", 3, NOW_MS), SB_OK);
    cr_expect_eq(characters(), 8);
    cr_assert_eq(put_long(GUEST, "s1", "a", 4, NOW_MS), SB_OK);
    cr_expect_eq(characters(), 9);
}

Test(sessions, who_has_too_much_text_loses_what_was_untouched_for_longest)
{
    open_at(GUEST, "s1", NOW_MS);
    open_at(GUEST, "s2", NOW_MS);
    open_at(GUEST, "s3", NOW_MS);
    open_at("visitor:other", "s1", NOW_MS);
    cr_assert_eq(put_long("visitor:other", "s1", "a", GUEST_MAX, NOW_MS), SB_OK);
    cr_assert_eq(put_long(GUEST, "s2", "a", GUEST_MAX / 2, NOW_MS + 2), SB_OK);
    cr_assert_eq(put_long(GUEST, "s1", "a", GUEST_MAX / 2 - 1, NOW_MS + 3), SB_OK);
    cr_assert_eq(put_long(GUEST, "s3", "a", 1, NOW_MS + 4), SB_OK);
    cr_expect_eq(sessions_left(), 4, "it is just as much as there may be");
    cr_assert_eq(put_long(GUEST, "s3", "b", 1, NOW_MS + 1), SB_OK);
    struct sb_session session;
    cr_expect_eq(find(GUEST, "s2", &session), SB_E_NOT_FOUND);
    cr_expect_eq(find(GUEST, "s1", &session), SB_OK);
    cr_expect_eq(find(GUEST, "s3", &session), SB_OK);
    cr_expect_eq(find("visitor:other", "s1", &session), SB_OK);
}

Test(sessions, one_session_with_too_much_text_takes_no_more)
{
    open_at(GUEST, "s1", NOW_MS);
    open_at(GUEST, "s2", NOW_MS);
    cr_assert_eq(put_long(GUEST, "s1", "a", GUEST_MAX, NOW_MS), SB_OK);
    cr_assert_eq(put_long(GUEST, "s1", "b", 1, NOW_MS), SB_E_CONFLICT);
    cr_expect_eq(characters(), GUEST_MAX);
    cr_expect_eq(store_number(&store, "SELECT count(*) FROM transcript_items"), 1);
    cr_expect_eq(sessions_left(), 2);
    cr_assert_eq(put_long(GUEST, "s1", "a", 1, NOW_MS), SB_OK, "what is there may become less");
}

Test(sessions, what_was_put_uncounted_may_be_made_shorter)
{
    open_at(GUEST, "s1", NOW_MS);
    cr_assert_eq(put_long(GUEST, "s1", "a", 10, NOW_MS), SB_OK);
    store_sql(&store, "UPDATE sessions SET characters = 0");
    cr_assert_eq(put_long(GUEST, "s1", "a", 3, NOW_MS), SB_OK);
    cr_expect_eq(characters(), 0);
}

Test(sessions, users_may_keep_more_text_than_visitors)
{
    open_at("user:ada", "s1", NOW_MS);
    cr_assert_eq(put_long("user:ada", "s1", "a", GUEST_MAX + 1, NOW_MS), SB_OK);
    cr_assert_eq(put_long("user:ada", "s1", "b", SB_SESSIONS_TEXT_MAX - GUEST_MAX - 1, NOW_MS),
                 SB_OK);
    cr_assert_eq(put_long("user:ada", "s1", "c", 1, NOW_MS), SB_E_CONFLICT);
}

Test(sessions, a_transcript_is_read_page_by_page)
{
    open_at("user:ada", "s1", NOW_MS);
    for (int i = 0; i < 5; i++)
        put(sb_arena_printf(store.arena, "i%d", i), NULL);
    cr_assert(read_page(sb_sessions_items, NULL, 2).more);
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 2), "i0 i1");
    cr_assert_str_eq(ids(sb_sessions_items, "i1", 2), "i2 i3");
    cr_assert_str_eq(ids(sb_sessions_items, "i3", 2), "i4");
    cr_assert_not(read_page(sb_sessions_items, "i3", 2).more);
    cr_assert_not(read_page(sb_sessions_items, "i2", 2).more);
    cr_assert_str_eq(ids(sb_sessions_items, "none", 2), "");
}

Test(sessions, the_last_items_come_in_their_order)
{
    open_at("user:ada", "s1", NOW_MS);
    cr_assert_str_eq(ids(sb_sessions_last, NULL, 3), "");
    for (int i = 0; i < 5; i++)
        put(sb_arena_printf(store.arena, "i%d", i), NULL);
    cr_assert_str_eq(ids(sb_sessions_last, NULL, 3), "i2 i3 i4");
    cr_assert_str_eq(ids(sb_sessions_last, NULL, 4), "i1 i2 i3 i4");
    cr_assert(read_page(sb_sessions_last, NULL, 4).more);
    cr_assert_not(read_page(sb_sessions_last, NULL, 5).more);
}

Test(sessions, a_page_of_long_texts_ends_early)
{
    enum { LENGTH = SB_ITEMS_PAGE_BYTES / 2 };
    char *text = calloc(1, LENGTH + 1);
    cr_assert_not_null(text);
    memset(text, 'x', LENGTH);
    const struct sb_item items[] = {
        {.id = "i1", .text = text}, {.id = "i2", .text = text}, {.id = "i3", .text = text}};
    open_at("user:ada", "s1", NOW_MS);
    cr_assert_eq(put_at("user:ada", items, 3, NOW_MS), SB_OK);
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 9), "i1 i2");
    cr_assert(read_page(sb_sessions_items, NULL, 9).more);
    cr_assert_str_eq(ids(sb_sessions_last, NULL, 9), "i2 i3");
    free(text);
}

Test(sessions, a_page_has_an_item_however_long)
{
    char *text = calloc(1, SB_ITEMS_PAGE_BYTES + 2);
    cr_assert_not_null(text);
    memset(text, 'x', SB_ITEMS_PAGE_BYTES + 1);
    const struct sb_item items[] = {{.id = "i1", .text = text}, {.id = "i2", .text = text}};
    open_at("user:ada", "s1", NOW_MS);
    cr_assert_eq(put_at("user:ada", items, 2, NOW_MS), SB_OK);
    cr_assert_str_eq(ids(sb_sessions_items, NULL, 9), "i1");
    cr_assert_str_eq(ids(sb_sessions_last, NULL, 9), "i2");
    free(text);
}

static enum sb_error fill_in(struct sb_db_conn *tx, void *context)
{
    enum sb_error error = SB_OK;
    for (int i = 0; error == SB_OK && i < SB_SESSIONS_OWNER_MAX; i++) {
        bool created;
        struct sb_session session = {.id = sb_arena_printf(store.arena, "s%d", i),
                                     .kind = SB_SESSION_VOICE,
                                     .created_at_ms = NOW_MS + i};
        error = sb_sessions_open(tx, store.arena, context, &session, &created);
    }
    return error;
}

static enum sb_error look_for(const char *owner, const char *id)
{
    struct sb_session session;
    return find(owner, id, &session);
}

Test(sessions, the_one_that_was_untouched_for_longest_goes_when_there_are_too_many)
{
    static char ada[] = "user:ada";
    const struct sb_item item = {.id = "i", .text = "t"};
    const struct sb_items_batch batch = {ada, "s0", &item, 1, NOW_MS + SB_SESSIONS_OWNER_MAX};
    open_at("user:bob", "s1", NOW_MS - 1);
    store_write(&store, fill_in, ada);
    store_write(&store, put_in, (void *)&batch);
    cr_assert_eq(look_for(ada, "s1"), SB_OK, "as many as there can be");
    open_at(ada, "new", NOW_MS - 2); /* by a clock that went back */
    cr_assert_eq(look_for(ada, "new"), SB_OK);
    cr_assert_eq(look_for(ada, "s0"), SB_OK, "an item has touched it");
    cr_assert_eq(look_for(ada, "s1"), SB_E_NOT_FOUND);
    cr_assert_eq(look_for(ada, "s2"), SB_OK);
    cr_assert_eq(look_for("user:bob", "s1"), SB_OK, "of another owner");
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM sessions WHERE owner = 'user:ada'"),
                 SB_SESSIONS_OWNER_MAX);
    open_at(ada, "s0", NOW_MS + 5000);
    cr_assert_eq(look_for(ada, "s2"), SB_OK, "to open it again needs no room");
}

struct plan {
    bool scans, sorts;
};

static enum sb_error read_plan(const struct sb_db_row *row, void *context)
{
    struct plan *plan = context;
    const char *detail = sb_db_row_text(row, 3);
    plan->scans |= strncmp(detail, "SCAN", 4) == 0;
    plan->sorts |= strstr(detail, "TEMP B-TREE") != NULL;
    return SB_OK;
}

Test(sessions, an_index_has_the_last_items_at_hand)
{
    struct plan plan = {false, false};
    static const char sql[] = "EXPLAIN QUERY PLAN SELECT id, text FROM transcript_items"
                              " WHERE session = 1 ORDER BY place DESC LIMIT 9";
    cr_assert_eq(sb_db_query(store.reader, sql, SB_DB_NO_VALUES, read_plan, &plan), SB_OK);
    cr_assert_not(plan.scans || plan.sorts);
}
