/* One request: what is sent, what comes back, what is refused. */
#include "upstream/fetch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../support/base.h"
#include "../support/fetching.h"
#include "base/metrics.h"

TestSuite(fetch, .init = fetching_setup, .fini = fetching_teardown);

struct script {
    int status;
    const char *headers, *body;
};

static bool say(struct peer_exchange *exchange, void *context)
{
    const struct script *script = context;
    return peer_reply(exchange, script->status, script->headers, script->body);
}

/* Answers 200 with the head and the body that came. */
static bool echo(struct peer_exchange *exchange, void *context)
{
    (void)context;
    char line[100];
    snprintf(line, sizeof line, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
             strlen(exchange->head) + exchange->body_length);
    peer_send(exchange, line);
    peer_send(exchange, exchange->head);
    peer_send_n(exchange, exchange->body, exchange->body_length);
    return true;
}

static void assert_sent(const struct sb_fetch_result *result, const char *part)
{
    cr_assert_eq(result->outcome, SB_FETCH_OK, "%s", sb_fetch_outcome_name(result->outcome));
    cr_assert_not_null(strstr(result->body, part), "no %s in:\n%s", part, result->body);
}

static void assert_outcome(const struct sb_fetch_result *result, enum sb_fetch_outcome outcome,
                           enum sb_error error)
{
    cr_assert_eq(result->outcome, outcome, "%s", sb_fetch_outcome_name(result->outcome));
    cr_assert_eq(result->error, error);
    cr_assert_eq(fetching_counted(outcome), 1);
    cr_assert_eq(base_count(fetching_log(), "\"event\":\"upstream.fetch\""), 1);
}

Test(fetch, a_2xx_answer_is_ok_with_status_headers_and_body)
{
    struct script script = {201, "Location: /calls/1\r\nX-Request-ID: req_1\r\n", "made"};
    fetching_serve(say, &script);
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_OK, SB_OK);
    cr_assert_eq(result.status, 201);
    cr_assert_eq(result.attempts, 1);
    cr_assert_str_eq(result.body, "made");
    cr_assert_eq(result.body_length, 4);
    cr_assert_str_eq(sb_fetch_header(&result, "location"), "/calls/1");
    cr_assert_null(sb_fetch_header(&result, "locatio"));
    cr_assert_str_eq(result.request_id, "req_1");
    cr_assert_str_empty(result.code);
}

Test(fetch, an_empty_answer_is_an_empty_text)
{
    struct script script = {200, "", ""};
    fetching_serve(say, &script);
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_OK, SB_OK);
    cr_assert_str_empty(result.body);
}

Test(fetch, a_plain_get_sends_only_what_is_needed)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/a/../b?c=%20d");
    struct sb_fetch_result result = fetching_send(&request);
    assert_sent(&result, "GET /a/../b?c=%20d HTTP/1.1\r\n");
    assert_sent(&result, "\r\nUser-Agent: switchboard/");
    cr_assert_null(strstr(result.body, "Content-"));
    cr_assert_null(strstr(result.body, "Accept-Encoding"));
    cr_assert_null(strstr(result.body, "Cookie"));
    cr_assert_null(strstr(result.body, "raceparent"));
}

Test(fetch, headers_and_the_trace_are_passed_on)
{
    struct sb_fetch_header headers[] = {{"Authorization", "Bearer key"}, {"X-Empty", ""}};
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.headers = headers;
    request.header_count = 2;
    request.trace_id = "0af7651916cd43dd8448eb211c80319c";
    struct sb_fetch_result result = fetching_send(&request);
    assert_sent(&result, "\r\nAuthorization: Bearer key\r\n");
    assert_sent(&result, "\r\nX-Empty:\r\n");
    assert_sent(&result, "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-");
}

Test(fetch, a_body_in_memory_is_posted_with_its_type)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.body = "{\"a\":1}";
    request.body_length = 7;
    request.content_type = "application/json";
    struct sb_fetch_result result = fetching_send(&request);
    assert_sent(&result, "POST / HTTP/1.1\r\n");
    assert_sent(&result, "\r\nContent-Type: application/json\r\n");
    assert_sent(&result, "\r\nContent-Length: 7\r\n{\"a\":1}");
}

