#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"
#include "../support/script.h"
#include "http/cursor.h"
#include "store/sessions.h"

#define ORIGIN "https://www.example.com"

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    setenv("ALLOWED_ORIGINS", ORIGIN, 1);
    setenv("RATE_LIMIT_LEADS", "off", 1);
    setenv("RATE_LIMIT_INBOX", "off", 1);
}

static void setup_open(void)
{
    setup();
    call_site_open(&site, &sb_endpoint);
}

static void teardown(void)
{
    call_site_close(&site);
}

/* On which the receptionist thinks without a model. */
static void setup_chat(void)
{
    char file[4096];
    setup();
    setenv("RATE_LIMIT_MARKETING_CHAT", "off", 1);
    setenv("RECEPTIONIST_FILE", realpath("etc/receptionist.json", file), 1);
    setenv("APP_ENV", "production", 1);
    setenv("METRICS_TOKEN", CALL_SECRET, 1);
    setenv("PRODUCTION_DOMAIN", "www.example.com", 1);
    setenv("VOICE_THINKING", "local", 1); /* nobody is configured to hear or to speak */
}

TestSuite(marketing_chat, .init = setup_chat, .fini = teardown);
TestSuite(marketing_leads, .init = setup_open, .fini = teardown);
TestSuite(marketing_mail, .init = setup, .fini = teardown);
TestSuite(marketing_inbox, .init = setup_open, .fini = teardown);

#define SEND(...) call_send(&site, &(struct call){__VA_ARGS__})
#define FROM_SITE CALL_PARAMS("HTTP_ORIGIN=" ORIGIN)

static const struct call_answer *leave(const char *body)
{
    return SEND(.target = "/api/marketing/leads", .body = body, .params = FROM_SITE);
}

static const char *lead_with(const char *members)
{
    return sb_arena_printf(site.memory,
                           "{\"name\":\"Ann\",\"email\":\"ann@example.com\","
                           "\"message\":\"Call me\"%s}",
                           members);
}

/* A new lead's id. */
static const char *lead(const char *members)
{
    const struct call_answer *answer = leave(lead_with(members));
    cr_assert_eq(answer->status, 201, "%s", answer->body);
    return call_text(answer, "lead.id");
}

static const char *staff(void)
{
    return call_token_as(&site, "sam", "staff");
}

static const struct call_answer *get(const char *target)
{
    return SEND(.target = target, .token = staff());
}

static const struct call_answer *patch(const char *id, const char *body)
{
    return SEND(.method = "PATCH", .token = staff(), .body = body,
                .target = sb_arena_printf(site.memory, "/api/marketing/inbox/%s", id));
}

static const struct call_answer *show(const char *id)
{
    return get(sb_arena_printf(site.memory, "/api/marketing/inbox/%s", id));
}

static void expect_error(const struct call_answer *answer, int status, const char *code)
{
    cr_assert_eq(answer->status, status, "%d %s", answer->status, answer->body);
    cr_assert_str_eq(call_text(answer, "error.code"), code, "%s", answer->body);
}

static void expect_field(const struct call_answer *answer, const char *field, const char *code)
{
    expect_error(answer, 400, "validation_failed");
    cr_assert_str_eq(call_text(answer, "error.fields.0.field"), field, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "error.fields.0.code"), code, "%s", answer->body);
}

static size_t length(const struct call_answer *answer, const char *path)
{
    return json_array_size(call_json(answer, path));
}

/* POST /chat */

#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define ASSISTANT(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"
#define PARKING "Yes, there is free parking behind the building."

static const struct call_answer *chat_with(const char *messages, const char *more)
{
    if (site.worker.runtime == NULL)
        call_site_open(&site, &sb_endpoint);
    return SEND(.target = "/api/marketing/chat", .params = FROM_SITE,
                .body = sb_arena_printf(site.memory, "{\"messages\":[%s]%s}", messages, more));
}

static const struct call_answer *chat(const char *messages)
{
    return chat_with(messages, "");
}

