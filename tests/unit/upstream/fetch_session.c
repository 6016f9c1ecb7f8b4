/* Several requests at once, streams, deadlines, cancelling, retries, and connections that are kept.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/base.h"
#include "../support/fetching.h"
#include "base/clock.h"
#include "base/memory.h"
#include "upstream/fetch.h"

static struct sb_fetch_session *session;

/* /held sends a piece each time its gate is opened; any other path answers at once. */
static struct gate {
    sem_t open, gone;
} gate;

static void setup(void)
{
    fetching_setup();
    cr_assert_eq(sb_fetch_borrow(&fetching_config, &session), SB_OK);
}

static void teardown(void)
{
    sb_fetch_return(session);
    for (int i = 0; i < 3 * SB_FETCH_CALLS_MAX; i++)
        sem_post(&gate.open); /* the peer waits for its threads */
    fetching_teardown();
}

TestSuite(fetch_session, .init = setup, .fini = teardown);

static struct sb_fetch_call *start(const struct sb_fetch_request *request)
{
    struct sb_fetch_call *call;
    cr_assert_eq(sb_fetch_start(session, request, &call), SB_OK);
    return call;
}

static struct sb_fetch_request get(const char *path)
{
    return fetching_request("http", "127.0.0.1", path);
}

static void assert_ended(struct sb_fetch_call *call, enum sb_fetch_outcome outcome)
{
    const struct sb_fetch_result *result = fetching_end(session, call);
    cr_assert_eq(result->outcome, outcome, "%s", sb_fetch_outcome_name(result->outcome));
}

/* What a stream has brought so far. */
struct stream {
    char text[256];
    size_t length;
    int calls;
    struct sb_fetch_call *to_cancel;
    const struct sb_fetch_request *to_start;
    struct sb_fetch_call *started;
    bool refuse;
};

static bool take(void *context, const char *data, size_t length)
{
    struct stream *stream = context;
    cr_assert_lt(stream->length + length, sizeof stream->text);
    memcpy(stream->text + stream->length, data, length);
    stream->length += length;
    stream->calls++;
    if (stream->to_cancel != NULL)
        sb_fetch_cancel(stream->to_cancel);
    stream->to_cancel = NULL;
    if (stream->to_start != NULL)
        stream->started = start(stream->to_start);
    stream->to_start = NULL;
    return !stream->refuse;
}

static struct sb_fetch_request get_stream(const char *path, struct stream *stream)
{
    struct sb_fetch_request request = get(path);
    request.sink = take;
    request.context = stream;
    return request;
}

static void step_until(const struct stream *stream, const char *text)
{
    while (strcmp(stream->text, text) != 0)
        cr_assert_gt(sb_fetch_step(session, -1, NULL, 0), 0, "%s", stream->text);
}

static bool hello(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return peer_reply(exchange, 200, "", "hello");
}

static void chunk(struct peer_exchange *exchange, const char *text)
{
    char piece[64];
    snprintf(piece, sizeof piece, "%zx\r\n%s\r\n", strlen(text), text);
    peer_send(exchange, piece);
}

static bool held(struct peer_exchange *exchange, void *context)
{
    static const char *const pieces[] = {"one ", "two ", "three"};
    (void)context;
    if (strncmp(exchange->head, "GET /held ", 10) != 0)
        return peer_reply(exchange, 200, "", "hello");
    peer_send(exchange, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < SB_COUNT(pieces); i++) {
        sem_wait(&gate.open);
        chunk(exchange, pieces[i]);
    }
    peer_send(exchange, "0\r\n\r\n");
    return true;
}

static void serve_held(void)
{
    sem_init(&gate.open, 0, 0);
    fetching_serve(held, NULL);
}

/* --- Streams --- */

Test(fetch_session, a_stream_comes_piece_by_piece_as_it_is_sent)
{
    struct stream stream = {0};
    serve_held();
    struct sb_fetch_request request = get_stream("/held", &stream);
    struct sb_fetch_call *call = start(&request);
    sem_post(&gate.open);
    step_until(&stream, "one ");
    cr_assert_eq(sb_fetch_result(call)->status, 200, "known while it runs");
    cr_assert_eq(sb_fetch_result(call)->outcome, SB_FETCH_RUNNING);
    sem_post(&gate.open);
    step_until(&stream, "one two ");
    sem_post(&gate.open);
    assert_ended(call, SB_FETCH_OK);
    cr_assert_str_eq(stream.text, "one two three");
    cr_assert_null(sb_fetch_result(call)->body, "what the sink took is not collected, too");
}

