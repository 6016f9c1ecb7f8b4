#include <criterion/criterion.h>
#include <string.h>

#include "../support/call.h"
#include "http/cursor.h"

static struct call_site site;
static const char *service;

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &sb_endpoint);
    service = call_token_as(&site, "bot", "service");
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(threads_endpoint, .init = setup, .fini = teardown);

#define SEND(...) call_send(&site, &(struct call){__VA_ARGS__})

static const struct call_answer *create(const char *body)
{
    return SEND(.target = "/api/threads", .token = service, .body = body);
}

static const struct call_answer *get(const char *target, const char *user_id)
{
    return SEND(.target = target, .token = call_token(&site, user_id));
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

/* POST */

Test(threads_endpoint, a_service_makes_a_thread)
{
    const struct call_answer *answer =
        create("{\"threadId\":\"t-1\",\"members\":[{\"userId\":\"bob\",\"role\":\"member\"},"
               "{\"userId\":\"auth0|ann\",\"role\":\"moderator\"}]}");
    cr_assert_eq(answer->status, 201, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "thread.id"), "t-1");
    cr_assert_not_null(call_text(answer, "thread.createdAt"));
    cr_assert_eq(length(answer, "thread.members"), 2);
    cr_assert_str_eq(call_text(answer, "thread.members.0.userId"), "auth0|ann");
    cr_assert_str_eq(call_text(answer, "thread.members.0.role"), "moderator");
    cr_assert_str_eq(call_text(answer, "thread.members.1.userId"), "bob");
    cr_assert(call_file_has(&site, "log/audit.log", "\"object\":\"t-1\""));
}

#define ANN "\"members\":[{\"userId\":\"ann\",\"role\":\"member\"}]"

Test(threads_endpoint, a_thread_without_an_id_gets_one)
{
    const struct call_answer *answer = create("{" ANN "}");
    cr_assert_eq(answer->status, 201);
    cr_assert_eq(strncmp(call_text(answer, "thread.id"), "thread_", 7), 0);
    cr_assert_str_neq(call_text(answer, "thread.id"), call_text(create("{" ANN "}"), "thread.id"));
}

Test(threads_endpoint, an_id_that_is_taken_is_a_conflict_and_changes_nothing)
{
    cr_assert_eq(create("{\"threadId\":\"t1\"," ANN "}")->status, 201);
    const struct call_answer *answer =
        create("{\"threadId\":\"t1\",\"members\":[{\"userId\":\"eve\",\"role\":\"moderator\"}]}");
    expect_error(answer, 409, "conflict");
    cr_assert_str_eq(call_text(answer, "error.message"), "There is a thread with this id already.");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM thread_members"), 1);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM users WHERE id = 'eve'"), 0);
}

Test(threads_endpoint, an_idempotency_key_makes_one_thread)
{
    const struct call call = {.target = "/api/threads",
                              .token = service,
                              .body = "{" ANN "}",
                              .params = CALL_PARAMS("HTTP_IDEMPOTENCY_KEY=k")};
    const struct call_answer *one = call_send(&site, &call), *two = call_send(&site, &call);
    cr_assert_eq(two->status, 201);
    cr_assert_not_null(call_header(two, "Idempotent-Replayed"));
    cr_assert(json_equal(call_json(one, "thread"), call_json(two, "thread")));
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM threads"), 1);
}

