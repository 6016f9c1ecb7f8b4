#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "upstream/fetch_internal.h"

static const int64_t NEVER_US = INT64_MAX;

/* --- What libcurl tells us to wait for --- */

static short events_of(int what)
{
    switch (what) {
    case CURL_POLL_IN:
        return POLLIN;
    case CURL_POLL_OUT:
        return POLLOUT;
    case CURL_POLL_INOUT:
        return POLLIN | POLLOUT;
    default:
        return 0;
    }
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
    struct sb_fetch_session *session = context;
    (void)easy, (void)unused;
    size_t at = 0;
    while (at < session->socket_count && session->sockets[at].fd != fd)
        at++;
    if (what == CURL_POLL_REMOVE) {
        if (at < session->socket_count)
            session->sockets[at] = session->sockets[--session->socket_count];
        return 0;
    }
    if (at == SB_FETCH_SOCKETS_MAX)
        return -1;
    if (at == session->socket_count)
        session->socket_count++;
    session->sockets[at] = (struct pollfd){.fd = fd, .events = events_of(what)};
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct sb_fetch_session *session = context;
    (void)multi;
    session->timer_us = timeout_ms < 0 ? NEVER_US : sb_clock_mono_us() + timeout_ms * 1000;
    return 0;
}

struct sb_fetch_session *sb_fetch_session_new(void)
{
    struct sb_fetch_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->timer_us = NEVER_US;
    session->multi = curl_multi_init();
    if (session->multi != NULL &&
        curl_multi_setopt(session->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
        curl_multi_setopt(session->multi, CURLMOPT_SOCKETDATA, session) == CURLM_OK &&
        curl_multi_setopt(session->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
        curl_multi_setopt(session->multi, CURLMOPT_TIMERDATA, session) == CURLM_OK &&
        curl_multi_setopt(session->multi, CURLMOPT_MAXCONNECTS, SB_FETCH_CONNECTIONS_KEPT) ==
            CURLM_OK)
        return session;
    sb_fetch_session_free(session);
    return NULL;
}

void sb_fetch_session_free(struct sb_fetch_session *session)
{
    curl_easy_cleanup(session->spare);
    curl_multi_cleanup(session->multi);
    free(session);
}

/* --- A call's way --- */

static void end_call(struct sb_fetch_call *call, enum sb_fetch_outcome outcome, const char *reason)
{
    call->result.outcome = outcome;
    call->session->call_count--;
    call->session->moved = true;
    sb_fetch_outcome_tell(call, reason);
}

static void close_attempt(struct sb_fetch_call *call, bool well)
{
    curl_off_t sent = 0, received = 0;
    if (call->easy == NULL)
        return;
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    call->sent += sent;
    call->received += received;
    curl_multi_remove_handle(call->session->multi, call->easy);
    sb_fetch_attempt_close(call, well);
}

/* The words for the log: fixed texts, nothing of the URL or the answer. */
static const char *reason_of(CURL *easy, enum sb_fetch_outcome outcome, CURLcode code)
{
    long verify = 0, os_errno = 0;
    if (outcome == SB_FETCH_UNTRUSTED &&
        curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verify) == CURLE_OK && verify != 0)
        return sb_fetch_process_verify_text(verify);
    if (outcome == SB_FETCH_UNREACHABLE &&
        curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_errno) == CURLE_OK && os_errno != 0)
        return strerrordesc_np((int)os_errno);
    return code == CURLE_OK ? "" : curl_easy_strerror(code);
}

/* The attempt is over: so is the call, or another one follows. */
static void end_attempt(struct sb_fetch_call *call, enum sb_fetch_outcome outcome, CURLcode code)
{
    const char *reason = reason_of(call->easy, outcome, code);
    close_attempt(call, outcome == SB_FETCH_OK || outcome == SB_FETCH_STATUS);
    sb_fetch_outcome_read(call, outcome);
    int64_t delay_ms = sb_fetch_retry_delay(call, outcome);
    if (delay_ms < 0)
        end_call(call, outcome, reason);
    else
        call->due_us = sb_clock_mono_us() + delay_ms * 1000;
}

/* Ends call where libcurl did not. */
static void abort_call(struct sb_fetch_call *call, enum sb_fetch_outcome outcome,
                       const char *reason)
{
    close_attempt(call, false);
    sb_fetch_outcome_read(call, outcome);
    end_call(call, outcome, reason);
}

