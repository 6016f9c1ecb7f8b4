#include "http/request.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { VARIABLES_MAX = 16 };

static struct sb_arena *arena;
static struct sb_http_head head;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(request, .init = setup, .fini = teardown);

struct variable {
    const char *name, *value;
};

static const char *param(void *context, const char *name, bool *twice)
{
    const char *found = NULL;
    for (const struct variable *v = context; v->name != NULL; v++) {
        if (strcmp(v->name, name) != 0)
            continue;
        if (found != NULL)
            *twice = true;
        else
            found = v->value;
    }
    return found;
}

static enum sb_error read_head(const struct variable *variables)
{
    return sb_http_head_read(arena, param, (void *)(uintptr_t)variables, &head);
}

#define READ(...) read_head((const struct variable[]){__VA_ARGS__, {NULL, NULL}})

Test(request, reads_every_variable_it_uses)
{
    cr_assert_eq(READ({"REQUEST_METHOD", "POST"}, {"REQUEST_URI", "/api/x?a=1&b=2"},
                      {"CONTENT_LENGTH", "17"}, {"CONTENT_TYPE", "application/json"},
                      {"HTTP_ACCEPT", "a"}, {"HTTP_ORIGIN", "https://b"},
                      {"HTTP_AUTHORIZATION", "c"}, {"HTTP_USER_AGENT", "d"},
                      {"HTTP_TRACEPARENT", "e"}, {"HTTP_X_FORWARDED_FOR", "f"},
                      {"HTTP_IDEMPOTENCY_KEY", "g"}, {"HTTP_ACCESS_CONTROL_REQUEST_METHOD", "POST"},
                      {"REMOTE_ADDR", "::1"}),
                 SB_OK);
    cr_assert_eq(head.method, SB_POST);
    cr_assert_str_eq(head.path, "/api/x");
    cr_assert_str_eq(head.query, "a=1&b=2");
    cr_assert_eq(head.content_length, 17);
    cr_assert_str_eq(head.content_type, "application/json");
    cr_assert_str_eq(head.accept, "a");
    cr_assert_str_eq(head.origin, "https://b");
    cr_assert_str_eq(head.authorization, "c");
    cr_assert_str_eq(head.user_agent, "d");
    cr_assert_str_eq(head.traceparent, "e");
    cr_assert_str_eq(head.forwarded_for, "f");
    cr_assert_str_eq(head.idempotency_key, "g");
    cr_assert_str_eq(head.preflight_method, "POST");
    cr_assert_str_eq(head.remote_addr, "::1");
}

Test(request, a_request_without_variables_is_readable_and_nobodys)
{
    const struct variable none = {NULL, NULL};
    memset(&head, 0xA5, sizeof head);
    cr_assert_eq(read_head(&none), SB_OK);
    cr_assert_eq(head.method, 0);
    cr_assert_null(head.path);
    cr_assert_str_eq(head.query, "");
    cr_assert_eq(head.content_length, -1);
    cr_assert_null(head.origin);
    cr_assert_null(head.authorization);
    cr_assert_null(head.remote_addr);
}

static const char *const text_variables[] = {
    "REQUEST_METHOD",       "REQUEST_URI",          "CONTENT_LENGTH",
    "CONTENT_TYPE",         "HTTP_ACCEPT",          "HTTP_ORIGIN",
    "HTTP_AUTHORIZATION",   "HTTP_USER_AGENT",      "HTTP_TRACEPARENT",
    "HTTP_X_FORWARDED_FOR", "HTTP_IDEMPOTENCY_KEY", "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
    "REMOTE_ADDR"};

Test(request, an_empty_variable_is_an_absent_one)
{
    struct variable variables[VARIABLES_MAX] = {{NULL, NULL}};
    for (size_t i = 0; i < SB_COUNT(text_variables); i++)
        variables[i] = (struct variable){text_variables[i], ""};
    cr_assert_eq(read_head(variables), SB_OK);
    cr_assert_eq(head.content_length, -1);
    const char *const texts[] = {head.path,        head.content_type,    head.accept,
                                 head.origin,      head.authorization,   head.user_agent,
                                 head.traceparent, head.forwarded_for,   head.idempotency_key,
                                 head.remote_addr, head.preflight_method};
    for (size_t i = 0; i < SB_COUNT(texts); i++)
        cr_expect_null(texts[i], "text %zu", i);
}

