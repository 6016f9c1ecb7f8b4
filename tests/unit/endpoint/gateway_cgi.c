#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "endpoint/gateway.h"

extern char **environ;

static struct sb_gateway gateway;
static int to_input, from_output, saved_output;

/* Pipes for descriptors 0 and 1. */
static void setup(void)
{
    int input[2], output[2];
    cr_assert_eq(pipe2(input, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(output, O_CLOEXEC), 0);
    saved_output = dup(STDOUT_FILENO);
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    close(input[0]);
    close(output[1]);
    to_input = input[1];
    from_output = output[0];
    signal(SIGPIPE, SIG_IGN);
    unsetenv("CONTENT_LENGTH");
    sb_gateway_cgi(&gateway);
}

static void teardown(void)
{
    dup2(saved_output, STDOUT_FILENO);
}

TestSuite(gateway_cgi, .init = setup, .fini = teardown);

Test(gateway_cgi, variables_are_those_of_the_environment)
{
    bool twice = false;
    setenv("SB_TEST", "value", 1);
    setenv("SB_TEST_MORE", "other", 1);
    cr_assert_str_eq(gateway.param(gateway.state, "SB_TEST", &twice), "value");
    cr_assert_null(gateway.param(gateway.state, "SB_TES", &twice));
    cr_assert_not(twice);
}

Test(gateway_cgi, tells_of_a_variable_that_is_there_twice)
{
    static char first[] = "SB_TEST=a", second[] = "SB_TEST=b";
    static char *variables[] = {first, second, NULL};
    bool twice = false;
    char **before = environ;
    environ = variables;
    const char *value = gateway.param(gateway.state, "SB_TEST", &twice);
    environ = before;
    cr_assert_str_eq(value, "a");
    cr_assert(twice);
}

Test(gateway_cgi, the_body_is_standard_input)
{
    char data[16];
    cr_assert_eq(write(to_input, "abcdef", 6), 6);
    close(to_input);
    cr_assert_eq(gateway.read(gateway.state, data, 4), 4);
    cr_assert_eq(memcmp(data, "abcd", 4), 0);
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 2);
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 0);
}

Test(gateway_cgi, a_read_that_fails_is_a_peer_that_has_gone)
{
    char data[16];
    close(STDIN_FILENO);
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), -1);
}

/* A terminal as standard input, with nobody typing. */
static void take_terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    cr_assert_geq(terminal, 0);
    dup2(terminal, STDIN_FILENO);
}

Test(gateway_cgi, at_a_terminal_a_request_without_a_length_has_no_body, .timeout = 10)
{
    char data[16];
    take_terminal();
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 0);
    setenv("CONTENT_LENGTH", "", 1);
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 0);
}

Test(gateway_cgi, the_answer_is_standard_output)
{
    char data[16] = "";
    cr_assert(gateway.write(gateway.state, "abc", 3));
    cr_assert(gateway.write(gateway.state, "", 0));
    cr_assert(gateway.flush(gateway.state));
    cr_assert_eq(read(from_output, data, sizeof data), 3);
    cr_assert_str_eq(data, "abc");
    cr_assert_not(gateway.gone(gateway.state));
}

Test(gateway_cgi, a_closed_output_is_a_peer_that_has_gone)
{
    close(from_output);
    cr_assert(gateway.gone(gateway.state));
    cr_assert_not(gateway.write(gateway.state, "abc", 3));
}