static bool is_running(const struct sb_fetch_call *call)
{
    return call->result.outcome == SB_FETCH_RUNNING;
}

static void begin_attempt(struct sb_fetch_call *call)
{
    struct sb_fetch_result *result = &call->result;
    result->attempts++;
    result->status = 0;
    result->body = NULL;
    result->body_length = result->headers_length = 0;
    result->code[0] = result->request_id[0] = '\0';
    call->heard_us = call->seen = 0;
    call->header_bytes = call->taken = 0;
    call->forbidden = call->body_cut = false;
    call->broken = 0;
    if (!sb_fetch_attempt_open(call) ||
        curl_multi_add_handle(call->session->multi, call->easy) != CURLM_OK)
        abort_call(call, SB_FETCH_NO_MEMORY, "");
}

static void begin_due(struct sb_fetch_session *session)
{
    int64_t now_us = sb_clock_mono_us();
    for (struct sb_fetch_call *call = session->calls; call != NULL; call = call->next) {
        if (is_running(call) && call->easy == NULL && call->due_us <= now_us)
            begin_attempt(call);
    }
}

static void end_finished(struct sb_fetch_session *session)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(session->multi, &left)) != NULL) {
        struct sb_fetch_call *call = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        if (call != NULL && !call->cancelled)
            end_attempt(call, sb_fetch_outcome_of(call, code), code);
    }
}

static int64_t silence_end_us(const struct sb_fetch_call *call)
{
    return call->easy == NULL || call->heard_us == 0
               ? NEVER_US
               : call->heard_us + call->request.silence_ms * 1000;
}

static void end_overdue(struct sb_fetch_session *session)
{
    int64_t now_us = sb_clock_mono_us();
    for (struct sb_fetch_call *call = session->calls; call != NULL; call = call->next) {
        if (!is_running(call))
            continue;
        if (call->deadline_us <= now_us)
            abort_call(call, SB_FETCH_TIMEOUT, "total deadline");
        else if (silence_end_us(call) <= now_us)
            abort_call(call, SB_FETCH_TIMEOUT, "silence");
    }
}

static void free_cancelled(struct sb_fetch_session *session)
{
    struct sb_fetch_call **at = &session->calls;
    while (*at != NULL) {
        struct sb_fetch_call *call = *at;
        if (!call->cancelled) {
            at = &call->next;
            continue;
        }
        if (is_running(call))
            abort_call(call, SB_FETCH_CANCELLED, "");
        *at = call->next;
        free(call);
    }
}

static void fail_all(struct sb_fetch_session *session, const char *reason)
{
    session->broken = true;
    for (struct sb_fetch_call *call = session->calls; call != NULL; call = call->next) {
        if (is_running(call))
            abort_call(call, SB_FETCH_NO_MEMORY, reason);
    }
}

/* --- Waiting --- */

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something is to be done even if no descriptor is ready. */
static int64_t next_due_us(const struct sb_fetch_session *session)
{
    int64_t due_us = session->timer_us;
    for (const struct sb_fetch_call *call = session->calls; call != NULL; call = call->next) {
        if (!is_running(call))
            continue;
        due_us = earliest(due_us, earliest(call->deadline_us, silence_end_us(call)));
        if (call->easy == NULL)
            due_us = earliest(due_us, call->due_us);
    }
    return due_us;
}

