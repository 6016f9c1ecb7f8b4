#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"

enum { STREAM_MAX = 100, JSON_MAX = 40 };

struct input {
    const char *id, *name;
    int64_t size;
    bool flag;
};

static const struct sb_field body_fields[] = {SB_STRING(struct input, name, "name", 0, 60, 0),
                                              SB_INT(struct input, size, "size", 0, 9, 0),
                                              SB_FIELDS_END};
static const struct sb_field path_fields[] = {SB_ID(struct input, id, "id", SB_REQUIRED),
                                              SB_STRING(struct input, name, "name", 0, 20, 0),
                                              SB_FIELDS_END};
static const struct sb_field query_fields[] = {
    SB_ID(struct input, id, "id", 0), SB_STRING(struct input, name, "name", 0, 20, 0),
    SB_INT(struct input, size, "size", 1, 100, 0), SB_BOOL(struct input, flag, "flag", 0),
    SB_FIELDS_END};

/* What the handler got. */
static struct {
    int calls;
    struct input input;
    char id[80], name[80];
    char body[1024];
    size_t length, reads;
    enum sb_error error;
} seen;

static void keep(const struct input *input)
{
    seen.calls++;
    seen.input = *input;
    snprintf(seen.id, sizeof seen.id, "%s", input->id == NULL ? "-" : input->id);
    snprintf(seen.name, sizeof seen.name, "%s", input->name == NULL ? "-" : input->name);
}

static enum sb_error take(struct sb_request *request, const void *in, void *out)
{
    (void)request, (void)out;
    keep(in);
    return SB_OK;
}

static enum sb_error nothing(struct sb_request *request, const void *in, void *out)
{
    (void)request, (void)out;
    cr_assert_null(in);
    seen.calls++;
    return SB_OK;
}

/* Reads the body in pieces of 16 bytes at most. */
static enum sb_error stream(struct sb_request *request, const void *in, void *out)
{
    (void)out;
    keep(in);
    size_t got = 0;
    do {
        char piece[16];
        seen.error = sb_request_read(request, piece, sizeof piece, &got);
        if (seen.error != SB_OK)
            return seen.error;
        cr_assert_leq(got, sizeof piece);
        cr_assert_leq(seen.length + got, sizeof seen.body);
        memcpy(seen.body + seen.length, piece, got);
        seen.length += got;
        seen.reads++;
    } while (got > 0);
    return SB_OK;
}

static enum sb_error ignore_stream(struct sb_request *request, const void *in, void *out)
{
    (void)request, (void)in, (void)out;
    seen.calls++;
    return SB_OK;
}

#define PUBLIC .access = SB_ACCESS_PUBLIC

static const struct sb_route routes[] = {
    {.methods = SB_POST,
     .path = "/json",
     PUBLIC,
     .handler = take,
     .body = SB_BODY_JSON,
     .body_max = JSON_MAX,
     SB_INPUT(struct input, body_fields)},
    {.methods = SB_POST,
     .path = "/large",
     PUBLIC,
     .handler = take,
     .body = SB_BODY_JSON,
     SB_INPUT(struct input, body_fields)},
    {.methods = SB_GET | SB_POST, .path = "/none", PUBLIC, .handler = nothing},
    {.methods = SB_GET,
     .path = "/query",
     PUBLIC,
     .handler = take,
     SB_INPUT(struct input, query_fields)},
    {.methods = SB_GET,
     .path = "/query/{id}",
     PUBLIC,
     .handler = take,
     SB_INPUT(struct input, query_fields)},
    {.methods = SB_POST,
     .path = "/path/{id}",
     PUBLIC,
     .handler = take,
     .body = SB_BODY_JSON,
     SB_INPUT(struct input, path_fields)},
    {.methods = SB_POST,
     .path = "/stream",
     PUBLIC,
     .handler = stream,
     .body = SB_BODY_STREAM,
     .body_max = STREAM_MAX,
     SB_INPUT(struct input, query_fields)},
    {.methods = SB_POST,
     .path = "/ignore",
     PUBLIC,
     .handler = ignore_stream,
     .body = SB_BODY_STREAM,
     .body_max = STREAM_MAX},
    {.handler = NULL}};

static const struct sb_endpoint endpoint = {.name = "test", .routes = routes};

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &endpoint);
    memset(&seen, 0, sizeof seen);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(pipeline_body, .init = setup, .fini = teardown);

#define SEND(...) call_send(&site, &(struct call){__VA_ARGS__})