Test(fetch_session, other_calls_run_while_a_stream_is_open)
{
    struct stream stream = {0};
    serve_held();
    struct sb_fetch_request held_request = get_stream("/held", &stream), request = get("/");
    struct sb_fetch_call *open = start(&held_request);
    sem_post(&gate.open);
    step_until(&stream, "one ");
    struct sb_fetch_call *first = start(&request), *second = start(&request);
    assert_ended(first, SB_FETCH_OK);
    assert_ended(second, SB_FETCH_OK);
    cr_assert_eq(sb_fetch_result(open)->outcome, SB_FETCH_RUNNING);
    sem_post(&gate.open);
    step_until(&stream, "one two ");
    sem_post(&gate.open);
    assert_ended(open, SB_FETCH_OK);
}

Test(fetch_session, a_sink_may_start_a_call)
{
    struct stream stream = {0};
    serve_held();
    struct sb_fetch_request next = get("/"), request = get_stream("/held", &stream);
    stream.to_start = &next;
    struct sb_fetch_call *call = start(&request);
    sem_post(&gate.open);
    step_until(&stream, "one ");
    assert_ended(stream.started, SB_FETCH_OK);
    cr_assert_str_eq(sb_fetch_result(stream.started)->body, "hello");
    cr_assert_eq(sb_fetch_result(call)->outcome, SB_FETCH_RUNNING);
}

Test(fetch_session, a_sink_that_refuses_cancels_its_call)
{
    struct stream stream = {.refuse = true};
    fetching_serve(hello, NULL);
    struct sb_fetch_request request = get_stream("/", &stream);
    request.retry = true;
    struct sb_fetch_call *call = start(&request);
    assert_ended(call, SB_FETCH_CANCELLED);
    cr_assert_eq(sb_fetch_result(call)->error, SB_E_INTERNAL);
    cr_assert_eq(stream.calls, 1);
    cr_assert_eq(peer_requests(fetching_peer), 1);
}

static bool refuse(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return peer_reply(exchange, 401, "", "no");
}

Test(fetch_session, an_errors_body_is_collected_and_does_not_go_to_the_sink)
{
    struct stream stream = {0};
    fetching_serve(refuse, NULL);
    struct sb_fetch_request request = get_stream("/", &stream);
    struct sb_fetch_call *call = start(&request);
    assert_ended(call, SB_FETCH_STATUS);
    cr_assert_str_eq(sb_fetch_result(call)->body, "no");
    cr_assert_eq(stream.calls, 0);
}

Test(fetch_session, a_stream_has_the_cap_of_a_body)
{
    struct stream stream = {0};
    fetching_serve(hello, NULL);
    struct sb_fetch_request request = get_stream("/", &stream);
    request.response_max = 4;
    struct sb_fetch_call *call = start(&request);
    assert_ended(call, SB_FETCH_TOO_LARGE);
    cr_assert_eq(stream.calls, 0);
}

/* --- Waiting --- */

Test(fetch_session, a_step_without_calls_returns_at_once)
{
    struct pollfd fd = {.fd = -1, .revents = POLLIN};
    cr_assert_eq(sb_fetch_step(session, -1, &fd, 1), 0);
    cr_assert_eq(fd.revents, 0);
}

Test(fetch_session, a_step_ends_after_its_wait)
{
    serve_held();
    struct sb_fetch_request request = get("/held");
    start(&request);
    int64_t start_us = sb_clock_mono_us();
    while (sb_clock_mono_us() - start_us < 30000)
        cr_assert_eq(sb_fetch_step(session, 10, NULL, 0), 1);
}

