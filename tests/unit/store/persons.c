#include "store/persons.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../support/store.h"

enum { NOW_MS = 1000000000 };

static struct store store;

/* ada and bob in one thread: a call of each, both in the first, ada's still open there; realtime
 * calls, conversations, usage and answers of ada's, and the same of a visitor called ada. */
static void set_up(void)
{
    store_open(&store);
    store_sql(
        &store,
        "INSERT INTO users VALUES ('ada', 'Ada \"A\"', 'user', NULL, 1), ('bob', 'Bob', 'user',"
        " NULL, 1);"
        "INSERT INTO threads VALUES ('t1', 1);"
        "INSERT INTO thread_members VALUES ('t1', 'ada', 'moderator', 1), ('t1', 'bob', 'member',"
        " 1);"
        "INSERT INTO calls VALUES ('t1', 'c1', 'c1', 'audio', 'r1', 'ada', 1000, 3000, 2, 'ended'),"
        " ('t1', '', 'c2', 'video', 'r2', 'bob', 4000, NULL, NULL, NULL);"
        "INSERT INTO participants VALUES ('c1', 'p1', 'ada', 1, 1000, 1000, 3000),"
        " ('c2', 'p2', 'ada', 0, 4000, 4000, NULL), ('c2', 'p3', 'bob', 1, 4000, 4000, NULL);"
        "INSERT INTO call_events VALUES (1, 't1', 'c1', 'started', 'ada', 1000),"
        " (2, 't1', 'c2', 'started', 'bob', 4000);"
        "INSERT INTO realtime_calls VALUES ('rc1', 'ada', 'up1', 1, 9000000000, 0, 2, 'hangup'),"
        " ('rc2', 'ada', 'up2', 1, 9000000000, 0, NULL, NULL),"
        " ('rc3', 'bob', 'up3', 1, 9000000000, 0, NULL, NULL);"
        "INSERT INTO sessions VALUES (1, 'user:ada', 's1', 'chat', 5, 6, 5),"
        " (2, 'user:bob', 's1', 'chat', 5, 6, 5), (3, 'visitor:ada', 's1', 'voice', 5, 6, 5);"
        "INSERT INTO transcript_items VALUES (1, 'i2', 2, 'assistant', 'second', 1, 6),"
        " (1, 'i1', 1, 'user', 'first', 0, 5), (2, 'i1', 1, 'user', 'of bob', 0, 5),"
        " (3, 'i1', 1, 'user', 'of a guest', 0, 5);"
        "INSERT INTO usage VALUES (20000, 'user:ada', 1, 2, 3), (20000, 'user:bob', 1, 2, 3),"
        " (20000, 'site', 2, 4, 6), (20000, 'visitor:ada', 7, 8, 9);"
        "INSERT INTO reservations VALUES ('b1', 'user:ada', 20000, 5, 1, 0, 0);"
        "INSERT INTO idempotency VALUES ('user:ada', 'POST /x', 'k', 'h', 200, '\"a\":1}', 5),"
        " ('user:bob', 'POST /x', 'k', 'h', 200, '}', 5);");
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(persons, .init = set_up, .fini = tear_down);

static const struct sb_person ada = {"ada", "user:ada", NULL}, guest = {NULL, "visitor:ada", NULL};

static bool begin(const char *name, void *context)
{
    struct sb_buf *out = context;
    sb_buf_add_format(out, "%s:\n", name);
    return sb_buf_ok(out);
}

static bool item(const char *json, void *context)
{
    struct sb_buf *out = context;
    sb_buf_add_format(out, "  %s\n", json);
    return sb_buf_ok(out);
}

static const char *exported(const struct sb_person *person)
{
    struct sb_buf out;
    sb_buf_init(&out, store.arena, 64 * 1024);
    const struct sb_person_writer writer = {begin, item, &out};
    cr_assert_eq(sb_persons_export(store.reader, person, &writer), SB_OK);
    return out.data;
}

struct erasing {
    const struct sb_person *person;
    struct sb_erased erased;
};

static enum sb_error erase_in(struct sb_db_conn *tx, void *context)
{
    struct erasing *work = context;
    return sb_persons_erase(tx, work->person, NOW_MS, &work->erased);
}

static struct sb_erased erase(const struct sb_person *person)
{
    struct erasing work = {.person = person};
    store_write(&store, erase_in, &work);
    cr_assert_leq(work.erased.count, SB_ERASED_MAX);
    return work.erased;
}

static int64_t count_of(const struct sb_erased *erased, const char *what)
{
    for (size_t i = 0; i < erased->count; i++) {
        if (strcmp(erased->parts[i].what, what) == 0)
            return erased->parts[i].count;
    }
    cr_assert_fail("nothing is said of: %s", what);
    return -1;
}

Test(persons, an_export_has_all_of_a_user_and_nothing_of_others)
{
    cr_assert_str_eq(
        exported(&ada),
        "users:\n"
        "  {\"id\":\"ada\",\"name\":\"Ada \\\"A\\\"\",\"role\":\"user\","
        "\"createdAt\":\"1970-01-01T00:00:00.001Z\",\"disabledAt\":null}\n"
        "memberships:\n"
        "  "
        "{\"threadId\":\"t1\",\"role\":\"moderator\",\"createdAt\":\"1970-01-01T00:00:00.001Z\"}\n"
        "callsStarted:\n"
        "  "
        "{\"id\":\"c1\",\"threadId\":\"t1\",\"kind\":\"audio\",\"startedAt\":\"1970-01-01T00:00:01."
        "000Z\",\"endedAt\":\"1970-01-01T00:00:03.000Z\",\"durationSeconds\":2}\n"
        "participations:\n"
        "  {\"callId\":\"c1\",\"id\":\"p1\",\"moderator\":true,\"joinedAt\":\"1970-01-01T00:00:01."
        "000Z\",\"lastSeenAt\":\"1970-01-01T00:00:01.000Z\",\"leftAt\":\"1970-01-01T00:00:03."
        "000Z\"}"
        "\n"
        "  {\"callId\":\"c2\",\"id\":\"p2\",\"moderator\":false,\"joinedAt\":\"1970-01-01T00:00:04."
        "000Z\",\"lastSeenAt\":\"1970-01-01T00:00:04.000Z\",\"leftAt\":null}\n"
        "callEvents:\n"
        "  "
        "{\"callId\":\"c1\",\"threadId\":\"t1\",\"type\":\"started\",\"at\":\"1970-01-01T00:00:01."
        "000Z\"}\n"
        "realtimeCalls:\n"
        "  {\"id\":\"rc1\",\"upstreamId\":\"up1\",\"startedAt\":\"1970-01-01T00:00:00.001Z\","
        "\"endedAt\":\"1970-01-01T00:00:00.002Z\",\"endReason\":\"hangup\"}\n"
        "  {\"id\":\"rc2\",\"upstreamId\":\"up2\",\"startedAt\":\"1970-01-01T00:00:00.001Z\","
        "\"endedAt\":null,\"endReason\":null}\n"
        "sessions:\n"
        "  {\"id\":\"s1\",\"kind\":\"chat\",\"createdAt\":\"1970-01-01T00:00:00.005Z\","
        "\"updatedAt\":\"1970-01-01T00:00:00.006Z\"}\n"
        "transcriptItems:\n"
        "  "
        "{\"sessionId\":\"s1\",\"id\":\"i1\",\"role\":\"user\",\"text\":\"first\",\"interrupted\":"
        "false,\"createdAt\":\"1970-01-01T00:00:00.005Z\"}\n"
        "  {\"sessionId\":\"s1\",\"id\":\"i2\",\"role\":\"assistant\",\"text\":\"second\","
        "\"interrupted\":true,\"createdAt\":\"1970-01-01T00:00:00.006Z\"}\n"
        "usage:\n"
        "  {\"day\":\"2024-10-04\",\"turns\":1,\"seconds\":2,\"tokens\":3}\n"
        "reservations:\n"
        "  {\"id\":\"b1\",\"deadline\":\"1970-01-01T00:00:00.005Z\",\"turns\":1,\"seconds\":0,"
        "\"tokens\":0}\n"
        "keptAnswers:\n"
        "  {\"route\":\"POST "
        "/x\",\"status\":200,\"body\":\"\\\"a\\\":1}\",\"createdAt\":\"1970-01-01T"
        "00:00:00.005Z\"}\n"
        "leadsAssigned:\n"
        "leadEvents:\n"
        "leads:\n"
        "leadHistory:\n"
        "leadMails:\n");
}

Test(persons, an_export_of_a_visitor_has_what_a_visitor_can_have)
{
    const char *text = exported(&guest);
    cr_assert_not_null(strstr(text, "of a guest"));
    cr_assert_not_null(strstr(text, "\"turns\":7"));
    cr_assert_null(strstr(text, "Ada"));
    cr_assert_null(strstr(text, "first"));
    cr_assert_null(strstr(text, "c1"));
}

Test(persons, an_export_that_cannot_be_written_fails)
{
    char storage[100];
    struct sb_buf out;
    sb_buf_init_fixed(&out, storage, sizeof storage);
    const struct sb_person_writer writer = {begin, item, &out};
    cr_assert_eq(sb_persons_export(store.reader, &ada, &writer), SB_E_INTERNAL);
}

/* All texts of the database but those of the tables named, in one. */
static int64_t mentions(const char *id)
{
    return store_number(
        &store,
        sb_arena_printf(store.arena,
                        "SELECT (SELECT count(*) FROM users WHERE id = '%1$s')"
                        " + (SELECT count(*) FROM thread_members WHERE user_id = '%1$s')"
                        " + (SELECT count(*) FROM calls WHERE started_by = '%1$s')"
                        " + (SELECT count(*) FROM participants WHERE user_id = '%1$s')"
                        " + (SELECT count(*) FROM call_events WHERE user_id = '%1$s')"
                        " + (SELECT count(*) FROM realtime_calls WHERE user_id = '%1$s')"
                        " + (SELECT count(*) FROM sessions WHERE owner = 'user:%1$s')"
                        " + (SELECT count(*) FROM usage WHERE owner = 'user:%1$s')"
                        " + (SELECT count(*) FROM reservations WHERE owner = 'user:%1$s')"
                        " + (SELECT count(*) FROM idempotency WHERE principal = 'user:%1$s')",
                        id));
}

Test(persons, nothing_names_an_erased_user)
{
    int64_t of_bob = mentions("bob");
    erase(&ada);
    cr_assert_eq(mentions("ada"), 0);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM transcript_items WHERE text IN"
                                      " ('first', 'second')"),
                 0);
    cr_assert_eq(mentions("bob"), of_bob);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM transcript_items"), 2);
}

