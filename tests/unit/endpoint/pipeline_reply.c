#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "endpoint/pipeline.h"
#include "http/output_encoder.h"
#include "http/sse.h"

struct output {
    const char *name, *left_over;
    bool created;
    const char *text;
};

static const struct sb_field output_fields[] = {
    SB_STRING(struct output, name, "name", 0, 20, SB_REQUIRED),
    SB_STRING(struct output, left_over, "leftOver", 0, 20, SB_NULLABLE),
    SB_BOOL(struct output, created, "created", SB_REQUIRED),
    SB_STRING(struct output, text, "text", 0, INT64_MAX, 0), SB_FIELDS_END};

/* What the next handler shall do, and what it found. */
static struct {
    bool create, gone, wrote, flushed;
    enum sb_error error;
    size_t text_length;
    int calls;
} plan;

static enum sb_error answer_json(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    struct output *output = out;
    plan.calls++;
    output->name = "x";
    output->created = plan.create;
    if (plan.text_length > 0) {
        char *text = sb_arena_alloc(request->arena, plan.text_length + 1);
        cr_assert_not_null(text);
        output->text = memset(text, 't', plan.text_length);
    }
    return plan.error;
}

/* Leaves not a byte in the arena. */
static void exhaust(struct sb_arena *arena)
{
    for (size_t size = SB_REQUEST_ARENA_MAX; size >= 16; size /= 2) {
        while (sb_arena_alloc(arena, size) != NULL)
            ;
    }
}

static enum sb_error hog(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    ((struct output *)out)->name = "x";
    plan.calls++;
    exhaust(request->arena);
    return plan.error;
}

/* The arena has room for the answer but not for the report in it. */
static enum sb_error hog_most(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    struct output *output = out;
    char *text = sb_arena_alloc(request->arena, 700 * 1024 + 1);
    cr_assert_not_null(text);
    output->text = memset(text, 't', 700 * 1024);
    while (sb_arena_alloc(request->arena, 64 * 1024) != NULL)
        ;
    return SB_E_UNAVAILABLE;
}

static enum sb_error stream(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    plan.calls++;
    plan.gone = sb_request_gone(request);
    plan.wrote = sb_request_write_body(request, "one ", 4);
    plan.flushed = sb_request_flush(request);
    plan.wrote = plan.wrote && sb_request_write_body(request, "two", 3);
    sb_request_explain(request, "too late to be said");
    return plan.error;
}

static enum sb_error stream_nothing(struct sb_request *request, const void *in, void *out)
{
    (void)request, (void)in, (void)out;
    return plan.error;
}

static enum sb_error stream_empty(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    plan.wrote = sb_request_write_body(request, "", 0);
    return SB_OK;
}

/* plan.text_length bytes of data; a name of the most bytes that one may have. */
static enum sb_error stream_events(struct sb_request *request, const void *in, void *out)
{
    char name[SB_SSE_NAME_MAX] = "";
    struct sb_buf data;
    (void)in, (void)out;
    memset(name, 'n', sizeof name - 1);
    sb_buf_init(&data, NULL, 100 * 1024);
    for (size_t i = 0; i < plan.text_length; i++)
        sb_buf_add_char(&data, 't');
    plan.wrote = sb_request_write_ping(request) && sb_request_write_event(request, name, &data);
    sb_buf_free(&data);
    sb_request_explain(request, "why");
    plan.wrote = plan.wrote && sb_request_write_error_event(request, SB_E_CONFLICT);
    return plan.error;
}

/* Nothing of the stream's head fits. */
static enum sb_error stream_without_room(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    exhaust(request->arena);
    plan.wrote = sb_request_write_body(request, "one ", 4);
    plan.wrote |= sb_request_write_body(request, "two", 3);
    return SB_OK;
}

/* Refuses, as a step does that takes a failed allocation for a bad token. */
static enum sb_error refuse_without_memory(struct sb_request *request, const void *in, void *out)
{
    static volatile size_t too_much = (size_t)1 << 62;
    (void)in, (void)out;
    cr_assert_null(sb_memory_alloc(too_much));
    sb_request_explain(request, "you may not");
    return plan.error;
}