Test(fetch_session, a_step_ends_when_one_of_the_callers_descriptors_is_ready)
{
    int ends[2];
    serve_held();
    struct sb_fetch_request request = get("/held");
    start(&request);
    cr_assert_eq(pipe(ends), 0);
    struct pollfd fds[] = {{.fd = -1}, {.fd = ends[0], .events = POLLIN}};
    cr_assert_eq(sb_fetch_step(session, 0, fds, 2), 1);
    cr_assert_eq(fds[1].revents, 0);
    close(ends[1]);
    cr_assert_eq(sb_fetch_step(session, -1, fds, 2), 1);
    cr_assert_eq(fds[0].revents, 0);
    cr_assert(fds[1].revents & POLLHUP);
    cr_assert_eq(sb_fetch_step(session, -1, &fds[1], 1), 1, "nor is another's silence needed");
    close(ends[0]);
}

/* --- Cancelling --- */

static bool until_gone(struct peer_exchange *exchange, void *context)
{
    (void)context;
    peer_send(exchange, "HTTP/1.1 200 OK\r\n\r\nbegin");
    peer_wait_gone(exchange);
    sem_post(&gate.gone);
    return false;
}

Test(fetch_session, cancelling_closes_the_connection_at_once)
{
    struct stream stream = {0};
    sem_init(&gate.gone, 0, 0);
    fetching_serve(until_gone, NULL);
    struct sb_fetch_request request = get_stream("/", &stream);
    struct sb_fetch_call *call = start(&request);
    step_until(&stream, "begin");
    sb_fetch_cancel(call);
    sem_wait(&gate.gone); /* the server saw it */
    cr_assert_eq(sb_fetch_step(session, -1, NULL, 0), 0);
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 1);
}

Test(fetch_session, giving_the_session_back_cancels_what_is_running)
{
    struct stream stream = {0};
    sem_init(&gate.gone, 0, 0);
    fetching_serve(until_gone, NULL);
    struct sb_fetch_request request = get_stream("/", &stream);
    start(&request);
    step_until(&stream, "begin");
    sb_fetch_return(session);
    sem_wait(&gate.gone);
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 1);
    cr_assert_eq(sb_fetch_borrow(&fetching_config, &session), SB_OK);
    cr_assert_eq(sb_fetch_step(session, -1, NULL, 0), 0);
}

Test(fetch_session, a_sink_may_cancel_another_call_and_its_own)
{
    struct stream other = {0}, stream = {0};
    serve_held();
    struct sb_fetch_request other_request = get_stream("/held", &other);
    struct sb_fetch_request request = get_stream("/", &stream);
    struct sb_fetch_call *open = start(&other_request);
    sem_post(&gate.open);
    step_until(&other, "one ");
    stream.to_cancel = open;
    assert_ended(start(&request), SB_FETCH_OK);
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 1);
    stream = (struct stream){.to_cancel = start(&request)};
    while (sb_fetch_step(session, -1, NULL, 0) > 0)
        ;
    cr_assert_eq(stream.calls, 1);
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 2);
}

static struct sb_fetch_call *to_cancel;

static ssize_t cancelling_source(void *context, int64_t offset, char *buffer, size_t size)
{
    (void)context, (void)size;
    cr_expect_eq(offset, 0, "it is asked for no more");
    sb_fetch_cancel(to_cancel);
    *buffer = 'x';
    return 1;
}

Test(fetch_session, a_source_may_cancel_its_own_call)
{
    struct sb_fetch_source source = {.read = cancelling_source, .length = 1000};
    fetching_serve(hello, NULL);
    struct sb_fetch_request request = get("/");
    request.source = &source;
    to_cancel = start(&request);
    while (sb_fetch_step(session, -1, NULL, 0) > 0)
        ;
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 1);
}

Test(fetch_session, a_call_waiting_for_a_name_that_does_not_resolve_is_cancelled_at_once)
{
    fetching_serve(hello, NULL);
    peer_resolve("stuck.test", "stuck");
    struct sb_fetch_request request = fetching_request("http", "stuck.test", "/");
    struct sb_fetch_call *call = start(&request);
    cr_assert_eq(sb_fetch_step(session, 10, NULL, 0), 1);
    sb_fetch_cancel(call); /* would never return if it waited for the resolver */
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 1);
}

