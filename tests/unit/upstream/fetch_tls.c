/* TLS: who is trusted, what is shared, what it costs. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/base.h"
#include "../support/fetching.h"
#include "upstream/fetch.h"

TestSuite(fetch_tls, .init = fetching_setup, .fini = fetching_teardown);

static bool hello(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return peer_reply(exchange, 200, exchange->resumed ? "X-Resumed: yes\r\n" : "", "hello");
}

static struct sb_fetch_result get_from(const char *host)
{
    struct sb_fetch_request request = fetching_request("https", host, "/");
    return fetching_send(&request);
}

static void assert_untrusted(const struct sb_fetch_result *result, const char *reason)
{
    cr_assert_eq(result->outcome, SB_FETCH_UNTRUSTED, "%s", sb_fetch_outcome_name(result->outcome));
    cr_assert_eq(result->error, SB_E_UPSTREAM_ERROR);
    cr_assert_eq(peer_requests(fetching_peer), 0);
    cr_assert_not_null(strstr(fetching_log(), reason), "%s", fetching_log());
}

Test(fetch_tls, a_certificate_of_the_configured_authority_is_trusted)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "api.test"});
    peer_resolve("api.test", "127.0.0.1");
    struct sb_fetch_result result = get_from("api.test");
    cr_assert_eq(result.outcome, SB_FETCH_OK, "%s: %s", sb_fetch_outcome_name(result.outcome),
                 fetching_log());
    cr_assert_str_eq(result.body, "hello");
}

Test(fetch_tls, a_certificate_may_name_an_address)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "127.0.0.1"});
    cr_assert_eq(get_from("127.0.0.1").outcome, SB_FETCH_OK);
}

Test(fetch_tls, without_the_configured_file_its_authority_is_unknown)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "127.0.0.1"});
    fetching_config.upstream_ca_file = NULL;
    struct sb_fetch_result result = get_from("127.0.0.1");
    assert_untrusted(&result, "unable to get local issuer certificate");
}

Test(fetch_tls, an_unknown_authority_is_refused)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "127.0.0.1", .rogue = true});
    struct sb_fetch_result result = get_from("127.0.0.1");
    assert_untrusted(&result, "unable to get local issuer certificate");
}

Test(fetch_tls, a_certificate_of_another_host_is_refused)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "other.test"});
    peer_resolve("api.test", "127.0.0.1");
    struct sb_fetch_result result = get_from("api.test");
    assert_untrusted(&result, "certificate of another host");
}

Test(fetch_tls, an_expired_certificate_is_refused)
{
    fetching_serve_tls(hello, NULL,
                       &(struct peer_certificate){.host = "127.0.0.1", .expired = true});
    struct sb_fetch_result result = get_from("127.0.0.1");
    assert_untrusted(&result, "certificate has expired");
}

Test(fetch_tls, what_was_refused_is_not_repeated)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "127.0.0.1", .rogue = true});
    struct sb_fetch_request request = fetching_request("https", "127.0.0.1", "/");
    request.retry = true;
    cr_assert_eq(fetching_send(&request).attempts, 1);
    cr_assert_eq(peer_connections(fetching_peer), 1);
}

Test(fetch_tls, a_handshake_that_is_not_answered_meets_the_connect_deadline)
{
    fetching_serve(hello, NULL); /* waits for the end of a head that never comes */
    struct sb_fetch_request request = fetching_request("https", "127.0.0.1", "/");
    request.connect_ms = 30;
    request.total_ms = 2000;
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_TIMEOUT, "%s", sb_fetch_outcome_name(result.outcome));
    cr_assert_not_null(strstr(fetching_log(), "Timeout was reached"), "%s", fetching_log());
    cr_assert_eq(peer_connections(fetching_peer), 1);
}