/* A header behind the head: no handler can, but code of ours could. */
static enum sb_error stream_late_header(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    cr_assert(sb_request_write_body(request, "a", 1));
    sb_response_header(&request->pipeline->response, "X-Late", "1");
    cr_assert_not(sb_buf_ok(&request->pipeline->response.head));
    cr_assert(sb_request_write_body(request, "b", 1));
    return SB_OK;
}

#define ROUTE(path_, handler_)                                                                     \
    .methods = SB_GET, .path = (path_), .handler = (handler_), .access = SB_ACCESS_PUBLIC,         \
    .limit = {"test", 10000, 60}
#define JSON SB_OUTPUT(struct output, output_fields)
#define STREAM .reply = SB_REPLY_STREAM, .content_type = "text/event-stream"

static const struct sb_route routes[] = {
    {ROUTE("/json", answer_json), JSON},
    {ROUTE("/created", answer_json), JSON, .created = SB_CREATED(struct output, created)},
    {ROUTE("/report", answer_json), JSON, .report_errors = true},
    {ROUTE("/bare", stream_nothing)},
    {ROUTE("/hog", hog), JSON},
    {ROUTE("/hog-most", hog_most), JSON, .report_errors = true},
    {ROUTE("/stream", stream), STREAM},
    {ROUTE("/no-memory", refuse_without_memory)},
    {ROUTE("/stream-nothing", stream_nothing), STREAM},
    {ROUTE("/stream-without-room", stream_without_room), STREAM},
    {ROUTE("/stream-empty", stream_empty), STREAM},
    {ROUTE("/stream-events", stream_events), .reply = SB_REPLY_STREAM, .content_type = "audio/x"},
    {ROUTE("/stream-late-header", stream_late_header), STREAM},
    {ROUTE("/stream-unread", stream), STREAM, .body = SB_BODY_STREAM},
    {.handler = NULL}};

static const struct sb_endpoint endpoint = {.name = "test", .routes = routes};

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    setenv("ALLOWED_ORIGINS", "https://www.example.com", 1);
    call_site_open(&site, &endpoint);
    memset(&plan, 0, sizeof plan);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(pipeline_reply, .init = setup, .fini = teardown);

#define SEND(...) call_send(&site, &(struct call){__VA_ARGS__})

/* JSON */

Test(pipeline_reply, what_was_made_is_201_and_what_was_there_is_200)
{
    plan.create = true;
    const struct call_answer *answer = SEND(.target = "/api/test/created");
    cr_assert_eq(answer->status, 201);
    cr_assert(json_is_true(call_json(answer, "created")));
    plan.create = false;
    answer = SEND(.target = "/api/test/created");
    cr_assert_eq(answer->status, 200);
    cr_assert(json_is_false(call_json(answer, "created")));
}

Test(pipeline_reply, a_route_that_makes_nothing_is_always_200)
{
    plan.create = true;
    cr_assert_eq(SEND(.target = "/api/test/json")->status, 200);
}

Test(pipeline_reply, a_route_without_output_answers_success_alone)
{
    const struct call_answer *answer = SEND(.target = "/api/test/bare");
    cr_assert_eq(answer->status, 200);
    cr_assert(json_is_true(call_json(answer, "success")));
    cr_assert_eq(json_object_size(answer->json), 2);
    cr_assert_not_null(call_text(answer, "traceId"));
}

Test(pipeline_reply, an_error_hides_the_output)
{
    plan.error = SB_E_GONE;
    const struct call_answer *answer = SEND(.target = "/api/test/json");
    cr_assert_eq(answer->status, 410);
    cr_assert_null(call_json(answer, "name"));
    cr_assert_null(call_json(answer, "created"));
}

Test(pipeline_reply, report_errors_puts_the_output_into_the_error)
{
    plan.error = SB_E_UNAVAILABLE;
    const struct call_answer *answer = SEND(.target = "/api/test/report");
    cr_assert_eq(answer->status, 503);
    cr_assert_not_null(answer->json, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "error.code"), "unavailable");
    cr_assert_str_eq(call_text(answer, "name"), "x");
    cr_assert(json_is_false(call_json(answer, "created")));
    cr_assert_eq(call_number(answer, "status"), 503);
}