static bool tell_expectation(struct peer_exchange *exchange, void *context)
{
    (void)context;
    const char *expectation = peer_header(exchange, "Expect");
    return peer_reply(exchange, 200, "", expectation == NULL ? "none" : expectation);
}

Test(fetch, a_large_body_is_sent_without_waiting_for_leave)
{
    enum { LENGTH = 3 * 1024 * 1024 };
    fetching_serve(tell_expectation, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.body = sb_arena_alloc(fetching_arena, LENGTH);
    request.body_length = LENGTH;
    cr_assert_str_eq(fetching_send(&request).body, "none");
}

Test(fetch, a_method_can_be_named_and_a_post_may_be_empty)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.method = "DELETE";
    struct sb_fetch_result result = fetching_send(&request);
    assert_sent(&result, "DELETE / HTTP/1.1\r\n");
    request.method = "POST";
    result = fetching_send(&request);
    assert_sent(&result, "POST / HTTP/1.1\r\n");
    assert_sent(&result, "\r\nContent-Length: 0\r\n");
    request.method = "PUT";
    request.body = "x";
    request.body_length = 1;
    result = fetching_send(&request);
    assert_sent(&result, "PUT / HTTP/1.1\r\n");
    assert_sent(&result, "Content-Length: 1\r\nx");
}

static bool head_only(struct peer_exchange *exchange, void *context)
{
    (void)context;
    peer_send(exchange, strncmp(exchange->head, "HEAD ", 5) == 0
                            ? "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
                            : "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    return true;
}

Test(fetch, an_answer_to_head_has_no_body)
{
    fetching_serve(head_only, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.method = "HEAD";
    struct sb_fetch_result result = fetching_send(&request);
    assert_outcome(&result, SB_FETCH_OK, SB_OK);
    cr_assert_str_empty(result.body);
    cr_assert_str_eq(sb_fetch_header(&result, "content-length"), "1000");
}

static ssize_t alphabet(void *context, int64_t offset, char *buffer, size_t size)
{
    size_t count = size < 1000 ? size : 1000;
    (void)context;
    for (size_t i = 0; i < count; i++)
        buffer[i] = (char)('a' + (offset + (int64_t)i) % 26);
    return (ssize_t)count;
}

Test(fetch, a_source_is_sent_whole_in_order_with_its_length)
{
    enum { LENGTH = 200000 };
    struct sb_fetch_source source = {.read = alphabet, .length = LENGTH};
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.source = &source;
    request.content_type = "audio/webm";
    struct sb_fetch_result result = fetching_send(&request);
    assert_sent(&result, "\r\nContent-Length: 200000\r\n");
    assert_sent(&result, "\r\nContent-Type: audio/webm\r\n");
    const char *body = result.body + result.body_length - LENGTH;
    for (int i = 0; i < LENGTH; i++)
        cr_assert_eq(body[i], 'a' + i % 26, "%d", i);
}

static ssize_t short_source(void *context, int64_t offset, char *buffer, size_t size)
{
    return offset < 5000 ? alphabet(context, offset, buffer, size) : 0;
}

Test(fetch, a_source_that_ends_early_cancels_the_call)
{
    struct sb_fetch_source source = {.read = short_source, .length = 10000};
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.source = &source;
    request.retry = true;
    struct sb_fetch_result result = fetching_send(&request);
    assert_outcome(&result, SB_FETCH_CANCELLED, SB_E_INTERNAL);
    cr_assert_eq(result.attempts, 1);
}

/* A file in memory that holds text. */
static int file_of(const char *text)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

Test(fetch, an_empty_file_and_the_beginning_of_a_file_are_sent)
{
    struct sb_fetch_source source = {.fd = file_of("all but this"), .length = 7};
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.source = &source;
    struct sb_fetch_result result = fetching_send(&request);
    assert_sent(&result, "Content-Length: 7\r\nall but");
    source.length = 0;
    result = fetching_send(&request);
    assert_sent(&result, "Content-Length: 0\r\n");
    close(source.fd);
}

Test(fetch, parts_are_sent_as_form_data_with_the_file_read_from_its_descriptor)
{
    struct sb_fetch_source source = {.fd = file_of("RIFF...."), .length = 8};
    struct sb_fetch_part parts[] = {
        {.name = "model", .text = "gpt-transcribe"},
        {.name = "file", .source = &source, .filename = "a\".wav", .content_type = "audio/wav"},
    };
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.parts = parts;
    request.part_count = 2;
    struct sb_fetch_result result = fetching_send(&request);
    assert_sent(&result, "POST / HTTP/1.1\r\n");
    assert_sent(&result, "\r\nContent-Type: multipart/form-data; boundary=");
    assert_sent(&result, "\r\nContent-Length: ");
    assert_sent(&result,
                "Content-Disposition: form-data; name=\"model\"\r\n\r\ngpt-transcribe\r\n");
    assert_sent(&result, "name=\"file\"; filename=\"a%22.wav\"\r\n"
                         "Content-Type: audio/wav\r\n\r\nRIFF....\r\n");
    close(source.fd);
}

Test(fetch, another_status_is_an_error_with_its_body)
{
    struct script script = {404, "", "not here"};
    fetching_serve(say, &script);
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_STATUS, SB_E_UPSTREAM_ERROR);
    cr_assert_eq(result.status, 404);
    cr_assert_str_eq(result.body, "not here");
    cr_assert_str_eq(result.code, "404");
}

Test(fetch, the_code_of_an_error_is_found_where_upstreams_put_it)
{
    static const struct {
        const char *body, *code;
    } rows[] = {
        {"{\"error\":{\"code\":\"model_not_found\",\"message\":\"m\"}}", "model_not_found"},
        {"{\"detail\":{\"status\":\"voice_not_found\"}}", "voice_not_found"},
        {"{\"error\":{\"code\":null},\"detail\":{\"status\":\"s\"}}", "s"},
        {"{\"error\":\"text\"}", "422"},
        {"{\"error\":{\"code\":17}}", "422"},
        {"{\"detail\":[{\"loc\":1}]}", "422"},
        {"{\"detail\":\"text\"}", "422"},
        {"{\"error\":{\"code\":\"a b\\n\"}}", "422"},
        {"{\"error\":{\"code\":\"\"}}", "422"},
        {"[]", "422"},
        {"", "422"},
        {"<html>", "422"},
    };
    struct script script = {422, "", ""};
    fetching_serve(say, &script);
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        script.body = rows[i].body;
        struct sb_fetch_result result = fetching_get();
        cr_assert_str_eq(result.code, rows[i].code, "%s", rows[i].body);
    }
}