Test(marketing_chat, the_last_message_is_answered)
{
    const struct call_answer *answer =
        chat_with(USER("hello") "," ASSISTANT("Good day.") "," USER("where can I park my car"),
                  ",\"sessionId\":\"s1\"");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "reply"), PARKING);
    cr_assert_str_eq(call_text(answer, "engine"), "local");
    cr_assert_str_eq(call_text(answer, "sessionId"), "s1");
}

Test(marketing_chat, the_model_is_told_who_said_what)
{
    static struct script model;
    script_add(&model,
               (struct script_answer){200, "Content-Type: text/event-stream\r\n",
                                      "data: {\"choices\":[{\"delta\":{\"content\":\"Yes.\"}}]}\n\n"
                                      "data: [DONE]\n\n"});
    script_start(&model);
    setenv("OPENAI_BASE_URL", sb_arena_printf(site.memory, "http://127.0.0.1:%d/v1", model.port),
           1);
    setenv("OPENAI_API_KEY", "sk-key-of-the-tests", 1);
    setenv("VOICE_THINKING", "openai", 1);
    const struct call_answer *answer =
        chat(USER("hello") "," ASSISTANT("Good day.") "," USER("are you open"));
    cr_assert_str_eq(call_text(answer, "reply"), "Yes.", "%s", answer->body);
    cr_assert_not_null(strstr(model.bodies[0], USER("hello") "," ASSISTANT("Good day.") "," USER(
                                                   "are you open") "]"),
                       "%s", model.bodies[0]);
    script_free(&model);
}

