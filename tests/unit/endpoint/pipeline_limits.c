#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../support/call.h"
#include "access/ticket.h"
#include "base/clock.h"
#include "base/metrics.h"

struct input {
    const char *name;
};

static const struct sb_field input_fields[] = {SB_STRING(struct input, name, "name", 0, 20, 0),
                                               SB_FIELDS_END};
static int calls;

static enum sb_error count(struct sb_request *request, const void *in, void *out)
{
    (void)request, (void)in, (void)out;
    calls++;
    return SB_OK;
}

/* A window of a day: a test that begins in one window ends in it, but for one in 86,400 s. */
#define DAY 86400

static const struct sb_route routes[] = {
    {.methods = SB_GET,
     .path = "/public",
     .access = SB_ACCESS_PUBLIC,
     .handler = count,
     .limit = {"test-public", 2, DAY}},
    {.methods = SB_POST,
     .path = "/user",
     .access = SB_ACCESS_USER,
     .handler = count,
     .body = SB_BODY_JSON,
     SB_INPUT(struct input, input_fields),
     .limit = {"test-user", 2, DAY}},
    {.methods = SB_GET,
     .path = "/participant",
     .access = SB_ACCESS_PARTICIPANT,
     .handler = count,
     .limit = {"test-participant", 2, DAY}},
    {.methods = SB_GET,
     .path = "/open",
     .access = SB_ACCESS_PUBLIC,
     .handler = count,
     .limit = {"test-open", 2, DAY},
     .limiter_failure = SB_FAIL_OPEN},
    {.methods = SB_GET, .path = "/default", .access = SB_ACCESS_PUBLIC, .handler = count},
    {.handler = NULL}};

static const struct sb_endpoint endpoint = {.name = "test", .routes = routes, .needs = SB_NEEDS_DB};

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    calls = 0;
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(pipeline_limits, .init = setup, .fini = teardown);

static void open_site(void)
{
    call_site_open(&site, &endpoint);
}

#define SEND(...) call_send(&site, &(struct call){__VA_ARGS__})
#define FROM(address) .params = CALL_PARAMS("REMOTE_ADDR=" address)

static long number_behind(const char *text, const char *key)
{
    const char *at = text == NULL ? NULL : strstr(text, key);
    return at == NULL ? -1 : strtol(at + strlen(key), NULL, 10);
}

Test(pipeline_limits, an_answer_says_what_is_left)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/public");
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_header(answer, "RateLimit-Policy"), "\"test-public\";q=2;w=86400");
    const char *limit = call_header(answer, "RateLimit");
    cr_assert_eq(strncmp(limit, "\"test-public\";r=1;t=", 20), 0, "%s", limit);
    long reset_s = number_behind(limit, "t=");
    cr_assert(reset_s >= 1 && reset_s <= DAY, "%s", limit);
    cr_assert_null(call_header(answer, "Retry-After"));
}

Test(pipeline_limits, a_call_too_many_is_429_with_its_policy_and_time_in_agreement)
{
    open_site();
    SEND(.target = "/api/test/public");
    SEND(.target = "/api/test/public");
    const struct call_answer *answer = SEND(.target = "/api/test/public");
    cr_assert_eq(answer->status, 429);
    cr_assert_str_eq(call_text(answer, "error.code"), "rate_limited");
    cr_assert_str_eq(call_text(answer, "error.message"),
                     "Too many requests: policy test-public allows 2 in 86400 s; see Retry-After.");
    long after_s = number_behind(call_header(answer, "Retry-After"), "");
    cr_assert(after_s >= 1 && after_s <= 2L * DAY, "%ld", after_s);
    const char *limit = call_header(answer, "RateLimit");
    cr_assert_eq(number_behind(limit, "r="), 0, "%s", limit);
    cr_assert_eq(number_behind(limit, "t="), after_s, "%s", limit);
    cr_assert_eq(calls, 2);
    cr_assert_eq(sb_metrics_value(SB_METRIC_RATE_LIMITED, "policy=\"test-public\""), 1);
    cr_assert(call_file_has(&site, "log/audit.log", "\"outcome\":\"rate_limited\""));
}