Test(fetch, a_redirect_is_not_followed)
{
    struct script script = {302, "Location: /elsewhere\r\n", ""};
    fetching_serve(say, &script);
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_STATUS, SB_E_UPSTREAM_ERROR);
    cr_assert_eq(result.status, 302);
    cr_assert_eq(peer_requests(fetching_peer), 1);
}

Test(fetch, a_cookie_is_not_kept)
{
    struct script script = {200, "Set-Cookie: a=b; Path=/\r\n", ""};
    fetching_serve(say, &script);
    fetching_get();
    peer_stop(fetching_peer);
    fetching_serve(echo, NULL);
    struct sb_fetch_result result = fetching_get();
    assert_sent(&result, "GET / ");
    cr_assert_null(strcasestr(result.body, "cookie"));
}

static bool interim(struct peer_exchange *exchange, void *context)
{
    (void)context;
    peer_send(exchange, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    return peer_reply(exchange, 200, "", "end");
}

Test(fetch, an_interim_answer_is_passed_over)
{
    fetching_serve(interim, NULL);
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_OK, SB_OK);
    cr_assert_eq(result.status, 200);
    cr_assert_null(sb_fetch_header(&result, "Link"));
}

static bool send_script(struct peer_exchange *exchange, void *context)
{
    peer_send(exchange, context);
    return false;
}

Test(fetch, what_is_cut_off_or_not_http_is_broken)
{
    static const char *const rows[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "just some bytes",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        fetching_serve(send_script, (void *)rows[i]);
        struct sb_fetch_result result = fetching_get();
        cr_assert_eq(result.outcome, SB_FETCH_BROKEN, "%s: %s", rows[i],
                     sb_fetch_outcome_name(result.outcome));
        cr_assert_eq(result.error, SB_E_UPSTREAM_ERROR);
        cr_assert_null(result.body);
        peer_stop(fetching_peer);
    }
    fetching_peer = NULL;
}

