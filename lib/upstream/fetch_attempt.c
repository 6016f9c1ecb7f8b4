#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/ids.h"
#include "upstream/fetch_address.h"
#include "upstream/fetch_internal.h"

enum { BUFFER_SIZE = 8 * 1024, UPSTREAM_NAME_MAX = 24 };

/* --- What a request must be --- */

static bool is_line(const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return false;
    }
    return true;
}

/* RFC 9110 section 5.6.2 */
static bool is_token(const char *text)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "!#$%&'*+-.^_`|~";
    size_t length = text == NULL ? 0 : strspn(text, chars);
    return length > 0 && text[length] == '\0';
}

static bool is_tls(const char *url)
{
    return strncasecmp(url, "https://", 8) == 0;
}

static const char *url_flaw(const struct sb_fetch_request *request)
{
    const char *url = request->url;
    if (url == NULL || (!is_tls(url) && strncasecmp(url, "http://", 7) != 0))
        return "the URL is neither http nor https";
    for (const char *at = url; *at != '\0'; at++) {
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7F)
            return "the URL has a character that must be escaped";
    }
    const char *host = strstr(url, "://") + 3;
    size_t length = strcspn(host, "/?#");
    if (length == 0 || memchr(host, '@', length) != NULL || memchr(host, '\\', length) != NULL)
        return "the URL has no host, or a user";
    if (!sb_fetch_scheme_allowed(request->peers, is_tls(url)))
        return "no peer may be reached by this scheme";
    return NULL;
}

static const char *body_flaw(const struct sb_fetch_request *request)
{
    bool memory = request->body != NULL || request->body_length > 0;
    if (memory + (request->source != NULL) + (request->part_count > 0) > 1)
        return "there is more than one body";
    if (request->body == NULL && request->body_length > 0)
        return "the body is missing";
    if (request->source != NULL && request->source->length < 0)
        return "the source has no length";
    for (size_t i = 0; i < request->part_count; i++) {
        const struct sb_fetch_part *part = &request->parts[i];
        if (part->name == NULL || (part->text == NULL) == (part->source == NULL) ||
            (part->source != NULL && part->source->length < 0))
            return "a part lacks name or content";
        if (!is_line(part->name) || !is_line(part->filename) || !is_line(part->content_type))
            return "a part has a control character";
    }
    return NULL;
}

const char *sb_fetch_request_flaw(const struct sb_fetch_request *request)
{
    static const char names[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t name = request->upstream == NULL ? 0 : strspn(request->upstream, names);
    if (name == 0 || name > UPSTREAM_NAME_MAX || request->upstream[name] != '\0')
        return "the upstream has no proper name";
    if (request->arena == NULL || (request->method != NULL && !is_token(request->method)))
        return "there is no arena, or no method";
    if (request->connect_ms < 0 || request->silence_ms < 0 || request->total_ms < 0)
        return "a limit is below 0";
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_token(request->headers[i].name) || request->headers[i].value == NULL ||
            !is_line(request->headers[i].value))
            return "a header has a character it may not have";
    }
    if (!is_line(request->content_type) || !is_line(request->connect_to))
        return "the content type or the peer has a control character";
    const char *flaw = body_flaw(request);
    return flaw == NULL ? url_flaw(request) : flaw;
}

/* --- Whom it may reach --- */

static bool address_of(const struct sockaddr *peer, struct sb_address *address)
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    if (peer->sa_family == AF_INET6) {
        memcpy(address->bytes, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
        return true;
    }
    if (peer->sa_family != AF_INET)
        return false;
    memcpy(address->bytes, mapped, sizeof mapped);
    memcpy(address->bytes + sizeof mapped, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    return true;
}

static bool may_reach(struct sb_fetch_call *call, const struct sb_address *address)
{
    bool allowed = sb_fetch_address_allowed(call->request.peers, call->tls, address);
    call->forbidden |= !allowed;
    return allowed;
}

/* The resolved address, whatever the name: nothing can come between this check and the connection.
 */
static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *peer)
{
    struct sb_address address;
    if (purpose != CURLSOCKTYPE_IPCXN || !address_of(&peer->addr, &address) ||
        !may_reach(context, &address))
        return CURL_SOCKET_BAD;
    return socket(peer->family, peer->socktype | SOCK_CLOEXEC, peer->protocol);
}

/* The request is about to be sent, perhaps on a connection that a call under other rules made. */
static int on_connected(void *context, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
    struct sb_fetch_call *call = context;
    struct sb_address address;
    (void)local_ip, (void)peer_port, (void)local_port;
    if (!sb_address_parse(peer_ip, strlen(peer_ip), &address) || !may_reach(call, &address)) {
        call->broken = SB_FETCH_FORBIDDEN;
        return CURL_PREREQFUNC_ABORT;
    }
    call->forbidden = false;
    call->heard_us = sb_clock_mono_us();
    return CURL_PREREQFUNC_OK;
}