Test(marketing_chat, a_page_of_another_site_is_refused)
{
    call_site_open(&site, &sb_endpoint);
    expect_error(SEND(.target = "/api/marketing/chat", .body = "{\"messages\":[" USER("hi") "]}",
                      .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.example")),
                 403, "origin_denied");
}

Test(marketing_chat, fields_are_held_against_their_table)
{
    static const struct {
        const char *messages, *more, *field, *code;
    } rows[] = {
        {"", "", "messages", "too_short"},
        {USER(""), "", "messages[0].content", "too_short"},
        {"{\"content\":\"hi\"}", "", "messages[0].role", "required"},
        {"{\"role\":\"user\"}", "", "messages[0].content", "required"},
        {"{\"role\":\"system\",\"content\":\"hi\"}", "", "messages[0].role", "not_allowed"},
        {USER("hi"), ",\"sessionId\":\"a b\"", "sessionId", "format"},
        {USER("hi"), ",\"model\":\"x\"", "model", "unknown"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        expect_field(chat_with(rows[i].messages, rows[i].more), rows[i].field, rows[i].code);
}

Test(marketing_chat, who_speaks_last_is_the_user)
{
    expect_field(chat(USER("hi") "," ASSISTANT("Good day.")), "messages", "not_allowed");
}

Test(marketing_chat, a_question_of_blanks_is_refused)
{
    expect_field(chat(USER("a") "," ASSISTANT(" ") "," USER(" \\n\\t")), "messages[2].content",
                 "format");
}

Test(marketing_chat, control_characters_but_those_of_lines_are_refused_wherever_they_are)
{
    expect_field(chat(USER("a\\u0007") "," USER("b")), "messages[0].content", "format");
    expect_field(chat(USER("a") "," ASSISTANT("\\u0085") "," USER("b")), "messages[1].content",
                 "format");
    cr_assert_eq(chat(USER("one\\r\\n\\ttwo"))->status, 200);
}

Test(marketing_chat, lengths_are_counted_in_characters)
{
    char content[2 * 2001 + 1];
    for (size_t i = 0; i < 2001; i++)
        memcpy(content + 2 * i, "\xc3\xa4", 2);
    content[4000] = '\0';
    cr_assert_eq(chat(sb_arena_printf(site.memory, USER("%s"), content))->status, 200);
    content[4000] = '\xc3';
    content[4002] = '\0';
    expect_field(chat(sb_arena_printf(site.memory, USER("%s"), content)), "messages[0].content",
                 "too_long");
}

/* count messages of the user, each another one. */
static const char *different(int count)
{
    const char *text = USER("0");
    for (int i = 1; i < count; i++)
        text = sb_arena_printf(site.memory, "%s," USER("%d"), text, i);
    return text;
}

Test(marketing_chat, twenty_messages_are_taken_and_no_more)
{
    cr_assert_eq(chat(different(20))->status, 200);
    expect_field(chat(different(21)), "messages", "too_long");
}

Test(marketing_chat, who_says_the_same_more_than_three_times_in_a_row_is_refused)
{
    const char *again = USER("hi") "," ASSISTANT("Hello.") ",";
    const char *three = sb_arena_printf(site.memory, "%s%s" USER("hi"), again, again);
    cr_assert_eq(chat(three)->status, 200, "%s", three);
    expect_field(chat(sb_arena_printf(site.memory, "%s%s", again, three)), "messages",
                 "not_allowed");
    cr_assert_eq(
        chat(sb_arena_printf(site.memory, "%s," USER("and") "," USER("hi"), three))->status, 200,
        "something else came between");
}

Test(marketing_chat, the_quota_of_a_day_is_not_spent_by_what_is_refused)
{
    setenv("CHAT_DAILY_QUOTA", "2", 1);
    for (int i = 0; i < 3; i++)
        expect_field(chat(USER("hi") "," ASSISTANT("Hello.")), "messages", "not_allowed");
    cr_assert_eq(chat(USER("hi"))->status, 200);
    cr_assert_eq(chat(USER("hi"))->status, 200, "from the cache counts as well");
    const struct call_answer *answer = chat(USER("hi"));
    expect_error(answer, 429, "rate_limited");
    cr_assert_gt(strtol(call_header(answer, "Retry-After"), NULL, 10), 60);
}

static const struct call_answer *ask(const char *user_id, const char *body)
{
    if (site.worker.runtime == NULL)
        call_site_open(&site, &sb_endpoint);
    return SEND(.target = "/api/marketing/chat", .body = body, .params = FROM_SITE,
                .token = user_id == NULL ? NULL : call_token(&site, user_id));
}

#define QUESTION "{\"role\":\"user\",\"content\":\"where can I park my car\"}"
#define OF_SESSION(question) "{\"sessionId\":\"s1\",\"messages\":[" question "]}"

Test(marketing_chat, only_who_thinks_need_be_configured)
{
    const struct call_answer *answer = ask(NULL, "{\"messages\":[" QUESTION "]}");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_expect_str_eq(call_text(answer, "engine"), "local");
}

Test(marketing_chat, without_anybody_who_thinks_it_is_misconfigured)
{
    unsetenv("VOICE_THINKING");
    expect_error(ask(NULL, "{\"messages\":[" QUESTION "]}"), 503, "misconfigured");
    cr_expect(call_file_has(&site, "log/switchboard.log", "\"VOICE_THINKING\""));
}

Test(marketing_chat, a_turn_is_counted_and_one_from_the_cache_is_not)
{
    for (int i = 0; i < 2; i++)
        cr_assert_eq(ask("ada", "{\"messages\":[" QUESTION "]}")->status, 200);
    cr_expect_eq(call_count(&site, "SELECT turns * 10 + tokens FROM usage"
                                   " WHERE owner = 'user:ada'"),
                 10);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM reservations"), 0);
}

Test(marketing_chat, a_budget_that_is_used_up_is_429_but_not_for_the_cache)
{
    setenv("BUDGET_USER_TURNS", "1", 1);
    cr_assert_eq(ask("ada", "{\"messages\":[" QUESTION "]}")->status, 200);
    const struct call_answer *answer =
        ask("ada", "{\"messages\":[{\"role\":\"user\",\"content\":\"when do you open\"}]}");
    expect_error(answer, 429, "budget_exceeded");
    cr_expect_not_null(strstr(call_text(answer, "error.message"), "turns"));
    cr_expect_not_null(call_header(answer, "Retry-After"));
    cr_expect_eq(ask("ada", "{\"messages\":[" QUESTION "]}")->status, 200);
}

Test(marketing_chat, a_turn_of_a_session_is_kept_whole_also_from_the_cache)
{
    for (int i = 0; i < 2; i++) {
        const struct call_answer *answer =
            ask("ada", OF_SESSION("{\"role\":\"assistant\",\"content\":\"Hello\"}," QUESTION));
        cr_assert_eq(answer->status, 200, "%s", answer->body);
        cr_expect_str_eq(call_text(answer, "sessionId"), "s1");
    }
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM sessions WHERE kind = 'chat'"
                                   " AND owner = 'user:ada' AND id = 's1'"),
                 1);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM transcript_items WHERE role = 'user'"
                                   " AND text = 'where can I park my car' AND interrupted = 0"),
                 2);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM transcript_items WHERE role = 'assistant'"
                                   " AND text LIKE 'Yes, there is free parking%'"),
                 2);
}

