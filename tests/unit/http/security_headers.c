#include "http/security_headers.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sb_arena *arena;
static struct sb_response response;

static void setup(void)
{
    arena = sb_arena_new(64 * 1024);
    sb_response_init(&response, arena);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

static const char *head_with(const struct sb_config *config)
{
    sb_security_headers_add(&response, config);
    cr_assert(sb_buf_ok(&response.head));
    return response.head.data;
}

TestSuite(security_headers, .init = setup, .fini = teardown);

Test(security_headers, development_gets_exactly_these)
{
    const struct sb_config config = {.app_env = SB_ENV_DEVELOPMENT};
    cr_assert_str_eq(
        head_with(&config),
        "X-Content-Type-Options: nosniff\r\n"
        "X-Frame-Options: DENY\r\n"
        "X-XSS-Protection: 0\r\n"
        "Referrer-Policy: no-referrer\r\n"
        "Permissions-Policy: camera=(), microphone=(), geolocation=(), payment=(), usb=()\r\n"
        "Cache-Control: no-store\r\n"
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n");
}

Test(security_headers, production_adds_hsts_of_a_year)
{
    const struct sb_config config = {.app_env = SB_ENV_PRODUCTION};
    const char *head = head_with(&config);
    cr_assert_not_null(
        strstr(head, "\r\nStrict-Transport-Security: max-age=31536000; includeSubDomains\r\n"));
    cr_assert_not_null(strstr(head, "\r\nX-Frame-Options: DENY\r\n"));
}

Test(security_headers, report_only_renames_the_policy_and_keeps_it)
{
    const struct sb_config config = {.csp_report_only = true};
    const char *head = head_with(&config);
    cr_assert_not_null(strstr(head, "\r\nContent-Security-Policy-Report-Only: "
                                    "default-src 'none'; frame-ancestors 'none'\r\n"));
    cr_assert_null(strstr(head, "Content-Security-Policy:"));
}
