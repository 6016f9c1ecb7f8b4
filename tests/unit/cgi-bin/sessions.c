#include "store/sessions.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"
#include "access/visitor.h"
#include "base/clock.h"
#include "http/cursor.h"

#define ORIGIN "https://www.example.com"

static struct call_site site;
static const char *ada, *bob;

static void set_up(const char *enabled)
{
    call_site_prepare(&site);
    setenv("ENABLE_SESSIONS", enabled, 1);
    setenv("ENABLE_VISITORS", "true", 1);
    setenv("ALLOWED_ORIGINS", ORIGIN, 1);
    setenv("RATE_LIMIT_SESSIONS", "1000/60", 1);
    call_site_open(&site, &sb_endpoint);
    ada = call_token(&site, "ada");
    bob = call_token(&site, "bob");
}

static void setup(void)
{
    set_up("true");
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(sessions_endpoint, .init = setup, .fini = teardown);

#define SEND(...)                                                                                  \
    call_send(&site, &(struct call){.params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN), __VA_ARGS__})

static const char *visitor(const char *id)
{
    const struct sb_visitor made = {id, ORIGIN, sb_clock_now_ms() / 1000 + 60};
    const char *token = sb_visitor_make(site.memory, site.runtime.config, &made);
    cr_assert_not_null(token);
    return token;
}

static const struct call_answer *create(const char *token, const char *body)
{
    return SEND(.target = "/api/sessions", .token = token, .body = body);
}

static void created(const char *token, const char *id)
{
    const struct call_answer *answer =
        create(token, sb_arena_printf(site.memory, "{\"kind\":\"voice\",\"id\":\"%s\"}", id));
    cr_assert_eq(answer->status, 201, "%s", answer->body);
}

static const struct call_answer *get(const char *token, const char *target)
{
    return SEND(.target = target, .token = token);
}

/* Sends items (JSON, without the brackets) to the session s1. */
static const struct call_answer *put(const char *token, const char *items)
{
    return SEND(.target = "/api/sessions/s1/transcript", .token = token,
                .body = sb_arena_printf(site.memory, "{\"items\":[%s]}", items));
}

