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

TestSuite(metrics, .init = setup, .fini = teardown);

#define GET(...) call_send(&site, &(struct call){.target = "/api/metrics", __VA_ARGS__})

Test(metrics, counts_the_request_before)
{
    call_site_open(&site, &sb_endpoint);
    GET(.method = "GET");
    const struct call_answer *answer = GET(.method = "GET");
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_header(answer, "Content-Type"),
                     "text/plain; version=0.0.4; charset=utf-8");
    cr_assert_not_null(
        strstr(answer->body, "endpoint=\"metrics\",method=\"GET\",status=\"200\"} 1\n"), "%s",
        answer->body);
}

Test(metrics, are_refused_without_their_token)
{
    setenv("METRICS_TOKEN", "a-metrics-token-of-ours", 1);
    call_site_open(&site, &sb_endpoint);
    const struct call_answer *answer = GET(.method = "GET");
    cr_assert_eq(answer->status, 401);
    cr_assert_str_eq(call_text(answer, "error.code"), "unauthenticated");
    cr_assert_eq(GET(.token = "a-metrics-token-of-theirs")->status, 401);
    cr_assert_eq(GET(.token = "a-metrics-token-of-ours")->status, 200);
}

Test(metrics, demand_a_token_in_production)
{
    setenv("APP_ENV", "production", 1);
    setenv("PRODUCTION_DOMAIN", "www.example.com", 1);
    call_site_open(&site, &sb_endpoint);
    const struct call_answer *answer = GET(.method = "GET");
    cr_assert_eq(answer->status, 503);
    cr_assert_str_eq(call_text(answer, "error.code"), "misconfigured");
}

Test(metrics, are_unavailable_where_the_file_is_missing)
{
    setenv("RUN_DIR", call_path(&site, "nowhere"), 1);
    call_site_open(&site, &sb_endpoint);
    const struct call_answer *answer = GET(.method = "GET");
    cr_assert_eq(answer->status, 503);
    cr_assert_str_eq(call_text(answer, "error.code"), "unavailable");
}