static void expect(const struct call_answer *answer, int status, const char *code)
{
    cr_assert_eq(answer->status, status, "%d %s", answer->status, answer->body);
    const char *given = code == NULL ? NULL : call_text(answer, "error.code");
    cr_assert(code == NULL || (given != NULL && strcmp(given, code) == 0), "%s", answer->body);
}

/* JSON bodies */

Test(pipeline_body, json_arrives_whole_however_it_is_cut)
{
    for (size_t read_max = 0; read_max < 26; read_max++) {
        memset(&seen, 0, sizeof seen);
        expect(SEND(.target = "/api/test/json", .body = "{\"name\":\"abc\",\"size\":7}",
                    .read_max = read_max),
               200, NULL);
        cr_assert_str_eq(seen.name, "abc");
        cr_assert_eq(seen.input.size, 7);
    }
}

Test(pipeline_body, no_body_is_an_empty_object_and_needs_no_type)
{
    static const char *const lengths[] = {"CONTENT_LENGTH=", "CONTENT_LENGTH=0"};
    for (size_t i = 0; i < SB_COUNT(lengths); i++)
        expect(
            SEND(.target = "/api/test/json", .method = "POST", .params = CALL_PARAMS(lengths[i])),
            200, NULL);
    expect(SEND(.target = "/api/test/json", .method = "POST"), 200, NULL);
    expect(SEND(.target = "/api/test/json", .method = "POST",
                .params = CALL_PARAMS("CONTENT_TYPE=text/plain")),
           200, NULL);
    cr_assert_eq(seen.calls, 4);
    cr_assert_str_eq(seen.name, "-");
}

Test(pipeline_body, bytes_that_were_not_announced_are_refused)
{
    expect(SEND(.target = "/api/test/json", .body = "{}", .params = CALL_PARAMS("CONTENT_LENGTH=")),
           400, "invalid_request");
    expect(
        SEND(.target = "/api/test/json", .body = "{}", .params = CALL_PARAMS("CONTENT_LENGTH=0")),
        400, "invalid_request");
    expect(
        SEND(.target = "/api/test/json", .body = "{}  ", .params = CALL_PARAMS("CONTENT_LENGTH=2")),
        400, "invalid_request");
    expect(SEND(.target = "/api/test/json", .body = "{} ", .read_max = 2,
                .params = CALL_PARAMS("CONTENT_LENGTH=2")),
           400, "invalid_request");
    cr_assert_eq(seen.calls, 0);
}

Test(pipeline_body, a_body_that_breaks_off_is_refused)
{
    expect(
        SEND(.target = "/api/test/json", .body = "{}", .params = CALL_PARAMS("CONTENT_LENGTH=3")),
        400, "invalid_request");
    expect(SEND(.target = "/api/test/json", .method = "POST",
                .params = CALL_PARAMS("CONTENT_LENGTH=3", "CONTENT_TYPE=application/json")),
           400, "invalid_request");
    cr_assert_eq(seen.calls, 0);
}

Test(pipeline_body, a_length_that_is_not_plain_digits_is_refused_unread)
{
    static const char *const rows[] = {"CONTENT_LENGTH=-2", "CONTENT_LENGTH=+2",
                                       "CONTENT_LENGTH=2,2", "CONTENT_LENGTH=0x2",
                                       "CONTENT_LENGTH=18446744073709551618"};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const struct call_answer *answer =
            SEND(.target = "/api/test/json", .body = "{}", .params = CALL_PARAMS(rows[i]));
        expect(answer, 400, "invalid_request");
        cr_assert_eq(answer->body_read, 0);
    }
}

Test(pipeline_body, json_over_the_routes_cap_is_413_unread)
{
    static const char fits[] = "{\"name\":\"0123456789012345678901234567\"}";
    static const char over[] = "{\"name\":\"01234567890123456789012345678\"} ";
    cr_assert_eq(strlen(fits), JSON_MAX - 1);
    cr_assert_eq(strlen(over), JSON_MAX + 1);
    expect(SEND(.target = "/api/test/json", .body = fits), 200, NULL);
    expect(SEND(.target = "/api/test/json", .body = over, .body_length = JSON_MAX), 200, NULL);
    const struct call_answer *answer = SEND(.target = "/api/test/json", .body = over);
    expect(answer, 413, "body_too_large");
    cr_assert_eq(answer->body_read, 0);
    cr_assert_eq(seen.calls, 2);
}

