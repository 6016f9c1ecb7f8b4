#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/call.h"
#include "access/ticket.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "store/users.h"

struct input {
    const char *name;
};

struct output {
    const char *name, *user_id;
};

static const struct sb_field input_fields[] = {
    SB_STRING(struct input, name, "name", 1, 20, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_STRING(struct output, name, "name", 0, 20, SB_REQUIRED),
    SB_STRING(struct output, user_id, "userId", 0, 128, SB_NULLABLE), SB_FIELDS_END};

/* What the handler saw, and how often it was called. */
static struct {
    int calls;
    enum sb_principal_kind kind;
    unsigned roles;
    bool output_zeroed, has_reader;
    char address[64], call_id[64];
} seen;

static enum sb_error echo(struct sb_request *request, const void *in, void *out)
{
    const struct input *input = in;
    struct output *output = out;
    seen.calls++;
    seen.kind = request->principal.kind;
    seen.roles = request->principal.roles;
    seen.output_zeroed = output->name == NULL && output->user_id == NULL;
    seen.has_reader = sb_request_reader(request) != NULL;
    snprintf(seen.address, sizeof seen.address, "%s", request->address);
    snprintf(seen.call_id, sizeof seen.call_id, "%s",
             request->principal.call_id != NULL ? request->principal.call_id : "");
    *output = (struct output){input->name, request->principal.user_id};
    return SB_OK;
}

static enum sb_error conflict(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    seen.calls++;
    sb_request_explain(request, "Twice is once too often.");
    sb_request_audit_object(request, "object_7");
    return SB_E_CONFLICT;
}

static enum sb_error refuse(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    sb_request_audit_issued(request, 1500, "conversation_7");
    enum sb_error error = sb_request_invalid(request, "name", "format", "is no name");
    return error;
}

#define ECHO                                                                                       \
    .handler = echo, .body = SB_BODY_JSON, SB_INPUT(struct input, input_fields),                   \
    SB_OUTPUT(struct output, output_fields)

static const struct sb_route routes[] = {
    {.methods = SB_POST, .path = "/public", .access = SB_ACCESS_PUBLIC, ECHO},
    {.methods = SB_POST, .path = "/user", .access = SB_ACCESS_USER, ECHO},
    {.methods = SB_POST, .path = "/participant", .access = SB_ACCESS_PARTICIPANT, ECHO},
    {.methods = SB_POST, .path = "/metrics", .access = SB_ACCESS_METRICS, ECHO},
    {.methods = SB_POST,
     .path = "/origin",
     .access = SB_ACCESS_USER,
     .origin_required = true,
     ECHO},
    {.methods = SB_GET,
     .path = "/conflict",
     .access = SB_ACCESS_PUBLIC,
     .handler = conflict,
     .audit = "test.conflict"},
    {.methods = SB_GET,
     .path = "/refuse",
     .access = SB_ACCESS_PUBLIC,
     .handler = refuse,
     .audit = "test.refuse"},
    {.handler = NULL}};

static const struct sb_endpoint endpoint = {.name = "test", .routes = routes, .needs = SB_NEEDS_DB};

static const char good[] = "{\"name\":\"x\"}";

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    setenv("ALLOWED_ORIGINS", "https://www.example.com", 1);
    memset(&seen, 0, sizeof seen);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(pipeline, .init = setup, .fini = teardown);

static void open_site(void)
{
    call_site_open(&site, &endpoint);
}

#define SEND(...) call_send(&site, &(struct call){__VA_ARGS__})

static void expect_error(const struct call_answer *answer, int status, const char *code)
{
    cr_assert_eq(answer->status, status, "%d %s", answer->status, answer->body);
    cr_assert_not_null(call_text(answer, "error.code"), "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "error.code"), code, "%s", answer->body);
}

Test(pipeline, a_good_request_goes_all_the_way)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/public", .body = good);
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_eq(seen.calls, 1);
    cr_assert(seen.output_zeroed);
    cr_assert(seen.has_reader);
    cr_assert_str_eq(seen.address, CALL_ADDRESS);
    const char *text = sb_arena_printf(site.memory,
                                       "{\"success\":true,\"name\":\"x\",\"userId\":null,"
                                       "\"traceId\":\"%s\"}",
                                       call_header(answer, "X-Trace-Id"));
    cr_assert_str_eq(answer->body, text);
    cr_assert_str_eq(call_header(answer, "Content-Type"), "application/json");
    cr_assert_eq(strtoul(call_header(answer, "Content-Length"), NULL, 10), answer->body_length);
}

static void expect_standing_headers(const struct call_answer *answer)
{
    static const char *const names[] = {
        "X-Content-Type-Options",  "X-Frame-Options",    "X-XSS-Protection",
        "Referrer-Policy",         "Permissions-Policy", "Cache-Control",
        "Content-Security-Policy", "X-Trace-Id",         "Content-Length"};
    for (size_t i = 0; i < SB_COUNT(names); i++)
        cr_expect_not_null(call_header(answer, names[i]), "%d lacks %s", answer->status, names[i]);
    cr_expect_str_eq(call_header(answer, "Vary"), "Origin");
}

Test(pipeline, every_answer_has_the_standing_headers)
{
    open_site();
    const struct call_answer *const answers[] = {
        SEND(.target = "/api/test/public", .body = good),
        SEND(.target = "/api/test/public", .body = "{"),
        SEND(.target = "/api/test/public", .body = "{}"),
        SEND(.target = "/api/test/user", .body = good),
        SEND(.target = "/api/test/public", .body = good,
             .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test")),
        SEND(.target = "/api/test/nothing"),
        SEND(.target = "/api/test/public"),
        SEND(.target = "/api/test/conflict"),
        SEND(.target = "/api/test/public", .method = "OPTIONS"),
        SEND(.target = "/api/test/public", .body = good, .params = CALL_PARAMS("CONTENT_TYPE=x")),
        SEND(.target = NULL),
    };
    static const int statuses[] = {200, 400, 400, 401, 403, 404, 405, 409, 200, 415, 404};
    for (size_t i = 0; i < SB_COUNT(answers); i++) {
        cr_expect_eq(answers[i]->status, statuses[i], "row %zu: %d", i, answers[i]->status);
        expect_standing_headers(answers[i]);
    }
}

Test(pipeline, a_refused_head_is_answered_with_headers_and_trace_id)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/public", .body = good,
             .params = CALL_PARAMS("HTTP_ACCEPT=a", "HTTP_ACCEPT=b",
                                   "HTTP_ORIGIN=https://www.example.com"));
    expect_error(answer, 400, "invalid_request");
    expect_standing_headers(answer);
    cr_assert_str_eq(call_header(answer, "Access-Control-Allow-Origin"), "https://www.example.com");
    cr_assert_str_eq(call_text(answer, "traceId"), call_header(answer, "X-Trace-Id"));
    cr_assert_eq(seen.calls, 0);
    cr_assert_eq(answer->body_read, 0);
}