Test(fetch, nobody_listening_is_unreachable)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    peer_stop(fetching_peer);
    fetching_peer = NULL;
    struct sb_fetch_result result = fetching_send(&request);
    assert_outcome(&result, SB_FETCH_UNREACHABLE, SB_E_UPSTREAM_ERROR);
    cr_assert_eq(result.status, 0);
    cr_assert_not_null(strstr(fetching_log(), "Connection refused"), "%s", fetching_log());
}

Test(fetch, a_name_without_address_is_unreachable)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "nowhere.test", "/");
    struct sb_fetch_result result = fetching_send(&request);
    assert_outcome(&result, SB_FETCH_UNREACHABLE, SB_E_UPSTREAM_ERROR);
}

/* --- Caps --- */

static struct sb_fetch_result get_capped(size_t response_max)
{
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.response_max = response_max;
    return fetching_send(&request);
}

Test(fetch, a_body_may_fill_its_cap_but_not_pass_it)
{
    struct script script = {200, "", "0123456789"};
    fetching_serve(say, &script);
    struct sb_fetch_result result = get_capped(10);
    assert_outcome(&result, SB_FETCH_OK, SB_OK);
    cr_assert_str_eq(result.body, "0123456789");
    result = get_capped(9);
    cr_assert_eq(result.outcome, SB_FETCH_TOO_LARGE);
    cr_assert_eq(result.error, SB_E_UPSTREAM_ERROR);
    cr_assert_null(result.body);
}

static bool flood(struct peer_exchange *exchange, void *context)
{
    peer_send(exchange, context);
    static char block[65536];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 64; i++)
        peer_send_n(exchange, block, sizeof block);
    return false;
}

Test(fetch, a_body_without_a_length_stops_at_the_cap)
{
    fetching_serve(flood, (void *)"HTTP/1.1 200 OK\r\n\r\n");
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_TOO_LARGE, SB_E_UPSTREAM_ERROR);
}

Test(fetch, of_a_large_error_the_beginning_is_kept)
{
    fetching_serve(flood, (void *)"HTTP/1.1 500 Sorry\r\n\r\n");
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_STATUS, SB_E_UPSTREAM_ERROR);
    cr_assert_eq(result.status, 500);
    cr_assert_eq(result.body_length, SB_FETCH_ERROR_BODY_MAX);
    cr_assert_eq(strlen(result.body), SB_FETCH_ERROR_BODY_MAX);
}

Test(fetch, a_header_without_end_is_too_large)
{
    fetching_serve(flood, (void *)"HTTP/1.1 200 OK\r\nX-Large: ");
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_TOO_LARGE, SB_E_UPSTREAM_ERROR);
}