Test(request, any_variable_that_is_there_twice_is_refused)
{
    for (size_t i = 0; i < SB_COUNT(text_variables); i++)
        cr_expect_eq(
            READ({text_variables[i], "1"}, {"REQUEST_SCHEME", "http"}, {text_variables[i], "1"}),
            SB_E_INVALID_REQUEST, "%s", text_variables[i]);
}

Test(request, a_duplicate_of_nothing_we_use_is_not_our_business)
{
    cr_assert_eq(READ({"HTTP_COOKIE", "a"}, {"HTTP_COOKIE", "b"}), SB_OK);
}

Test(request, a_refused_head_still_has_what_could_be_read)
{
    cr_assert_eq(READ({"REQUEST_METHOD", "GET"}, {"HTTP_ORIGIN", "https://a"}, {"HTTP_ACCEPT", "x"},
                      {"HTTP_ACCEPT", "y"}, {"REMOTE_ADDR", "192.0.2.1"}),
                 SB_E_INVALID_REQUEST);
    cr_assert_eq(head.method, SB_GET);
    cr_assert_str_eq(head.origin, "https://a");
    cr_assert_str_eq(head.remote_addr, "192.0.2.1");
    cr_assert_null(head.accept);
}

Test(request, a_value_over_16_kib_is_refused)
{
    static char value[SB_HEADER_MAX + 2];
    memset(value, 'v', SB_HEADER_MAX);
    cr_assert_eq(READ({"HTTP_USER_AGENT", value}), SB_OK);
    cr_assert_eq(strlen(head.user_agent), SB_HEADER_MAX);
    value[SB_HEADER_MAX] = 'v';
    cr_assert_eq(READ({"HTTP_USER_AGENT", value}), SB_E_INVALID_REQUEST);
    cr_assert_null(head.user_agent);
}

Test(request, content_length_is_plain_digits)
{
    static const struct {
        const char *text;
        int64_t length; /* -2: refused */
    } rows[] = {
        {"0", 0},
        {"1", 1},
        {"000", 0},
        {"0017", 17},
        {"999999999999999", 999999999999999},
        {"000000000000001", 1},
        {"1000000000000000", -2},
        {"9223372036854775808", -2},
        {"18446744073709551616", -2},
        {"-1", -2},
        {"+1", -2},
        {" 1", -2},
        {"1 ", -2},
        {"1,1", -2},
        {"1;", -2},
        {"0x10", -2},
        {"1e3", -2},
        {"1.0", -2},
        {"abc", -2},
        {"\xD9\xA1", -2},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        enum sb_error error = READ({"CONTENT_LENGTH", rows[i].text});
        bool refused = rows[i].length == -2;
        cr_expect_eq(error, refused ? SB_E_INVALID_REQUEST : SB_OK, "\"%s\"", rows[i].text);
        cr_expect_eq(head.content_length, refused ? -1 : rows[i].length, "\"%s\"", rows[i].text);
    }
}

Test(request, methods_are_known_by_their_exact_names)
{
    static const struct {
        const char *name;
        unsigned method;
    } rows[] = {{"GET", SB_GET},
                {"POST", SB_POST},
                {"PUT", SB_PUT},
                {"PATCH", SB_PATCH},
                {"DELETE", SB_DELETE},
                {"HEAD", SB_HEAD},
                {"OPTIONS", SB_OPTIONS},
                {"get", 0},
                {"Get", 0},
                {"GETT", 0},
                {"GET ", 0},
                {"CONNECT", 0},
                {"TRACE", 0},
                {"PROPFIND", 0}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(READ({"REQUEST_METHOD", rows[i].name}), SB_OK);
        cr_expect_eq(head.method, rows[i].method, "%s", rows[i].name);
        if (rows[i].method != 0)
            cr_expect_str_eq(sb_method_name(rows[i].method), rows[i].name);
    }
    cr_assert_str_eq(sb_method_name(0), "");
    cr_assert_str_eq(sb_method_name(SB_GET | SB_POST), "");
}