static const struct call_answer *drop(const char *token, const char *target)
{
    return SEND(.target = target, .token = token, .method = "DELETE");
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

/* The ids of a list in one text. */
static const char *ids(const struct call_answer *answer, const char *list)
{
    const char *text = "";
    size_t count = json_array_size(call_json(answer, list));
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    for (size_t i = 0; i < count; i++)
        text =
            sb_arena_printf(site.memory, "%s%s%s", text, i == 0 ? "" : " ",
                            call_text(answer, sb_arena_printf(site.memory, "%s.%zu.id", list, i)));
    return text;
}

#define TRANSCRIPT "/api/sessions/s1/transcript"

static void setup_off(void)
{
    set_up("false");
}

TestSuite(sessions_off, .init = setup_off, .fini = teardown);

static enum sb_error make_s1(struct sb_db_conn *tx, void *context)
{
    bool was_made;
    struct sb_session session = {.id = "s1", .kind = SB_SESSION_CHAT, .created_at_ms = 1};
    return sb_sessions_open(tx, context, "user:ada", &session, &was_made);
}

Test(sessions_off, nothing_is_added_but_what_is_there_is_read_and_deleted)
{
    call_write(&site, make_s1, site.memory);
    expect_error(create(ada, "{\"kind\":\"chat\",\"id\":\"s2\"}"), 403, "forbidden");
    const struct call_answer *answer = put(ada, "{\"id\":\"i\",\"role\":\"user\",\"text\":\"hi\"}");
    expect_error(answer, 403, "forbidden");
    cr_expect_str_eq(call_text(answer, "error.message"), "This site keeps no conversations.");
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM transcript_items"), 0);
    cr_expect_str_eq(ids(get(ada, "/api/sessions"), "sessions"), "s1");
    cr_expect_eq(drop(ada, "/api/sessions/s1")->status, 200);
    cr_expect_str_eq(ids(get(ada, "/api/sessions"), "sessions"), "");
}

Test(sessions_endpoint, a_user_makes_a_session)
{
    const struct call_answer *answer = create(ada, "{\"kind\":\"realtime\"}");
    cr_assert_eq(answer->status, 201, "%s", answer->body);
    cr_assert_eq(strncmp(call_text(answer, "session.id"), "sess_", 5), 0);
    cr_assert_str_eq(call_text(answer, "session.kind"), "realtime");
    cr_assert_str_eq(call_text(answer, "session.createdAt"),
                     call_text(answer, "session.updatedAt"));
    cr_assert(json_is_true(call_json(answer, "created")));
}

Test(sessions_endpoint, a_session_the_caller_has_is_found)
{
    created(ada, "s1");
    const struct call_answer *answer = create(ada, "{\"kind\":\"voice\",\"id\":\"s1\"}");
    cr_assert_eq(answer->status, 200);
    cr_assert(json_is_false(call_json(answer, "created")));
    answer = create(ada, "{\"kind\":\"chat\",\"id\":\"s1\"}");
    expect_error(answer, 409, "conflict");
    cr_assert_str_eq(call_text(answer, "error.message"),
                     "You have a session of another kind with this id.");
}

Test(sessions_endpoint, a_kind_there_is_not_is_refused)
{
    expect_field(create(ada, "{\"kind\":\"video\"}"), "kind", "not_allowed");
    expect_field(create(ada, "{}"), "kind", "required");
    expect_field(create(ada, "{\"kind\":\"chat\",\"id\":\"a b\"}"), "id", "format");
}

Test(sessions_endpoint, an_idempotency_key_makes_one_session)
{
    const struct call call = {.target = "/api/sessions",
                              .token = ada,
                              .body = "{\"kind\":\"chat\"}",
                              .params = CALL_PARAMS("HTTP_IDEMPOTENCY_KEY=k")};
    const struct call_answer *one = call_send(&site, &call), *two = call_send(&site, &call);
    cr_assert_not_null(call_header(two, "Idempotent-Replayed"));
    cr_assert_str_eq(call_text(one, "session.id"), call_text(two, "session.id"));
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM sessions"), 1);
}

Test(sessions_endpoint, nobody_without_a_token_has_sessions)
{
    expect_error(create(NULL, "{\"kind\":\"chat\"}"), 401, "unauthenticated");
    expect_error(get(NULL, "/api/sessions"), 401, "unauthenticated");
    expect_error(get(NULL, TRANSCRIPT), 401, "unauthenticated");
}

Test(sessions_endpoint, to_all_but_its_owner_a_session_is_not_there)
{
    created(ada, "s1");
    cr_assert_eq(put(ada, "{\"role\":\"user\",\"text\":\"x\"}")->status, 200);
    const char *const strangers[] = {bob, visitor("ada"), call_token_as(&site, "s", "service")};
    for (size_t i = 0; i < SB_COUNT(strangers); i++) {
        expect_error(get(strangers[i], "/api/sessions/s1"), 404, "not_found");
        expect_error(get(strangers[i], TRANSCRIPT), 404, "not_found");
        expect_error(put(strangers[i], "{\"role\":\"user\",\"text\":\"y\"}"), 404, "not_found");
        expect_error(drop(strangers[i], "/api/sessions/s1"), 404, "not_found");
        cr_assert_str_eq(ids(get(strangers[i], "/api/sessions"), "sessions"), "");
    }
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM transcript_items"), 1);
    cr_assert_eq(get(ada, "/api/sessions/s1")->status, 200);
}

Test(sessions_endpoint, a_stranger_may_use_the_same_id)
{
    created(ada, "s1");
    created(bob, "s1");
    cr_assert_eq(put(bob, "{\"id\":\"i1\",\"role\":\"user\",\"text\":\"of bob\"}")->status, 200);
    cr_assert_str_eq(ids(get(ada, TRANSCRIPT), "items"), "");
}

Test(sessions_endpoint, a_visitor_has_sessions_of_its_own)
{
    created(visitor("v1"), "s1");
    cr_assert_eq(put(visitor("v1"), "{\"role\":\"user\",\"text\":\"x\"}")->status, 200);
    cr_assert_str_eq(ids(get(visitor("v1"), "/api/sessions"), "sessions"), "s1");
    expect_error(get(visitor("v2"), TRANSCRIPT), 404, "not_found");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM users"), 0);
}

Test(sessions_endpoint, the_cursors_lead_through_all_sessions_once)
{
    const char *seen = "", *target = "/api/sessions?limit=3";
    for (int i = 0; i < 7; i++)
        created(ada, sb_arena_printf(site.memory, "s%d", i));
    for (int page = 0; page < 3; page++) {
        const struct call_answer *answer = get(ada, target);
        const char *next = call_text(answer, "nextCursor");
        seen = sb_arena_printf(site.memory, "%s %s", seen, ids(answer, "sessions"));
        cr_assert_eq(next == NULL, page == 2);
        target = sb_arena_printf(site.memory, "/api/sessions?limit=3&cursor=%s", next);
    }
    for (int i = 0; i < 7; i++)
        cr_assert_not_null(strstr(seen, sb_arena_printf(site.memory, "s%d", i)), "%s", seen);
    cr_assert_eq(strlen(seen), strlen(" s6 s5 s4 s3 s2 s1 s0"));
}

static enum sb_error at_once(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx, "UPDATE sessions SET created_at = 7", NULL, 0, NULL);
}

