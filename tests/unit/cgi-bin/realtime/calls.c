#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/call.h"
#include "../../support/script.h"

#define ORIGIN "https://www.example.com"
#define OFFER "{\"sdp\":\"v=0\\r\\nm=audio 9 RTP/AVP 0\\r\\n\"}"

static struct call_site site;
static struct script api;
static const struct script_answer
    opened = {201, "Content-Type: application/sdp\r\nLocation: /v1/realtime/calls/rtc_7\r\n",
              "v=0\r\nanswer\r\n"},
    ended = {200, "", ""}, failed = {401, "", "{}"}, gone = {404, "", "{}"};

static void setup(void)
{
    call_site_prepare(&site);
    setenv("OPENAI_API_KEY", "sk-key-of-the-tests", 1);
    setenv("ALLOWED_ORIGINS", ORIGIN, 1);
}

static void teardown(void)
{
    script_free(&api);
    call_site_close(&site);
}

TestSuite(realtime_calls, .init = setup, .fini = teardown);

/* An API that gives first and then, if it is not NULL, second and third. */
static void open_site(const struct script_answer *first, const struct script_answer *second,
                      const struct script_answer *third)
{
    char url[64];
    const struct script_answer *const answers[] = {first, second, third};
    for (size_t i = 0; i < SB_COUNT(answers) && answers[i] != NULL; i++)
        script_add(&api, *answers[i]);
    script_start(&api);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", api.port);
    setenv("OPENAI_BASE_URL", url, 1);
    call_site_open(&site, &sb_endpoint);
}

static const struct call_answer *post(const char *target, const char *user_id, const char *body)
{
    return call_send(&site, &(struct call){.target = target,
                                           .method = "POST",
                                           .token = call_token(&site, user_id),
                                           .params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN),
                                           .body = body});
}

static const struct call_answer *open_call(void)
{
    const struct call_answer *answer = post("/api/realtime/calls", "ada", OFFER);
    cr_assert_eq(answer->status, 201, "%s", answer->body);
    return answer;
}

static const struct call_answer *hang_up(const char *user_id, const char *id)
{
    return post(sb_arena_printf(site.memory, "/api/realtime/calls/%s/hangup", id), user_id, NULL);
}

static int64_t rows(const char *where)
{
    return call_count(
        &site, sb_arena_printf(site.memory, "SELECT count(*) FROM realtime_calls WHERE %s", where));
}

Test(realtime_calls, opens_a_call_and_keeps_its_row)
{
    open_site(&opened, NULL, NULL);
    const struct call_answer *answer = open_call();
    cr_assert_str_eq(call_text(answer, "sdp"), "v=0\r\nanswer\r\n");
    cr_assert_eq(strncmp(call_text(answer, "call.id"), "rtcall_", 7), 0);
    cr_assert(json_is_null(call_json(answer, "call.endedAt")));
    cr_assert_eq(call_number(answer, "maxSessionSeconds"), 1800);
    cr_assert_eq(rows("user_id = 'ada' AND upstream_id = 'rtc_7' AND ended_at IS NULL"
                      " AND expires_at = started_at + 1800000"),
                 1);
    cr_assert_null(strstr(answer->body, "rtc_7"));
    cr_assert_not_null(strstr(api.bodies[0], "v=0\r\nm=audio 9 RTP/AVP 0\r\n"));
}

Test(realtime_calls, audits_the_call_by_its_id_and_end)
{
    open_site(&opened, NULL, NULL);
    const struct call_answer *answer = open_call();
    const char *object =
        sb_arena_printf(site.memory, "\"object\":\"%s\"", call_text(answer, "call.id"));
    const char *expiry =
        sb_arena_printf(site.memory, "\"expiresAt\":\"%s\"", call_text(answer, "call.expiresAt"));
    cr_assert(call_file_has(&site, "log/audit.log", "\"event\":\"realtime.call\""));
    cr_assert(call_file_has(&site, "log/audit.log", object));
    cr_assert(call_file_has(&site, "log/audit.log", expiry));
}