Test(marketing_chat, who_has_no_token_has_no_session)
{
    const struct call_answer *answer = ask(NULL, OF_SESSION(QUESTION));
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_expect_str_eq(call_text(answer, "sessionId"), "s1");
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM sessions"), 0);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM usage WHERE owner LIKE 'address:%'"), 1);
}

static enum sb_error open_voice_session(struct sb_db_conn *tx, void *context)
{
    bool created;
    struct sb_session session = {.id = "s1", .kind = SB_SESSION_VOICE, .created_at_ms = 1};
    return sb_sessions_open(tx, context, "user:ada", &session, &created);
}

Test(marketing_chat, a_session_of_another_kind_is_a_conflict)
{
    call_site_open(&site, &sb_endpoint);
    call_write(&site, open_voice_session, site.memory);
    expect_error(ask("ada", OF_SESSION(QUESTION)), 409, "conflict");
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM usage"), 0);
}

/* POST /leads */

Test(marketing_leads, a_lead_is_stored_and_the_visitor_is_told_its_id_alone)
{
    const struct call_answer *answer =
        leave(lead_with(",\"company\":\"Example\",\"phone\":\"+49 (30) 123-4\",\"source\":\"/\""));
    cr_assert_eq(answer->status, 201, "%s", answer->body);
    cr_assert_eq(strncmp(call_text(answer, "lead.id"), "lead_", 5), 0);
    cr_assert_not_null(call_text(answer, "lead.createdAt"));
    cr_assert_eq(json_object_size(call_json(answer, "lead")), 2);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM leads WHERE name = 'Ann' AND email = "
                                   "'ann@example.com' AND message = 'Call me' AND company = "
                                   "'Example' AND phone = '+49 (30) 123-4' AND source = '/' AND "
                                   "status = 'new' AND version = 1"),
                 1);
    cr_assert(call_file_has(&site, "log/audit.log", call_text(answer, "lead.id")));
    cr_assert_not(call_file_has(&site, "log/audit.log", "ann@example.com"));
    cr_assert_not(call_file_has(&site, "log/switchboard.log", "ann@example.com"));
}