Test(threads_endpoint, what_is_wrong_with_a_member_is_said_of_that_member)
{
    static const struct {
        const char *members, *field, *code;
    } rows[] = {
        {"[]", "members", "too_short"},
        {"{}", "members", "type"},
        {"[{\"userId\":\"a\",\"role\":\"member\"},{\"userId\":\"b\"}]", "members[1].role",
         "required"},
        {"[{\"userId\":\"a\",\"role\":\"owner\"}]", "members[0].role", "not_allowed"},
        {"[{\"userId\":\"a\\u0007\",\"role\":\"member\"}]", "members[0].userId", "format"},
        {"[{\"userId\":\"a\",\"role\":\"member\"},{\"userId\":\"a\",\"role\":\"moderator\"}]",
         "members[1].userId", "not_allowed"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        expect_field(create(sb_arena_printf(site.memory, "{\"members\":%s}", rows[i].members)),
                     rows[i].field, rows[i].code);
    expect_field(create("{}"), "members", "required");
    expect_field(create("{\"threadId\":\"a b\"," ANN "}"), "threadId", "format");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM threads"), 0);
}

Test(threads_endpoint, a_thread_is_made_with_100_members_at_most)
{
    struct sb_buf body;
    sb_buf_init(&body, site.memory, 64 * 1024);
    sb_buf_add_text(&body, "{\"members\":[");
    for (int i = 0; i < 100; i++)
        sb_buf_add_format(&body, "{\"userId\":\"u%d\",\"role\":\"member\"},", i);
    size_t members = body.length - 1;
    cr_assert_eq(length(create(sb_arena_printf(site.memory, "%.*s]}", (int)members, body.data)),
                        "thread.members"),
                 100);
    expect_field(create(sb_arena_printf(site.memory, "%s{\"userId\":\"one\",\"role\":\"member\"}]}",
                                        body.data)),
                 "members", "too_long");
}

Test(threads_endpoint, users_and_staff_make_no_threads_and_change_no_members)
{
    call_member(&site, "t1", "mod", SB_MODERATOR);
    const char *const tokens[] = {call_token(&site, "mod"), call_token_as(&site, "s", "staff")};
    for (size_t i = 0; i < SB_COUNT(tokens); i++) {
        expect_error(SEND(.target = "/api/threads", .token = tokens[i], .body = "{" ANN "}"), 403,
                     "forbidden");
        expect_error(SEND(.target = "/api/threads/t1/members", .token = tokens[i],
                          .body = "{\"userId\":\"x\",\"role\":\"member\"}"),
                     403, "forbidden");
        expect_error(
            SEND(.target = "/api/threads/t1/members/mod", .token = tokens[i], .method = "DELETE"),
            403, "forbidden");
    }
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM thread_members"), 1);
}

/* GET */

Test(threads_endpoint, a_user_lists_the_threads_it_is_in)
{
    call_member(&site, "t1", "ann", SB_MEMBER);
    call_member(&site, "t2", "ann", SB_MODERATOR);
    call_member(&site, "t3", "eve", SB_MEMBER);
    const struct call_answer *answer = get("/api/threads", "ann");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_eq(length(answer, "threads"), 2);
    cr_assert_str_eq(call_text(answer, "threads.0.id"), "t2");
    cr_assert_str_eq(call_text(answer, "threads.0.role"), "moderator");
    cr_assert_not_null(call_text(answer, "threads.0.createdAt"));
    cr_assert_str_eq(call_text(answer, "threads.1.id"), "t1");
    cr_assert(json_is_null(call_json(answer, "nextCursor")));
    cr_assert_eq(length(get("/api/threads", "nobody"), "threads"), 0);
}

Test(threads_endpoint, the_cursors_lead_through_all_threads_once)
{
    char seen[64] = "";
    for (int i = 0; i < 7; i++)
        call_member(&site, sb_arena_printf(site.memory, "t%d", i), "ann", SB_MEMBER);
    const char *target = "/api/threads?limit=3";
    for (int page = 0; page < 3; page++) {
        const struct call_answer *answer = get(target, "ann");
        size_t count = length(answer, "threads");
        cr_assert_eq(count, page < 2 ? 3 : 1);
        for (size_t i = 0; i < count; i++)
            strncat(seen, call_text(answer, sb_arena_printf(site.memory, "threads.%zu.id", i)), 4);
        cr_assert_eq(call_text(answer, "nextCursor") == NULL, page == 2);
        if (page < 2)
            target = sb_arena_printf(site.memory, "/api/threads?limit=3&cursor=%s",
                                     call_text(answer, "nextCursor"));
    }
    cr_assert_str_eq(seen, "t6t5t4t3t2t1t0");
}

Test(threads_endpoint, a_last_page_that_is_full_has_no_next)
{
    call_member(&site, "t1", "ann", SB_MEMBER);
    call_member(&site, "t2", "ann", SB_MEMBER);
    const struct call_answer *answer = get("/api/threads?limit=2", "ann");
    cr_assert_eq(length(answer, "threads"), 2);
    cr_assert(json_is_null(call_json(answer, "nextCursor")));
}

Test(threads_endpoint, a_list_has_50_threads_unless_asked_and_100_at_most)
{
    for (int i = 0; i < 101; i++)
        call_member(&site, sb_arena_printf(site.memory, "t%d", i), "ann", SB_MEMBER);
    cr_assert_eq(length(get("/api/threads", "ann"), "threads"), 50);
    cr_assert_eq(length(get("/api/threads?limit=100", "ann"), "threads"), 100);
    expect_field(get("/api/threads?limit=101", "ann"), "limit", "out_of_range");
    expect_field(get("/api/threads?limit=0", "ann"), "limit", "out_of_range");
}

Test(threads_endpoint, a_cursor_of_another_make_is_refused)
{
    const char *const cursors[] = {"x", "threads", sb_cursor_make(site.memory, "calls", "t1"),
                                   sb_cursor_make(site.memory, "threads", "a b")};
    for (size_t i = 0; i < SB_COUNT(cursors); i++)
        expect_field(get(sb_arena_printf(site.memory, "/api/threads?cursor=%s", cursors[i]), "ann"),
                     "cursor", "format");
    expect_field(get("/api/threads?cursor=", "ann"), "cursor", "too_short");
}

Test(threads_endpoint, a_member_sees_the_thread_and_who_is_in_it)
{
    call_member(&site, "t1", "ann", SB_MEMBER);
    call_member(&site, "t1", "bob", SB_MODERATOR);
    const struct call_answer *answer = get("/api/threads/t1", "ann");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "thread.id"), "t1");
    cr_assert_eq(length(answer, "thread.members"), 2);
    cr_assert_str_eq(call_text(answer, "thread.members.1.userId"), "bob");
    cr_assert_str_eq(call_text(answer, "thread.members.1.name"), "bob");
}

