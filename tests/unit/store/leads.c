#include "store/leads.h"

#include <criterion/criterion.h>
#include <string.h>

#include "../support/store.h"
#include "store/db_sqlite.h"

enum { NOW_MS = 1000000000 };

static struct store store;
static struct sb_lead lead;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(leads, .init = set_up, .fini = tear_down);

static enum sb_error add_in(struct sb_db_conn *tx, void *context)
{
    return sb_leads_add(tx, context);
}

static enum sb_error change_in(struct sb_db_conn *tx, void *context)
{
    return sb_leads_change(tx, store.arena, context, &lead);
}

struct removal {
    int64_t before_ms, limit, removed;
};

static enum sb_error remove_in(struct sb_db_conn *tx, void *context)
{
    struct removal *removal = context;
    return sb_leads_remove(tx, removal->before_ms, removal->limit, &removal->removed);
}

static void add(const char *id)
{
    struct sb_lead one = {.id = id,
                          .name = "Ann",
                          .email = "ann@example.com",
                          .message = "Call me",
                          .created_at_ms = NOW_MS};
    store_write(&store, add_in, &one);
}

#define CHANGE(...)                                                                                \
    sb_db_write(                                                                                   \
        store.db, change_in,                                                                       \
        &(struct sb_lead_change){.id = "l1", .user_id = "sam", .now_ms = NOW_MS + 5, __VA_ARGS__}, \
        SB_DB_WRITE_DEADLINE_MS)

static size_t events(struct sb_lead_event **list)
{
    size_t count;
    cr_assert_eq(sb_leads_events(store.reader, store.arena, "l1", list, &count), SB_OK);
    return count;
}

static size_t listed(const struct sb_leads_page *page)
{
    struct sb_lead *list;
    size_t count;
    cr_assert_eq(sb_leads_list(store.reader, store.arena, page, &list, &count), SB_OK);
    return count;
}

Test(leads, a_new_lead_is_new)
{
    add("l1");
    cr_assert_eq(sb_leads_find(store.reader, store.arena, "l1", &lead), SB_OK);
    cr_assert_str_eq(lead.name, "Ann");
    cr_assert_str_eq(lead.email, "ann@example.com");
    cr_assert_str_eq(lead.message, "Call me");
    cr_assert_null(lead.company);
    cr_assert_null(lead.assignee);
    cr_assert_eq(lead.status, SB_LEAD_NEW);
    cr_assert_eq(lead.version, 1);
    cr_assert_eq(lead.updated_at_ms, NOW_MS);
    cr_assert_eq(sb_leads_find(store.reader, store.arena, "l2", &lead), SB_E_NOT_FOUND);
    cr_assert_str_eq(lead.id, "l1", "left as it was");
}

Test(leads, a_change_has_an_event_for_each_thing_that_is_different)
{
    struct sb_lead_event *list;
    add("l1");
    cr_assert_eq(CHANGE(.status = SB_LEAD_SPAM, .assignee = "eve", .note = "n"), SB_OK);
    cr_assert_eq(lead.status, SB_LEAD_SPAM);
    cr_assert_eq(lead.version, 2);
    cr_assert_eq(lead.updated_at_ms, NOW_MS + 5);
    cr_assert_eq(CHANGE(.status = SB_LEAD_SPAM, .assignee = ""), SB_OK);
    cr_assert_null(lead.assignee);
    cr_assert_eq(CHANGE(.status = -1), SB_OK);
    cr_assert_eq(lead.version, 3);
    cr_assert_eq(events(&list), 4);
    cr_assert_eq(list[0].type, SB_LEAD_SET_STATUS);
    cr_assert_str_eq(list[0].before, "new");
    cr_assert_str_eq(list[0].after, "spam");
    cr_assert_str_eq(list[0].user_id, "sam");
    cr_assert_eq(list[0].at_ms, NOW_MS + 5);
    cr_assert_eq(list[2].type, SB_LEAD_NOTE);
    cr_assert_str_eq(list[2].after, "n");
    cr_assert_str_eq(list[3].before, "eve");
    cr_assert_null(list[3].after);
}

Test(leads, a_change_of_another_version_changes_nothing)
{
    struct sb_lead_event *list;
    add("l1");
    cr_assert_eq(CHANGE(.status = SB_LEAD_SPAM, .version = 2), SB_E_CONFLICT);
    cr_assert_eq(sb_leads_find(store.reader, store.arena, "l1", &lead), SB_OK);
    cr_assert_eq(lead.status, SB_LEAD_NEW);
    cr_assert_eq(events(&list), 0);
    cr_assert_eq(CHANGE(.status = SB_LEAD_SPAM, .version = 1), SB_OK);
}

