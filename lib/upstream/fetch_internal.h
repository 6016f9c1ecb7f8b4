/* What the files of upstream/fetch* share. */
#ifndef SB_UPSTREAM_FETCH_INTERNAL_H
#define SB_UPSTREAM_FETCH_INTERNAL_H

#include <curl/curl.h>

#include "upstream/fetch.h"

/* Two addresses of a name are tried at once at most, so no session has more. */
enum { SB_FETCH_SOCKETS_MAX = 4 * SB_FETCH_CALLS_MAX, SB_FETCH_FDS_MAX = 8 };
enum { SB_FETCH_CONNECTIONS_KEPT = 4 }; /* idle ones of a session */

struct sb_fetch_session {
    CURLM *multi;
    struct sb_fetch_call *calls; /* all that are not freed, the newest first */
    size_t call_count;           /* that have not ended */
    struct pollfd sockets[SB_FETCH_SOCKETS_MAX];
    size_t socket_count;
    int64_t timer_us;              /* when libcurl wants to be called; INT64_MAX: not at all */
    bool stepping, moved;          /* within sb_fetch_step(); something to return for */
    bool broken;                   /* libcurl failed: not to be used again */
    CURL *spare;                   /* a handle without options for the next attempt, or NULL */
    struct sb_fetch_session *next; /* in the pool */
    int64_t idle_since_us;
};

struct sb_fetch_call {
    struct sb_fetch_session *session;
    struct sb_fetch_call *next;
    struct sb_fetch_request request;
    struct sb_fetch_result result;
    bool cancelled;      /* to be freed when no callback is above us */
    bool tls;            /* the URL is https */
    int64_t started_us;  /* of the call */
    int64_t deadline_us; /* of the call */
    int64_t due_us;      /* when the next attempt begins, while there is none */
    int64_t sent, received;
    struct sb_buf headers, body;

    /* Of the attempt. */
    CURL *easy; /* NULL: none */
    struct curl_slist *header_list, *connect_list;
    curl_mime *mime;
    struct sb_fetch_reader *readers; /* of its sources */
    int64_t heard_us;                /* when a byte moved last; 0: not connected yet */
    curl_off_t seen;                 /* bytes moved by then */
    size_t header_bytes, taken;      /* of the answer, as they came; of its body */
    bool forbidden;                  /* an address was refused */
    bool body_cut;                   /* an error's body was longer than we keep */
    enum sb_fetch_outcome broken;    /* why a callback of ours ended it; 0: none did */
};

/* --- fetch.c: the pool --- */

/* Closes the sessions nobody uses, and their connections. */
void sb_fetch_pool_clear(void);

/* --- fetch_process.c: what all sessions share --- */

/* Gives easy what all sessions share: names, TLS sessions and certificates. False: out of memory.
 */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_fetch_process_share(CURL *easy);

/* OpenSSL's words for a result of verification: a fixed text. */
SB_RETURNS_NONNULL const char *sb_fetch_process_verify_text(long result);

/* --- fetch_session.c --- */

/* NULL: out of memory. */
SB_MUST_CHECK struct sb_fetch_session *sb_fetch_session_new(void);

/* Cancels and frees all calls. */
SB_NONNULL_ALL void sb_fetch_session_clear(struct sb_fetch_session *session);

/* Closes and frees session, which has no calls. */
SB_NONNULL_ALL void sb_fetch_session_free(struct sb_fetch_session *session);

/* --- fetch_attempt.c: from the request to libcurl --- */

/* What is wrong with request, or NULL. */
SB_NONNULL_ALL const char *sb_fetch_request_flaw(const struct sb_fetch_request *request);

/* Makes call->easy for another attempt. False: out of memory; nothing is left of it. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_fetch_attempt_open(struct sb_fetch_call *call);
/* well: an answer came; else nothing of the attempt is used again. */
SB_NONNULL_ALL void sb_fetch_attempt_close(struct sb_fetch_call *call, bool well);

/* --- fetch_send.c: the request's body --- */

/* False: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_fetch_send_set(struct sb_fetch_call *call);

/* --- fetch_receive.c: the answer --- */

/* False: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_fetch_receive_set(struct sb_fetch_call *call);

/* --- fetch_outcome.c: how an attempt, and a call, ended --- */

SB_NONNULL_ALL enum sb_fetch_outcome sb_fetch_outcome_of(const struct sb_fetch_call *call,
                                                         CURLcode code);

/* Fills error, body, code and request_id of the result from an attempt that ended as outcome. */
SB_NONNULL_ALL void sb_fetch_outcome_read(struct sb_fetch_call *call,
                                          enum sb_fetch_outcome outcome);

/* Writes the log line and counts. reason: libcurl's word for it, or "". */
SB_NONNULL_ALL void sb_fetch_outcome_tell(const struct sb_fetch_call *call, const char *reason);

/* --- fetch_retry.c --- */

/* Milliseconds until the attempt that ended as outcome is to be repeated; -1: it is not. */
SB_NONNULL_ALL SB_MUST_CHECK int64_t sb_fetch_retry_delay(const struct sb_fetch_call *call,
                                                          enum sb_fetch_outcome outcome);

/* The delay before retry number 0, 1, ... where the upstream names none: 0.5 s doubling up to 8 s,
 * of which chance (0 to UINT32_MAX) takes up to a quarter. */
int64_t sb_fetch_retry_backoff_ms(int number, uint32_t chance);

/* What `retry-after-ms` or `Retry-After` (RFC 9110 section 10.2.3) of result asks for; -1: neither
 * is there and valid. now_ms: wall clock. */
SB_NONNULL_ALL int64_t sb_fetch_retry_asked_ms(const struct sb_fetch_result *result,
                                               int64_t now_ms);

#endif