Test(fetch_session, calls_that_ended_or_never_began_can_be_cancelled)
{
    fetching_serve(hello, NULL);
    struct sb_fetch_request request = get("/");
    struct sb_fetch_call *call = start(&request);
    assert_ended(call, SB_FETCH_OK);
    const char *body = sb_fetch_result(call)->body;
    sb_fetch_cancel(call);
    cr_assert_str_eq(body, "hello", "the body is the arena's");
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 0);
    sb_fetch_cancel(start(&request));
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 1);
    cr_assert_eq(peer_requests(fetching_peer), 1);
}

Test(fetch_session, the_number_of_running_calls_has_a_cap)
{
    struct sb_fetch_call *calls[SB_FETCH_CALLS_MAX], *one_more;
    serve_held();
    struct sb_fetch_request request = get("/held");
    for (size_t i = 0; i < SB_FETCH_CALLS_MAX; i++)
        calls[i] = start(&request);
    cr_assert_eq(sb_fetch_start(session, &request, &one_more), SB_E_UNAVAILABLE);
    sb_fetch_cancel(calls[7]);
    cr_assert_eq(sb_fetch_start(session, &request, &one_more), SB_OK);
    for (int i = 0; i < 3 * SB_FETCH_CALLS_MAX; i++)
        sem_post(&gate.open);
    while (sb_fetch_step(session, -1, NULL, 0) > 0)
        ;
    cr_assert_eq(fetching_counted(SB_FETCH_OK), SB_FETCH_CALLS_MAX);
}

/* --- Deadlines --- */

static bool silent(struct peer_exchange *exchange, void *context)
{
    peer_send(exchange, context);
    peer_wait_gone(exchange);
    return false;
}

static void assert_timed_out(struct sb_fetch_request *request, const char *reason)
{
    struct sb_fetch_result result = fetching_send(request);
    cr_assert_eq(result.outcome, SB_FETCH_TIMEOUT, "%s", sb_fetch_outcome_name(result.outcome));
    cr_assert_eq(result.error, SB_E_UPSTREAM_TIMEOUT);
    cr_assert_eq(result.attempts, 1);
    cr_assert_not_null(strstr(fetching_log(), reason), "%s", fetching_log());
}

Test(fetch_session, silence_before_the_first_byte_is_a_timeout_and_not_repeated)
{
    fetching_serve(silent, (void *)"");
    struct sb_fetch_request request = get("/");
    request.silence_ms = 30;
    request.retry = true;
    assert_timed_out(&request, "\"reason\":\"silence\"");
}

Test(fetch_session, silence_amid_the_body_is_a_timeout)
{
    fetching_serve(silent, (void *)"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegin");
    struct sb_fetch_request request = get("/");
    request.silence_ms = 30;
    assert_timed_out(&request, "\"reason\":\"silence\"");
}

static bool drip(struct peer_exchange *exchange, void *context)
{
    (void)context;
    peer_send(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        peer_send(exchange, "x");
        usleep(2000);
    }
    return false;
}

Test(fetch_session, an_answer_that_drips_meets_the_total_deadline)
{
    fetching_serve(drip, NULL);
    struct sb_fetch_request request = get("/");
    request.total_ms = 60;
    assert_timed_out(&request, "\"reason\":\"total deadline\"");
}

Test(fetch_session, a_name_that_does_not_resolve_meets_the_connect_deadline)
{
    fetching_serve(hello, NULL);
    peer_resolve("stuck.test", "stuck");
    struct sb_fetch_request request = fetching_request("http", "stuck.test", "/");
    request.connect_ms = 30;
    request.total_ms = 2000;
    assert_timed_out(&request, "Timeout was reached");
}

static ssize_t slow_source(void *context, int64_t offset, char *buffer, size_t size)
{
    (void)context, (void)offset, (void)size;
    usleep(20000);
    *buffer = 'x';
    return 1;
}

Test(fetch_session, bytes_sent_are_no_silence)
{
    struct sb_fetch_source source = {.read = slow_source, .length = 60};
    fetching_serve(hello, NULL);
    struct sb_fetch_request request = get("/");
    request.source = &source;
    request.silence_ms = 1000; /* less than it takes to send all */
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_OK, "%s", sb_fetch_outcome_name(result.outcome));
}

