#include "http/error_response.h"

#include <criterion/criterion.h>
#include <string.h>

static const char TRACE[] = "0af7651916cd43dd8448eb211c80319c";

static struct sb_arena *arena;
static struct sb_response response;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    sb_response_init(&response, arena);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(error_response, .init = setup, .fini = teardown);

static const char *write_error(struct sb_error_response error)
{
    error.trace_id = TRACE;
    sb_error_response_write(&response, &error);
    cr_assert(sb_buf_ok(&response.body));
    return response.body.data;
}

Test(error_response, has_exactly_this_shape)
{
    cr_assert_str_eq(write_error((struct sb_error_response){.error = SB_E_NOT_FOUND}),
                     "{\"success\":false,"
                     "\"error\":{\"code\":\"not_found\",\"message\":\"There is nothing here.\"},"
                     "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\","
                     "\"type\":\"urn:switchboard:error:not_found\",\"title\":\"Not found\","
                     "\"status\":404,\"detail\":\"There is nothing here.\"}");
    cr_assert_eq(response.status, 404);
    cr_assert_str_eq(response.head.data, "Content-Type: application/json\r\n");
}

Test(error_response, every_error_is_json_that_agrees_with_its_status)
{
    for (int error = SB_OK + 1; error < SB_E__MAX; error++) {
        const struct sb_error_info *info = sb_error_info((enum sb_error)error);
        sb_response_init(&response, arena);
        const char *body = write_error((struct sb_error_response){.error = (enum sb_error)error});
        json_t *json = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
        const char *code, *message, *trace, *type, *title, *detail;
        int success, status;
        cr_assert_eq(json_unpack(json, "{s:b,s:{s:s,s:s!},s:s,s:s,s:s,s:i,s:s!}", "success",
                                 &success, "error", "code", &code, "message", &message, "traceId",
                                 &trace, "type", &type, "title", &title, "status", &status,
                                 "detail", &detail),
                     0, "%s", body);
        cr_expect_eq(status, info->status);
        cr_expect_eq(response.status, info->status);
        cr_expect_str_eq(code, info->code);
        cr_expect_str_eq(title, info->title);
        cr_expect_str_eq(message, detail);
        json_decref(json);
    }
}

Test(error_response, a_message_of_its_own_is_message_and_detail)
{
    const char *body = write_error(
        (struct sb_error_response){.error = SB_E_GONE, .message = "Say \"hello\"\n to /new."});
    cr_assert_not_null(strstr(body, "\"message\":\"Say \\\"hello\\\"\\n to /new.\"}"));
    cr_assert_not_null(strstr(body, "\"detail\":\"Say \\\"hello\\\"\\n to /new.\"}"));
    cr_assert_not_null(strstr(body, "\"title\":\"Gone\""));
}

Test(error_response, lists_the_fields_it_is_given)
{
    const struct sb_field_errors fields = {
        .items = {{"kind", "required", "is required"}, {"a\"b", "unknown", "is not a field"}},
        .count = 2};
    const char *body =
        write_error((struct sb_error_response){.error = SB_E_VALIDATION_FAILED, .fields = &fields});
    cr_assert_not_null(strstr(
        body,
        "\"error\":{\"code\":\"validation_failed\",\"message\":\"One or more fields are invalid.\","
        "\"fields\":["
        "{\"field\":\"kind\",\"code\":\"required\",\"message\":\"is required\"},"
        "{\"field\":\"a\\\"b\",\"code\":\"unknown\",\"message\":\"is not a field\"}]},"));
}

Test(error_response, an_empty_list_of_fields_is_left_out)
{
    const struct sb_field_errors none = {.count = 0};
    const char *body =
        write_error((struct sb_error_response){.error = SB_E_VALIDATION_FAILED, .fields = &none});
    cr_assert_null(strstr(body, "\"fields\""));
}

Test(error_response, puts_in_more_members)
{
    const char *body = write_error((struct sb_error_response){
        .error = SB_E_UNAVAILABLE, .members = "\"checks\":{\"disk\":\"fail\"},\"n\":1"});
    cr_assert_not_null(strstr(body, "},\"checks\":{\"disk\":\"fail\"},\"n\":1,\"traceId\":"));
}

Test(error_response, is_problem_json_only_for_those_who_accept_it)
{
    static const struct {
        const char *accept, *type;
    } rows[] = {
        {NULL, "application/json"},
        {"", "application/json"},
        {"*/*", "application/json"},
        {"application/json", "application/json"},
        {"application/*", "application/json"},
        {"text/event-stream", "application/json"},
        {"application/problem+json", "application/problem+json"},
        {"application/json;q=0.5, application/problem+json", "application/problem+json"},
        {"application/problem+json;q=0, application/json", "application/json"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        sb_response_init(&response, arena);
        write_error((struct sb_error_response){.error = SB_E_CONFLICT, .accept = rows[i].accept});
        char expected[64];
        snprintf(expected, sizeof expected, "Content-Type: %s\r\n", rows[i].type);
        cr_expect_str_eq(response.head.data, expected, "%s", rows[i].accept);
    }
}

Test(error_response, takes_the_place_of_a_body_begun_or_failed)
{
    sb_buf_add_text(&response.body, "{\"success\":true,\"half\":");
    response.body.failed = true;
    response.status = 201;
    const char *body = write_error((struct sb_error_response){.error = SB_E_INTERNAL});
    cr_assert_eq(strncmp(body, "{\"success\":false,", 17), 0);
    cr_assert_eq(response.status, 500);
}
