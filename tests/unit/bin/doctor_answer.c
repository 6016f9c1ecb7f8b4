#include <criterion/criterion.h>
#include <string.h>

#include "../../../bin/doctor.h"

static struct sb_arena *arena;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(doctor_answer, .init = setup, .fini = teardown);

/* head: name NUL value NUL, as sb_fetch_header() reads it; a literal. */
#define HEAD(literal_) (literal_), sizeof(literal_) - 1

static struct doctor_answer answer(int status, const char *head, size_t head_length,
                                   const char *body)
{
    return (struct doctor_answer){
        .result = {.status = status, .headers = head, .headers_length = head_length},
        .body = body,
        .body_length = strlen(body)};
}

static bool ours(const char *head, size_t head_length, const char *body)
{
    struct doctor_answer made = answer(200, head, head_length, body);
    return doctor_is_ours(&made);
}

Test(doctor_answer, an_endpoints_answer_names_its_trace_id_in_header_and_body)
{
    cr_expect(ours(HEAD("x-trace-id\0abc\0"), "{\"success\":true,\"traceId\":\"abc\"}"));
    cr_expect(
        ours(HEAD("X-Trace-Id\0abc\0"), "{\"success\":false,\"error\":{},\"traceId\":\"abc\"}"));
}

Test(doctor_answer, a_page_of_the_server_is_not_an_endpoints_even_with_its_headers)
{
    cr_expect_not(ours(HEAD("X-Trace-Id\0abc\0"), "<html>404</html>"));
    cr_expect_not(ours(HEAD("X-Trace-Id\0abc\0"), ""));
    cr_expect_not(ours(HEAD("X-Trace-Id\0abc\0"), "{\"traceId\":\"abd\"}"));
    cr_expect_not(ours(HEAD("X-Trace-Id\0abc\0"), "{\"traceId\":\"ab\"}"));
    cr_expect_not(ours(HEAD("X-Trace-Id\0abc\0"), "{\"traceId\":7}"));
    cr_expect_not(ours(HEAD("Server\0x\0"), "{\"traceId\":\"abc\"}"));
}

Test(doctor_answer, a_text_is_found_by_its_path)
{
    struct doctor_answer made = answer(404, HEAD(""), "{\"error\":{\"code\":\"gone\",\"n\":1}}");
    cr_expect_str_eq(doctor_json_text(arena, &made, "error.code"), "gone");
    cr_expect_null(doctor_json_text(arena, &made, "error.n"));
    cr_expect_null(doctor_json_text(arena, &made, "error"));
    cr_expect_null(doctor_json_text(arena, &made, "none.code"));
}

Test(doctor_answer, a_message_says_status_and_type)
{
    struct doctor_answer page = answer(413, HEAD("Content-Type\0text/html\0"), "<p>");
    struct doctor_answer empty = answer(204, HEAD("Content-Type\0text/html\0"), "");
    struct doctor_answer none = {.result.outcome = SB_FETCH_UNREACHABLE, .body = ""};
    struct doctor_answer other = {.result.outcome = SB_FETCH_CANCELLED, .body = ""};
    cr_expect_str_eq(doctor_answer_text(arena, &page), "413 text/html");
    cr_expect_str_eq(doctor_answer_text(arena, &empty), "204 without a body");
    cr_expect_str_eq(doctor_answer_text(arena, &none), "no connection, or no TLS on it");
    cr_expect_str_eq(doctor_answer_text(arena, &other), "cancelled");
}

Test(doctor_answer, times_of_both_spellings_are_read)
{
    cr_expect_eq(doctor_time_ms("1970-01-01T00:00:01.234Z"), 1234);
    cr_expect_eq(doctor_time_ms("1970-01-02T00:00:00Z"), 86400000);
    cr_expect_eq(doctor_time_ms("Thu, 01 Jan 1970 00:01:00 GMT"), 60000);
    cr_expect_eq(doctor_time_ms("Sat, 21 Nov 2026 02:12:32 GMT"), 1795227152000);
}

Test(doctor_answer, what_is_no_time_is_refused)
{
    cr_expect_eq(doctor_time_ms(""), -1);
    cr_expect_eq(doctor_time_ms("yesterday"), -1);
    cr_expect_eq(doctor_time_ms("1970-01-01T00:00:01.2Z"), -1);
    cr_expect_eq(doctor_time_ms("1970-01-01T00:00:01.234"), -1);
    cr_expect_eq(doctor_time_ms("1970-01-01T00:00:01.234Zz"), -1);
    cr_expect_eq(doctor_time_ms("Thu, 01 Jan 1970 00:01:00 GMTs"), -1);
    cr_expect_eq(doctor_time_ms("Thu, 01 Jan 1970 00:01:00"), -1);
}

Test(doctor_answer, a_header_is_counted_and_the_first_given)
{
    const char *value = "before";
    struct doctor_answer made = answer(200, HEAD("A\0001\0B\0x\0a\0002\0"), "");
    cr_expect_eq(doctor_header(&made, "C", &value), 0);
    cr_expect_str_eq(value, "before");
    cr_expect_eq(doctor_header(&made, "a", &value), 2);
    cr_expect_str_eq(value, "1");
    cr_expect_eq(doctor_header(&made, "B", NULL), 1);
}