Test(sessions_endpoint, a_cursor_goes_on_among_sessions_of_one_time)
{
    for (int i = 0; i < 4; i++)
        created(ada, sb_arena_printf(site.memory, "s%d", i));
    call_write(&site, at_once, NULL);
    const struct call_answer *answer = get(ada, "/api/sessions?limit=2");
    const char *first = ids(answer, "sessions"), *next = call_text(answer, "nextCursor");
    const char *second =
        ids(get(ada, sb_arena_printf(site.memory, "/api/sessions?limit=2&cursor=%s", next)),
            "sessions");
    cr_expect_str_eq(sb_arena_printf(site.memory, "%s %s", first, second), "s3 s2 s1 s0");
}

Test(sessions_endpoint, a_cursor_of_another_make_is_refused)
{
    const char *const cursors[] = {"x",
                                   sb_cursor_make(site.memory, "threads", "1.s1"),
                                   sb_cursor_make(site.memory, "sessions", "1s1"),
                                   sb_cursor_make(site.memory, "sessions", ".s1"),
                                   sb_cursor_make(site.memory, "sessions", "1."),
                                   sb_cursor_make(site.memory, "sessions", "1./s1"),
                                   sb_cursor_make(site.memory, "sessions", "1.a b")};
    for (size_t i = 0; i < SB_COUNT(cursors); i++)
        expect_field(get(ada, sb_arena_printf(site.memory, "/api/sessions?cursor=%s", cursors[i])),
                     "cursor", "format");
    created(ada, "s1");
    expect_field(get(ada, sb_arena_printf(site.memory, TRANSCRIPT "?cursor=%s", cursors[1])),
                 "cursor", "format");
    expect_field(get(ada, "/api/sessions?limit=101"), "limit", "out_of_range");
}

Test(sessions_endpoint, items_are_put_and_read_in_their_order)
{
    created(ada, "s1");
    const struct call_answer *answer =
        put(ada, "{\"id\":\"a\",\"role\":\"user\",\"text\":\"Hello\"},"
                 "{\"id\":\"c\",\"role\":\"assistant\",\"text\":\"It is\",\"interrupted\":true},"
                 "{\"id\":\"b\",\"role\":\"user\",\"text\":\"Is it?\",\"previousItemId\":\"a\"}");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "itemIds.1"), "c");
    answer = get(ada, TRANSCRIPT);
    cr_assert_str_eq(ids(answer, "items"), "a b c");
    cr_assert_str_eq(call_text(answer, "items.1.text"), "Is it?");
    cr_assert_str_eq(call_text(answer, "items.2.role"), "assistant");
    cr_assert(json_is_true(call_json(answer, "items.2.interrupted")));
    cr_assert(json_is_false(call_json(answer, "items.0.interrupted")));
    cr_assert_not_null(call_text(answer, "items.0.createdAt"));
    cr_assert(json_is_null(call_json(answer, "nextCursor")));
}

Test(sessions_endpoint, an_item_without_an_id_gets_one)
{
    created(ada, "s1");
    const struct call_answer *answer =
        put(ada, "{\"role\":\"user\",\"text\":\"a\"},{\"role\":\"user\",\"text\":\"b\"}");
    cr_assert_eq(strncmp(call_text(answer, "itemIds.0"), "item_", 5), 0);
    cr_assert_str_neq(call_text(answer, "itemIds.0"), call_text(answer, "itemIds.1"));
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM transcript_items"), 2);
}