Test(pipeline_body, json_is_64_kib_where_the_route_names_no_cap)
{
    char *body = malloc(SB_JSON_BODY_MAX + 1);
    memset(body, ' ', SB_JSON_BODY_MAX + 1);
    memcpy(body, "{}", 2);
    expect(SEND(.target = "/api/test/large", .body = body, .body_length = SB_JSON_BODY_MAX), 200,
           NULL);
    expect(SEND(.target = "/api/test/large", .body = body, .body_length = SB_JSON_BODY_MAX + 1),
           413, "body_too_large");
    free(body);
}

Test(pipeline_body, an_announcement_of_terabytes_costs_nothing)
{
    const struct call_answer *answer =
        SEND(.target = "/api/test/large", .body = "{}",
             .params = CALL_PARAMS("CONTENT_LENGTH=999999999999999"));
    expect(answer, 413, "body_too_large");
}

Test(pipeline_body, other_media_types_are_415_unread)
{
    static const char *const bad[] = {"CONTENT_TYPE=", "CONTENT_TYPE=text/plain",
                                      "CONTENT_TYPE=application/x-www-form-urlencoded",
                                      "CONTENT_TYPE=application/jsonp",
                                      "CONTENT_TYPE=multipart/form-data; boundary=x"};
    static const char *const good[] = {"CONTENT_TYPE=application/json; charset=utf-8",
                                       "CONTENT_TYPE=Application/JSON"};
    for (size_t i = 0; i < SB_COUNT(bad); i++) {
        const struct call_answer *answer =
            SEND(.target = "/api/test/json", .body = "{}", .params = CALL_PARAMS(bad[i]));
        expect(answer, 415, "unsupported_media_type");
        cr_assert_eq(answer->body_read, 0);
    }
    for (size_t i = 0; i < SB_COUNT(good); i++)
        expect(SEND(.target = "/api/test/json", .body = "{}", .params = CALL_PARAMS(good[i])), 200,
               NULL);
}

Test(pipeline_body, nul_bytes_in_json_are_refused_and_not_the_end)
{
    static const char body[] = "{}\0{}";
    expect(SEND(.target = "/api/test/json", .body = body, .body_length = sizeof body - 1), 400,
           "invalid_json");
}

/* No body */

Test(pipeline_body, a_route_without_a_body_refuses_one)
{
    expect(SEND(.target = "/api/test/none"), 200, NULL);
    expect(SEND(.target = "/api/test/none", .params = CALL_PARAMS("CONTENT_LENGTH=0")), 200, NULL);
    expect(SEND(.target = "/api/test/none", .params = CALL_PARAMS("CONTENT_LENGTH=")), 200, NULL);
    cr_assert_eq(seen.calls, 3);
    expect(SEND(.target = "/api/test/none", .body = "x"), 400, "invalid_request");
    expect(SEND(.target = "/api/test/none", .body = "x", .params = CALL_PARAMS("CONTENT_LENGTH=")),
           400, "invalid_request");
    expect(SEND(.target = "/api/test/none", .body = "x", .params = CALL_PARAMS("CONTENT_LENGTH=0")),
           400, "invalid_request");
    cr_assert_eq(seen.calls, 3);
}

/* Path and query */

Test(pipeline_body, a_query_gives_texts_numbers_and_flags)
{
    expect(SEND(.target = "/api/test/query?name=a+b%21&size=42&flag=true&id=x-1"), 200, NULL);
    cr_assert_str_eq(seen.name, "a b!");
    cr_assert_str_eq(seen.id, "x-1");
    cr_assert_eq(seen.input.size, 42);
    cr_assert(seen.input.flag);
}

Test(pipeline_body, bad_queries_are_refused)
{
    expect(SEND(.target = "/api/test/query?size=0"), 400, "validation_failed");
    expect(SEND(.target = "/api/test/query?size=x"), 400, "validation_failed");
    expect(SEND(.target = "/api/test/query?nothing=1"), 400, "validation_failed");
    expect(SEND(.target = "/api/test/query?name=a&name=b"), 400, "invalid_request");
    expect(SEND(.target = "/api/test/query?name=%"), 400, "invalid_request");
    expect(SEND(.target = "/api/test/query?name=%FF"), 400, "invalid_request");
    cr_assert_eq(seen.calls, 0);
}