Test(pipeline, continues_the_trace_of_the_caller_in_header_body_and_log)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/conflict",
             .params = CALL_PARAMS(
                 "HTTP_TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    cr_assert_str_eq(call_header(answer, "X-Trace-Id"), "0af7651916cd43dd8448eb211c80319c");
    cr_assert_str_eq(call_text(answer, "traceId"), "0af7651916cd43dd8448eb211c80319c");
    cr_assert(call_file_has(&site, "log/switchboard.log",
                            "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\""));
    cr_assert(
        call_file_has(&site, "log/audit.log", "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\""));
}

Test(pipeline, a_trace_that_is_not_valid_gets_a_new_one_each_time)
{
    open_site();
    const struct call_answer *one =
        SEND(.target = "/api/test/conflict", .params = CALL_PARAMS("HTTP_TRACEPARENT=00-x-y-01"));
    const struct call_answer *two = SEND(.target = "/api/test/conflict");
    cr_assert_eq(strspn(call_text(one, "traceId"), "0123456789abcdef"), 32);
    cr_assert_str_neq(call_text(one, "traceId"), call_text(two, "traceId"));
}

Test(pipeline, a_handlers_error_carries_its_own_words_and_is_audited)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/conflict");
    expect_error(answer, 409, "conflict");
    cr_assert_str_eq(call_text(answer, "error.message"), "Twice is once too often.");
    cr_assert_str_eq(call_text(answer, "detail"), "Twice is once too often.");
    cr_assert(call_file_has(&site, "log/audit.log", "\"event\":\"test.conflict\""));
    cr_assert(call_file_has(&site, "log/audit.log", "\"outcome\":\"conflict\""));
    cr_assert(call_file_has(&site, "log/audit.log", "\"object\":\"object_7\""));
    cr_assert(call_file_has(&site, "log/audit.log", "\"address\":\"" CALL_ADDRESS "\""));
}

