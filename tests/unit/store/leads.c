#include "store/leads.h"

#include <criterion/criterion.h>
#include <sqlite3.h>

#include "../support/store.h"

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

/* Instructions of SQLite's machine that the last statement took. */
static int steps;

static int note_steps(unsigned what, void *context, void *statement, void *unused)
{
    (void)what, (void)context, (void)unused;
    steps = sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
    return 0;
}

static int count_steps(sqlite3 *handle)
{
    return sqlite3_trace_v2(handle, SQLITE_TRACE_PROFILE, note_steps, NULL);
}

Test(leads, a_page_costs_what_it_shows)
{
    enum { FEW = 500 };                                  /* for one of 1000 leads */
    sqlite3_auto_extension((void (*)(void))count_steps); /* the reader is not open yet */
    store_sql(&store, "WITH RECURSIVE n(i) AS (VALUES (1000) UNION ALL SELECT i + 1 FROM n"
                      " WHERE i < 1999) INSERT INTO leads (id, status, version, created_at,"
                      " updated_at, name, email, message) SELECT 'l' || i,"
                      " CASE i WHEN 1000 THEN 'spam' ELSE 'new' END, 1, i, i, 'a', 'b', 'c'"
                      " FROM n");
    cr_assert_eq(listed(&(struct sb_leads_page){.status = SB_LEAD_SPAM, .max = 1}), 1);
    cr_expect_lt(steps, FEW, "%d steps over those of another status", steps);
    cr_assert_eq(listed(&(struct sb_leads_page){.status = -1, .below = "l1001", .max = 1}), 1);
    cr_expect_lt(steps, FEW, "%d steps over those that were shown", steps);
    cr_expect_gt(steps, 0);
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
