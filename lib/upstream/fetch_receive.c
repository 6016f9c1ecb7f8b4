#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "upstream/fetch_internal.h"

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && strchr(" \t\r\n", (*text)[*length - 1]) != NULL)
        --*length;
    while (*length > 0 && strchr(" \t", **text) != NULL) {
        ++*text;
        --*length;
    }
}

/* Kept as name NUL value NUL, for sb_fetch_header(). */
static void keep_header(struct sb_fetch_call *call, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length);
    if (colon == NULL || memchr(line, '\0', length) != NULL)
        return;
    const char *value = colon + 1;
    size_t name_length = (size_t)(colon - line);
    size_t value_length = length - name_length - 1;
    trim(&line, &name_length);
    trim(&value, &value_length);
    sb_buf_add(&call->headers, line, name_length);
    sb_buf_add_char(&call->headers, '\0');
    sb_buf_add(&call->headers, value, value_length);
    sb_buf_add_char(&call->headers, '\0');
    call->result.headers = call->headers.data;
    call->result.headers_length = call->headers.length;
}

/* A status line: an interim answer (1xx) may have come before. */
static void begin_answer(struct sb_fetch_call *call, const char *line, size_t length)
{
    const char *space = memchr(line, ' ', length); /* the line ends in CR or LF, no digit */
    call->result.status = space == NULL ? 0 : (int)strtol(space, NULL, 10);
    call->result.headers_length = 0;
    call->headers.length = 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct sb_fetch_call *call = context;
    size_t length = size * count;
    if (call->cancelled)
        return 0;
    call->heard_us = sb_clock_mono_us();
    call->header_bytes += length;
    if (call->header_bytes > SB_FETCH_HEADERS_MAX) {
        call->broken = SB_FETCH_TOO_LARGE;
        return 0;
    }
    if (length > 5 && memcmp(line, "HTTP/", 5) == 0)
        begin_answer(call, line, length);
    else
        keep_header(call, line, length);
    if (!sb_buf_ok(&call->headers)) {
        call->broken = SB_FETCH_NO_MEMORY;
        return 0;
    }
    return length;
}

/* An error's body is for finding out what is wrong: what does not fit is not worth waiting for. */
static size_t take_error(struct sb_fetch_call *call, const char *data, size_t length)
{
    size_t room = SB_FETCH_ERROR_BODY_MAX - call->body.length;
    call->body_cut = length > room;
    sb_buf_add(&call->body, data, call->body_cut ? room : length);
    if (!sb_buf_ok(&call->body))
        call->broken = SB_FETCH_NO_MEMORY;
    return call->body_cut || call->broken != 0 ? 0 : length;
}

static size_t take(struct sb_fetch_call *call, const char *data, size_t length)
{
    if (length > call->request.response_max - call->taken)
        call->broken = SB_FETCH_TOO_LARGE;
    else if (call->request.sink == NULL)
        sb_buf_add(&call->body, data, length);
    else if (!call->request.sink(call->request.context, data, length))
        call->broken = SB_FETCH_CANCELLED;
    if (!sb_buf_ok(&call->body))
        call->broken = SB_FETCH_NO_MEMORY;
    call->taken += length;
    call->session->moved |= call->request.sink != NULL;
    return call->broken != 0 || call->cancelled ? 0 : length;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct sb_fetch_call *call = context;
    size_t length = size * count;
    if (call->cancelled)
        return 0;
    call->heard_us = sb_clock_mono_us();
    bool good = call->result.status >= 200 && call->result.status < 300;
    return good ? take(call, data, length) : take_error(call, data, length);
}

/* Called whenever libcurl has done something for the call: tells that bytes were sent. */
static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    struct sb_fetch_call *call = context;
    (void)down_total, (void)up_total;
    if (down + up != call->seen && call->heard_us != 0)
        call->heard_us = sb_clock_mono_us();
    call->seen = down + up;
    return call->cancelled ? 1 : 0;
}

bool sb_fetch_receive_set(struct sb_fetch_call *call)
{
    CURL *easy = call->easy;
    size_t body_max = call->request.response_max > SB_FETCH_ERROR_BODY_MAX
                          ? call->request.response_max
                          : SB_FETCH_ERROR_BODY_MAX;
    if (call->headers.cap == 0) { /* a retry uses the memory of the attempt before it */
        sb_buf_init(&call->headers, call->request.arena, (size_t)2 * SB_FETCH_HEADERS_MAX);
        sb_buf_init(&call->body, call->request.arena, body_max + 1);
    }
    call->headers.length = 0;
    call->body.length = 0;
    return curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_XFERINFODATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
}

const char *sb_fetch_header_next(const struct sb_fetch_result *result, const char *name,
                                 const char *previous)
{
    if (result->headers_length == 0)
        return NULL;
    const char *at = previous == NULL ? result->headers : previous + strlen(previous) + 1;
    while (at < result->headers + result->headers_length) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *sb_fetch_header(const struct sb_fetch_result *result, const char *name)
{
    return sb_fetch_header_next(result, name, NULL);
}