Test(leads, a_full_history_takes_no_change_and_half_of_none)
{
    struct sb_lead_event *list;
    add("l1");
    store_sql(&store, "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 499)"
                      " INSERT INTO lead_events (lead_id, at, user_id, type, after)"
                      " SELECT 'l1', 1, 'sam', 'note', 'n' FROM n");
    cr_assert_eq(CHANGE(.status = SB_LEAD_SPAM, .note = "one too many"), SB_E_GONE);
    cr_assert_eq(events(&list), 499);
    cr_assert_eq(sb_leads_find(store.reader, store.arena, "l1", &lead), SB_OK);
    cr_assert_eq(lead.status, SB_LEAD_NEW);
    cr_assert_eq(CHANGE(.status = SB_LEAD_SPAM), SB_OK);
}

Test(leads, are_listed_by_what_is_asked_for)
{
    add("l1");
    add("l2");
    store_sql(&store, "UPDATE leads SET company = 'A_B%\\', assignee = 'eve' WHERE id = 'l1'");
    cr_assert_eq(CHANGE(.status = SB_LEAD_CLOSED), SB_OK);
    static const struct {
        struct sb_leads_page page;
        size_t count;
    } rows[] = {
        {{.status = -1, .max = 9}, 2},
        {{.status = -1, .max = 1}, 1},
        {{.status = SB_LEAD_CLOSED, .max = 9}, 1},
        {{.status = SB_LEAD_SPAM, .max = 9}, 0},
        {{.status = -1, .assignee = "eve", .max = 9}, 1},
        {{.status = -1, .search = "a_b%\\", .max = 9}, 1},
        {{.status = -1, .search = "axb", .max = 9}, 0},
        {{.status = -1, .search = "ANN@", .max = 9}, 2},
        {{.status = -1, .search = "call", .max = 9}, 2},
        {{.status = -1, .below = "l2", .max = 9}, 1},
        {{.status = -1, .below = "l1", .max = 9}, 0},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_eq(listed(&rows[i].page), rows[i].count, "row %zu", i);
}

struct listing {
    struct sb_leads_page page;
    int64_t steps; /* of SQLite's machine */
};

static enum sb_error list_in(struct sb_db_conn *tx, void *context)
{
    struct listing *listing = context;
    struct sb_lead *list;
    size_t count;
    enum sb_error error = sb_leads_list(tx, store.arena, &listing->page, &list, &count);
    sqlite3_stmt *next = NULL;
    while ((next = sqlite3_next_stmt(tx->handle, next)) != NULL) {
        if (strstr(sqlite3_sql(next), "FROM leads WHERE") != NULL)
            listing->steps += sqlite3_stmt_status(next, SQLITE_STMTSTATUS_VM_STEP, 1);
    }
    return error;
}

Test(leads, a_list_reads_no_leads_but_its_own)
{
    enum { OTHERS = 1000 };
    static struct listing listings[] = {
        {.page = {.status = SB_LEAD_NEW, .max = 9}},
        {.page = {.status = -1, .assignee = "eve", .max = 9}},
        {.page = {.status = SB_LEAD_NEW, .assignee = "eve", .max = 9}},
        {.page = {.status = -1, .below = "k1", .max = 9}},
    };
    add("k0");
    add("k1");
    store_sql(&store, "UPDATE leads SET assignee = 'eve'");
    for (int i = 0; i < OTHERS; i++)
        add(sb_arena_printf(store.arena, "l%d", i));
    store_sql(&store, "UPDATE leads SET status = 'closed' WHERE id > 'l'");
    for (size_t i = 0; i < SB_COUNT(listings); i++) {
        store_write(&store, list_in, &listings[i]);
        cr_expect_gt(listings[i].steps, 0);
        cr_expect_lt(listings[i].steps, OTHERS, "listing %zu", i);
    }
}

Test(leads, old_ones_go_with_their_history_and_their_mail)
{
    add("l1");
    add("l2");
    cr_assert_eq(CHANGE(.status = -1, .note = "n"), SB_OK);
    store_sql(&store,
              "INSERT INTO outbox (id, lead_id, recipient, subject, text, state, created_at,"
              " due_at) VALUES ('m', 'l1', 'r', 's', 't', 'queued', 1, 1)");
    struct removal removal = {NOW_MS + 5, 10, 0};
    store_write(&store, remove_in, &removal);
    cr_assert_eq(removal.removed, 1);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM leads WHERE id = 'l1'"), 1);
    removal.before_ms = NOW_MS + 6;
    store_write(&store, remove_in, &removal);
    cr_assert_eq(removal.removed, 1);
    cr_assert_eq(store_number(&store, "SELECT (SELECT count(*) FROM lead_events) + "
                                      "(SELECT count(*) FROM outbox)"),
                 0);
}