Test(persons, the_calls_of_others_stay_with_somebody_in_them)
{
    erase(&ada);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM calls"), 2);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM participants"), 3);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM call_events"), 2);
    cr_assert_eq(store_number(&store, "SELECT count(DISTINCT id) FROM (SELECT started_by AS id FROM"
                                      " calls WHERE id = 'c1' UNION ALL SELECT user_id FROM"
                                      " participants WHERE id IN ('p1', 'p2') UNION ALL SELECT"
                                      " user_id FROM call_events WHERE seq = 1)"),
                 1, "one pseudonym for all");
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users WHERE id LIKE 'erased_%'"
                                      " AND name = 'Erased' AND disabled_at IS NOT NULL"),
                 1);
    cr_assert_eq(store_number(&store, "SELECT left_at FROM participants WHERE id = 'p2'"), NOW_MS);
    cr_assert_eq(store_number(&store, "SELECT left_at FROM participants WHERE id = 'p1'"), 3000);
    cr_assert_eq(store_number(&store, "SELECT left_at IS NULL FROM participants WHERE id = 'p3'"),
                 1);
}

Test(persons, an_open_realtime_call_is_kept_to_be_hung_up)
{
    erase(&ada);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM realtime_calls WHERE id = 'rc1'"), 0);
    cr_assert_eq(store_number(&store, "SELECT expires_at FROM realtime_calls WHERE id = 'rc2'"),
                 NOW_MS);
    cr_assert_eq(store_number(&store, "SELECT expires_at FROM realtime_calls WHERE id = 'rc3'"),
                 9000000000);
}