Test(request, the_query_is_all_behind_the_first_question_mark)
{
    static const struct {
        const char *target, *query;
    } rows[] = {{"/api/x", ""},
                {"/api/x?", ""},
                {"/api/x?a?b=c", "a?b=c"},
                {"/api/%3F?a", "a"},
                {"http://host/api/x?q", "q"}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(READ({"REQUEST_URI", rows[i].target}), SB_OK);
        cr_expect_str_eq(head.query, rows[i].query, "%s", rows[i].target);
    }
}

static const struct {
    const char *target, *path; /* NULL: refused */
} paths[] = {
    {"/", "/"},
    {"/api/health", "/api/health"},
    {"/api/health/", "/api/health/"},
    {"/api/health?x=/../..", "/api/health"},
    {"/api/health#x", "/api/health"},
    {"/api/health?a#b", "/api/health"},
    {"/api/a-b_c.d~e", "/api/a-b_c.d~e"},
    {"/API/Health", "/API/Health"},
    {"/api/%68ealth", "/api/health"},
    {"/api/%7Euser", "/api/~user"},
    {"/api/%7euser", "/api/~user"},
    {"/api/a%2Db", "/api/a-b"},
    {"/api/a.b", "/api/a.b"},
    {"/api/...", "/api/..."},
    {"/api/..a", "/api/..a"},
    {"/api/.a", "/api/.a"},
    {"http://host/api/x", "/api/x"},
    {"HTTPS://host:8443/api/x?y", "/api/x"},
    {"http:///api/x", "/api/x"},
    /* no path, or not from the root */
    {"", NULL},
    {"*", NULL},
    {"api/health", NULL},
    {"?/api/health", NULL},
    {"host:443", NULL},
    {"http://host", NULL},
    {"http://host?/api/health", NULL},
    {"http://host#/api/health", NULL},
    {"ftp://host/api/health", NULL},
    {"http:/api/health", NULL},
    /* empty segments */
    {"//api/health", NULL},
    {"/api//health", NULL},
    {"/api/health//", NULL},
    {"//", NULL},
    /* dot segments, however they are spelled */
    {"/api/.", NULL},
    {"/api/..", NULL},
    {"/api/./health", NULL},
    {"/api/../health", NULL},
    {"/../api", NULL},
    {"/.", NULL},
    {"/..", NULL},
    {"/api/x/..", NULL},
    {"/api/%2e%2e/health", NULL},
    {"/api/%2E/health", NULL},
    {"/api/.%2e/health", NULL},
    /* escapes of what must stay escaped, and of nothing */
    {"/api%2Fhealth", NULL},
    {"/api%2fhealth", NULL},
    {"/api/%5c", NULL},
    {"/api/%252e%252e/health", NULL},
    {"/api/%25", NULL},
    {"/api/%20", NULL},
    {"/api/%00", NULL},
    {"/api/%0a", NULL},
    {"/api/%C3%A9", NULL},
    {"/api/%c0%ae%c0%ae", NULL},
    {"/api/%", NULL},
    {"/api/%6", NULL},
    {"/api/%6?8", NULL},
    {"/api/%6#8", NULL},
    {"/api/%?68", NULL},
    {"/api/%6g", NULL},
    {"/api/%g8", NULL},
    {"/api/%u0068", NULL},
    /* bytes that no path of ours has */
    {"/api/a b", NULL},
    {"/api/a\\b", NULL},
    {"/api/a;b", NULL},
    {"/api/a:b", NULL},
    {"/api/a@b", NULL},
    {"/api/a+b", NULL},
    {"/api/a,b", NULL},
    {"/api/a=b", NULL},
    {"/api/a&b", NULL},
    {"/api/a\"b", NULL},
    {"/api/a<b", NULL},
    {"/api/{id}", NULL},
    {"/api/a\nb", NULL},
    {"/api/a\x7F", NULL},
    {"/api/caf\xC3\xA9", NULL},
    {"/api/\xFF", NULL},
};