static void assert_misconfigured(void)
{
    struct sb_fetch_result result = get_from("127.0.0.1");
    cr_assert_eq(result.error, SB_E_MISCONFIGURED);
    cr_assert_eq(peer_connections(fetching_peer), 0);
    cr_assert_not_null(strstr(fetching_log(), "\"variable\":\"UPSTREAM_CA_FILE\""));
}

Test(fetch_tls, a_file_of_authorities_that_cannot_be_used_is_a_misconfiguration_until_it_can)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "127.0.0.1"});
    const char *good = fetching_config.upstream_ca_file;
    char *empty = base_path("/tmp", "switchboard-test-empty.pem");
    base_file_write(empty, "no certificate\n");
    fetching_config.upstream_ca_file = "/nonexistent/ca.pem";
    assert_misconfigured();
    fetching_config.upstream_ca_file = empty;
    assert_misconfigured();
    fetching_config.upstream_ca_file = good;
    cr_assert_eq(get_from("127.0.0.1").outcome, SB_FETCH_OK);
    unlink(empty);
    free(empty);
}

Test(fetch_tls, keys_are_not_logged_whatever_the_environment_says)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "127.0.0.1"});
    cr_assert_eq(get_from("127.0.0.1").outcome, SB_FETCH_OK);
    char *keys = base_file_read(fetching_key_log);
    cr_assert(keys == NULL || *keys == '\0', "%s", keys);
    free(keys);
}

/* --- Whom it may reach --- */

Test(fetch_tls, a_kept_connection_is_not_lent_to_a_call_that_may_not_reach_its_peer)
{
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "moving.test"});
    peer_resolve("moving.test", "127.0.0.1");
    struct sb_fetch_request request = fetching_request("https", "moving.test", "/");
    cr_assert_eq(fetching_send(&request).outcome, SB_FETCH_OK);
    cr_assert_eq(fetching_send(&request).outcome, SB_FETCH_OK);
    cr_assert_eq(peer_connections(fetching_peer), 1, "it is kept");
    request.peers = SB_FETCH_PUBLIC;
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_FORBIDDEN, "%s", sb_fetch_outcome_name(result.outcome));
    cr_assert_eq(peer_requests(fetching_peer), 2);
    cr_assert_eq(peer_connections(fetching_peer), 1);
}

/* --- Sessions --- */

Test(fetch_tls, a_tls_session_is_resumed_by_another_session_of_the_process)
{
    struct sb_fetch_session *first;
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "127.0.0.1"});
    cr_assert_eq(sb_fetch_borrow(&fetching_config, &first), SB_OK);
    struct sb_fetch_request request = fetching_request("https", "127.0.0.1", "/");
    struct sb_fetch_call *call;
    cr_assert_eq(sb_fetch_start(first, &request, &call), SB_OK);
    const struct sb_fetch_result *whole = fetching_end(first, call);
    cr_assert_eq(whole->outcome, SB_FETCH_OK);
    cr_assert_null(sb_fetch_header(whole, "X-Resumed"));
    struct sb_fetch_result result = fetching_send(&request); /* first is not given back */
    cr_assert_str_eq(sb_fetch_header(&result, "X-Resumed"), "yes");
    cr_assert_eq(peer_connections(fetching_peer), 2);
    sb_fetch_return(first);
}

static bool echo(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return peer_reply(exchange, 200, "", exchange->body);
}

Test(fetch_tls, large_bodies_pass_both_ways)
{
    enum { LENGTH = 600000 };
    char *body = sb_arena_alloc(fetching_arena, LENGTH + 1);
    for (int i = 0; i < LENGTH; i++)
        body[i] = (char)('a' + i % 23);
    fetching_serve_tls(echo, NULL, &(struct peer_certificate){.host = "127.0.0.1"});
    struct sb_fetch_request request = fetching_request("https", "127.0.0.1", "/");
    request.body = body;
    request.body_length = LENGTH;
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_OK);
    cr_assert_eq(result.body_length, LENGTH);
    cr_assert_eq(memcmp(result.body, body, LENGTH), 0);
}

