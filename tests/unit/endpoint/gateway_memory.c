#include <criterion/criterion.h>
#include <string.h>

#include "endpoint/gateway.h"

static struct sb_gateway gateway;
static struct sb_memory_request request;
static bool twice;

static void setup(void)
{
    static const char *const params[] = {
        "A=1", "AB=2", "TWICE=x", "EMPTY=", "TWICE=y", "A_=3", "NOTHING", NULL};
    request = (struct sb_memory_request){.params = params, .body = "abcdef", .body_length = 6};
    sb_buf_init(&request.output, NULL, 8);
    sb_gateway_memory(&gateway, &request);
    twice = false;
}

static void teardown(void)
{
    sb_buf_free(&request.output);
}

TestSuite(gateway_memory, .init = setup, .fini = teardown);

Test(gateway_memory, finds_variables_by_their_whole_name)
{
    cr_assert_str_eq(gateway.param(gateway.state, "A", &twice), "1");
    cr_assert_str_eq(gateway.param(gateway.state, "AB", &twice), "2");
    cr_assert_str_eq(gateway.param(gateway.state, "EMPTY", &twice), "");
    cr_assert_null(gateway.param(gateway.state, "B", &twice));
    cr_assert_null(gateway.param(gateway.state, "NOTHING", &twice));
    cr_assert_not(twice);
}

Test(gateway_memory, tells_of_a_variable_that_is_there_twice)
{
    cr_assert_str_eq(gateway.param(gateway.state, "TWICE", &twice), "x");
    cr_assert(twice);
}

Test(gateway_memory, reads_the_body_and_then_its_end)
{
    char data[16];
    cr_assert_eq(gateway.read(gateway.state, data, 4), 4);
    cr_assert_eq(memcmp(data, "abcd", 4), 0);
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 2);
    cr_assert_eq(memcmp(data, "ef", 2), 0);
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 0);
    cr_assert_eq(request.body_read, 6);
}

Test(gateway_memory, reads_no_more_at_once_than_read_max)
{
    char data[16];
    request.read_max = 2;
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 2);
    cr_assert_eq(gateway.read(gateway.state, data, 1), 1);
}

Test(gateway_memory, writes_until_the_output_is_full)
{
    cr_assert(gateway.write(gateway.state, "abc", 3));
    cr_assert(gateway.write(gateway.state, "defg", 4));
    cr_assert(gateway.flush(gateway.state));
    cr_assert_str_eq(request.output.data, "abcdefg");
    cr_assert_not(gateway.write(gateway.state, "h", 1));
}

Test(gateway_memory, a_peer_that_hung_up_takes_and_gives_nothing)
{
    char data[16];
    cr_assert_not(gateway.gone(gateway.state));
    request.hang_up = true;
    cr_assert(gateway.gone(gateway.state));
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), -1);
    cr_assert_not(gateway.write(gateway.state, "abc", 3));
    cr_assert_not(gateway.flush(gateway.state));
    cr_assert_eq(request.output.length, 0);
}