Test(marketing_leads, a_page_of_another_site_leaves_none)
{
    const char *body = lead_with("");
    expect_error(SEND(.target = "/api/marketing/leads", .body = body), 403, "origin_denied");
    expect_error(SEND(.target = "/api/marketing/leads", .body = body,
                      .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.example")),
                 403, "origin_denied");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM leads"), 0);
}

Test(marketing_leads, what_is_wrong_is_said_and_nothing_stored)
{
    static const struct {
        const char *body, *field, *code;
    } rows[] = {
        {"{\"email\":\"a@b.c\",\"message\":\"m\"}", "name", "required"},
        {"{\"name\":\"A\",\"message\":\"m\"}", "email", "required"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\"}", "message", "required"},
        {"{\"name\":\"\",\"email\":\"a@b.c\",\"message\":\"m\"}", "name", "too_short"},
        {"{\"name\":\"A\",\"email\":\"a@b\",\"message\":\"m\"}", "email", "format"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\\r\\nBcc: eve@b.c\",\"message\":\"m\"}", "email",
         "format"},
        {"{\"name\":\"A\\r\\nBcc: eve@b.c\",\"email\":\"a@b.c\",\"message\":\"m\"}", "name",
         "format"},
        {"{\"name\":\"A\\u0085\",\"email\":\"a@b.c\",\"message\":\"m\"}", "name", "format"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\",\"message\":\"m\\u0007\"}", "message", "format"},
        {"{\"name\":\" \",\"email\":\"a@b.c\",\"message\":\"m\"}", "name", "format"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\",\"message\":\" \\r\\n\\t\"}", "message", "format"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\",\"message\":\"m\",\"company\":\"\\u007f\"}",
         "company", "format"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\",\"message\":\"m\",\"source\":\"\\n\"}", "source",
         "format"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\",\"message\":\"m\",\"phone\":\"call me\"}", "phone",
         "format"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\",\"message\":\"m\",\"website\":\"x\"}", "website",
         "too_long"},
        {"{\"name\":\"A\",\"email\":\"a@b.c\",\"message\":\"m\",\"status\":\"closed\"}", "status",
         "unknown"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        expect_field(leave(rows[i].body), rows[i].field, rows[i].code);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM leads"), 0);
}

#define NAMED "{\"name\":\"%s\",\"email\":\"a@b.c\",\"message\":\"m\"}"
Test(marketing_leads, lengths_are_counted_in_characters)
{
    char name[2 * 201 + 1];
    for (size_t i = 0; i < 201; i++)
        memcpy(name + 2 * i, "\xc3\xa4", 2);
    name[400] = '\0';
    cr_assert_eq(leave(sb_arena_printf(site.memory, NAMED, name))->status, 201);
    name[400] = '\xc3';
    name[402] = '\0';
    expect_field(leave(sb_arena_printf(site.memory, NAMED, name)), "name", "too_long");
}

Test(marketing_leads, a_message_may_have_lines_and_the_trap_may_be_sent_empty)
{
    const struct call_answer *answer =
        leave("{\"name\":\"A\",\"email\":\"a@b.c\",\"message\":\"m\\r\\n\\tn\",\"website\":\"\"}");
    cr_assert_eq(answer->status, 201, "%s", answer->body);
}

Test(marketing_leads, an_idempotency_key_leaves_one_lead)
{
    const struct call call = {.target = "/api/marketing/leads",
                              .body = lead_with(""),
                              .params =
                                  CALL_PARAMS("HTTP_ORIGIN=" ORIGIN, "HTTP_IDEMPOTENCY_KEY=k")};
    const struct call_answer *one = call_send(&site, &call), *two = call_send(&site, &call);
    cr_assert_eq(two->status, 201);
    cr_assert_not_null(call_header(two, "Idempotent-Replayed"));
    cr_assert(json_equal(call_json(one, "lead"), call_json(two, "lead")));
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM leads"), 1);
}

/* The mail to sales */

Test(marketing_mail, a_lead_and_its_mail_are_stored_together)
{
    setenv("SALES_EMAIL", "sales@example.com", 1);
    setenv("SMTP_HOST", "smtp.example.com", 1);
    setenv("SMTP_FROM", "switchboard@example.com", 1);
    call_site_open(&site, &sb_endpoint);
    const char *id = lead("");
    cr_assert_eq(call_count(&site, sb_arena_printf(site.memory,
                                                   "SELECT count(*) FROM outbox WHERE lead_id = "
                                                   "'%s' AND recipient = 'sales@example.com' AND "
                                                   "reply_to = 'ann@example.com' AND subject = "
                                                   "'New lead: Ann' AND text LIKE '%%Call me%%' "
                                                   "AND state = 'queued'",
                                                   id)),
                 1);
}

Test(marketing_mail, without_a_mail_server_leads_are_stored_and_no_mail_is)
{
    setenv("SALES_EMAIL", "sales@example.com", 1);
    call_site_open(&site, &sb_endpoint);
    lead("");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM leads"), 1);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM outbox"), 0);
}

/* The inbox */

Test(marketing_inbox, is_for_staff_alone)
{
    const char *id = lead("");
    const char *target = sb_arena_printf(site.memory, "/api/marketing/inbox/%s", id);
    const char *const targets[] = {"/api/marketing/inbox", target};
    for (size_t i = 0; i < SB_COUNT(targets); i++) {
        expect_error(SEND(.target = targets[i]), 401, "unauthenticated");
        expect_error(SEND(.target = targets[i], .token = call_token(&site, "ann")), 403,
                     "forbidden");
        expect_error(SEND(.target = targets[i], .token = call_token_as(&site, "bot", "service")),
                     403, "forbidden");
    }
    expect_error(SEND(.method = "PATCH", .target = target, .token = call_token(&site, "ann"),
                      .body = "{\"status\":\"spam\"}"),
                 403, "forbidden");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM leads WHERE status = 'new'"), 1);
}

Test(marketing_inbox, lists_leads_with_all_that_was_left_newest_first)
{
    const char *one = lead(",\"company\":\"Example\""), *two = lead("");
    const struct call_answer *answer = get("/api/marketing/inbox");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_eq(length(answer, "leads"), 2);
    cr_assert(strcmp(one, two) != 0);
    size_t at = strcmp(call_text(answer, "leads.0.id"), one) == 0 ? 0 : 1;
    const char *path = sb_arena_printf(site.memory, "leads.%zu.company", at);
    cr_assert_str_eq(call_text(answer, path), "Example");
    cr_assert_str_eq(call_text(answer, "leads.0.email"), "ann@example.com");
    cr_assert_str_eq(call_text(answer, "leads.0.status"), "new");
    cr_assert(json_is_null(call_json(answer, "leads.0.assignee")));
    cr_assert(json_is_null(call_json(answer, "nextCursor")));
    cr_assert_gt(strcmp(call_text(answer, "leads.0.id"), call_text(answer, "leads.1.id")), 0);
}

Test(marketing_inbox, goes_page_by_page)
{
    for (int i = 0; i < 3; i++)
        lead("");
    const struct call_answer *first = get("/api/marketing/inbox?limit=2");
    cr_assert_eq(length(first, "leads"), 2);
    const struct call_answer *rest = get(sb_arena_printf(
        site.memory, "/api/marketing/inbox?limit=2&cursor=%s", call_text(first, "nextCursor")));
    cr_assert_eq(length(rest, "leads"), 1, "%s", rest->body);
    cr_assert(json_is_null(call_json(rest, "nextCursor")));
    cr_assert_lt(strcmp(call_text(rest, "leads.0.id"), call_text(first, "leads.1.id")), 0);
    expect_field(get("/api/marketing/inbox?cursor=x"), "cursor", "format");
    const char *foreign = sb_cursor_make(site.memory, "threads", "t1");
    expect_field(get(sb_arena_printf(site.memory, "/api/marketing/inbox?cursor=%s", foreign)),
                 "cursor", "format");
}

Test(marketing_inbox, filters_by_status_assignee_and_text)
{
    const char *one = lead(",\"company\":\"50% off_\""), *two = lead("");
    cr_assert_eq(patch(one, "{\"status\":\"closed\",\"assignee\":\"sam\"}")->status, 200);
    static const struct {
        const char *query;
        bool one, two;
    } rows[] = {{"status=closed", true, false},
                {"status=new", false, true},
                {"assignee=sam", true, false},
                {"assignee=eve", false, false},
                {"q=0%25%20OFF_", true, false},
                {"q=%25", true, false},
                {"q=_", true, false},
                {"q=EXAMPLE.com", true, true},
                {"q=call", true, true},
                {"q=nobody", false, false},
                {"status=new&q=_", false, false}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const struct call_answer *answer =
            get(sb_arena_printf(site.memory, "/api/marketing/inbox?%s", rows[i].query));
        cr_assert_eq(answer->status, 200, "%s: %s", rows[i].query, answer->body);
        cr_expect_eq(strstr(answer->body, one) != NULL, rows[i].one, "%s", rows[i].query);
        cr_expect_eq(strstr(answer->body, two) != NULL, rows[i].two, "%s", rows[i].query);
    }
    expect_field(get("/api/marketing/inbox?status=old"), "status", "not_allowed");
    expect_field(get("/api/marketing/inbox?limit=101"), "limit", "out_of_range");
}

Test(marketing_inbox, a_change_is_kept_with_who_and_what)
{
    const char *id = lead("");
    const struct call_answer *answer =
        patch(id, "{\"status\":\"contacted\",\"assignee\":\"eve\",\"note\":\"Rang\\nher\"}");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "lead.status"), "contacted");
    cr_assert_str_eq(call_text(answer, "lead.assignee"), "eve");
    cr_assert_eq(call_number(answer, "lead.version"), 2);
    answer = show(id);
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "lead.status"), "contacted");
    cr_assert_eq(length(answer, "history"), 3);
    cr_assert_str_eq(call_text(answer, "history.0.type"), "status");
    cr_assert_str_eq(call_text(answer, "history.0.from"), "new");
    cr_assert_str_eq(call_text(answer, "history.0.to"), "contacted");
    cr_assert_str_eq(call_text(answer, "history.0.by"), "sam");
    cr_assert_str_eq(call_text(answer, "history.1.type"), "assignee");
    cr_assert(json_is_null(call_json(answer, "history.1.from")));
    cr_assert_str_eq(call_text(answer, "history.1.to"), "eve");
    cr_assert_str_eq(call_text(answer, "history.2.type"), "note");
    cr_assert_str_eq(call_text(answer, "history.2.to"), "Rang\nher");
    cr_assert(call_file_has(&site, "log/audit.log", "leads.change"));
    cr_assert_not(call_file_has(&site, "log/audit.log", "Rang"));
}

