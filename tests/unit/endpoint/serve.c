/* The accept loop puts its own connections into libfcgi's request and reads fields that libfcgi
 * calls its own: another version must not slip in unseen. */
#include <criterion/criterion.h>
#include <fcgi_config.h>
#include <fcgiapp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "endpoint/gateway_fcgi.h"

/* FCGI_BEGIN_REQUEST: responder, with FCGI_KEEP_CONN. */
#define BEGIN "\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0"
/* FCGI_PARAMS: NAME=value. */
#define PARAMS "\1\4\0\1\0\13\0\0\4\5NAMEvalue"
#define PARAMS_END "\1\4\0\1\0\0\0\0"
#define STDIN_END "\1\5\0\1\0\0\0\0"
#define BYTES(text) (text), sizeof(text) - 1

static struct sb_fcgi *fcgi;
static struct sb_gateway gateway;
static int server, endpoint;

static void set_up(void)
{
    int pair[2];
    cr_assert(sb_fcgi_init());
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    server = pair[0];
    endpoint = pair[1];
    fcgi = sb_fcgi_new();
    cr_assert_not_null(fcgi);
}

static void tear_down(void)
{
    sb_fcgi_free(fcgi);
    close(server);
}

static bool begin_with(const char *bytes, size_t size)
{
    cr_assert_eq(write(server, bytes, size), (ssize_t)size);
    shutdown(server, SHUT_WR);
    return sb_fcgi_begin(fcgi, endpoint, 1, &gateway);
}

TestSuite(serve, .init = set_up, .fini = tear_down, .timeout = 20);

Test(serve, libfcgi_is_the_version_the_loop_was_written_for)
{
    cr_assert_str_eq(PACKAGE_VERSION, "2.4.2");
}

Test(serve, the_fields_lie_where_they_did)
{
    cr_assert_eq(sizeof(FCGX_Request), 80);
    cr_assert_eq(offsetof(FCGX_Request, in), 8);
    cr_assert_eq(offsetof(FCGX_Request, envp), 32);
    cr_assert_eq(offsetof(FCGX_Request, ipcFd), 48);
    cr_assert_eq(offsetof(FCGX_Request, keepConnection), 56);
    cr_assert_eq(offsetof(FCGX_Request, listen_sock), 72);
    cr_assert_eq(offsetof(FCGX_Request, detached), 76);
}

Test(serve, a_connection_put_in_is_read_and_not_closed)
{
    bool twice = false;
    cr_assert(begin_with(BYTES(BEGIN PARAMS PARAMS_END STDIN_END)));
    cr_assert_str_eq(gateway.param(gateway.state, "NAME", &twice), "value");
    cr_assert_not(twice);
    cr_assert(gateway.write(gateway.state, "answer", 6));
    sb_fcgi_end(fcgi);
}

Test(serve, a_connection_is_closed_though_the_server_wants_to_keep_it)
{
    char answer[256];
    cr_assert(begin_with(BYTES(BEGIN PARAMS PARAMS_END STDIN_END)));
    sb_fcgi_end(fcgi);
    ssize_t count, records = 0;
    while ((count = read(server, answer, sizeof answer)) > 0)
        records += count;
    cr_assert_eq(count, 0);
    cr_assert_gt(records, 0);
}

/* Takes 4 KiB at a time, with a rest before each. */
static void *drip(void *context)
{
    const struct timespec rest = {.tv_nsec = 50000000};
    char bytes[4096];
    (void)context;
    do {
        nanosleep(&rest, NULL);
    } while (read(server, bytes, sizeof bytes) > 0);
    return NULL;
}

/* 1 MiB, piece by piece, would drip for 12 s: thrice as long as may be. Whether it was taken. */
static bool drips_out(size_t piece, bool flushed)
{
    static char answer[1024 * 1024];
    const int room = 4096;
    pthread_t peer;
    bool taken = true;
    setsockopt(endpoint, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    cr_assert(begin_with(BYTES(BEGIN PARAMS PARAMS_END STDIN_END)));
    cr_assert_eq(pthread_create(&peer, NULL, drip, NULL), 0);
    for (size_t at = 0; taken && at < sizeof answer; at += piece)
        taken = gateway.write(gateway.state, answer + at, piece) &&
                (!flushed || gateway.flush(gateway.state));
    sb_fcgi_end(fcgi);
    pthread_join(peer, NULL);
    return taken;
}

Test(serve, who_takes_an_answer_in_drips_holds_a_worker_for_so_long_and_no_longer)
{
    cr_expect_not(drips_out(1024 * 1024, false));
}

Test(serve, who_takes_events_in_drips_holds_a_worker_for_so_long_and_no_longer)
{
    cr_expect_not(drips_out(1024, true));
}

Test(serve, nonsense_is_refused_and_the_connection_closed)
{
    char byte;
    cr_assert_not(begin_with(BYTES("GET / HTTP/1.1\r\n\r\n")));
    cr_assert_leq(read(server, &byte, 1), 0);
}

Test(serve, parameters_that_break_off_are_refused)
{
    char byte;
    cr_assert_not(begin_with(BYTES(BEGIN PARAMS)));
    cr_assert_leq(read(server, &byte, 1), 0);
}

Test(serve, a_parameter_given_twice_is_told)
{
    bool twice = false;
    cr_assert(begin_with(BYTES(BEGIN PARAMS PARAMS PARAMS_END STDIN_END)));
    cr_assert_str_eq(gateway.param(gateway.state, "NAME", &twice), "value");
    cr_assert(twice);
    sb_fcgi_end(fcgi);
}

Test(serve, the_body_ends_where_its_stream_does_and_breaks_off_where_it_does_not)
{
    char data[16];
    cr_assert(begin_with(BYTES(BEGIN PARAMS PARAMS_END "\1\5\0\1\0\4\0\0body" STDIN_END)));
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 4);
    cr_assert_eq(memcmp(data, "body", 4), 0);
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), 0);
    sb_fcgi_end(fcgi);
}

Test(serve, a_body_that_breaks_off_is_an_error)
{
    char data[16];
    cr_assert(begin_with(BYTES(BEGIN PARAMS PARAMS_END "\1\5\0\1\0\4\0\0bo")));
    cr_assert_eq(gateway.read(gateway.state, data, sizeof data), -1);
    sb_fcgi_end(fcgi);
}