Test(pipeline, a_handler_refuses_a_field_as_the_tables_do)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/refuse");
    expect_error(answer, 400, "validation_failed");
    cr_assert_eq(json_array_size(call_json(answer, "error.fields")), 1);
    cr_assert_str_eq(call_text(answer, "error.fields.0.field"), "name");
    cr_assert_str_eq(call_text(answer, "error.fields.0.code"), "format");
    cr_assert_str_eq(call_text(answer, "error.fields.0.message"), "is no name");
}

Test(pipeline, what_a_handler_issued_is_in_the_audit_line)
{
    open_site();
    SEND(.target = "/api/test/refuse");
    cr_assert(call_file_has(&site, "log/audit.log", "\"conversationId\":\"conversation_7\""));
    cr_assert(call_file_has(&site, "log/audit.log", "\"expiresAt\":\"1970-01-01T00:00:01.500Z\""));
    SEND(.target = "/api/test/conflict");
    cr_assert_not(call_file_has(&site, "log/audit.log", "\"expiresAt\":\"1970-01-01T00:00:00"));
}

Test(pipeline, logs_and_counts_each_request_by_the_words_of_the_tables)
{
    open_site();
    SEND(.target = "/api/test/public?secret=hunter2", .body = good);
    SEND(.target = "/api/test/public", .method = "BREW");
    cr_assert_eq(
        sb_metrics_value(SB_METRIC_REQUESTS, "endpoint=\"test\",method=\"POST\",status=\"200\""),
        1);
    cr_assert_eq(
        sb_metrics_value(SB_METRIC_REQUESTS, "endpoint=\"test\",method=\"OTHER\",status=\"405\""),
        1);
    cr_assert(call_file_has(&site, "log/switchboard.log",
                            "\"method\":\"POST\",\"route\":\"/public\",\"status\":200,"));
    cr_assert_not(call_file_has(&site, "log/switchboard.log", "hunter2"));
    cr_assert_not(call_file_has(&site, "log/switchboard.log", "BREW"));
}

Test(pipeline, the_client_is_the_one_behind_a_trusted_proxy)
{
    setenv("TRUST_PROXY", "127.0.0.0/8", 1);
    open_site();
    SEND(.target = "/api/test/public", .body = good,
         .params =
             CALL_PARAMS("REMOTE_ADDR=127.0.0.1", "HTTP_X_FORWARDED_FOR=192.0.2.66, 198.51.100.4"));
    cr_assert_str_eq(seen.address, "198.51.100.4");
}

Test(pipeline, problem_json_is_sent_to_those_who_accept_it)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/conflict",
             .params = CALL_PARAMS("HTTP_ACCEPT=application/problem+json"));
    cr_assert_str_eq(call_header(answer, "Content-Type"), "application/problem+json");
    answer = SEND(.target = "/api/test/public", .body = good,
                  .params = CALL_PARAMS("HTTP_ACCEPT=application/problem+json"));
    cr_assert_str_eq(call_header(answer, "Content-Type"), "application/json");
}

Test(pipeline, head_gets_the_head_of_get_without_its_body)
{
    open_site();
    const struct call_answer *get = SEND(.target = "/api/test/conflict");
    const struct call_answer *head = SEND(.target = "/api/test/conflict", .method = "HEAD");
    cr_assert_eq(head->status, get->status);
    cr_assert_eq(head->body_length, 0);
    cr_assert_str_eq(call_header(head, "Content-Length"), call_header(get, "Content-Length"));
    cr_assert_str_eq(call_header(head, "Content-Type"), "application/json");
}