Test(request, paths_are_normalised_or_refused)
{
    for (size_t i = 0; i < SB_COUNT(paths); i++) {
        const char *path = sb_path_normalise(arena, paths[i].target);
        if (paths[i].path == NULL || path == NULL)
            cr_expect_eq(path, paths[i].path, "%s gave %s", paths[i].target, path);
        else
            cr_expect_str_eq(path, paths[i].path, "%s gave %s", paths[i].target, path);
    }
}

Test(request, what_was_normalised_stays_as_it_is)
{
    for (size_t i = 0; i < SB_COUNT(paths); i++) {
        if (paths[i].path != NULL)
            cr_expect_str_eq(sb_path_normalise(arena, paths[i].path), paths[i].path);
    }
}

Test(request, a_path_has_512_bytes_at_most)
{
    char target[SB_PATH_MAX + 16];
    memset(target, 'a', sizeof target);
    target[0] = '/';
    target[SB_PATH_MAX] = '\0';
    const char *path = sb_path_normalise(arena, target);
    cr_assert_not_null(path);
    cr_assert_eq(strlen(path), SB_PATH_MAX);
    target[SB_PATH_MAX] = 'a';
    target[SB_PATH_MAX + 1] = '\0';
    cr_assert_null(sb_path_normalise(arena, target));
    target[SB_PATH_MAX] = '?';
    cr_assert_not_null(sb_path_normalise(arena, target), "the query does not count");
}

Test(request, a_path_that_finds_no_memory_is_refused)
{
    sb_arena_free(arena);
    arena = sb_arena_new(1);
    while (sb_arena_alloc(arena, 16) != NULL)
        ;
    cr_assert_null(sb_path_normalise(arena, "/api/health"));
}

Test(request, media_types_are_compared_without_case_and_parameters)
{
    static const struct {
        const char *header;
        bool is;
    } rows[] = {
        {"application/json", true},
        {"APPLICATION/Json", true},
        {"application/json; charset=utf-8", true},
        {"application/json;charset=utf-8", true},
        {"application/json ;charset=utf-8", true},
        {"application/json\t", true},
        {"application/json;", true},
        {NULL, false},
        {"", false},
        {"application/jso", false},
        {"application/json5", false},
        {"application/json+x", false},
        {"application/json, text/plain", false},
        {" application/json", false},
        {"application/problem+json", false},
        {"text/json", false},
        {"text/plain; x=application/json", false},
        {"application/json x", false},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_eq(sb_media_type_is(rows[i].header, "application/json"), rows[i].is, "%s",
                     rows[i].header);
}

Test(request, accept_is_a_list_of_ranges_with_weights)
{
    static const struct {
        const char *type;
        int quality;
    } rows[] = {{"audio/*", 1000}, {"a/b", 250}, {"c/d", 0},   {"e/f", 1000},
                {"i/j", 1000},     {"k/l", 70},  {"m/n", 1000}};
    const char *at = ", audio/*,a/b;q=0.25 , c/d;level=1; Q=0.000,e/f;q=1.000,,i/j;q=x,"
                     "k/l;q=0.07;y=z,\tm/n;q=";
    struct sb_accept_range range;
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_assert(sb_accept_next(&at, &range), "%s", rows[i].type);
        cr_expect(sb_accept_range_is(&range, rows[i].type), "%s: %s", rows[i].type, range.type);
        cr_expect_eq(range.quality, rows[i].quality, "%s: %d", rows[i].type, range.quality);
    }
    cr_expect(!sb_accept_next(&at, &range));
}

Test(request, accept_asks_for_what_it_wants_no_less_than_json)
{
    static const struct {
        const char *accept;
        bool asks;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"*/*", false},
        {"a/b", true},
        {"A/B", true},
        {"a/b;q=0", false},
        {"a/bc", false},
        {"a/b;q=0.1", true},
        {"application/json, a/b", true},
        {"application/json, a/b;q=0.9", false},
        {"application/json;q=0.9, a/b", true},
        {"x/y;z=a/b", false},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_eq(sb_accept_asks_for(rows[i].accept, "a/b"), rows[i].asks, "%s", rows[i].accept);
}