/* --- Retries --- */

struct failing {
    int failures; /* answers before the good one */
    int status;   /* 0: the connection is cut */
    const char *headers, *body;
};

static bool fail_first(struct peer_exchange *exchange, void *context)
{
    const struct failing *failing = context;
    if (exchange->number > failing->failures)
        return peer_reply(exchange, 200, "", "good");
    if (failing->status == 0)
        return false;
    return peer_reply(exchange, failing->status, failing->headers, failing->body);
}

static struct sb_fetch_result get_retried(struct failing *failing)
{
    if (fetching_peer == NULL)
        fetching_serve(fail_first, failing);
    struct sb_fetch_request request = get("/");
    request.retry = true;
    return fetching_send(&request);
}

Test(fetch_session, an_upstream_that_recovers_is_asked_up_to_three_times)
{
    struct failing failing = {2, 503, "retry-after-ms: 1\r\n", "sorry"};
    struct sb_fetch_result result = get_retried(&failing);
    cr_assert_eq(result.outcome, SB_FETCH_OK);
    cr_assert_eq(result.attempts, 3);
    cr_assert_str_eq(result.body, "good");
    cr_assert_str_empty(result.code, "of the failure before");
    cr_assert_eq(peer_requests(fetching_peer), 3);
    cr_assert_eq(base_count(fetching_log(), "\"event\":\"upstream.fetch\""), 1);
    cr_assert_eq(fetching_counted(SB_FETCH_OK), 1);
}

Test(fetch_session, the_last_failure_is_the_result)
{
    struct failing failing = {3, 503, "retry-after-ms: 1\r\n", "sorry"};
    struct sb_fetch_result result = get_retried(&failing);
    cr_assert_eq(result.outcome, SB_FETCH_STATUS);
    cr_assert_eq(result.status, 503);
    cr_assert_eq(result.attempts, 3);
    cr_assert_str_eq(result.body, "sorry");
    cr_assert_eq(peer_requests(fetching_peer), 3);
}

static bool fail_then_leave(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return exchange->number == 1 && peer_reply(exchange, 503, "retry-after-ms: 1\r\n", "sorry");
}

Test(fetch_session, the_result_is_of_the_last_attempt_alone)
{
    fetching_serve(fail_then_leave, NULL);
    struct sb_fetch_request request = get("/");
    request.retry = true;
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_BROKEN);
    cr_assert_eq(result.attempts, 3);
    cr_assert_eq(result.status, 0);
    cr_assert_null(result.body);
    cr_assert_str_empty(result.code);
    cr_assert_null(sb_fetch_header(&result, "retry-after-ms"));
}

Test(fetch_session, an_empty_purse_is_told_at_once)
{
    struct failing failing = {1, 429, "retry-after-ms: 1\r\n",
                              "{\"error\":{\"code\":\"insufficient_quota\"}}"};
    struct sb_fetch_result result = get_retried(&failing);
    cr_assert_eq(result.status, 429);
    cr_assert_str_eq(result.code, "insufficient_quota");
    cr_assert_eq(peer_requests(fetching_peer), 1);
}

Test(fetch_session, a_connection_cut_before_the_answer_is_tried_again)
{
    struct failing failing = {1, 0, NULL, NULL};
    struct sb_fetch_result result = get_retried(&failing);
    cr_assert_eq(result.outcome, SB_FETCH_OK);
    cr_assert_eq(result.attempts, 2);
}

Test(fetch_session, without_being_asked_nothing_is_repeated)
{
    struct failing failing = {1, 503, "retry-after-ms: 1\r\n", ""};
    fetching_serve(fail_first, &failing);
    struct sb_fetch_result result = fetching_get();
    cr_assert_eq(result.status, 503);
    cr_assert_eq(peer_requests(fetching_peer), 1);
}