/* --- What is sent --- */

static bool add_header(struct sb_fetch_call *call, const char *name, const char *value)
{
    char *line = NULL;
    /* libcurl takes "Name:" for removing a header, "Name;" for sending an empty one. */
    int length = asprintf(&line, *value == '\0' ? "%s;" : "%s: %s", name, value);
    struct curl_slist *list = length < 0 ? NULL : curl_slist_append(call->header_list, line);
    if (length >= 0) {
        sb_wipe(line, (size_t)length);
        free(line);
    }
    if (list != NULL)
        call->header_list = list;
    return list != NULL;
}

static bool remove_header(struct sb_fetch_call *call, const char *line)
{
    struct curl_slist *list = curl_slist_append(call->header_list, line);
    if (list != NULL)
        call->header_list = list;
    return list != NULL;
}

/* W3C Trace Context section 3.2: this call is a span of its own. */
static bool add_trace(struct sb_fetch_call *call)
{
    char value[64];
    uint64_t span;
    if (call->request.trace_id == NULL)
        return true;
    sb_random(&span, sizeof span);
    snprintf(value, sizeof value, "00-%.32s-%016" PRIx64 "-01", call->request.trace_id, span | 1);
    return add_header(call, "traceparent", value);
}

static bool set_headers(struct sb_fetch_call *call)
{
    const struct sb_fetch_request *request = &call->request;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!add_header(call, request->headers[i].name, request->headers[i].value))
            return false;
    }
    if (request->part_count == 0 &&
        (request->content_type == NULL ? !remove_header(call, "Content-Type:")
                                       : !add_header(call, "Content-Type", request->content_type)))
        return false;
    /* Waiting for "100 Continue" would cost a second where none comes. */
    return add_trace(call) && remove_header(call, "Expect:") &&
           curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->header_list) == CURLE_OK;
}

static bool set_method(CURL *easy, const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
}

/* --- How --- */

/* Nothing of the environment or of a user's files has a say. */
static bool set_manners(CURL *easy)
{
    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "switchboard/" SB_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_SIZE) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_SIZE) == CURLE_OK &&
           /* A name server that does not answer would hold up whoever cancels. */
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
}

/* "::HOST:PORT" stands for every host and port a URL may have. */
static bool set_connect(struct sb_fetch_call *call)
{
    char *line = NULL;
    if (call->request.connect_to == NULL)
        return true;
    if (asprintf(&line, "::%s", call->request.connect_to) < 0)
        return false;
    call->connect_list = curl_slist_append(NULL, line);
    free(line);
    return call->connect_list != NULL &&
           curl_easy_setopt(call->easy, CURLOPT_CONNECT_TO, call->connect_list) == CURLE_OK;
}

static bool set_target(struct sb_fetch_call *call)
{
    CURL *easy = call->easy;
    const struct sb_fetch_request *request = &call->request;
    return curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, call->tls ? "https" : "http") ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_ms) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK;
}

static CURL *take_handle(struct sb_fetch_session *session)
{
    CURL *spare = session->spare;
    session->spare = NULL;
    return spare != NULL ? spare : curl_easy_init();
}

/* Making a handle takes longer than clearing one. */
static void put_handle(struct sb_fetch_session *session, CURL *easy)
{
    if (session->spare != NULL) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy);
    session->spare = easy;
}

bool sb_fetch_attempt_open(struct sb_fetch_call *call)
{
    call->easy = take_handle(call->session);
    call->tls = is_tls(call->request.url);
    if (call->easy != NULL && set_manners(call->easy) && set_target(call) && set_connect(call) &&
        sb_fetch_process_share(call->easy) && sb_fetch_send_set(call) &&
        set_method(call->easy, call->request.method) && set_headers(call) &&
        sb_fetch_receive_set(call))
        return true;
    sb_fetch_attempt_close(call, false);
    return false;
}

void sb_fetch_attempt_close(struct sb_fetch_call *call, bool well)
{
    if (well)
        put_handle(call->session, call->easy);
    else
        curl_easy_cleanup(call->easy);
    curl_mime_free(call->mime);
    for (struct curl_slist *at = call->header_list; at != NULL; at = at->next)
        sb_wipe(at->data, strlen(at->data)); /* keys */
    curl_slist_free_all(call->header_list);
    curl_slist_free_all(call->connect_list);
    free(call->readers);
    call->easy = NULL;
    call->mime = NULL;
    call->header_list = NULL;
    call->connect_list = NULL;
    call->readers = NULL;
}
