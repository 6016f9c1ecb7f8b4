#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../support/call.h"

static struct call_site site;
static const char *alice, *stranger;

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &sb_endpoint);
    call_member(&site, "t1", "alice", SB_MEMBER);
    call_member(&site, "t1", "bob", SB_MEMBER);
    call_member(&site, "t2", "alice", SB_MEMBER);
    alice = call_token(&site, "alice");
    stranger = call_token(&site, "mallory");
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(calls_start, .init = setup, .fini = teardown);

static const struct call_answer *start(const char *token, const char *body)
{
    return call_send(&site,
                     &(struct call){.target = "/api/calls/start", .token = token, .body = body});
}

static const char audio[] = "{\"threadId\":\"t1\",\"kind\":\"audio\"}";
static const char video[] = "{\"threadId\":\"t1\",\"kind\":\"video\"}";

Test(calls_start, opens_a_call_with_201)
{
    const struct call_answer *answer = start(alice, video);
    cr_assert_eq(answer->status, 201, "%s", answer->body);
    cr_assert(json_is_true(call_json(answer, "created")));
    cr_assert_eq(strncmp(call_text(answer, "call.id"), "call_", 5), 0);
    cr_assert_str_eq(call_text(answer, "call.threadId"), "t1");
    cr_assert_str_eq(call_text(answer, "call.kind"), "video");
    cr_assert_str_eq(call_text(answer, "call.startedBy"), "alice");
    cr_assert_not_null(call_text(answer, "call.startedAt"));
    cr_assert(json_is_null(call_json(answer, "call.endedAt")));
    cr_assert(json_is_null(call_json(answer, "call.endReason")));
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM calls WHERE ended_at IS NULL"), 1);
}

Test(calls_start, an_open_call_has_no_duration_yet)
{
    cr_assert(json_is_null(call_json(start(alice, audio), "call.durationSeconds")));
}

Test(calls_start, gives_the_open_call_with_200_to_any_member)
{
    const struct call_answer *first = start(alice, audio);
    const struct call_answer *second = start(call_token(&site, "bob"), video);
    cr_assert_eq(second->status, 200);
    cr_assert(json_is_false(call_json(second, "created")));
    cr_assert_str_eq(call_text(second, "call.id"), call_text(first, "call.id"));
    cr_assert_str_eq(call_text(second, "call.kind"), "audio");
    cr_assert_str_eq(call_text(second, "call.startedBy"), "alice");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM calls"), 1);
}

Test(calls_start, each_thread_has_its_own_call)
{
    const struct call_answer *one = start(alice, audio);
    const struct call_answer *two = start(alice, "{\"threadId\":\"t2\",\"kind\":\"audio\"}");
    cr_assert_eq(two->status, 201);
    cr_assert_str_neq(call_text(one, "call.id"), call_text(two, "call.id"));
}

Test(calls_start, a_thread_of_others_looks_like_none_at_all)
{
    const struct call_answer *foreign = start(stranger, audio);
    const struct call_answer *missing =
        start(stranger, "{\"threadId\":\"nowhere\",\"kind\":\"audio\"}");
    cr_assert_eq(foreign->status, 404);
    cr_assert_eq(missing->status, 404);
    json_object_del(foreign->json, "traceId");
    json_object_del(missing->json, "traceId");
    cr_assert(json_equal(foreign->json, missing->json), "%s", foreign->body);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM calls"), 0);
}

Test(calls_start, input_must_be_whole)
{
    static const struct {
        const char *body, *field, *code;
    } rows[] = {
        {"{\"kind\":\"audio\"}", "threadId", "required"},
        {"{\"threadId\":\"t1\"}", "kind", "required"},
        {"{\"threadId\":\"t 1\",\"kind\":\"audio\"}", "threadId", "format"},
        {"{\"threadId\":1,\"kind\":\"audio\"}", "threadId", "type"},
        {"{\"threadId\":\"t1\",\"kind\":\"hologram\"}", "kind", "not_allowed"},
        {"{\"threadId\":\"t1\",\"kind\":\"audio\",\"userId\":\"bob\"}", "userId", "unknown"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const struct call_answer *answer = start(alice, rows[i].body);
        cr_expect_eq(answer->status, 400, "%s", rows[i].body);
        cr_expect_str_eq(call_text(answer, "error.fields.0.field"), rows[i].field);
        cr_expect_str_eq(call_text(answer, "error.fields.0.code"), rows[i].code);
    }
}

Test(calls_start, demands_a_user)
{
    cr_assert_eq(start(NULL, audio)->status, 401);
    cr_assert_eq(start("x.y.z", audio)->status, 401);
}

Test(calls_start, a_repeated_key_gives_the_same_answer)
{
    const struct call call = {.target = "/api/calls/start",
                              .token = alice,
                              .body = audio,
                              .params = CALL_PARAMS("HTTP_IDEMPOTENCY_KEY=k")};
    const struct call_answer *first = call_send(&site, &call), *second = call_send(&site, &call);
    cr_assert_eq(first->status, 201);
    cr_assert_eq(second->status, 201);
    cr_assert_str_eq(call_header(second, "Idempotent-Replayed"), "true");
    cr_assert(json_equal(call_json(first, "call"), call_json(second, "call")));
}

Test(calls_start, is_audited_with_its_call)
{
    const char *line = sb_arena_printf(site.memory, "\"object\":\"%s\"",
                                       call_text(start(alice, audio), "call.id"));
    cr_assert(call_file_has(&site, "log/audit.log", "\"event\":\"calls.start\""));
    cr_assert(call_file_has(&site, "log/audit.log", "\"userId\":\"alice\""));
    cr_assert(call_file_has(&site, "log/audit.log", line));
}

Test(calls_start, the_eleventh_in_a_minute_is_429)
{
    setenv("RATE_LIMIT_CALLS_START", "10/86400", 1); /* so that no minute begins in between */
    sb_worker_close(&site.worker);
    sb_runtime_close(&site.runtime);
    call_site_open(&site, &sb_endpoint);
    for (int i = 0; i < 10; i++)
        cr_assert_lt(start(alice, audio)->status, 300);
    cr_assert_eq(start(alice, audio)->status, 429);
}

Test(calls_start, without_a_database_it_is_503)
{
    unlink(call_path(&site, "state/switchboard.db"));
    const struct call_answer *answer = start(alice, audio);
    cr_assert_eq(answer->status, 503, "%s", answer->body);
}