Test(pipeline, a_method_of_no_route_is_405_and_lists_those_there_are)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/public", .method = "DELETE");
    expect_error(answer, 405, "method_not_allowed");
    cr_assert_str_eq(call_header(answer, "Allow"), "POST, OPTIONS");
    cr_assert_eq(seen.calls, 0);
}

Test(pipeline, the_path_is_judged_before_the_origin)
{
    open_site();
    expect_error(
        SEND(.target = "/api/test/nothing", .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test")),
        404, "not_found");
}

Test(pipeline, the_origin_is_judged_before_the_credential_and_the_body)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .body = good, .token = "nonsense",
             .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test"));
    expect_error(answer, 403, "origin_denied");
    cr_assert_eq(answer->body_read, 0);
    cr_assert_null(call_header(answer, "WWW-Authenticate"));
}

Test(pipeline, a_demanded_origin_is_demanded_before_the_credential)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/origin", .body = good);
    expect_error(answer, 403, "origin_denied");
    cr_assert_str_eq(call_text(answer, "error.message"),
                     "This route demands an Origin header of an allowed origin.");
}

Test(pipeline, nothing_of_the_body_is_read_before_the_credential_is_good)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/user", .body = good);
    expect_error(answer, 401, "unauthenticated");
    cr_assert_eq(answer->body_read, 0);
    answer = SEND(.target = "/api/test/user", .body = good, .token = "no.such.token");
    expect_error(answer, 401, "unauthenticated");
    cr_assert_eq(answer->body_read, 0);
    answer = SEND(.target = "/api/test/user", .body = good, .token = call_token(&site, "alice"));
    cr_assert_eq(answer->status, 200);
    cr_assert_eq(answer->body_read, strlen(good));
}

Test(pipeline, the_credential_is_judged_before_length_type_and_content)
{
    open_site();
    expect_error(SEND(.target = "/api/test/user", .body = "{",
                      .params = CALL_PARAMS("CONTENT_LENGTH=99999999", "CONTENT_TYPE=text/plain")),
                 401, "unauthenticated");
}

Test(pipeline, the_handler_sees_no_request_whose_input_is_not_valid)
{
    open_site();
    static const struct {
        const char *body, *code;
    } rows[] = {{"{\"name\":\"\"}", "validation_failed"},
                {"{\"name\":\"x\",\"more\":1}", "validation_failed"},
                {"{\"name\":\"x\",\"name\":\"y\"}", "invalid_json"},
                {"[]", "invalid_json"},
                {"x", "invalid_json"}};
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        expect_error(SEND(.target = "/api/test/public", .body = rows[i].body), 400, rows[i].code);
    cr_assert_eq(seen.calls, 0);
}

Test(pipeline, only_validation_failed_names_fields)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/public", .body = "{\"nome\":\"x\"}");
    cr_assert_eq(json_array_size(call_json(answer, "error.fields")), 2);
    cr_assert_str_eq(call_text(answer, "error.fields.0.field"), "name");
    cr_assert_str_eq(call_text(answer, "error.fields.0.code"), "required");
    cr_assert_str_eq(call_text(answer, "error.fields.1.field"), "nome");
    cr_assert_str_eq(call_text(answer, "error.fields.1.code"), "unknown");
    cr_assert_null(call_json(SEND(.target = "/api/test/public", .body = "{"), "error.fields"));
}

Test(pipeline, a_misconfigured_endpoint_answers_503_before_it_asks_anything)
{
    setenv("JWT_SECRET", "short", 1);
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/origin", .body = "{", .token = "nonsense");
    expect_error(answer, 503, "misconfigured");
    cr_assert_eq(answer->body_read, 0);
    cr_assert_not(strstr(answer->body, "JWT_SECRET") != NULL, "the client learns no names");
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"variable\":\"JWT_SECRET\""));
    cr_assert_not(call_file_has(&site, "log/switchboard.log", "short\""), "nor the log the value");
    cr_assert_eq(seen.calls, 0);
}