Test(persons, an_erasure_says_what_it_did)
{
    struct sb_erased erased = erase(&ada);
    cr_assert_eq(count_of(&erased, "open participations ended"), 1);
    cr_assert_eq(count_of(&erased, "participations pseudonymised"), 1);
    cr_assert_eq(count_of(&erased, "calls pseudonymised"), 1);
    cr_assert_eq(count_of(&erased, "call events pseudonymised"), 1);
    cr_assert_eq(count_of(&erased, "open realtime calls ended"), 1);
    cr_assert_eq(count_of(&erased, "realtime calls deleted"), 1);
    cr_assert_eq(count_of(&erased, "memberships deleted"), 1);
    cr_assert_eq(count_of(&erased, "users deleted"), 1);
    cr_assert_eq(count_of(&erased, "transcript items deleted"), 2);
    cr_assert_eq(count_of(&erased, "sessions deleted"), 1);
    cr_assert_eq(count_of(&erased, "days of usage deleted"), 1);
    cr_assert_eq(count_of(&erased, "reservations deleted"), 1);
    cr_assert_eq(count_of(&erased, "kept answers deleted"), 1);
}

Test(persons, a_second_erasure_finds_nothing_and_leaves_nothing)
{
    erase(&ada);
    int64_t users = store_number(&store, "SELECT count(*) FROM users");
    struct sb_erased erased = erase(&ada);
    for (size_t i = 0; i < erased.count; i++)
        cr_assert_eq(erased.parts[i].count, 0, "%s", erased.parts[i].what);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM users"), users);
}