Test(marketing_inbox, what_is_as_it_was_is_no_change)
{
    const char *id = lead("");
    cr_assert_eq(call_number(patch(id, "{\"status\":\"new\",\"assignee\":\"\"}"), "lead.version"),
                 1);
    cr_assert_eq(length(show(id), "history"), 0);
}

Test(marketing_inbox, an_assignee_is_taken_off)
{
    const char *id = lead("");
    cr_assert_eq(patch(id, "{\"assignee\":\"eve\"}")->status, 200);
    const struct call_answer *answer = patch(id, "{\"assignee\":\"\"}");
    cr_assert(json_is_null(call_json(answer, "lead.assignee")), "%s", answer->body);
    cr_assert_str_eq(call_text(show(id), "history.1.from"), "eve");
}

Test(marketing_inbox, a_change_of_an_older_version_is_a_conflict)
{
    const char *id = lead("");
    cr_assert_eq(patch(id, "{\"status\":\"spam\",\"version\":1}")->status, 200);
    expect_error(patch(id, "{\"status\":\"closed\",\"version\":1}"), 409, "conflict");
    cr_assert_str_eq(call_text(show(id), "lead.status"), "spam");
    cr_assert_eq(patch(id, "{\"status\":\"closed\",\"version\":2}")->status, 200);
}