Test(pipeline, a_misconfigured_endpoint_still_answers_404_405_and_preflights)
{
    setenv("JWT_SECRET", "short", 1);
    open_site();
    expect_error(SEND(.target = "/api/test/nothing"), 404, "not_found");
    expect_error(SEND(.target = "/api/test/public"), 405, "method_not_allowed");
    cr_assert_eq(SEND(.target = "/api/test/public", .method = "OPTIONS")->status, 200);
}

Test(pipeline, an_allowed_origin_passes_and_is_named)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/public", .body = good,
             .params = CALL_PARAMS("HTTP_ORIGIN=https://www.example.com"));
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_header(answer, "Access-Control-Allow-Origin"), "https://www.example.com");
    cr_assert_str_eq(call_header(answer, "Access-Control-Allow-Credentials"), "true");
    cr_assert_null(call_header(answer, "Access-Control-Allow-Methods"), "no preflight");
}

Test(pipeline, a_disallowed_origin_is_refused_logged_counted_and_audited)
{
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/public", .body = good,
                                            .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test"));
    expect_error(answer, 403, "origin_denied");
    cr_assert_null(call_header(answer, "Access-Control-Allow-Origin"));
    cr_assert_eq(seen.calls, 0);
    cr_assert(call_file_has(&site, "log/switchboard.log",
                            "\"origin\":\"https://evil.test\",\"enforced\":\"true\""));
    cr_assert(call_file_has(&site, "log/audit.log", "\"outcome\":\"origin_denied\""));
    cr_assert_eq(sb_metrics_value(SB_METRIC_ORIGIN_DENIED, "endpoint=\"test\",enforced=\"true\""),
                 1);
}

Test(pipeline, of_a_disallowed_origin_no_more_is_logged_than_an_origin_has)
{
    char origin[5000] = "HTTP_ORIGIN=https://";
    size_t begin = strlen(origin);
    memset(origin + begin, 'x', sizeof origin - begin - 1);
    open_site();
    expect_error(SEND(.target = "/api/test/public", .body = good, .params = CALL_PARAMS(origin)),
                 403, "origin_denied");
    origin[begin + 292] = '\0';
    cr_assert(call_file_has(&site, "log/switchboard.log", origin + sizeof "HTTP_ORIGIN"));
    origin[begin + 292] = 'x';
    origin[begin + 293] = '\0';
    cr_assert_not(call_file_has(&site, "log/switchboard.log", origin + sizeof "HTTP_ORIGIN"));
}

Test(pipeline, null_is_refused)
{
    open_site();
    expect_error(
        SEND(.target = "/api/test/public", .body = good, .params = CALL_PARAMS("HTTP_ORIGIN=null")),
        403, "origin_denied");
}

Test(pipeline, report_only_lets_a_disallowed_origin_pass_and_says_so)
{
    setenv("CORS_REPORT_ONLY", "true", 1);
    open_site();
    const struct call_answer *answer = SEND(.target = "/api/test/public", .body = good,
                                            .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test"));
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_header(answer, "Access-Control-Allow-Origin"), "https://evil.test");
    cr_assert_null(call_header(answer, "Access-Control-Allow-Credentials"));
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"enforced\":\"false\""));
    cr_assert_eq(sb_metrics_value(SB_METRIC_ORIGIN_DENIED, "endpoint=\"test\",enforced=\"false\""),
                 1);
}

Test(pipeline, report_only_names_no_origin_that_is_none)
{
    static const char *const rows[] = {"HTTP_ORIGIN=null", "HTTP_ORIGIN=https://a\tb",
                                       "HTTP_ORIGIN=x\x01", "HTTP_ORIGIN=HTTPS://EVIL.TEST",
                                       "HTTP_ORIGIN=*"};
    setenv("CORS_REPORT_ONLY", "true", 1);
    open_site();
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const struct call_answer *answer =
            SEND(.target = "/api/test/public", .body = good, .params = CALL_PARAMS(rows[i]));
        cr_expect_eq(answer->status, 200, "%s", rows[i]);
        cr_expect_null(call_header(answer, "Access-Control-Allow-Origin"), "%s", rows[i]);
    }
}