Test(threads_endpoint, a_thread_is_not_there_for_strangers_and_staff)
{
    call_member(&site, "t1", "ann", SB_MEMBER);
    expect_error(get("/api/threads/t1", "eve"), 404, "not_found");
    expect_error(get("/api/threads/none", "eve"), 404, "not_found");
    expect_error(SEND(.target = "/api/threads/t1", .token = call_token_as(&site, "s", "staff")),
                 404, "not_found");
}

Test(threads_endpoint, a_service_sees_every_thread)
{
    call_member(&site, "t1", "ann", SB_MEMBER);
    cr_assert_eq(SEND(.target = "/api/threads/t1", .token = service)->status, 200);
    expect_error(SEND(.target = "/api/threads/none", .token = service), 404, "not_found");
}

/* Members */

static const struct call_answer *set(const char *thread_id, const char *user_id, const char *role)
{
    return SEND(.target = sb_arena_printf(site.memory, "/api/threads/%s/members", thread_id),
                .token = service,
                .body = sb_arena_printf(site.memory, "{\"userId\":\"%s\",\"role\":\"%s\"}", user_id,
                                        role));
}

static const struct call_answer *drop(const char *target)
{
    return SEND(.target = target, .token = service, .method = "DELETE");
}

Test(threads_endpoint, a_service_adds_a_member_and_changes_its_role)
{
    call_member(&site, "t1", "ann", SB_MEMBER);
    const struct call_answer *answer = set("t1", "auth0|bob", "member");
    cr_assert_eq(answer->status, 201, "%s", answer->body);
    cr_assert(json_is_true(call_json(answer, "created")));
    cr_assert_str_eq(call_text(answer, "member.userId"), "auth0|bob");
    cr_assert_str_eq(call_text(answer, "member.role"), "member");
    cr_assert_eq(get("/api/threads/t1", "auth0|bob")->status, 200);
    answer = set("t1", "auth0|bob", "moderator");
    cr_assert_eq(answer->status, 200);
    cr_assert(json_is_false(call_json(answer, "created")));
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM thread_members"
                                   " WHERE user_id = 'auth0|bob' AND role = 'moderator'"),
                 1);
}

Test(threads_endpoint, a_member_of_no_thread_is_not_found)
{
    expect_error(set("none", "ann", "member"), 404, "not_found");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM users WHERE id = 'ann'"), 0);
}

Test(threads_endpoint, a_member_to_add_must_be_a_user_with_a_role)
{
    call_member(&site, "t1", "ann", SB_MEMBER);
    expect_field(set("t1", "", "member"), "userId", "too_short");
    expect_field(set("t1", "\\u0001", "member"), "userId", "format");
    expect_field(set("t1", "bob", "king"), "role", "not_allowed");
}

Test(threads_endpoint, a_removed_member_sees_the_thread_no_more)
{
    call_member(&site, "t1", "ann", SB_MEMBER);
    call_member(&site, "t1", "bob", SB_MEMBER);
    cr_assert_eq(drop("/api/threads/t1/members/ann")->status, 200);
    expect_error(get("/api/threads/t1", "ann"), 404, "not_found");
    cr_assert_eq(get("/api/threads/t1", "bob")->status, 200);
    expect_error(drop("/api/threads/t1/members/ann"), 404, "not_found");
    expect_error(drop("/api/threads/none/members/bob"), 404, "not_found");
}

Test(threads_endpoint, a_member_whose_id_fits_no_path_is_removed_by_query)
{
    call_member(&site, "t1", "auth0|ann", SB_MEMBER);
    cr_assert_eq(drop("/api/threads/t1/members?userId=auth0%7Cann")->status, 200);
    expect_error(get("/api/threads/t1", "auth0|ann"), 404, "not_found");
    expect_field(drop("/api/threads/t1/members"), "userId", "required");
}