Test(marketing_inbox, a_lead_has_a_limited_history)
{
    const char *id = lead("");
    for (int i = 0; i < 500; i++)
        cr_assert_eq(patch(id, "{\"note\":\"n\"}")->status, 200);
    expect_error(patch(id, "{\"note\":\"n\"}"), 409, "conflict");
    cr_assert_eq(length(show(id), "history"), 500);
    cr_assert_eq(call_number(show(id), "lead.version"), 501);
}

Test(marketing_inbox, what_cannot_be_is_refused)
{
    const char *id = lead("");
    expect_field(patch(id, "{}"), "status", "required");
    expect_field(patch(id, "{\"status\":\"old\"}"), "status", "not_allowed");
    expect_field(patch(id, "{\"assignee\":\"a\\u0001\"}"), "assignee", "format");
    expect_field(patch(id, "{\"note\":\"\"}"), "note", "too_short");
    expect_field(patch(id, "{\"note\":\" \\n\"}"), "note", "format");
    expect_field(patch(id, "{\"note\":\"\\u001b[2J\"}"), "note", "format");
    expect_field(patch(id, "{\"version\":0}"), "version", "out_of_range");
    expect_error(patch("lead_none", "{\"status\":\"spam\"}"), 404, "not_found");
    expect_error(show("lead_none"), 404, "not_found");
    cr_assert_eq(length(show(id), "history"), 0);
}
