#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(config, .init = setup, .fini = teardown);

static const struct call_answer *get(void)
{
    const struct call_answer *answer = call_send(&site, &(struct call){.target = "/api/config"});
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    return answer;
}

Test(config, gives_the_defaults)
{
    call_site_open(&site, &sb_endpoint);
    const struct call_answer *answer = get();
    cr_assert_str_eq(call_text(answer, "version"), SB_VERSION);
    cr_assert_str_eq(call_text(answer, "realtime.model"), "gpt-realtime-2.1-mini");
    cr_assert(json_is_false(call_json(answer, "realtime.serverVad")));
    cr_assert(json_is_false(call_json(answer, "realtime.vad")));
    cr_assert_eq(call_number(answer, "calls.heartbeatSeconds"), 30);
    cr_assert_eq(call_number(answer, "calls.tokenTtlSeconds"), 3600);
    cr_assert_eq(call_number(answer, "limits.jsonBodyBytes"), 65536);
}

Test(config, gives_what_the_administrator_set)
{
    setenv("OPENAI_REALTIME_MODEL", "another-model", 1);
    setenv("ENABLE_SERVER_VAD", "true", 1);
    setenv("NEXT_PUBLIC_ENABLE_VAD", "true", 1);
    setenv("CALL_HEARTBEAT_SECONDS", "7", 1);
    setenv("CALL_TOKEN_TTL", "61", 1);
    call_site_open(&site, &sb_endpoint);
    const struct call_answer *answer = get();
    cr_assert_str_eq(call_text(answer, "realtime.model"), "another-model");
    cr_assert(json_is_true(call_json(answer, "realtime.serverVad")));
    cr_assert(json_is_true(call_json(answer, "realtime.vad")));
    cr_assert_eq(call_number(answer, "calls.heartbeatSeconds"), 7);
    cr_assert_eq(call_number(answer, "calls.tokenTtlSeconds"), 61);
}

Test(config, holds_no_secret_and_no_path)
{
    setenv("METRICS_TOKEN", "a-metrics-token-of-ours", 1);
    setenv("JITSI_JWT_SECRET", "fedcba9876543210fedcba9876543210", 1);
    setenv("TURN_HOST", "turn.example.com", 1);
    setenv("TURN_SECRET", "a-turn-secret-of-ours", 1);
    call_site_open(&site, &sb_endpoint);
    const struct call_answer *answer = get();
    static const char *const secrets[] = {
        CALL_SECRET, "a-metrics-token", "fedcba98", "a-turn-secret", "/tmp", "sqlite"};
    for (size_t i = 0; i < SB_COUNT(secrets); i++)
        cr_expect_null(strstr(answer->body, secrets[i]), "%s", secrets[i]);
}

Test(config, takes_no_query_body_or_post)
{
    call_site_open(&site, &sb_endpoint);
    cr_assert_eq(call_send(&site, &(struct call){.target = "/api/config", .body = "{}"})->status,
                 405);
    cr_assert_eq(call_send(&site, &(struct call){.target = "/api/config/x"})->status, 404);
    cr_assert_eq(
        call_send(&site, &(struct call){.target = "/api/config", .method = "GET", .body = "{}"})
            ->status,
        400);
}