Test(persons, two_who_were_in_one_call_can_be_erased)
{
    static const struct sb_person bob = {"bob", "user:bob", NULL};
    erase(&ada);
    erase(&bob);
    cr_assert_eq(store_number(&store, "SELECT count(DISTINCT user_id) FROM participants"), 2);
}

Test(persons, a_visitor_is_erased_and_the_user_of_that_id_stays)
{
    int64_t of_ada = mentions("ada");
    struct sb_erased erased = erase(&guest);
    cr_assert_eq(count_of(&erased, "sessions deleted"), 1);
    cr_assert_eq(mentions("ada"), of_ada);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM usage WHERE owner = 'visitor:ada'"), 0);
}

/* Enquiries. */

static void make_leads(void)
{
    store_sql(
        &store,
        "INSERT INTO leads (id, status, assignee, version, created_at, updated_at, name, email,"
        " message) VALUES ('l1', 'new', 'ada', 1, 1, 1, 'Guy', 'Guy@example.com', 'call me'),"
        " ('l2', 'new', 'bob', 1, 1, 1, 'Other', 'other@example.com', 'no');"
        "INSERT INTO lead_events VALUES (1, 'l2', 1, 'ada', 'assignee', 'ada', 'bob'),"
        " (2, 'l2', 1, 'bob', 'assignee', 'bob', 'ada'), (3, 'l2', 1, 'bob', 'note', NULL, 'ada'),"
        " (4, 'l1', 1, 'bob', 'note', NULL, 'x'), (5, 'l1', 2, 'bob', 'status', 'new', 'spam'),"
        " (6, 'l1', 3, 'bob', 'assignee', NULL, 'bob');"
        "INSERT INTO outbox (id, lead_id, recipient, subject, text, state, created_at, due_at)"
        " VALUES ('m1', 'l1', 's@x.org', 'New lead: Guy', 'of Guy', 'queued', 1, 1),"
        " ('m2', 'l2', 's@x.org', 'New lead: Other', 'of Other', 'queued', 1, 1)");
}

static const struct sb_person guy = {NULL, NULL, "guy@EXAMPLE.com"};

Test(persons, who_is_known_by_its_address_has_its_enquiries_exported)
{
    make_leads();
    const char *text = exported(&guy);
    cr_assert_not_null(strstr(text, "\"status\":\"new\",\"name\":\"Guy\""));
    cr_assert_not_null(strstr(text, "call me"));
    cr_assert_null(strstr(text, "l2"));
    text = exported(&ada);
    cr_assert_null(strstr(text, "call me"), "what others wrote is theirs");
    cr_assert_not_null(strstr(text, "leadsAssigned:\n  {\"id\":\"l1\""));
    cr_assert_not_null(strstr(text, "{\"leadId\":\"l2\",\"type\":\"assignee\""));
}