static bool cut_amid(struct peer_exchange *exchange, void *context)
{
    (void)context;
    peer_send(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin");
    return false;
}

Test(fetch_session, once_a_byte_was_passed_on_nothing_is_repeated)
{
    struct stream stream = {0};
    fetching_serve(cut_amid, NULL);
    struct sb_fetch_request request = get_stream("/", &stream);
    request.retry = true;
    struct sb_fetch_call *call = start(&request);
    assert_ended(call, SB_FETCH_BROKEN);
    cr_assert_str_eq(stream.text, "begin");
    cr_assert_eq(peer_requests(fetching_peer), 1);
}

static ssize_t counting_source(void *context, int64_t offset, char *buffer, size_t size)
{
    int *beginnings = context;
    *beginnings += offset == 0;
    memset(buffer, 'x', size);
    return (ssize_t)size;
}

Test(fetch_session, a_source_is_read_from_the_beginning_for_a_retry)
{
    struct failing failing = {1, 500, "retry-after-ms: 1\r\n", ""};
    int beginnings = 0;
    struct sb_fetch_source source = {
        .read = counting_source, .context = &beginnings, .length = 100000};
    fetching_serve(fail_first, &failing);
    struct sb_fetch_request request = get("/");
    request.source = &source;
    request.retry = true;
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_OK);
    cr_assert_eq(beginnings, 2);
}

Test(fetch_session, a_call_can_be_cancelled_between_two_attempts)
{
    struct failing failing = {9, 503, "retry-after: 30\r\n", ""};
    fetching_serve(fail_first, &failing);
    struct sb_fetch_request request = get("/");
    request.retry = true;
    struct sb_fetch_call *call = start(&request);
    while (sb_fetch_result(call)->status == 0)
        cr_assert_eq(sb_fetch_step(session, 5, NULL, 0), 1);
    cr_assert_eq(sb_fetch_step(session, 5, NULL, 0), 1, "it waits for its second attempt");
    sb_fetch_cancel(call);
    cr_assert_eq(fetching_counted(SB_FETCH_CANCELLED), 1);
    cr_assert_eq(peer_requests(fetching_peer), 1);
}

/* --- Connections --- */

Test(fetch_session, a_connection_serves_many_requests_also_after_the_session_was_given_back)
{
    fetching_serve(hello, NULL);
    struct sb_fetch_request request = get("/");
    for (int i = 0; i < 5; i++)
        assert_ended(start(&request), SB_FETCH_OK);
    sb_fetch_return(session);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(fetching_get().outcome, SB_FETCH_OK);
    cr_assert_eq(sb_fetch_borrow(&fetching_config, &session), SB_OK);
    assert_ended(start(&request), SB_FETCH_OK);
    cr_assert_eq(peer_requests(fetching_peer), 11);
    cr_assert_eq(peer_connections(fetching_peer), 1);
}

Test(fetch_session, the_session_given_back_last_is_borrowed_first)
{
    struct sb_fetch_session *second, *again;
    cr_assert_eq(sb_fetch_borrow(&fetching_config, &second), SB_OK);
    cr_assert_neq(second, session);
    sb_fetch_return(session);
    sb_fetch_return(second);
    cr_assert_eq(sb_fetch_borrow(&fetching_config, &again), SB_OK);
    cr_assert_eq(again, second);
    cr_assert_eq(sb_fetch_borrow(&fetching_config, &second), SB_OK);
    cr_assert_eq(second, session);
    sb_fetch_return(again);
}

static bool die_at_second(struct peer_exchange *exchange, void *context)
{
    (void)context;
    return exchange->number != 2 && peer_reply(exchange, 200, "", exchange->body);
}

static ssize_t digits(void *context, int64_t offset, char *buffer, size_t size)
{
    (void)context, (void)size;
    *buffer = (char)('0' + offset);
    return 1;
}

Test(fetch_session, on_a_kept_connection_that_dies_a_source_is_sent_again_from_its_beginning)
{
    struct sb_fetch_source source = {.read = digits, .length = 10};
    fetching_serve(die_at_second, NULL);
    struct sb_fetch_request request = get("/");
    request.source = &source;
    cr_assert_eq(fetching_send(&request).outcome, SB_FETCH_OK);
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_OK, "%s", sb_fetch_outcome_name(result.outcome));
    cr_assert_str_eq(result.body, "0123456789");
    cr_assert_eq(peer_requests(fetching_peer), 3);
}