Test(pipeline_body, the_path_gives_its_fields_beside_query_and_body)
{
    expect(SEND(.target = "/api/test/query/q_7?name=n"), 200, NULL);
    cr_assert_str_eq(seen.id, "q_7");
    cr_assert_str_eq(seen.name, "n");
    expect(SEND(.target = "/api/test/path/p-8", .body = "{\"name\":\"m\"}"), 200, NULL);
    cr_assert_str_eq(seen.id, "p-8");
    cr_assert_str_eq(seen.name, "m");
    expect(SEND(.target = "/api/test/path/p-9", .method = "POST"), 200, NULL);
    cr_assert_str_eq(seen.id, "p-9");
}

Test(pipeline_body, neither_query_nor_body_can_overrule_the_path)
{
    expect(SEND(.target = "/api/test/query/q_7?id=other"), 400, "invalid_request");
    expect(SEND(.target = "/api/test/path/p-8", .body = "{\"id\":\"other\"}"), 400,
           "invalid_request");
    cr_assert_eq(seen.calls, 0);
}

/* Streamed bodies */

static const char hundred[] = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuv"
                              "wxyz0123456789abcdefghijklmnopqr!!";

Test(pipeline_body, a_stream_arrives_whole_however_it_is_cut)
{
    static const size_t read_max[] = {0, 1, 7, 16, 99, 1000};
    for (size_t i = 0; i < SB_COUNT(read_max); i++) {
        memset(&seen, 0, sizeof seen);
        expect(SEND(.target = "/api/test/stream?name=n", .body = hundred, .body_length = STREAM_MAX,
                    .read_max = read_max[i], .params = CALL_PARAMS("CONTENT_TYPE=audio/ogg")),
               200, NULL);
        cr_assert_eq(seen.length, STREAM_MAX);
        cr_assert_eq(memcmp(seen.body, hundred, STREAM_MAX), 0);
        cr_assert_geq(seen.reads, 8, "no read gives more than was asked for");
        cr_assert_str_eq(seen.name, "n", "its other fields come from the query");
    }
}

Test(pipeline_body, nothing_of_a_stream_is_read_before_its_handler_does)
{
    const struct call_answer *answer =
        SEND(.target = "/api/test/ignore", .body = hundred, .body_length = 50);
    expect(answer, 200, NULL);
    cr_assert_eq(seen.calls, 1);
    cr_assert_eq(answer->body_read, 0);
    answer = SEND(.target = "/api/test/stream?size=0", .body = hundred, .body_length = 50);
    expect(answer, 400, "validation_failed");
    cr_assert_eq(answer->body_read, 0);
}

Test(pipeline_body, an_empty_stream_ends_at_once)
{
    expect(SEND(.target = "/api/test/stream", .method = "POST"), 200, NULL);
    cr_assert_eq(seen.calls, 1);
    cr_assert_eq(seen.length, 0);
}

Test(pipeline_body, a_stream_over_its_cap_is_413_unread)
{
    const struct call_answer *answer = SEND(.target = "/api/test/stream", .body = hundred,
                                            .params = CALL_PARAMS("CONTENT_LENGTH=101"));
    expect(answer, 413, "body_too_large");
    cr_assert_eq(answer->body_read, 0);
    cr_assert_eq(seen.calls, 0);
}

Test(pipeline_body, a_stream_that_breaks_off_is_an_error_of_the_read)
{
    expect(SEND(.target = "/api/test/stream", .body = hundred, .body_length = 40,
                .params = CALL_PARAMS("CONTENT_LENGTH=41")),
           400, "invalid_request");
    cr_assert_eq(seen.error, SB_E_INVALID_REQUEST);
    cr_assert_eq(seen.length, 40, "what came before was given");
}

Test(pipeline_body, a_stream_longer_than_announced_is_an_error_of_the_read)
{
    expect(SEND(.target = "/api/test/stream", .body = hundred, .body_length = 40,
                .params = CALL_PARAMS("CONTENT_LENGTH=39")),
           400, "invalid_request");
    cr_assert_eq(seen.error, SB_E_INVALID_REQUEST);
    cr_assert_leq(seen.length, 39);
    expect(SEND(.target = "/api/test/stream", .body = hundred, .body_length = 40,
                .params = CALL_PARAMS("CONTENT_LENGTH=")),
           400, "invalid_request");
}

Test(pipeline_body, a_client_that_hangs_up_gets_nothing_and_reaches_no_handler)
{
    const struct call_answer *answer =
        SEND(.target = "/api/test/json", .body = "{}", .hang_up = true);
    cr_assert_eq(answer->status, 0);
    cr_assert_eq(seen.calls, 0);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"client\":\"gone\""));
}