Test(pipeline_limits, the_subjects_are_addresses_on_public_routes)
{
    open_site();
    SEND(.target = "/api/test/public");
    SEND(.target = "/api/test/public");
    cr_assert_eq(SEND(.target = "/api/test/public")->status, 429);
    cr_assert_eq(SEND(.target = "/api/test/public", FROM("203.0.113.8"))->status, 200);
    cr_assert_eq(SEND(.target = "/api/test/public", FROM("::ffff:203.0.113.7"))->status, 429);
}

Test(pipeline_limits, an_ipv6_subscriber_is_one_by_its_64_bits)
{
    open_site();
    SEND(.target = "/api/test/public", FROM("2001:db8:1:2::1"));
    SEND(.target = "/api/test/public", FROM("2001:db8:1:2:ffff::2"));
    cr_assert_eq(SEND(.target = "/api/test/public", FROM("2001:db8:1:2::3"))->status, 429);
    cr_assert_eq(SEND(.target = "/api/test/public", FROM("2001:db8:1:3::1"))->status, 200);
}

Test(pipeline_limits, policies_count_apart)
{
    open_site();
    SEND(.target = "/api/test/public");
    SEND(.target = "/api/test/public");
    cr_assert_eq(SEND(.target = "/api/test/public")->status, 429);
    cr_assert_eq(SEND(.target = "/api/test/open")->status, 200);
}

Test(pipeline_limits, users_are_charged_themselves_and_not_their_address)
{
    open_site();
    const char *alice = call_token(&site, "alice"), *bob = call_token(&site, "bob");
    cr_assert_eq(SEND(.target = "/api/test/user", .body = "{}", .token = alice)->status, 200);
    cr_assert_eq(
        SEND(.target = "/api/test/user", .body = "{}", .token = alice, FROM("192.0.2.9"))->status,
        200);
    cr_assert_eq(
        SEND(.target = "/api/test/user", .body = "{}", .token = alice, FROM("192.0.2.10"))->status,
        429);
    cr_assert_eq(SEND(.target = "/api/test/user", .body = "{}", .token = bob)->status, 200);
}

Test(pipeline_limits, a_user_over_its_limit_has_its_body_left_unread)
{
    open_site();
    const char *alice = call_token(&site, "alice");
    SEND(.target = "/api/test/user", .body = "{}", .token = alice);
    SEND(.target = "/api/test/user", .body = "{}", .token = alice);
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .body = "{", .token = alice);
    cr_assert_eq(answer->status, 429);
    cr_assert_eq(answer->body_read, 0);
}

Test(pipeline_limits, a_participant_is_charged_by_its_participation)
{
    open_site();
    call_member(&site, "t1", "alice", SB_MEMBER);
    struct sb_ticket ticket = {.user_id = "alice",
                               .call_id = "call_1",
                               .participant_id = "part_1",
                               .expires_at_s = sb_clock_now_ms() / 1000 + 60};
    const char *one = sb_ticket_make(site.memory, site.runtime.config, &ticket);
    ticket.participant_id = "part_2";
    const char *two = sb_ticket_make(site.memory, site.runtime.config, &ticket);
    SEND(.target = "/api/test/participant", .token = one);
    SEND(.target = "/api/test/participant", .token = one);
    cr_assert_eq(SEND(.target = "/api/test/participant", .token = one)->status, 429);
    cr_assert_eq(SEND(.target = "/api/test/participant", .token = two)->status, 200);
}

Test(pipeline_limits, refused_calls_are_charged_to_the_address_until_it_is_429)
{
    open_site();
    cr_assert_eq(SEND(.target = "/api/test/user", .body = "{}")->status, 401);
    cr_assert_eq(SEND(.target = "/api/test/user", .body = "{}", .token = "x.y.z")->status, 401);
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .body = "{}", .token = "x.y.z");
    cr_assert_eq(answer->status, 429);
    cr_assert_not_null(call_header(answer, "Retry-After"));
    cr_assert_null(call_header(answer, "WWW-Authenticate"));
}

Test(pipeline_limits, an_address_full_of_refusals_does_not_lock_out_its_users)
{
    open_site();
    for (int i = 0; i < 5; i++)
        SEND(.target = "/api/test/user", .body = "{}");
    cr_assert_eq(SEND(.target = "/api/test/user", .body = "{}")->status, 429);
    cr_assert_eq(
        SEND(.target = "/api/test/user", .body = "{}", .token = call_token(&site, "alice"))->status,
        200);
}

