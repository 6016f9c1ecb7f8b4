#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/call.h"
#include "../../support/script.h"
#include "base/clock.h"

#define ORIGIN "https://www.example.com"

static struct call_site site;
static struct script api;

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

TestSuite(realtime_token, .init = setup, .fini = teardown);

/* An API that gives one answer. */
static void open_site(int status, const char *body)
{
    char url[64];
    script_add(&api, (struct script_answer){status, "Content-Type: application/json\r\n", body});
    script_start(&api);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", api.port);
    setenv("OPENAI_BASE_URL", url, 1);
    call_site_open(&site, &sb_endpoint);
}

static int64_t expires_at_s;

static void open_good_site(void)
{
    expires_at_s = sb_clock_now_ms() / 1000 + 60;
    static char body[256];
    snprintf(body, sizeof body,
             "{\"value\":\"ek_123\",\"expires_at\":%" PRId64
             ",\"session\":{\"id\":\"sess_1\",\"model\":\"m-1\"}}",
             expires_at_s);
    open_site(200, body);
}

static const struct call_answer *ask(const char *user_id, const char *origin, const char *body)
{
    const char *pair =
        origin == NULL ? "X=" : sb_arena_printf(site.memory, "HTTP_ORIGIN=%s", origin);
    return call_send(&site,
                     &(struct call){.target = "/api/realtime/token",
                                    .method = "POST",
                                    .token = user_id == NULL ? NULL : call_token(&site, user_id),
                                    .params = CALL_PARAMS(pair),
                                    .body = body});
}

static void assert_nothing_was_asked(void)
{
    script_stop(&api);
    cr_assert_eq(api.request_count, 0);
}

Test(realtime_token, gives_a_secret_and_says_how_long_what_lasts)
{
    open_good_site();
    const struct call_answer *answer = ask("ada", ORIGIN, NULL);
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "client_secret"), "ek_123");
    cr_assert_eq(call_number(answer, "expires_at"), expires_at_s);
    cr_assert_str_eq(call_text(answer, "session.id"), "sess_1");
    cr_assert_str_eq(call_text(answer, "session.model"), "m-1");
    cr_assert_eq(call_number(answer, "maxSessionSeconds"), 1800);
    cr_assert_not_null(strstr(call_text(answer, "url"), "/v1/realtime/calls"));
    cr_assert_eq(strlen(call_text(answer, "serverTime")), 24);
    cr_assert_str_eq(call_header(answer, "Cache-Control"), "no-store");
    cr_assert_null(strstr(answer->body, "sk-key"));
}

Test(realtime_token, takes_an_empty_body_of_any_type)
{
    open_good_site();
    const struct call_answer *answer = call_send(
        &site,
        &(struct call){.target = "/api/realtime/token",
                       .method = "POST",
                       .token = call_token(&site, "ada"),
                       .params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN, "CONTENT_LENGTH=0",
                                             "CONTENT_TYPE=application/x-www-form-urlencoded")});
    cr_assert_eq(answer->status, 200, "%s", answer->body);
}

Test(realtime_token, asks_for_the_voice_of_the_request)
{
    open_good_site();
    cr_assert_eq(ask("ada", ORIGIN, "{\"voice\":\"cedar\",\"sessionId\":\"conv_1\"}")->status, 200);
    cr_assert_not_null(strstr(api.bodies[0], "\"voice\":\"cedar\""));
}

Test(realtime_token, asks_for_the_first_voice_of_the_configuration)
{
    setenv("OPENAI_REALTIME_VOICES", "verse,cedar", 1);
    open_good_site();
    cr_assert_eq(ask("ada", ORIGIN, "{}")->status, 200);
    cr_assert_not_null(strstr(api.bodies[0], "\"voice\":\"verse\""));
}

Test(realtime_token, refuses_a_voice_that_is_not_offered)
{
    setenv("OPENAI_REALTIME_VOICES", "verse,cedar", 1);
    open_good_site();
    const struct call_answer *answer = ask("ada", ORIGIN, "{\"voice\":\"marin\"}");
    cr_assert_eq(answer->status, 400);
    cr_assert_str_eq(call_text(answer, "error.fields.0.field"), "voice");
    cr_assert_str_eq(call_text(answer, "error.fields.0.code"), "not_allowed");
    assert_nothing_was_asked();
}

Test(realtime_token, demands_a_user_and_an_allowed_origin)
{
    open_good_site();
    cr_assert_eq(ask(NULL, ORIGIN, NULL)->status, 401);
    cr_assert_eq(ask("ada", NULL, NULL)->status, 403);
    cr_assert_eq(ask("ada", "https://evil.example", NULL)->status, 403);
    assert_nothing_was_asked();
}