static bool leave(struct peer_exchange *exchange, void *context)
{
    (void)exchange, (void)context;
    return false;
}

Test(fetch_tls, a_server_that_stops_reading_breaks_the_call_and_not_the_process)
{
    static char large[1 << 20];
    signal(SIGPIPE, SIG_DFL);
    fetching_serve_tls(leave, NULL, &(struct peer_certificate){.host = "127.0.0.1"});
    peer_leave_bodies(fetching_peer);
    struct sb_fetch_request request = fetching_request("https", "127.0.0.1", "/");
    request.body = large;
    request.body_length = sizeof large;
    for (int i = 0; i < 5; i++)
        cr_assert_neq(fetching_send(&request).outcome, SB_FETCH_OK);
}

/* --- What it costs --- */

static bool begin_and_wait(struct peer_exchange *exchange, void *context)
{
    (void)context;
    peer_send(exchange, "HTTP/1.1 200 OK\r\n\r\nbegin");
    peer_wait_gone(exchange);
    return false;
}

/* A peer in a process of its own, so that its memory is not counted; its port. */
static int serve_apart(pid_t *pid)
{
    int ends[2], port = 0;
    peer_authority_write("/dev/null"); /* makes the authority that both know */
    cr_assert_eq(pipe(ends), 0);
    *pid = fork();
    if (*pid == 0) {
        port = peer_port(
            peer_start(begin_and_wait, NULL, &(struct peer_certificate){.host = "127.0.0.1"}));
        if (write(ends[1], &port, sizeof port) == sizeof port)
            pause();
        _exit(1);
    }
    cr_assert_eq(read(ends[0], &port, sizeof port), (ssize_t)sizeof port);
    return port;
}

static long resident_kb(void)
{
    char *status = base_file_read("/proc/self/status");
    long kb = strtol(strstr(status, "VmRSS:") + 6, NULL, 10);
    free(status);
    return kb;
}

static bool count_begun(void *context, const char *data, size_t length)
{
    (void)data, (void)length;
    ++*(int *)context;
    return true;
}

Test(fetch_tls, two_hundred_sessions_with_three_streams_each_are_cheap)
{
    enum { SESSIONS = 200, STREAMS = 3 };
    static struct sb_fetch_session *sessions[SESSIONS];
    pid_t pid;
    int port = serve_apart(&pid), begun = 0;
    fetching_serve_tls(hello, NULL, &(struct peer_certificate){.host = "127.0.0.1"});
    struct sb_fetch_request request = fetching_request("https", "127.0.0.1", "/");
    cr_assert_eq(fetching_send(&request).outcome, SB_FETCH_OK, "code and authorities are loaded");
    request.url = sb_arena_printf(fetching_arena, "https://127.0.0.1:%d/", port);
    request.sink = count_begun;
    request.context = &begun;
    long before_kb = resident_kb();
    for (size_t i = 0; i < SESSIONS; i++) {
        struct sb_fetch_call *call;
        cr_assert_eq(sb_fetch_borrow(&fetching_config, &sessions[i]), SB_OK);
        for (int j = 0; j < STREAMS; j++)
            cr_assert_eq(sb_fetch_start(sessions[i], &request, &call), SB_OK);
        while (begun < (int)(i + 1) * STREAMS)
            cr_assert_eq(sb_fetch_step(sessions[i], -1, NULL, 0), STREAMS);
    }
    long cost_kb = resident_kb() - before_kb;
    cr_log_info("%d sessions with %d TLS streams each: %ld KB", SESSIONS, STREAMS, cost_kb);
    for (size_t i = 0; i < SESSIONS; i++)
        sb_fetch_return(sessions[i]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
#ifndef __SANITIZE_ADDRESS__
    cr_assert_lt(cost_kb, 80 * 1024, "%ld KB", cost_kb);
#endif
}
