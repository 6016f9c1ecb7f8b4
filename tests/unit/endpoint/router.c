#include <criterion/criterion.h>
#include <string.h>

#include "endpoint/pipeline.h"

static enum sb_error handler(struct sb_request *request, const void *in, void *out)
{
    (void)request, (void)in, (void)out;
    return SB_OK;
}

#define ROUTE(methods_, path_, summary_)                                                           \
    {                                                                                              \
        .methods = (methods_), .path = (path_), .handler = handler, .access = SB_ACCESS_PUBLIC,    \
        .summary = (summary_)                                                                      \
    }

static const struct sb_route routes[] = {ROUTE(SB_GET, "", "list"),
                                         ROUTE(SB_POST | SB_PUT, "", "make"),
                                         ROUTE(SB_GET, "/live", "live"),
                                         ROUTE(SB_GET, "/{id}", "one"),
                                         ROUTE(SB_PATCH, "/{id}", "change"),
                                         ROUTE(SB_DELETE, "/{other}", "remove"),
                                         ROUTE(SB_POST, "/{id}/parts/{part}", "part"),
                                         ROUTE(SB_ANY, "/any", "any"),
                                         {.handler = NULL}};

static const struct sb_endpoint things = {
    .name = "shop/things",
    .aliases = (const char *const[]){"/api/things.php", "/old/things", NULL},
    .routes = routes};
static const struct sb_endpoint plain = {.name = "shop/things", .routes = routes};
static const struct sb_endpoint everything = {
    .name = "not-found", .routes = routes, .catch_all = true};

static struct sb_pipeline p;

static enum sb_error find(const struct sb_endpoint *endpoint, unsigned method, const char *path)
{
    static struct sb_runtime runtime;
    static struct sb_worker worker = {.runtime = &runtime};
    runtime.endpoint = endpoint;
    p = (struct sb_pipeline){.worker = &worker, .head = {.method = method, .path = path}};
    return sb_route_find(&p);
}

static const char *summary(void)
{
    return p.route == NULL ? "" : p.route->summary;
}

