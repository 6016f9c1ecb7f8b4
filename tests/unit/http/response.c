#include "http/response.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sb_arena *arena;
static struct sb_response response;
static struct sb_buf out;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    sb_response_init(&response, arena);
    sb_buf_init(&out, arena, 64 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(response, .init = setup, .fini = teardown);

Test(response, begins_as_an_empty_200)
{
    cr_assert_eq(response.status, 200);
    sb_response_write_head(&response, &out);
    cr_assert(sb_buf_ok(&out));
    cr_assert_str_eq(out.data, "Status: 200 OK\r\n\r\n");
    cr_assert_eq(response.body.length, 0);
}

Test(response, writes_the_fields_in_order_behind_the_status)
{
    response.status = 404;
    sb_response_header(&response, "Content-Type", "application/json");
    sb_response_header_format(&response, "X-Count", "%d of %s", 3, "four");
    sb_response_header(&response, "X-Empty", "");
    sb_response_write_head(&response, &out);
    cr_assert(sb_buf_ok(&out));
    cr_assert_str_eq(out.data, "Status: 404 Not Found\r\nContent-Type: application/json\r\n"
                               "X-Count: 3 of four\r\nX-Empty: \r\n\r\n");
}

Test(response, refuses_values_with_control_characters)
{
    static const char *const rows[] = {
        "a\r\nSet-Cookie: b", "a\nb", "a\rb", "\n", "a\tb", "a\x01", "\x1F", "a\x7F"};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        sb_response_init(&response, arena);
        sb_buf_init(&out, arena, 1024);
        sb_response_header(&response, "X-Before", "fine");
        sb_response_header(&response, "X-Bad", rows[i]);
        sb_response_header(&response, "X-After", "fine");
        cr_expect_not(sb_buf_ok(&response.head), "row %zu", i);
        cr_expect_null(strstr(response.head.data, "X-Bad"), "row %zu", i);
        sb_response_write_head(&response, &out);
        cr_expect_not(sb_buf_ok(&out), "row %zu: a head that failed fails the output", i);
    }
}

Test(response, refuses_them_in_formatted_values_too)
{
    sb_response_header_format(&response, "X-Bad", "%s", "a\r\nb: c");
    cr_assert_not(sb_buf_ok(&response.head));
    cr_assert_eq(response.head.length, 0);
}

Test(response, takes_bytes_above_ascii_in_values)
{
    sb_response_header(&response, "X-Name", "caf\xC3\xA9");
    cr_assert(sb_buf_ok(&response.head));
    cr_assert_str_eq(response.head.data, "X-Name: caf\xC3\xA9\r\n");
}

Test(response, refuses_a_formatted_value_of_512_bytes)
{
    sb_response_header_format(&response, "X-Fits", "%0511d", 7);
    cr_assert(sb_buf_ok(&response.head));
    sb_response_header_format(&response, "X-Long", "%0512d", 7);
    cr_assert_not(sb_buf_ok(&response.head));
}

Test(response, refuses_a_field_behind_the_head)
{
    sb_response_header(&response, "X-Before", "1");
    sb_response_write_head(&response, &out);
    cr_assert(response.head_written);
    cr_assert(sb_buf_ok(&response.head));
    sb_response_header(&response, "X-Late", "2");
    cr_assert_not(sb_buf_ok(&response.head));
    cr_assert_null(strstr(response.head.data, "X-Late"));
    cr_assert_null(strstr(out.data, "X-Late"));
}

Test(response, refuses_a_formatted_field_behind_the_head)
{
    sb_response_write_head(&response, &out);
    sb_response_header_format(&response, "X-Late", "%d", 2);
    cr_assert_not(sb_buf_ok(&response.head));
}

Test(response, a_head_over_its_cap_fails)
{
    char value[1024];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 15; i++)
        sb_response_header(&response, "X-Long", value);
    cr_assert(sb_buf_ok(&response.head));
    sb_response_header(&response, "X-Long", value);
    cr_assert_not(sb_buf_ok(&response.head));
}

Test(response, knows_the_phrase_of_every_status_in_the_error_table)
{
    for (int error = SB_OK; error < SB_E__MAX; error++) {
        int status = sb_error_info((enum sb_error)error)->status;
        cr_expect_str_neq(sb_status_phrase(status), "Unknown", "%d", status);
    }
    cr_assert_str_eq(sb_status_phrase(201), "Created");
    cr_assert_str_eq(sb_status_phrase(429), "Too Many Requests");
    cr_assert_str_eq(sb_status_phrase(299), "Unknown");
}