Test(realtime_calls, takes_what_looks_like_an_offer_and_nothing_else)
{
    open_site(&opened, NULL, NULL);
    static const char *const bodies[] = {
        "{}",
        "{\"sdp\":\"\"}",
        "{\"sdp\":\"v=1\\r\\nm=audio 9\\r\\n\"}",
        "{\"sdp\":\"v=0 \\r\\nm=audio 9\\r\\n\"}",
        "{\"sdp\":\"v=0\\r\\nm=video 9\\r\\n\"}",
        "{\"sdp\":\"v=0\\r\\nm=audio 9\\u001b\\r\\n\"}",
        "{\"sdp\":\"v=0\\r\\nm=audio 9\\u007f\\r\\n\"}",
        "{\"sdp\":17}",
        "{\"sdp\":\"v=0\\r\\nm=audio 9\\r\\n\",\"voice\":\"nobody\"}",
        "{\"sdp\":\"v=0\\r\\nm=audio 9\\r\\n\",\"model\":\"other\"}",
    };
    for (size_t i = 0; i < SB_COUNT(bodies); i++) {
        const struct call_answer *answer = post("/api/realtime/calls", "ada", bodies[i]);
        cr_expect_eq(answer->status, 400, "%s: %s", bodies[i], answer->body);
        cr_expect_eq(json_array_size(call_json(answer, "error.fields")), 1, "%s", bodies[i]);
    }
    script_stop(&api);
    cr_assert_eq(api.request_count, 0);
}

Test(realtime_calls, an_offer_is_at_most_64_kib)
{
    open_site(&opened, NULL, NULL);
    static const char head[] = "{\"sdp\":\"v=0\\r\\nm=audio 9\\r\\na=";
    size_t fill = 65536 - strlen("v=0..m=audio 9..a=");
    char *body = sb_arena_alloc(site.memory, sizeof head + fill + 4), *end;
    memcpy(body, head, sizeof head - 1);
    end = (char *)memset(body + sizeof head - 1, 'x', fill) + fill;
    memcpy(end, "\"}", 3);
    cr_assert_eq(post("/api/realtime/calls", "ada", body)->status, 201);
    memcpy(end, "x\"}", 4);
    const struct call_answer *answer = post("/api/realtime/calls", "ada", body);
    cr_assert_str_eq(call_text(answer, "error.fields.0.code"), "too_long");
}

Test(realtime_calls, a_call_without_a_row_is_hung_up)
{
    open_site(&opened, &opened, &ended);
    open_call();
    /* The same upstream id again: its row is refused. */
    cr_assert_eq(post("/api/realtime/calls", "ada", OFFER)->status, 502);
    script_stop(&api);
    cr_assert_eq(api.request_count, 3);
    cr_assert_not_null(strstr(api.heads[2], "/v1/realtime/calls/rtc_7/hangup"));
}

Test(realtime_calls, its_user_hangs_up_and_gets_the_same_answer_again)
{
    open_site(&opened, &ended, NULL);
    const char *id = call_text(open_call(), "call.id");
    const struct call_answer *first = hang_up("ada", id), *second = hang_up("ada", id);
    cr_assert_eq(first->status, 200, "%s", first->body);
    cr_assert_str_eq(call_text(first, "call.endReason"), "hangup");
    cr_assert(json_equal(call_json(first, "call"), call_json(second, "call")), "%s", second->body);
    cr_assert_eq(rows("ended_at IS NOT NULL"), 1);
    script_stop(&api);
    cr_assert_eq(api.request_count, 2, "the API is asked once");
}

Test(realtime_calls, a_call_of_another_looks_like_none_at_all)
{
    open_site(&opened, NULL, NULL);
    const char *id = call_text(open_call(), "call.id");
    const struct call_answer *foreign = hang_up("bob", id), *missing = hang_up("bob", "rtcall_0");
    cr_assert_eq(foreign->status, 404);
    json_object_del(foreign->json, "traceId");
    json_object_del(missing->json, "traceId");
    cr_assert(json_equal(foreign->json, missing->json));
    cr_assert_eq(rows("ended_at IS NULL"), 1);
}