Test(pipeline, a_preflight_is_answered_without_the_handler)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .method = "OPTIONS",
             .params = CALL_PARAMS("HTTP_ORIGIN=https://www.example.com",
                                   "HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST"));
    cr_assert_eq(answer->status, 200);
    cr_assert_eq(answer->body_length, 0);
    cr_assert_str_eq(call_header(answer, "Access-Control-Allow-Methods"), "POST, OPTIONS");
    cr_assert_str_eq(call_header(answer, "Access-Control-Allow-Origin"), "https://www.example.com");
    cr_assert_not_null(call_header(answer, "Access-Control-Max-Age"));
    cr_assert_str_eq(call_header(answer, "Allow"), "POST, OPTIONS");
    cr_assert_eq(seen.calls, 0);
}

Test(pipeline, options_that_is_no_preflight_lists_the_methods_alone)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/conflict", .method = "OPTIONS",
             .params = CALL_PARAMS("HTTP_ORIGIN=https://www.example.com"));
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_header(answer, "Allow"), "GET, OPTIONS, HEAD");
    cr_assert_null(call_header(answer, "Access-Control-Allow-Methods"));
}

Test(pipeline, a_preflight_from_a_disallowed_origin_is_refused)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .method = "OPTIONS",
             .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test",
                                   "HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST"));
    expect_error(answer, 403, "origin_denied");
    cr_assert_null(call_header(answer, "Access-Control-Allow-Methods"));
}

Test(pipeline, a_route_that_demands_an_origin_takes_an_allowed_one)
{
    open_site();
    cr_assert_eq(SEND(.target = "/api/test/origin", .body = good,
                      .token = call_token(&site, "alice"),
                      .params = CALL_PARAMS("HTTP_ORIGIN=https://www.example.com"))
                     ->status,
                 200);
    expect_error(SEND(.target = "/api/test/origin", .body = good,
                      .token = call_token(&site, "alice"), .params = CALL_PARAMS("HTTP_ORIGIN=")),
                 403, "origin_denied");
    cr_assert_eq(seen.calls, 1);
}

Test(pipeline, allow_no_origin_lifts_the_demand)
{
    setenv("ALLOW_NO_ORIGIN", "true", 1);
    open_site();
    cr_assert_eq(
        SEND(.target = "/api/test/origin", .body = good, .token = call_token(&site, "alice"))
            ->status,
        200);
    expect_error(SEND(.target = "/api/test/origin", .body = good,
                      .token = call_token(&site, "alice"),
                      .params = CALL_PARAMS("HTTP_ORIGIN=https://evil.test")),
                 403, "origin_denied");
}

Test(pipeline, a_public_route_does_not_look_at_credentials)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/public", .body = good, .token = "no.such.token");
    cr_assert_eq(answer->status, 200);
    cr_assert_eq(seen.kind, SB_PRINCIPAL_ANONYMOUS);
    answer = SEND(.target = "/api/test/public", .body = good, .token = call_token(&site, "alice"));
    cr_assert(json_is_null(call_json(answer, "userId")));
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM users"), 0);
}

Test(pipeline, a_missing_credential_is_told_from_a_refused_one)
{
    open_site();
    const struct call_answer *missing = SEND(.target = "/api/test/user", .body = good);
    expect_error(missing, 401, "unauthenticated");
    cr_assert_str_eq(call_header(missing, "WWW-Authenticate"), "Bearer realm=\"switchboard\"");
    cr_assert_str_eq(call_text(missing, "error.message"), "A bearer token is required.");
    const struct call_answer *refused =
        SEND(.target = "/api/test/user", .body = good, .token = "no.such.token");
    expect_error(refused, 401, "unauthenticated");
    cr_assert_str_eq(call_header(refused, "WWW-Authenticate"),
                     "Bearer realm=\"switchboard\", error=\"invalid_token\"");
    cr_assert_str_eq(call_text(refused, "error.message"), "The bearer token was refused.");
    cr_assert(call_file_has(&site, "log/audit.log", "\"outcome\":\"unauthenticated\""));
}

Test(pipeline, a_user_is_known_to_the_handler_and_gets_a_row)
{
    open_site();
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .body = good, .token = call_token(&site, "alice|1"));
    cr_assert_str_eq(call_text(answer, "userId"), "alice|1");
    cr_assert_eq(seen.kind, SB_PRINCIPAL_USER);
    cr_assert_eq(seen.roles, 1u << SB_ROLE_USER);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM users WHERE id = 'alice|1'"), 1);
}