Test(pipeline_reply, report_errors_changes_no_success)
{
    const struct call_answer *answer = SEND(.target = "/api/test/report");
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(call_text(answer, "name"), "x");
}

Test(pipeline_reply, a_code_outside_the_table_is_internal)
{
    plan.error = (enum sb_error)999;
    const struct call_answer *answer = SEND(.target = "/api/test/json");
    cr_assert_eq(answer->status, 500);
    cr_assert_str_eq(call_text(answer, "error.code"), "internal");
}

/* Out of memory */

static void expect_last_resort(const struct call_answer *answer)
{
    cr_assert_eq(answer->status, 503);
    cr_assert_not_null(answer->json, "%s", answer->body);
    cr_assert(json_is_false(call_json(answer, "success")));
    cr_assert_str_eq(call_text(answer, "error.code"), "unavailable");
    cr_assert_eq(call_number(answer, "status"), 503);
    cr_assert_eq(strspn(call_text(answer, "traceId"), "0123456789abcdef"), 32);
    cr_assert_str_eq(call_header(answer, "X-Trace-Id"), call_text(answer, "traceId"));
    cr_assert_str_eq(call_header(answer, "Content-Type"), "application/json");
    cr_assert_str_eq(call_header(answer, "X-Content-Type-Options"), "nosniff");
    cr_assert_str_eq(call_header(answer, "Cache-Control"), "no-store");
    cr_assert_not_null(call_header(answer, "Content-Security-Policy"));
    cr_assert_eq(strtoul(call_header(answer, "Content-Length"), NULL, 10), answer->body_length);
}

Test(pipeline_reply, a_handler_that_eats_all_memory_gets_the_last_resort)
{
    expect_last_resort(SEND(.target = "/api/test/hog"));
    plan.error = SB_E_CONFLICT;
    expect_last_resort(SEND(.target = "/api/test/hog"));
    cr_assert_eq(plan.calls, 2);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"status\":503"));
}

Test(pipeline_reply, the_last_resort_can_be_read_across_origins)
{
    const struct call_answer *answer =
        SEND(.target = "/api/test/hog",
             .params = CALL_PARAMS("HTTP_ORIGIN=https://www.example.com"));
    expect_last_resort(answer);
    cr_assert_str_eq(call_header(answer, "Access-Control-Allow-Origin"), "https://www.example.com");
}

Test(pipeline_reply, the_last_resort_has_no_body_for_head)
{
    const struct call_answer *answer = SEND(.target = "/api/test/hog", .method = "HEAD");
    cr_assert_eq(answer->status, 503);
    cr_assert_eq(answer->body_length, 0);
}

Test(pipeline_reply, a_body_over_its_cap_is_the_last_resort_and_not_half_an_answer)
{
    plan.text_length = SB_RESPONSE_BODY_MAX - 200;
    const struct call_answer *answer = SEND(.target = "/api/test/json");
    cr_assert_eq(answer->status, 200);
    cr_assert_not_null(answer->json);
    plan.text_length = SB_RESPONSE_BODY_MAX;
    expect_last_resort(SEND(.target = "/api/test/json"));
}

Test(pipeline_reply, a_report_that_does_not_fit_is_left_out_of_the_error)
{
    const struct call_answer *answer = SEND(.target = "/api/test/hog-most");
    cr_assert_eq(answer->status, 503);
    cr_assert_not_null(answer->json, "half a report makes no JSON");
    cr_assert_str_eq(call_text(answer, "error.code"), "unavailable");
}

Test(pipeline_reply, the_request_after_one_that_ate_all_memory_is_served)
{
    SEND(.target = "/api/test/hog");
    cr_assert_eq(SEND(.target = "/api/test/json")->status, 200);
}