Test(realtime_token, audits_what_was_issued_but_not_the_secret)
{
    open_good_site();
    char expires_at[SB_CLOCK_TEXT_SIZE];
    const struct call_answer *answer = ask("ada", ORIGIN, "{\"sessionId\":\"conv_1\"}");
    sb_clock_format(expires_at_s * 1000, expires_at);
    const char *parts[] = {
        "\"event\":\"realtime.token\"",
        "\"outcome\":\"ok\"",
        "\"userId\":\"ada\"",
        "\"object\":\"sess_1\"",
        "\"conversationId\":\"conv_1\"",
        sb_arena_printf(site.memory, "\"expiresAt\":\"%s\"", expires_at),
        sb_arena_printf(site.memory, "\"traceId\":\"%s\"", call_text(answer, "traceId"))};
    for (size_t i = 0; i < SB_COUNT(parts); i++)
        cr_expect(call_file_has(&site, "log/audit.log", parts[i]), "%s", parts[i]);
    cr_assert_not(call_file_has(&site, "log/audit.log", "ek_123"));
    cr_assert_not(call_file_has(&site, "log/switchboard.log", "ek_123"));
    cr_assert_not(call_file_has(&site, "log/switchboard.log", "sk-key"));
}

Test(realtime_token, a_failing_api_is_502_and_audited_as_that)
{
    open_site(401, "{\"error\":{\"code\":\"invalid_api_key\"}}");
    const struct call_answer *answer = ask("ada", ORIGIN, NULL);
    cr_assert_eq(answer->status, 502);
    cr_assert_str_eq(call_text(answer, "error.code"), "upstream_error");
    cr_assert_null(strstr(answer->body, "invalid_api_key"));
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"upstreamCode\":\"invalid_api_key\""));
    cr_assert(call_file_has(&site, "log/audit.log", "\"outcome\":\"upstream_error\""));
    cr_assert_not(call_file_has(&site, "log/audit.log", "expiresAt"));
}

Test(realtime_token, an_api_of_another_generation_is_a_misconfiguration)
{
    open_site(400, "{\"error\":{\"code\":\"beta_api_shape_disabled\"}}");
    const struct call_answer *answer = ask("ada", ORIGIN, NULL);
    cr_assert_eq(answer->status, 503);
    cr_assert_str_eq(call_text(answer, "error.code"), "misconfigured");
}

Test(realtime_token, without_a_key_it_is_misconfigured)
{
    unsetenv("OPENAI_API_KEY");
    open_good_site();
    cr_assert_eq(ask("ada", ORIGIN, NULL)->status, 503);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"variable\":\"OPENAI_API_KEY\""));
}

Test(realtime_token, twenty_in_a_quarter_of_an_hour_are_enough)
{
    open_good_site();
    const struct call_answer *answer = ask("ada", ORIGIN, "{\"voice\":\"nobody\"}");
    cr_assert_str_eq(call_header(answer, "RateLimit-Policy"), "\"realtime-token\";q=20;w=900");
}

Test(realtime_token, a_secret_counts_for_a_turn_and_a_flat_rate)
{
    setenv("REALTIME_TOKEN_SPEND", "90", 1);
    open_good_site();
    cr_assert_eq(ask("ada", ORIGIN, NULL)->status, 200);
    cr_expect_eq(call_count(&site, "SELECT turns * 1000 + seconds FROM usage"
                                   " WHERE owner = 'user:ada'"),
                 1090);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM reservations"), 0);
}

Test(realtime_token, a_budget_that_is_used_up_is_429_and_the_api_is_not_asked)
{
    setenv("BUDGET_USER_SECONDS", "59", 1);
    open_good_site();
    const struct call_answer *answer = ask("ada", ORIGIN, NULL);
    cr_assert_eq(answer->status, 429, "%s", answer->body);
    cr_expect_str_eq(call_text(answer, "error.code"), "budget_exceeded");
    cr_expect_not_null(strstr(call_text(answer, "error.message"), "seconds"));
    assert_nothing_was_asked();
}

Test(realtime_token, a_secret_that_was_not_had_costs_nothing)
{
    open_site(401, "{}");
    cr_assert_eq(ask("ada", ORIGIN, NULL)->status, 502);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM usage"), 0);
    cr_expect_eq(call_count(&site, "SELECT count(*) FROM reservations"), 0);
}