static enum sb_error disable(struct sb_db_conn *tx, void *context)
{
    return sb_users_disable(tx, context, true, 1);
}

Test(pipeline, a_disabled_user_is_forbidden)
{
    char alice[] = "alice";
    open_site();
    call_member(&site, "t1", alice, SB_MEMBER);
    call_write(&site, disable, alice);
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .body = good, .token = call_token(&site, alice));
    expect_error(answer, 403, "forbidden");
    cr_assert_null(call_header(answer, "WWW-Authenticate"));
    cr_assert_eq(answer->body_read, 0);
    cr_assert(call_file_has(&site, "log/audit.log", "\"reason\":\"the user is disabled\""));
}

static const char *ticket_of(const char *user_id)
{
    const char *ticket =
        sb_ticket_make(site.memory, site.runtime.config,
                       &(struct sb_ticket){.user_id = user_id,
                                           .call_id = "call_1",
                                           .participant_id = "part_1",
                                           .expires_at_s = sb_clock_now_ms() / 1000 + 60});
    cr_assert_not_null(ticket);
    return ticket;
}

Test(pipeline, a_call_ticket_is_good_for_participant_routes_alone)
{
    open_site();
    call_member(&site, "t1", "alice", SB_MEMBER);
    const char *ticket = ticket_of("alice");
    cr_assert_eq(SEND(.target = "/api/test/participant", .body = good, .token = ticket)->status,
                 200);
    cr_assert_eq(seen.kind, SB_PRINCIPAL_PARTICIPANT);
    cr_assert_str_eq(seen.call_id, "call_1");
    expect_error(SEND(.target = "/api/test/user", .body = good, .token = ticket), 401,
                 "unauthenticated");
    cr_assert_eq(seen.calls, 1);
}

Test(pipeline, a_participant_route_takes_users_too_but_nobody_else)
{
    open_site();
    cr_assert_eq(
        SEND(.target = "/api/test/participant", .body = good, .token = call_token(&site, "alice"))
            ->status,
        200);
    cr_assert_eq(seen.kind, SB_PRINCIPAL_USER);
    expect_error(SEND(.target = "/api/test/participant", .body = good), 401, "unauthenticated");
}

Test(pipeline, without_the_database_users_are_refused_and_tickets_pass)
{
    open_site();
    const char *ticket = ticket_of("alice"), *token = call_token(&site, "alice");
    unlink(call_path(&site, "state/switchboard.db"));
    const struct call_answer *answer =
        SEND(.target = "/api/test/user", .body = good, .token = token);
    cr_assert_eq(answer->status, 503, "%s", answer->body);
    cr_assert_eq(answer->body_read, 0);
    cr_assert_eq(SEND(.target = "/api/test/participant", .body = good, .token = ticket)->status,
                 200);
    cr_assert_eq(seen.kind, SB_PRINCIPAL_PARTICIPANT);
}

Test(pipeline, metrics_are_open_without_a_token_in_development)
{
    open_site();
    cr_assert_eq(SEND(.target = "/api/test/metrics", .body = good)->status, 200);
}

Test(pipeline, metrics_take_their_token_and_no_other)
{
    setenv("METRICS_TOKEN", "sesame-sesame-sesame", 1);
    open_site();
    cr_assert_eq(
        SEND(.target = "/api/test/metrics", .body = good, .token = "sesame-sesame-sesame")->status,
        200);
    const struct call_answer *answer = SEND(.target = "/api/test/metrics", .body = good);
    expect_error(answer, 401, "unauthenticated");
    cr_assert_str_eq(call_header(answer, "WWW-Authenticate"), "Bearer realm=\"switchboard\"");
    expect_error(SEND(.target = "/api/test/metrics", .body = good, .token = "sesame-sesame-sesamf"),
                 401, "unauthenticated");
    expect_error(
        SEND(.target = "/api/test/metrics", .body = good, .token = call_token(&site, "alice")), 401,
        "unauthenticated");
    cr_assert_eq(seen.calls, 1);
}