Test(pipeline_reply, nothing_of_one_request_is_visible_to_the_next)
{
    const struct call_answer *fresh = SEND(.target = "/api/test/json");
    plan.error = SB_E_CONFLICT;
    plan.create = true;
    plan.text_length = 5000;
    SEND(.target = "/api/test/created?secret=1", .token = "secret",
         .params = CALL_PARAMS("HTTP_ORIGIN=https://www.example.com", "HTTP_USER_AGENT=secret",
                               "HTTP_ACCEPT=application/problem+json"));
    SEND(.target = "/api/test/stream");
    plan.error = SB_OK;
    plan.create = false;
    plan.text_length = 0;
    const struct call_answer *after = SEND(.target = "/api/test/json");
    cr_assert_eq(after->status, 200);
    cr_assert_null(call_header(after, "Access-Control-Allow-Origin"));
    cr_assert_str_eq(call_header(after, "Content-Type"), "application/json");
    cr_assert_str_neq(call_text(after, "traceId"), call_text(fresh, "traceId"));
    cr_assert_eq(after->body_length, fresh->body_length);
    cr_assert(json_is_null(call_json(after, "leftOver")));
    cr_assert_null(call_json(after, "text"));
}

Test(pipeline_reply, a_refusal_reached_without_memory_is_no_fault_of_the_clients)
{
    plan.error = SB_E_FORBIDDEN;
    const struct call_answer *answer = SEND(.target = "/api/test/no-memory");
    cr_assert_eq(answer->status, 503);
    cr_assert_str_eq(call_text(answer, "error.code"), "unavailable");
    cr_assert_str_neq(call_text(answer, "error.message"), "you may not");
}

Test(pipeline_reply, a_refusal_of_the_request_after_one_without_memory_stands)
{
    SEND(.target = "/api/test/no-memory");
    plan.error = SB_E_FORBIDDEN;
    const struct call_answer *answer = SEND(.target = "/api/test/bare");
    cr_assert_eq(answer->status, 403);
}

Test(pipeline_reply, what_succeeds_though_memory_ran_out_is_a_success)
{
    cr_assert_eq(SEND(.target = "/api/test/no-memory")->status, 200);
}

/* Streams */

Test(pipeline_reply, a_stream_whose_head_has_no_room_is_the_last_resort)
{
    plan.wrote = true;
    expect_last_resort(SEND(.target = "/api/test/stream-without-room"));
    cr_assert_not(plan.wrote);
    cr_assert_eq(SEND(.target = "/api/test/stream")->status, 200);
}

Test(pipeline_reply, a_stream_sends_its_head_and_then_each_piece)
{
    const struct call_answer *answer = SEND(.target = "/api/test/stream");
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(answer->body, "one two");
    cr_assert_str_eq(call_header(answer, "Content-Type"), "text/event-stream");
    cr_assert_str_eq(call_header(answer, "X-Accel-Buffering"), "no");
    cr_assert_str_eq(call_header(answer, "X-Content-Type-Options"), "nosniff");
    cr_assert_not_null(call_header(answer, "X-Trace-Id"));
    cr_assert_null(call_header(answer, "Content-Length"));
    cr_assert(plan.wrote && plan.flushed);
    cr_assert_not(plan.gone);
}

Test(pipeline_reply, a_stream_of_nothing_is_empty_and_of_its_type)
{
    const struct call_answer *answer = SEND(.target = "/api/test/stream-empty");
    cr_assert_eq(answer->status, 200);
    cr_assert_eq(answer->body_length, 0);
    cr_assert_str_eq(call_header(answer, "Content-Type"), "text/event-stream");
    answer = SEND(.target = "/api/test/stream-nothing");
    cr_assert_eq(answer->status, 200);
    cr_assert_eq(answer->body_length, 0, "%s", answer->body);
    cr_assert_str_eq(call_header(answer, "Content-Type"), "text/event-stream");
}

Test(pipeline_reply, an_error_before_the_first_piece_is_an_ordinary_error)
{
    plan.error = SB_E_GONE;
    const struct call_answer *answer = SEND(.target = "/api/test/stream-nothing");
    cr_assert_eq(answer->status, 410);
    cr_assert_str_eq(call_text(answer, "error.code"), "gone");
    cr_assert_str_eq(call_header(answer, "Content-Type"), "application/json");
}

Test(pipeline_reply, an_error_behind_the_first_piece_only_ends_the_stream_and_is_logged)
{
    plan.error = SB_E_UNAVAILABLE;
    const struct call_answer *answer = SEND(.target = "/api/test/stream");
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(answer->body, "one two");
    cr_assert(call_file_has(&site, "log/switchboard.log",
                            "\"route\":\"/stream\",\"status\":503,\"code\":\"unavailable\""));
}