/* Borrows count sessions at once, has each fetch once, and gives all back. */
static void use_sessions(size_t count)
{
    struct sb_fetch_session *sessions[40];
    struct sb_fetch_request request = get("/");
    for (size_t i = 0; i < count; i++) {
        struct sb_fetch_call *call;
        cr_assert_eq(sb_fetch_borrow(&fetching_config, &sessions[i]), SB_OK);
        cr_assert_eq(sb_fetch_start(sessions[i], &request, &call), SB_OK);
        cr_assert_eq(fetching_end(sessions[i], call)->outcome, SB_FETCH_OK);
    }
    for (size_t i = 0; i < count; i++)
        sb_fetch_return(sessions[i]);
}

Test(fetch_session, thirty_two_idle_sessions_are_kept)
{
    fetching_serve(hello, NULL);
    use_sessions(36);
    cr_assert_eq(peer_connections(fetching_peer), 36);
    use_sessions(36);
    cr_assert_eq(peer_connections(fetching_peer), 40);
}

Test(fetch_session, none_is_kept_at_rest)
{
    fetching_serve(hello, NULL);
    use_sessions(3);
    sb_memory_give_back();
    use_sessions(3);
    cr_assert_eq(peer_connections(fetching_peer), 6);
}

Test(fetch_session, calls_at_once_have_connections_of_their_own)
{
    struct sb_fetch_call *calls[3];
    serve_held();
    struct sb_fetch_request request = get("/held");
    for (size_t i = 0; i < SB_COUNT(calls); i++)
        calls[i] = start(&request);
    for (size_t i = 0; i < SB_COUNT(calls) * 3; i++)
        sem_post(&gate.open);
    for (size_t i = 0; i < SB_COUNT(calls); i++)
        assert_ended(calls[i], SB_FETCH_OK);
    cr_assert_eq(peer_connections(fetching_peer), 3);
}

static bool hello_and_close(struct peer_exchange *exchange, void *context)
{
    (void)context;
    peer_reply(exchange, 200, "", "hello");
    return exchange->number % 2 == 0;
}

Test(fetch_session, a_kept_connection_that_died_is_replaced)
{
    fetching_serve(hello_and_close, NULL);
    struct sb_fetch_request request = get("/");
    request.body = "x";
    request.body_length = 1;
    for (int i = 0; i < 6; i++) {
        struct sb_fetch_result result = fetching_send(&request);
        cr_assert_eq(result.outcome, SB_FETCH_OK, "%s", sb_fetch_outcome_name(result.outcome));
    }
    cr_assert_eq(peer_requests(fetching_peer), 6);
}

Test(fetch_session, a_server_that_stops_reading_breaks_the_call_and_not_the_process)
{
    static char large[1 << 20];
    signal(SIGPIPE, SIG_DFL);
    fetching_serve(cut_amid, NULL);
    peer_leave_bodies(fetching_peer);
    struct sb_fetch_request request = get("/");
    request.body = large;
    request.body_length = sizeof large;
    for (int i = 0; i < 5; i++)
        cr_assert_neq(fetching_send(&request).outcome, SB_FETCH_OK);
}

/* --- Threads --- */

static void *fetch_often(void *context)
{
    struct sb_fetch_request request = *(struct sb_fetch_request *)context;
    intptr_t good = 0;
    request.arena = sb_arena_new(1024 * 1024);
    for (int i = 0; i < 20; i++) {
        struct sb_fetch_result result;
        good += sb_fetch(&fetching_config, &request, &result) == SB_OK;
    }
    sb_arena_free(request.arena);
    return (void *)good;
}

Test(fetch_session, many_threads_fetch_at_once)
{
    enum { THREADS = 24 };
    pthread_t threads[THREADS];
    fetching_serve(hello, NULL);
    peer_resolve("shared.test", "127.0.0.1");
    struct sb_fetch_request request = fetching_request("http", "shared.test", "/");
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, fetch_often, &request), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *good;
        pthread_join(threads[i], &good);
        cr_assert_eq((intptr_t)good, 20);
    }
    cr_assert_leq(peer_connections(fetching_peer), 200);
}
