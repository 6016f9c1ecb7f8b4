#include "http/cors.h"

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

TestSuite(cors, .init = setup, .fini = teardown);

/* Not literals: the configuration's strings can be written to. */
static char example[] = "https://www.example.com", local[] = "http://localhost:5173", star[] = "*",
            null[] = "null";
static char *listed[] = {example, local};
static char *with_star[] = {star, example};
static char *with_null[] = {null, star};

Test(cors, judges_by_exact_match)
{
    static const struct {
        const char *origin;
        enum sb_origin_verdict verdict;
    } rows[] = {
        {NULL, SB_ORIGIN_ABSENT},
        {"https://www.example.com", SB_ORIGIN_ALLOWED},
        {"http://localhost:5173", SB_ORIGIN_ALLOWED},
        {"https://shop.example.org", SB_ORIGIN_ALLOWED}, /* PRODUCTION_DOMAIN */
        {"https://SHOP.example.org", SB_ORIGIN_ALLOWED}, /* a host name has no case */
        {"", SB_ORIGIN_DENIED},
        {"null", SB_ORIGIN_DENIED},
        {"*", SB_ORIGIN_DENIED},
        {"http://www.example.com", SB_ORIGIN_DENIED},
        {"https://www.example.com/", SB_ORIGIN_DENIED},
        {"https://www.example.com:443", SB_ORIGIN_DENIED},
        {"https://www.example.com:8443", SB_ORIGIN_DENIED},
        {"https://www.example.com.evil.test", SB_ORIGIN_DENIED},
        {"https://evilwww.example.com", SB_ORIGIN_DENIED},
        {"https://example.com", SB_ORIGIN_DENIED},
        {"https://www.example.co", SB_ORIGIN_DENIED},
        {"http://localhost:51733", SB_ORIGIN_DENIED},
        {"http://localhost", SB_ORIGIN_DENIED},
        {"http://shop.example.org", SB_ORIGIN_DENIED},
        {"https://shop.example.org:444", SB_ORIGIN_DENIED},
        {"https://shop.example.org.evil.test", SB_ORIGIN_DENIED},
        {"shop.example.org", SB_ORIGIN_DENIED},
        {"https://", SB_ORIGIN_DENIED},
    };
    const struct sb_config config = {.allowed_origins = {listed, SB_COUNT(listed)},
                                     .production_domain = "shop.example.org"};
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_eq(sb_cors_judge(&config, rows[i].origin), rows[i].verdict, "%s", rows[i].origin);
}

Test(cors, a_configured_domain_in_capitals_is_the_browsers_lower_case_origin)
{
    const struct sb_config config = {.production_domain = "Shop.Example.ORG"};
    cr_assert_eq(sb_cors_judge(&config, "https://shop.example.org"), SB_ORIGIN_ALLOWED);
}

Test(cors, without_a_list_and_a_domain_every_origin_is_denied)
{
    const struct sb_config config = {.allow_no_origin = true};
    cr_assert_eq(sb_cors_judge(&config, "https://www.example.com"), SB_ORIGIN_DENIED);
    cr_assert_eq(sb_cors_judge(&config, "https://"), SB_ORIGIN_DENIED);
}

Test(cors, a_star_allows_any_origin_but_null_and_a_listed_one_better)
{
    const struct sb_config config = {.allowed_origins = {with_star, SB_COUNT(with_star)}};
    cr_assert_eq(sb_cors_judge(&config, "https://elsewhere.test"), SB_ORIGIN_ANY);
    cr_assert_eq(sb_cors_judge(&config, "https://www.example.com"), SB_ORIGIN_ALLOWED);
    cr_assert_eq(sb_cors_judge(&config, "null"), SB_ORIGIN_DENIED);
    cr_assert_eq(sb_cors_judge(&config, NULL), SB_ORIGIN_ABSENT);
}

Test(cors, null_is_denied_even_where_it_is_listed)
{
    const struct sb_config config = {.allowed_origins = {with_null, SB_COUNT(with_null)}};
    cr_assert_eq(sb_cors_judge(&config, "null"), SB_ORIGIN_DENIED);
}

Test(cors, an_allowed_origin_is_named_with_credentials)
{
    sb_cors_add(&response, SB_ORIGIN_ALLOWED, "https://www.example.com");
    cr_assert_str_eq(response.head.data,
                     "Vary: Origin\r\n"
                     "Access-Control-Allow-Credentials: true\r\n"
                     "Access-Control-Allow-Origin: https://www.example.com\r\n"
                     "Access-Control-Expose-Headers: X-Trace-Id, RateLimit, RateLimit-Policy, "
                     "Retry-After, Server-Timing, Idempotent-Replayed\r\n");
}

Test(cors, an_origin_allowed_by_a_star_gets_the_star_and_no_credentials)
{
    sb_cors_add(&response, SB_ORIGIN_ANY, "https://elsewhere.test");
    cr_assert_not_null(strstr(response.head.data, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    cr_assert_not_null(strstr(response.head.data, "\r\nAccess-Control-Expose-Headers: "));
    cr_assert_null(strstr(response.head.data, "Credentials"));
    cr_assert_null(strstr(response.head.data, "elsewhere"));
}

Test(cors, others_get_vary_alone)
{
    static const struct {
        enum sb_origin_verdict verdict;
        const char *origin;
    } rows[] = {{SB_ORIGIN_ABSENT, NULL},
                {SB_ORIGIN_DENIED, "https://evil.test"},
                {SB_ORIGIN_DENIED, "null"},
                {SB_ORIGIN_ALLOWED, NULL}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        sb_response_init(&response, arena);
        sb_cors_add(&response, rows[i].verdict, rows[i].origin);
        cr_expect_str_eq(response.head.data, "Vary: Origin\r\n", "row %zu", i);
    }
}

Test(cors, a_preflight_lists_methods_headers_and_an_age)
{
    sb_cors_add_preflight(&response, "POST, OPTIONS");
    cr_assert_str_eq(response.head.data,
                     "Access-Control-Allow-Methods: POST, OPTIONS\r\n"
                     "Access-Control-Allow-Headers: Authorization, Content-Type, Accept, "
                     "Idempotency-Key, Traceparent, Last-Event-ID\r\n"
                     "Access-Control-Max-Age: 600\r\n");
}