Test(pipeline_reply, events_go_out_framed_whatever_their_length_and_are_a_stream_of_events)
{
    static const char begins[] = ": ping\n\nevent: nnn",
                      ends[] = "\n\nevent: error\ndata: {\"error\":{\"code\":\"conflict\","
                               "\"message\":\"why\"},\"traceId\":\"";
    plan.text_length = 70 * 1024;
    const struct call_answer *answer = SEND(.target = "/api/test/stream-events");
    cr_assert(plan.wrote);
    cr_assert_str_eq(call_header(answer, "Content-Type"), "text/event-stream");
    const char *data = strstr(answer->body, "\ndata: ttt"), *error = strstr(data, "\n\nevent: ");
    cr_assert_eq(strncmp(answer->body, begins, sizeof begins - 1), 0);
    cr_assert_eq(data - answer->body, (ptrdiff_t)sizeof begins - 1 - 3 + SB_SSE_NAME_MAX - 1);
    cr_assert_eq(error - data, 7 + 70 * 1024);
    cr_assert_eq(strncmp(error, ends, sizeof ends - 1), 0, "%s", error);
}

Test(pipeline_reply, an_event_whose_data_did_not_fit_is_not_sent)
{
    plan.text_length = 100 * 1024;
    const struct call_answer *answer = SEND(.target = "/api/test/stream-events");
    cr_assert_not(plan.wrote);
    cr_assert_str_eq(answer->body, ": ping\n\n");
}

Test(pipeline_reply, a_header_behind_the_head_of_a_stream_is_refused)
{
    const struct call_answer *answer = SEND(.target = "/api/test/stream-late-header");
    cr_assert_eq(answer->status, 200);
    cr_assert_str_eq(answer->body, "ab");
    cr_assert_null(call_header(answer, "X-Late"));
}

Test(pipeline_reply, head_of_a_stream_has_its_head_alone)
{
    const struct call_answer *answer = SEND(.target = "/api/test/stream", .method = "HEAD");
    cr_assert_eq(answer->status, 200);
    cr_assert_eq(answer->body_length, 0);
    cr_assert_str_eq(call_header(answer, "Content-Type"), "text/event-stream");
    cr_assert(plan.wrote, "the handler need not know");
}

Test(pipeline_reply, the_handler_of_a_stream_learns_that_the_client_has_gone)
{
    const struct call_answer *answer = SEND(.target = "/api/test/stream-unread", .hang_up = true);
    cr_assert_eq(answer->status, 0);
    cr_assert_eq(plan.calls, 1);
    cr_assert(plan.gone);
    cr_assert_not(plan.wrote);
    cr_assert_not(plan.flushed);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"client\":\"gone\""));
}

Test(pipeline_reply, a_client_that_has_gone_before_the_answer_is_logged_so)
{
    const struct call_answer *answer = SEND(.target = "/api/test/stream-unread");
    cr_assert_eq(answer->status, 200);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"client\":\"ok\""));
    cr_assert_eq(SEND(.target = "/api/test/nothing", .hang_up = true)->status, 0);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"client\":\"gone\""));
}

Test(pipeline_reply, work_that_ends_because_its_client_has_gone_is_no_failure_of_the_service)
{
    static const char gone[] = "\"status\":499,\"code\":\"unavailable\"";
    plan.error = SB_E_UNAVAILABLE;
    cr_assert_eq(SEND(.target = "/api/test/stream-unread")->status, 200);
    cr_assert_not(call_file_has(&site, "log/switchboard.log", gone), "its client was there");
    SEND(.target = "/api/test/stream-unread", .hang_up = true);
    cr_assert(call_file_has(&site, "log/switchboard.log", gone));
    cr_assert_eq(
        sb_metrics_value(SB_METRIC_REQUESTS,
                         SB_LABELS({"endpoint", "test"}, {"method", "GET"}, {"status", "499"})),
        1);
}

Test(pipeline_reply, what_has_failed_by_itself_says_so_though_nobody_hears_it)
{
    plan.error = SB_E_UPSTREAM_ERROR;
    SEND(.target = "/api/test/stream-unread", .hang_up = true);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"status\":502"));
}
