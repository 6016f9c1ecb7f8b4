#include <criterion/criterion.h>

#include "../support/call.h"

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &sb_endpoint);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(not_found, .init = setup, .fini = teardown);

Test(not_found, answers_any_path_and_method_with_our_404)
{
    static const struct {
        const char *method, *target;
    } rows[] = {
        {"GET", "/api/nothing"},   {"POST", "/api/"},     {"DELETE", "/"},
        {"PUT", "/api/x/../../y"}, {"PATCH", "/api/%00"}, {"BREW", "/api/coffee"},
        {"GET", "/api/not-found"}, {"GET", "*"},          {"GET", NULL},
        {"GET", "/api/nothing?%"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const struct call_answer *answer =
            call_send(&site, &(struct call){.method = rows[i].method, .target = rows[i].target});
        cr_expect_eq(answer->status, 404, "%s %s: %d", rows[i].method, rows[i].target,
                     answer->status);
        cr_expect_str_eq(call_text(answer, "error.code"), "not_found");
        cr_expect_str_eq(call_header(answer, "X-Content-Type-Options"), "nosniff");
    }
}

Test(not_found, a_body_of_any_size_is_a_miss_like_the_others)
{
    const struct call_answer *answer = call_send(
        &site,
        &(struct call){.target = "/api/nothing",
                       .body = "x",
                       .params = CALL_PARAMS("CONTENT_TYPE=x/y", "CONTENT_LENGTH=99999999999")});
    cr_assert_eq(answer->status, 404);
    cr_assert_eq(answer->body_read, 0);
}

Test(not_found, has_the_default_limit)
{
    const struct call_answer *answer = call_send(&site, &(struct call){.target = "/api/nothing"});
    cr_assert_str_eq(call_header(answer, "RateLimit-Policy"), "\"default\";q=100;w=60");
}