static int poll_timeout_ms(int64_t until_us)
{
    if (until_us == NEVER_US)
        return -1;
    int64_t left_ms = (until_us - sb_clock_mono_us() + 999) / 1000;
    return left_ms < 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

static CURLMcode act(struct sb_fetch_session *session, const struct pollfd *sockets, size_t count)
{
    CURLMcode code = CURLM_OK;
    int running;
    for (size_t i = 0; i < count && code == CURLM_OK; i++) {
        int mask = ((sockets[i].revents & POLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                   ((sockets[i].revents & POLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                   ((sockets[i].revents & ~(POLLIN | POLLOUT)) != 0 ? CURL_CSELECT_ERR : 0);
        if (mask != 0)
            code = curl_multi_socket_action(session->multi, sockets[i].fd, mask, &running);
    }
    if (code == CURLM_OK && session->timer_us <= sb_clock_mono_us()) {
        session->timer_us = NEVER_US; /* libcurl sets it anew within, if it wants to */
        code = curl_multi_socket_action(session->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    return code;
}

/* One wait, at most until until_us, and what it brought. True: one of fds is ready. */
static bool turn(struct sb_fetch_session *session, int64_t until_us, struct pollfd *fds,
                 size_t fd_count)
{
    struct pollfd all[SB_FETCH_SOCKETS_MAX + SB_FETCH_FDS_MAX];
    size_t count = session->socket_count;
    memcpy(all, session->sockets, count * sizeof *all);
    if (fd_count > 0)
        memcpy(all + count, fds, fd_count * sizeof *all);
    int ready = poll(all, count + fd_count, poll_timeout_ms(until_us));
    if (ready < 0 && errno != EINTR) {
        fail_all(session, strerrordesc_np(errno));
        return false;
    }
    bool theirs = false;
    for (size_t i = 0; i < fd_count && ready > 0; i++) {
        fds[i].revents = all[count + i].revents;
        theirs |= fds[i].revents != 0;
    }
    CURLMcode code = act(session, all, ready > 0 ? count : 0);
    end_finished(session);
    if (code != CURLM_OK)
        fail_all(session, curl_multi_strerror(code));
    return theirs;
}

size_t sb_fetch_step(struct sb_fetch_session *session, int64_t wait_ms, struct pollfd *fds,
                     size_t fd_count)
{
    int64_t until_us = wait_ms < 0 ? NEVER_US : sb_clock_mono_us() + wait_ms * 1000;
    bool ready = false;
    if (fd_count > SB_FETCH_FDS_MAX)
        fd_count = SB_FETCH_FDS_MAX;
    for (size_t i = 0; i < fd_count; i++)
        fds[i].revents = 0;
    session->moved = false;
    session->stepping = true;
    do {
        begin_due(session);
        if (session->call_count == 0)
            break;
        ready = turn(session, earliest(until_us, next_due_us(session)), fds, fd_count);
        end_overdue(session);
        free_cancelled(session);
    } while (!ready && !session->moved && sb_clock_mono_us() < until_us);
    session->stepping = false;
    return session->call_count;
}

/* --- Beginning and end of a call --- */

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value == 0 ? fallback : value;
}

static void set_defaults(struct sb_fetch_request *request)
{
    bool body = request->body != NULL || request->source != NULL || request->part_count > 0;
    if (request->method == NULL)
        request->method = body ? "POST" : "GET";
    request->connect_ms = or_default(request->connect_ms, SB_FETCH_CONNECT_MS);
    request->silence_ms = or_default(request->silence_ms, SB_FETCH_SILENCE_MS);
    request->total_ms = or_default(request->total_ms, SB_FETCH_TOTAL_MS);
    if (request->response_max == 0)
        request->response_max = SB_FETCH_RESPONSE_MAX;
}

enum sb_error sb_fetch_start(struct sb_fetch_session *session,
                             const struct sb_fetch_request *request, struct sb_fetch_call **call)
{
    const char *flaw = sb_fetch_request_flaw(request);
    if (flaw != NULL) {
        SB_LOG(SB_LOG_ERROR, "upstream.refused", request->trace_id, SB_LOG_TEXT("reason", flaw));
        return SB_E_INTERNAL;
    }
    if (session->broken || session->call_count == SB_FETCH_CALLS_MAX)
        return SB_E_UNAVAILABLE;
    struct sb_fetch_call *made = calloc(1, sizeof *made);
    if (made == NULL)
        return SB_E_UNAVAILABLE;
    made->session = session;
    made->request = *request;
    set_defaults(&made->request);
    made->started_us = sb_clock_mono_us();
    made->deadline_us = made->started_us + made->request.total_ms * 1000;
    made->next = session->calls;
    session->calls = made;
    session->call_count++;
    session->moved = true; /* begun by the next step */
    *call = made;
    return SB_OK;
}

const struct sb_fetch_result *sb_fetch_result(const struct sb_fetch_call *call)
{
    return &call->result;
}

void sb_fetch_cancel(struct sb_fetch_call *call)
{
    struct sb_fetch_session *session = call->session;
    call->cancelled = true;
    if (!session->stepping)
        free_cancelled(session);
}

void sb_fetch_session_clear(struct sb_fetch_session *session)
{
    for (struct sb_fetch_call *call = session->calls; call != NULL; call = call->next)
        call->cancelled = true;
    free_cancelled(session);
}