Test(persons, what_became_of_an_enquiry_is_exported_but_not_who_worked_on_it)
{
    make_leads();
    const char *text = exported(&guy), *history = strstr(text, "leadHistory:\n");
    cr_assert_str_eq(history,
                     "leadHistory:\n"
                     "  {\"leadId\":\"l1\",\"type\":\"note\",\"at\":\"1970-01-01T00:00:00."
                     "001Z\",\"before\":null,\"after\":\"x\"}\n"
                     "  {\"leadId\":\"l1\",\"type\":\"status\",\"at\":\"1970-01-01T00:00:00."
                     "002Z\",\"before\":\"new\",\"after\":\"spam\"}\n"
                     "leadMails:\n"
                     "  {\"id\":\"m1\",\"leadId\":\"l1\",\"recipient\":\"s@x.org\","
                     "\"subject\":\"New lead: Guy\",\"text\":\"of Guy\",\"state\":\"queued\","
                     "\"createdAt\":\"1970-01-01T00:00:00.001Z\",\"sentAt\":null}\n");
    cr_assert_null(strstr(text, "bob"));
}

Test(persons, the_enquiries_of_an_address_are_erased_and_nothing_else)
{
    make_leads();
    int64_t of_ada = mentions("ada");
    struct sb_erased erased = erase(&guy);
    cr_assert_eq(count_of(&erased, "leads deleted"), 1);
    cr_assert_eq(erased.count, 1);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM leads WHERE id = 'l2'"), 1);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM leads"), 1);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM lead_events"), 3);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM outbox WHERE lead_id <> 'l2'"), 0);
    cr_assert_eq(mentions("ada"), of_ada);
}

Test(persons, enquiries_forget_an_erased_user_who_worked_on_them)
{
    make_leads();
    erase(&ada);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM leads"), 2);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM leads WHERE assignee = 'ada'"), 0);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM lead_events WHERE user_id = 'ada' OR"
                                      " before = 'ada' OR (type = 'assignee' AND after = 'ada')"),
                 0);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM lead_events WHERE user_id = 'bob'"), 5);
    cr_assert_eq(store_number(&store, "SELECT count(*) FROM lead_events WHERE type = 'note' AND"
                                      " after = 'ada'"),
                 1, "a note is a text");
}

static enum sb_error refuse_table(const struct sb_db_row *row, void *context)
{
    (void)context;
    cr_expect_fail("nobody has decided about the table %s: give it its rows in lib/store/persons.c "
                   "if it tells of persons, and a place in this test",
                   sb_db_row_text(row, 0));
    return SB_OK;
}

/* Every table is either known to hold nothing of persons or named in persons.c: who adds one must
 * decide. */
Test(persons, every_table_is_thought_of)
{
    cr_assert_eq(
        sb_db_query(store.reader,
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                    " AND name NOT LIKE 'sqlite_%' AND name NOT IN ('users',"
                    " 'threads', 'thread_members', 'calls', 'participants',"
                    " 'call_events', 'realtime_calls', 'sessions',"
                    " 'transcript_items', 'usage', 'reservations',"
                    " 'idempotency', 'probe', 'leads', 'lead_events', 'outbox', 'chat_cache')",
                    SB_DB_NO_VALUES, refuse_table, NULL),
        SB_OK);
}

static enum sb_error note_scan(const struct sb_db_row *row, void *context)
{
    bool *scans = context;
    *scans |= strncmp(sb_db_row_text(row, 3), "SCAN", 4) == 0;
    return SB_OK;
}

/* The migration says why calls, participants and call_events are scanned. */
Test(persons, what_is_looked_for_has_an_index)
{
    static const char *const conditions[] = {"thread_members WHERE user_id = 'x'",
                                             "realtime_calls WHERE user_id = 'x'",
                                             "sessions WHERE owner = 'x'",
                                             "usage WHERE owner = 'x'",
                                             "reservations WHERE owner = 'x'",
                                             "idempotency WHERE principal = 'x'",
                                             "leads WHERE assignee = 'x'",
                                             "leads WHERE lower(email) = lower('x')",
                                             "lead_events WHERE lead_id = 'x'",
                                             "outbox WHERE lead_id = 'x'",
                                             "lead_events WHERE user_id = 'x'",
                                             "lead_events WHERE type = 'assignee' AND before = 'x'",
                                             "lead_events WHERE type = 'assignee' AND after = 'x'"};
    for (size_t i = 0; i < SB_COUNT(conditions); i++) {
        bool scans = false;
        const char *sql =
            sb_arena_printf(store.arena, "EXPLAIN QUERY PLAN SELECT * FROM %s", conditions[i]);
        cr_assert_eq(sb_db_query(store.reader, sql, SB_DB_NO_VALUES, note_scan, &scans), SB_OK);
        cr_expect_not(scans, "%s", conditions[i]);
    }
}
