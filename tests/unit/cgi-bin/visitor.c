#include "access/visitor.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"
#include "base/clock.h"

#define ORIGIN "HTTP_ORIGIN=https://www.example.com"

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    setenv("ENABLE_VISITORS", "true", 1);
    setenv("ALLOWED_ORIGINS", "https://www.example.com", 1);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(visitor_endpoint, .init = setup, .fini = teardown);

static void open_site(void)
{
    call_site_open(&site, &sb_endpoint);
}

#define SEND(...)                                                                                  \
    call_send(&site, &(struct call){.target = "/api/visitor", .method = "POST", __VA_ARGS__})

static struct sb_visitor visitor_of(const struct call_answer *answer)
{
    struct sb_visitor visitor;
    bool is_visitor;
    cr_assert_eq(answer->status, 201, "%d %s", answer->status, answer->body);
    cr_assert(sb_visitor_verify(site.memory, site.runtime.config, call_text(answer, "token"),
                                sb_clock_now_ms() / 1000, &visitor, &is_visitor));
    return visitor;
}

Test(visitor_endpoint, gives_a_token_bound_to_the_origin)
{
    setenv("VISITOR_TOKEN_TTL", "120", 1);
    open_site();
    int64_t now_s = sb_clock_now_ms() / 1000;
    const struct call_answer *answer = SEND(.params = CALL_PARAMS(ORIGIN));
    const struct sb_visitor visitor = visitor_of(answer);
    cr_assert_str_eq(visitor.id, call_text(answer, "visitorId"));
    cr_assert_eq(strncmp(visitor.id, "visitor_", 8), 0);
    cr_assert_str_eq(visitor.origin, "https://www.example.com");
    cr_assert(visitor.expires_at_s >= now_s + 120 && visitor.expires_at_s <= now_s + 125);
    char text[SB_CLOCK_TEXT_SIZE];
    sb_clock_format(visitor.expires_at_s * 1000, text);
    cr_assert_str_eq(call_text(answer, "expiresAt"), text);
    cr_assert(call_file_has(&site, "log/audit.log", visitor.id));
}

Test(visitor_endpoint, lasts_a_quarter_of_an_hour_unless_set)
{
    open_site();
    int64_t now_s = sb_clock_now_ms() / 1000;
    int64_t ttl_s = visitor_of(SEND(.params = CALL_PARAMS(ORIGIN))).expires_at_s - now_s;
    cr_assert(ttl_s >= 900 && ttl_s <= 905);
}

Test(visitor_endpoint, each_is_another_even_with_an_idempotency_key)
{
    open_site();
    const struct call_answer *one = SEND(.params = CALL_PARAMS(ORIGIN, "HTTP_IDEMPOTENCY_KEY=k"));
    const struct call_answer *two = SEND(.params = CALL_PARAMS(ORIGIN, "HTTP_IDEMPOTENCY_KEY=k"));
    cr_assert_str_neq(visitor_of(one).id, visitor_of(two).id);
}

Test(visitor_endpoint, is_off_unless_enabled)
{
    unsetenv("ENABLE_VISITORS");
    open_site();
    const struct call_answer *answer = SEND(.params = CALL_PARAMS(ORIGIN));
    cr_assert_eq(answer->status, 403);
    cr_assert_str_eq(call_text(answer, "error.code"), "forbidden");
    cr_assert_str_eq(call_text(answer, "error.message"), "This site takes no visitors.");
}

Test(visitor_endpoint, demands_an_allowed_origin)
{
    open_site();
    cr_assert_str_eq(call_text(SEND(.body = NULL), "error.code"), "origin_denied");
    cr_assert_str_eq(
        call_text(SEND(.params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test")), "error.code"),
        "origin_denied");
}

Test(visitor_endpoint, without_an_origin_the_token_is_bound_to_none)
{
    setenv("ALLOW_NO_ORIGIN", "true", 1);
    open_site();
    cr_assert_str_eq(visitor_of(SEND(.body = NULL)).origin, "");
}

Test(visitor_endpoint, binds_no_token_to_what_is_no_origin)
{
    setenv("CORS_REPORT_ONLY", "true", 1);
    open_site();
    cr_assert_eq(SEND(.params = CALL_PARAMS("HTTP_ORIGIN=null"))->status, 403);
    cr_assert_str_eq(visitor_of(SEND(.params = CALL_PARAMS("HTTP_ORIGIN=https://b.test"))).origin,
                     "https://b.test");
}

Test(visitor_endpoint, an_address_gets_ten_an_hour)
{
    open_site();
    for (int i = 0; i < 10; i++)
        cr_assert_eq(SEND(.params = CALL_PARAMS(ORIGIN))->status, 201, "%d", i);
    const struct call_answer *answer = SEND(.params = CALL_PARAMS(ORIGIN));
    cr_assert_eq(answer->status, 429);
    cr_assert_str_eq(call_header(answer, "RateLimit-Policy"), "\"visitor\";q=10;w=3600");
    cr_assert_eq(SEND(.params = CALL_PARAMS(ORIGIN, "REMOTE_ADDR=203.0.113.9"))->status, 201);
}