Test(realtime_calls, a_call_that_the_api_has_ended_is_gone)
{
    open_site(&opened, &gone, NULL);
    const char *id = call_text(open_call(), "call.id");
    const struct call_answer *answer = hang_up("ada", id);
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_text(answer, "call.endReason"), "gone");
}

Test(realtime_calls, a_hangup_that_failed_is_left_to_cron)
{
    open_site(&opened, &failed, NULL);
    const char *id = call_text(open_call(), "call.id");
    cr_assert_eq(hang_up("ada", id)->status, 502);
    cr_assert_eq(rows("ended_at IS NULL AND expires_at < started_at + 60000"), 1);
}

Test(realtime_calls, demands_a_user_and_an_origin)
{
    open_site(&opened, NULL, NULL);
    struct call call = {.target = "/api/realtime/calls", .body = OFFER};
    cr_assert_eq(call_send(&site, &call)->status, 403);
    call.params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN);
    cr_assert_eq(call_send(&site, &call)->status, 401);
    call.target = "/api/realtime/calls/rtcall_1/hangup";
    call.body = NULL;
    call.method = "POST";
    cr_assert_eq(call_send(&site, &call)->status, 401);
    call.params = NULL;
    cr_assert_eq(call_send(&site, &call)->status, 403);
}

Test(realtime_calls, failing_calls_leave_no_row)
{
    open_site(&failed, NULL, NULL);
    cr_assert_eq(post("/api/realtime/calls", "ada", OFFER)->status, 502);
    cr_assert_eq(rows("true"), 0);
}

#define RESERVED "SELECT sum(turns * 10000 + seconds) FROM reservations WHERE id LIKE 'rtcall_%'"

Test(realtime_calls, a_call_sets_its_seconds_aside_until_it_ends)
{
    open_site(&opened, &ended, NULL);
    const char *id = call_text(open_call(), "call.id");
    cr_expect_eq(call_count(&site, RESERVED), 11800);
    cr_expect_eq(call_count(&site, "SELECT r.deadline > c.expires_at FROM reservations r"
                                   " JOIN realtime_calls c ON c.id = r.id"),
                 1);
    cr_assert_eq(hang_up("ada", id)->status, 200);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM reservations"), 0);
    cr_expect_eq(call_count(&site, "SELECT turns FROM usage WHERE owner = 'user:ada'"), 1);
    cr_expect_lt(call_count(&site, "SELECT seconds FROM usage WHERE owner = 'user:ada'"), 60);
}

Test(realtime_calls, a_call_is_as_short_as_the_budget_has_left)
{
    setenv("BUDGET_USER_SECONDS", "1900", 1);
    open_site(&opened,
              &(struct script_answer){201,
                                      "Content-Type: application/sdp\r\n"
                                      "Location: /v1/realtime/calls/rtc_8\r\n",
                                      "v=0\r\nanswer\r\n"},
              NULL);
    open_call();
    cr_expect_eq(call_number(open_call(), "maxSessionSeconds"), 100);
    cr_expect_eq(rows("expires_at = started_at + 100000"), 1);
    cr_expect_eq(call_count(&site, RESERVED), 21900);
    const struct call_answer *answer = post("/api/realtime/calls", "ada", OFFER);
    cr_assert_eq(answer->status, 429, "%s", answer->body);
    cr_expect_str_eq(call_text(answer, "error.code"), "budget_exceeded");
    cr_expect_not_null(strstr(call_text(answer, "error.message"), "seconds"));
    script_stop(&api);
    cr_expect_eq(api.request_count, 2, "the API is not asked");
}

Test(realtime_calls, a_call_that_could_not_be_opened_or_recorded_costs_nothing)
{
    open_site(&opened, &opened, &ended);
    open_call();
    cr_assert_eq(post("/api/realtime/calls", "ada", OFFER)->status, 502, "recorded");
    script_stop(&api);
    cr_assert_eq(post("/api/realtime/calls", "ada", OFFER)->status, 502, "opened");
    cr_expect_eq(call_count(&site, RESERVED), 11800, "the first one alone");
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM usage"), 0);
}