Test(pipeline_limits, a_path_of_nobody_is_charged_under_the_default)
{
    setenv("RATE_LIMIT_DEFAULT", "2/86400", 1);
    open_site();
    cr_assert_eq(SEND(.target = "/api/test/nothing")->status, 404);
    const struct call_answer *answer = SEND(.target = "/api/test/public", .method = "PUT");
    cr_assert_eq(answer->status, 405);
    cr_assert_str_eq(call_header(answer, "RateLimit-Policy"), "\"default\";q=2;w=86400");
    cr_assert_eq(SEND(.target = "/api/test/nothing")->status, 429);
}

Test(pipeline_limits, a_disallowed_origin_is_charged_once)
{
    setenv("ALLOWED_ORIGINS", "https://www.example.com", 1);
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/public", .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test"));
    cr_assert_eq(answer->status, 403);
    cr_assert_eq(number_behind(call_header(answer, "RateLimit"), "r="), 1);
}

Test(pipeline_limits, preflights_are_not_charged)
{
    open_site();
    for (int i = 0; i < 4; i++) {
        const struct call_answer *answer = SEND(.target = "/api/test/public", .method = "OPTIONS");
        cr_assert_eq(answer->status, 200);
        cr_assert_null(call_header(answer, "RateLimit"));
    }
}

Test(pipeline_limits, a_route_without_a_limit_has_100_a_minute)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/default");
    cr_assert_str_eq(call_header(answer, "RateLimit-Policy"), "\"default\";q=100;w=60");
}

Test(pipeline_limits, the_administrator_sets_a_limit)
{
    setenv("RATE_LIMIT_TEST_PUBLIC", "1/3600", 1);
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/public");
    cr_assert_str_eq(call_header(answer, "RateLimit-Policy"), "\"test-public\";q=1;w=3600");
    answer = SEND(.target = "/api/test/public");
    cr_assert_eq(answer->status, 429);
    cr_assert_not_null(strstr(call_text(answer, "error.message"), "allows 1 in 3600 s"));
}

Test(pipeline_limits, the_administrator_switches_a_limit_off)
{
    setenv("RATE_LIMIT_TEST_PUBLIC", "off", 1);
    open_site();
    for (int i = 0; i < 5; i++) {
        const struct call_answer *answer = SEND(.target = "/api/test/public");
        cr_assert_eq(answer->status, 200);
        cr_assert_null(call_header(answer, "RateLimit"));
        cr_assert_null(call_header(answer, "RateLimit-Policy"));
    }
}

/* A site whose counters cannot be reached: their place is taken by a directory. */
static void open_without_limiter(void)
{
    cr_assert_eq(mkdir(call_path(&site, "run/rate-limits"), 0700), 0);
    open_site();
    cr_assert_not(site.runtime.counters_ok);
}

Test(pipeline_limits, without_counters_a_route_fails_closed_unless_it_says_otherwise)
{
    open_without_limiter();
    const struct call_answer *answer = SEND(.target = "/api/test/public");
    cr_assert_eq(answer->status, 503);
    cr_assert_str_eq(call_text(answer, "error.code"), "unavailable");
    cr_assert_eq(calls, 0);
    answer = SEND(.target = "/api/test/open");
    cr_assert_eq(answer->status, 200);
    cr_assert_null(call_header(answer, "RateLimit"));
    cr_assert_eq(calls, 1);
}

Test(pipeline_limits, without_counters_users_are_refused_before_their_body_is_read)
{
    open_without_limiter();
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .body = "{}", .token = call_token(&site, "alice"));
    cr_assert_eq(answer->status, 503);
    cr_assert_eq(answer->body_read, 0);
}

Test(pipeline_limits, without_counters_a_refusal_stays_what_it_is)
{
    open_without_limiter();
    cr_assert_eq(SEND(.target = "/api/test/user", .body = "{}")->status, 401);
    cr_assert_eq(SEND(.target = "/api/test/nothing")->status, 404);
    cr_assert_eq(SEND(.target = "/api/test/public", .method = "PUT")->status, 405);
}

Test(pipeline_limits, without_counters_a_limit_that_is_off_is_not_missed)
{
    setenv("RATE_LIMIT_TEST_PUBLIC", "off", 1);
    open_without_limiter();
    cr_assert_eq(SEND(.target = "/api/test/public")->status, 200);
}