Test(sessions_endpoint, the_cursors_lead_through_all_items)
{
    created(ada, "s1");
    cr_assert_eq(put(ada, "{\"id\":\"a\",\"role\":\"user\",\"text\":\"\"},"
                          "{\"id\":\"b\",\"role\":\"user\",\"text\":\"\"},"
                          "{\"id\":\"c\",\"role\":\"user\",\"text\":\"\"}")
                     ->status,
                 200);
    const struct call_answer *answer = get(ada, TRANSCRIPT "?limit=2");
    cr_assert_str_eq(ids(answer, "items"), "a b");
    answer = get(ada, sb_arena_printf(site.memory, TRANSCRIPT "?limit=2&cursor=%s",
                                      call_text(answer, "nextCursor")));
    cr_assert_str_eq(ids(answer, "items"), "c");
    cr_assert(json_is_null(call_json(answer, "nextCursor")));
}

Test(sessions_endpoint, what_is_wrong_with_an_item_is_said_of_that_item)
{
    created(ada, "s1");
    expect_field(put(ada, ""), "items", "too_short");
    expect_field(put(ada, "{\"role\":\"system\",\"text\":\"obey\"}"), "items[0].role",
                 "not_allowed");
    expect_field(put(ada, "{\"role\":\"user\",\"text\":\"x\"},{\"role\":\"user\"}"),
                 "items[1].text", "required");
    expect_field(put(ada, "{\"role\":\"user\",\"text\":\"x\",\"id\":\"a/b\"}"), "items[0].id",
                 "format");
    const char *text = sb_arena_printf(site.memory, "%0*d", SB_ITEM_TEXT_MAX, 0);
    cr_assert_eq(
        put(ada, sb_arena_printf(site.memory, "{\"role\":\"user\",\"text\":\"%s\"}", text))->status,
        200);
    expect_field(
        put(ada, sb_arena_printf(site.memory, "{\"role\":\"user\",\"text\":\"%s1\"}", text)),
        "items[0].text", "too_long");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM transcript_items"), 1);
}

Test(sessions_endpoint, a_batch_has_100_items_at_most)
{
    struct sb_buf items;
    created(ada, "s1");
    sb_buf_init(&items, site.memory, 64 * 1024);
    for (int i = 0; i < SB_SESSION_BATCH_MAX; i++)
        sb_buf_add_format(&items, "%s{\"role\":\"user\",\"text\":\"x\"}", i == 0 ? "" : ",");
    cr_assert_eq(put(ada, items.data)->status, 200);
    sb_buf_add_text(&items, ",{\"role\":\"user\",\"text\":\"x\"}");
    expect_field(put(ada, items.data), "items", "too_long");
}

static enum sb_error put_batch(struct sb_db_conn *tx, void *context)
{
    return sb_sessions_put(tx, context);
}

Test(sessions_endpoint, a_full_session_says_so)
{
    created(ada, "s1");
    for (int batch = 0; batch * SB_SESSION_BATCH_MAX < SB_SESSION_ITEMS_MAX; batch++) {
        struct sb_item items[SB_SESSION_BATCH_MAX];
        for (size_t i = 0; i < SB_SESSION_BATCH_MAX; i++)
            items[i] = (struct sb_item){.id = sb_arena_printf(site.memory, "n%d-%zu", batch, i),
                                        .text = "x"};
        struct sb_items_batch work = {"user:ada", "s1", items, SB_SESSION_BATCH_MAX, 1};
        call_write(&site, put_batch, &work);
    }
    const struct call_answer *answer = put(ada, "{\"role\":\"user\",\"text\":\"x\"}");
    expect_error(answer, 409, "conflict");
    cr_assert_str_eq(call_text(answer, "error.message"),
                     "The session is full: another one can be made.");
}

Test(sessions_endpoint, a_deleted_session_is_gone_with_its_transcript)
{
    created(ada, "s1");
    cr_assert_eq(put(ada, "{\"role\":\"user\",\"text\":\"x\"}")->status, 200);
    cr_assert_eq(drop(ada, "/api/sessions/s1")->status, 200);
    expect_error(get(ada, TRANSCRIPT), 404, "not_found");
    expect_error(drop(ada, "/api/sessions/s1"), 404, "not_found");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM transcript_items"), 0);
    cr_assert(call_file_has(&site, "log/audit.log", "\"object\":\"s1\""));
}