Test(router, finds_a_route_by_path_and_method)
{
    static const struct {
        unsigned method;
        const char *path, *summary;
    } rows[] = {
        {SB_GET, "/api/shop/things", "list"},
        {SB_HEAD, "/api/shop/things", "list"},
        {SB_POST, "/api/shop/things", "make"},
        {SB_PUT, "/api/shop/things", "make"},
        {SB_GET, "/api/shop/things/live", "live"},
        {SB_HEAD, "/api/shop/things/live", "live"},
        {SB_GET, "/api/shop/things/alive", "one"},
        {SB_PATCH, "/api/shop/things/x", "change"},
        {SB_PATCH, "/api/shop/things/live", "change"}, /* an id may be called so */
        {SB_DELETE, "/api/shop/things/x", "remove"},
        {SB_POST, "/api/shop/things/x/parts/y", "part"},
        {SB_GET, "/api/things.php", "list"},
        {SB_POST, "/api/things.php", "make"},
        {SB_GET, "/old/things", "list"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(find(&things, rows[i].method, rows[i].path), SB_OK, "%s", rows[i].path);
        cr_expect_str_eq(summary(), rows[i].summary, "%s %s", sb_method_name(rows[i].method),
                         rows[i].path);
    }
}

Test(router, refuses_every_path_that_is_not_its_own)
{
    static const char *const rows[] = {
        "/",
        "/api",
        "/api/",
        "/api/shop",
        "/api/shop/",
        "/api/shop/thing",
        "/api/shop/things-more", /* what a server that matches by prefix hands over */
        "/api/shop/things.php",
        "/api/shop/things~",
        "/api/shop/things2/live",
        "/api/Shop/things",
        "/api/shop/things/",
        "/api/shop/things/live/",
        "/api/shop/things/live/x",
        "/api/shop/things/x/parts",
        "/api/shop/things/x/parts/",
        "/api/shop/things/x/part/y",
        "/api/shop/things/x/parts/y/z",
        "/api/things.php/live", /* an alias is a whole path */
        "/api/things.phpx",
        "/api/things.ph",
        "/old/things/",
        "/old",
        "/shop/things",
        "/API/shop/things",
        "/xapi/shop/things",
        "/api/shop/things/a.b",
        "/api/shop/things/a~b",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(find(&things, SB_GET, rows[i]), SB_E_NOT_FOUND, "%s", rows[i]);
        cr_expect_null(p.route, "%s", rows[i]);
    }
    cr_assert_eq(find(&things, SB_GET, NULL), SB_E_NOT_FOUND, "no path at all");
    cr_assert_eq(find(&plain, SB_GET, "/api/things.php"), SB_E_NOT_FOUND, "no aliases");
}

static void expect_param(size_t i, const char *name, const char *value)
{
    cr_assert_lt(i, p.param_count);
    cr_expect_eq(p.params[i].name_length, strlen(name));
    cr_expect_eq(memcmp(p.params[i].name, name, strlen(name)), 0);
    cr_expect_eq(p.params[i].value_length, strlen(value));
    cr_expect_eq(memcmp(p.params[i].value, value, strlen(value)), 0);
}

Test(router, gives_the_parameters_of_the_path)
{
    cr_assert_eq(find(&things, SB_POST, "/api/shop/things/t-1_A/parts/42"), SB_OK);
    cr_assert_eq(p.param_count, 2);
    expect_param(0, "id", "t-1_A");
    expect_param(1, "part", "42");
}

Test(router, parameters_are_those_of_the_route_that_was_found)
{
    cr_assert_eq(find(&things, SB_DELETE, "/api/shop/things/x"), SB_OK);
    cr_assert_eq(p.param_count, 1);
    expect_param(0, "other", "x");
    cr_assert_eq(find(&things, SB_GET, "/api/shop/things/live"), SB_OK);
    cr_assert_eq(p.param_count, 0);
}

Test(router, a_parameter_is_an_identifier_of_at_most_64_characters)
{
    char path[128] = "/api/shop/things/", *id = path + strlen(path);
    memset(id, 'a', 65);
    cr_assert_eq(find(&things, SB_GET, path), SB_E_NOT_FOUND);
    id[64] = '\0';
    cr_assert_eq(find(&things, SB_GET, path), SB_OK);
    cr_assert_eq(p.params[0].value_length, 64);
}

Test(router, more_parameters_than_it_can_hold_match_nothing)
{
    static const struct sb_route many[] = {ROUTE(SB_GET, "/{a}/{b}/{c}/{d}", "four"),
                                           ROUTE(SB_GET, "/{a}/{b}/{c}/{d}/{e}", "five"),
                                           {.handler = NULL}};
    static const struct sb_endpoint endpoint = {.name = "x", .routes = many};
    cr_assert_eq(find(&endpoint, SB_GET, "/api/x/1/2/3/4"), SB_OK);
    cr_assert_eq(p.param_count, 4);
    cr_assert_eq(find(&endpoint, SB_GET, "/api/x/1/2/3/4/5"), SB_E_NOT_FOUND);
}

Test(router, another_method_is_refused_with_those_allowed)
{
    static const struct {
        unsigned method;
        const char *path, *allow;
    } rows[] = {
        {SB_DELETE, "/api/shop/things", "GET, POST, PUT, OPTIONS, HEAD"},
        {0, "/api/shop/things", "GET, POST, PUT, OPTIONS, HEAD"}, /* PROPFIND and the like */
        {SB_PUT, "/api/shop/things/x", "GET, PATCH, DELETE, OPTIONS, HEAD"},
        {SB_PUT, "/api/shop/things/live", "GET, PATCH, DELETE, OPTIONS, HEAD"},
        {SB_GET, "/api/shop/things/x/parts/y", "POST, OPTIONS"},
        {SB_HEAD, "/api/shop/things/x/parts/y", "POST, OPTIONS"},
        {SB_PATCH, "/old/things", "GET, POST, PUT, OPTIONS, HEAD"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        char allow[64];
        cr_expect_eq(find(&things, rows[i].method, rows[i].path), SB_E_METHOD_NOT_ALLOWED, "%s",
                     rows[i].path);
        cr_expect_null(p.route);
        sb_allow_list(p.allow, allow, sizeof allow);
        cr_expect_str_eq(allow, rows[i].allow, "%s: %s", rows[i].path, allow);
    }
}

Test(router, options_finds_the_path_and_all_its_methods)
{
    char allow[64];
    cr_assert_eq(find(&things, SB_OPTIONS, "/api/shop/things"), SB_OK);
    sb_allow_list(p.allow, allow, sizeof allow);
    cr_assert_str_eq(allow, "GET, POST, PUT, OPTIONS, HEAD");
    cr_assert_eq(find(&things, SB_OPTIONS, "/api/shop/nothing"), SB_E_NOT_FOUND);
}

Test(router, a_route_of_any_method_takes_every_one_it_knows)
{
    static const struct sb_route any[] = {ROUTE(SB_ANY, "", "any"), {.handler = NULL}};
    static const struct sb_endpoint endpoint = {.name = "x", .routes = any};
    for (unsigned method = SB_GET; method <= SB_HEAD; method <<= 1)
        cr_expect_eq(find(&endpoint, method, "/api/x"), SB_OK, "%s", sb_method_name(method));
}

Test(router, catch_all_takes_any_path_and_any_method)
{
    static const char *const rows[] = {"/", "/api/nothing/here", "/api/shop/things/x", NULL};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(find(&everything, 0, rows[i]), SB_OK, "%s", rows[i]);
        cr_expect_str_eq(summary(), "list");
    }
}

Test(router, the_allow_list_fits_what_there_is)
{
    char allow[64], small[8];
    sb_allow_list(SB_ANY, allow, sizeof allow);
    cr_assert_str_eq(allow, "GET, POST, PUT, PATCH, DELETE, OPTIONS, HEAD");
    sb_allow_list(0, allow, sizeof allow);
    cr_assert_str_eq(allow, "");
    sb_allow_list(SB_ANY, small, sizeof small);
    cr_assert_lt(strlen(small), sizeof small);
}