static bool many_headers(struct peer_exchange *exchange, void *context)
{
    int count = *(int *)context;
    peer_send(exchange, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (int i = 0; i < count; i++) {
        char line[64];
        snprintf(line, sizeof line, "X-%04d: %0*d\r\n", i, 24, 0);
        peer_send(exchange, line);
    }
    peer_send(exchange, "\r\n");
    return false;
}

Test(fetch, many_headers_are_taken_up_to_the_cap)
{
    int count = SB_FETCH_HEADERS_MAX / 34 - 2; /* 34 bytes each */
    fetching_serve(many_headers, &count);
    struct sb_fetch_result result = fetching_get();
    assert_outcome(&result, SB_FETCH_OK, SB_OK);
    cr_assert_not_null(sb_fetch_header(&result, "x-0400"));
    count += 3;
    result = fetching_get();
    cr_assert_eq(result.outcome, SB_FETCH_TOO_LARGE);
}

Test(fetch, an_arena_without_place_is_no_memory)
{
    struct script script = {200, "", ""};
    char *large = sb_arena_alloc(fetching_arena, 100001);
    memset(large, 'x', 100000);
    script.body = large;
    fetching_serve(say, &script);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.arena = sb_arena_new(32 * 1024);
    struct sb_fetch_result result = fetching_send(&request);
    assert_outcome(&result, SB_FETCH_NO_MEMORY, SB_E_UNAVAILABLE);
    sb_arena_free(request.arena);
}

/* --- What log and metrics say --- */

Test(fetch, the_time_of_a_request_is_measured_by_upstream_and_outcome)
{
    struct script script = {200, "", ""};
    struct sb_buf out;
    fetching_serve(say, &script);
    fetching_get();
    sb_buf_init(&out, fetching_arena, 1024 * 1024);
    sb_metrics_write(&out);
    cr_assert_not_null(strstr(out.data, "\nswitchboard_upstream_request_duration_seconds_count{"
                                        "upstream=\"test\",outcome=\"ok\"} 1\n"),
                       "%s", out.data);
}

Test(fetch, the_log_names_upstream_status_code_and_ids_but_no_url_header_or_content)
{
    struct script script = {429, "x-request-id: req_77\r\nX-Hidden: hush1\r\n",
                            "{\"error\":{\"code\":\"rate_limit\",\"message\":\"hush2\"}}"};
    struct sb_fetch_header header = {"Authorization", "hush3"};
    fetching_serve(say, &script);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/hush4?key=hush5");
    request.headers = &header;
    request.header_count = 1;
    request.body = "hush6";
    request.body_length = 5;
    request.trace_id = "0af7651916cd43dd8448eb211c80319c";
    fetching_send(&request);
    static const char *const parts[] = {"\"event\":\"upstream.fetch\"",
                                        "\"upstream\":\"test\"",
                                        "\"outcome\":\"status\"",
                                        "\"status\":429",
                                        "\"upstreamCode\":\"rate_limit\"",
                                        "\"upstreamRequestId\":\"req_77\"",
                                        "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\"",
                                        "\"attempts\":1",
                                        "\"bytesSent\":5",
                                        "\"bytesReceived\":49",
                                        "\"durationUs\":"};
    const char *log = fetching_log();
    for (size_t i = 0; i < SB_COUNT(parts); i++)
        cr_expect_not_null(strstr(log, parts[i]), "no %s in %s", parts[i], log);
    cr_expect_null(strstr(log, "hush"), "%s", log);
}

/* --- What is refused before it begins --- */

static void assert_refused(const struct sb_fetch_request *request, const char *why)
{
    struct sb_fetch_result result = fetching_send(request);
    cr_assert_eq(result.outcome, SB_FETCH_CANCELLED, "%s", why);
    cr_assert_eq(result.error, SB_E_INTERNAL, "%s", why);
    cr_assert_eq(peer_connections(fetching_peer), 0, "%s", why);
}

Test(fetch, urls_that_are_not_plain_http_are_refused)
{
    static const char *const urls[] = {"",
                                       "127.0.0.1/",
                                       "ftp://127.0.0.1/",
                                       "file:///etc/passwd",
                                       "gopher://127.0.0.1/",
                                       "http:/127.0.0.1",
                                       "http://",
                                       "http:///path",
                                       "http://user@127.0.0.1/",
                                       "http://user:word@127.0.0.1/",
                                       "http://a\\@127.0.0.1/",
                                       "http://127.0.0.1/a b",
                                       "http://127.0.0.1/\r\nX: y",
                                       "http://127.0.0.1/\x7f",
                                       "http://127.0.0.1/\xc3\xa4"};
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    for (size_t i = 0; i < SB_COUNT(urls); i++) {
        request.url = urls[i];
        assert_refused(&request, urls[i]);
    }
    request.url = NULL;
    assert_refused(&request, "no URL");
}

Test(fetch, what_breaks_the_contract_is_refused)
{
    struct sb_fetch_source source = {.fd = -1, .length = -1};
    struct sb_fetch_part part = {.name = "a", .text = "b"};
    fetching_serve(echo, NULL);
    struct sb_fetch_request fine = fetching_request("http", "127.0.0.1", "/");
    struct {
        const char *why;
        struct sb_fetch_request request;
    } rows[] = {
        {"no name", fine},        {"a name of other characters", fine},
        {"a long name", fine},    {"no peers", fine},
        {"a method", fine},       {"a limit", fine},
        {"no body", fine},        {"two bodies", fine},
        {"a source", fine},       {"no arena", fine},
        {"a content type", fine},
    };
    rows[0].request.upstream = NULL;
    rows[1].request.upstream = "Test\"";
    rows[2].request.upstream = "abcdefghijklmnopqrstuvwxy";
    rows[3].request.peers = 0;
    rows[4].request.method = "GET /x HTTP/1.1\r\n";
    rows[5].request.silence_ms = -1;
    rows[6].request.body_length = 1;
    rows[7].request.body = "x";
    rows[7].request.parts = &part;
    rows[7].request.part_count = 1;
    rows[8].request.source = &source;
    rows[9].request.arena = NULL;
    rows[10].request.content_type = "a/b\r\nX: y";
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        assert_refused(&rows[i].request, rows[i].why);
}

Test(fetch, headers_that_would_be_two_are_refused)
{
    static const struct sb_fetch_header headers[] = {{"A", "b\r\nC: d"}, {"A", "b\nC: d"},
                                                     {"A: b\r\nC", "d"}, {"A", NULL},
                                                     {"", "b"},          {NULL, "b"}};
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.header_count = 1;
    for (size_t i = 0; i < SB_COUNT(headers); i++) {
        request.headers = &headers[i];
        assert_refused(&request, "header");
    }
}

Test(fetch, parts_that_would_break_the_form_are_refused)
{
    static const struct sb_fetch_part parts[] = {{.name = "a"},
                                                 {.text = "b"},
                                                 {.name = "a\r\n", .text = "b"},
                                                 {.name = "a", .text = "b", .filename = "\n"},
                                                 {.name = "a", .text = "b", .content_type = "\r"}};
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.part_count = 1;
    for (size_t i = 0; i < SB_COUNT(parts); i++) {
        request.parts = &parts[i];
        assert_refused(&request, "part");
    }
}

/* --- Whom it may reach --- */

static struct sb_fetch_result get_from(const char *host, enum sb_fetch_peers peers)
{
    struct sb_fetch_request request = fetching_request("http", host, "/");
    request.peers = peers;
    return fetching_send(&request);
}

Test(fetch, a_name_that_resolves_to_a_public_address_is_not_reached_in_clear_text)
{
    fetching_serve(echo, NULL);
    peer_resolve("public.test", "8.8.8.8");
    struct sb_fetch_result result = get_from("public.test", SB_FETCH_CONFIGURED);
    assert_outcome(&result, SB_FETCH_FORBIDDEN, SB_E_UPSTREAM_ERROR);
}

Test(fetch, of_several_addresses_those_allowed_are_reached)
{
    fetching_serve(echo, NULL);
    peer_resolve("mixed.test", "169.254.169.254,8.8.8.8,127.0.0.1");
    struct sb_fetch_result result = get_from("mixed.test", SB_FETCH_CONFIGURED);
    assert_outcome(&result, SB_FETCH_OK, SB_OK);
}

Test(fetch, clear_text_is_refused_where_tls_is_demanded)
{
    fetching_serve(echo, NULL);
    struct sb_fetch_request request = fetching_request("http", "127.0.0.1", "/");
    request.peers = SB_FETCH_CONFIGURED_TLS;
    assert_refused(&request, "configured");
    request.peers = SB_FETCH_PUBLIC;
    assert_refused(&request, "public");
}

static void assert_forbidden(const char *host)
{
    struct sb_fetch_request request = fetching_request("https", host, "/");
    request.peers = SB_FETCH_PUBLIC;
    request.retry = true;
    struct sb_fetch_result result = fetching_send(&request);
    cr_assert_eq(result.outcome, SB_FETCH_FORBIDDEN, "%s: %s", host,
                 sb_fetch_outcome_name(result.outcome));
    cr_assert_eq(result.attempts, 1);
    cr_assert_eq(peer_connections(fetching_peer), 0, "%s", host);
}

Test(fetch, a_users_url_does_not_reach_this_machine_by_any_spelling)
{
    static const char *const hosts[] = {"127.0.0.1",          "localhost", "127.1",    "0x7f.1",
                                        "2130706433",         "[::1]",     "0.0.0.0",  "[::]",
                                        "[::ffff:127.0.0.1]", "me.test",   "both.test"};
    fetching_serve(echo, NULL);
    peer_resolve("me.test", "127.0.0.1");
    peer_resolve("both.test", "127.0.0.1,::1");
    for (size_t i = 0; i < SB_COUNT(hosts); i++)
        assert_forbidden(hosts[i]);
}
