/* HTTP requests to other systems: the only user of libcurl.
 *
 * A session is borrowed from a pool of the process, used by one thread at a time and given back;
 * its connections stay warm for the next borrower. In it any number of calls up to
 * SB_FETCH_CALLS_MAX run at once, all within sb_fetch_step(), on the caller's thread: no callback
 * ever comes from another one. sb_fetch() is the simple case, one request, blocking.
 *
 * Always: HTTP/1.1, certificates and host names verified against the system's authorities and
 * UPSTREAM_CA_FILE, peers checked by address when a connection is made and again when one is
 * reused, no redirect, proxy, cookie, netrc or content decoding. Each call leaves one log line
 * ("upstream.fetch") and one count in the metrics; neither holds a URL, a header or content.
 *
 * Every function may be called from any thread; a session, its calls and a request's arena belong
 * to the one that borrowed. Signals are neither used nor needed. */
#ifndef SB_UPSTREAM_FETCH_H
#define SB_UPSTREAM_FETCH_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/config.h"

enum {
    SB_FETCH_CALLS_MAX = 16,             /* running at once in a session */
    SB_FETCH_CONNECT_MS = 5000,          /* default of connect_ms */
    SB_FETCH_SILENCE_MS = 30000,         /* default of silence_ms */
    SB_FETCH_TOTAL_MS = 60000,           /* default of total_ms */
    SB_FETCH_RESPONSE_MAX = 1024 * 1024, /* default of response_max, in bytes */
    SB_FETCH_ERROR_BODY_MAX = 64 * 1024, /* more of an answer that is not 2xx is cut off */
    SB_FETCH_HEADERS_MAX = 16 * 1024,    /* bytes of response headers */
    SB_FETCH_RETRIES_MAX = 2,
    SB_FETCH_CODE_SIZE = 65 /* of the upstream's error code and request id, NUL included */
};

/* Whom a request may reach. There is no default: 0 is refused. */
enum sb_fetch_peers {
    SB_FETCH_CONFIGURED = 1,      /* the administrator's URL: https anywhere, http to loopback and
                                     private addresses */
    SB_FETCH_CONFIGURED_LOOPBACK, /* likewise, http to loopback alone */
    SB_FETCH_CONFIGURED_TLS,      /* likewise, https alone */
    SB_FETCH_PUBLIC               /* a user's URL: https to public addresses alone */
};

struct sb_fetch_header {
    const char *name, *value; /* without CR, LF */
};

/* Bytes that are sent as they are read, never whole in memory. */
struct sb_fetch_source {
    /* Puts up to size bytes from offset on into buffer and returns how many; 0 or less before
     * length is reached ends the call as SB_FETCH_CANCELLED. Offsets rise from 0; they start again
     * at 0 for a retry, or where a kept connection proves to be dead. NULL: pread() on fd. */
    ssize_t (*read)(void *context, int64_t offset, char *buffer, size_t size);
    void *context;
    int fd;         /* where read is NULL; stays the caller's */
    int64_t length; /* of all there is to send */
};

/* A part of multipart/form-data (RFC 7578). */
struct sb_fetch_part {
    const char *name;
    const char *text;                     /* the value; NULL: it comes from source */
    const struct sb_fetch_source *source; /* NULL: it is text */
    const char *filename, *content_type;  /* NULL: none */
};

/* Takes length bytes of a 2xx body, as they arrive; false ends the call as SB_FETCH_CANCELLED. It
 * may start and cancel calls of the session, but not step it. */
typedef bool sb_fetch_sink(void *context, const char *data, size_t length);

/* What is to be sent, and under which limits. What it points to must live until the call ended. */
struct sb_fetch_request {
    const char *upstream; /* name in log and metrics: 1 to 24 of [a-z0-9-], from the program's own
                             text */
    const char *method;   /* NULL: "GET", with a body "POST" */
    const char *url;      /* http:// or https://, without user and password; sent as it is */
    enum sb_fetch_peers peers;
    const char *connect_to; /* "host[:port]" to connect to in place of the URL's; NULL: the URL's */
    const struct sb_fetch_header *headers;
    size_t header_count;
    /* The body: body_length bytes at body, or source, or parts; at most one of the three. */
    const char *content_type; /* of body and source */
    const void *body;
    size_t body_length;
    const struct sb_fetch_source *source;
    const struct sb_fetch_part *parts;
    size_t part_count;
    /* Limits; 0 is the default. */
    int64_t connect_ms;  /* resolving, connecting and the TLS handshake */
    int64_t silence_ms;  /* neither side moved a byte: before the first and between any two */
    int64_t total_ms;    /* from sb_fetch_start() to the last byte, with all retries */
    size_t response_max; /* bytes of a 2xx body, also of one that goes to sink */
    /* Up to SB_FETCH_RETRIES_MAX retries: as x-should-retry says, else after 408, 409, 429 and 5xx
     * and where no answer began. Never on `insufficient_quota`, never once a byte went to sink. */
    bool retry;
    const char *trace_id;   /* passed on as traceparent and logged; NULL: none */
    sb_fetch_sink *sink;    /* NULL: a 2xx body is collected, too */
    void *context;          /* of sink */
    struct sb_arena *arena; /* holds the result */
};

/* How a call ended. What it means to our client is sb_fetch_result.error. */
enum sb_fetch_outcome {
    SB_FETCH_RUNNING,
    SB_FETCH_OK,          /* 2xx, to the last byte: SB_OK */
    SB_FETCH_STATUS,      /* any other status: SB_E_UPSTREAM_ERROR, as those below */
    SB_FETCH_UNREACHABLE, /* no address, no connection, no TLS */
    SB_FETCH_FORBIDDEN,   /* no address that peers allows */
    SB_FETCH_UNTRUSTED,   /* certificate: issuer, host name, dates */
    SB_FETCH_BROKEN,      /* cut off, or not HTTP */
    SB_FETCH_TOO_LARGE,   /* response_max, SB_FETCH_HEADERS_MAX */
    SB_FETCH_TIMEOUT,     /* connect_ms, silence_ms, total_ms: SB_E_UPSTREAM_TIMEOUT */
    SB_FETCH_CANCELLED,   /* by sink, source or sb_fetch_cancel(): SB_E_INTERNAL */
    SB_FETCH_NO_MEMORY,   /* or no place in the arena: SB_E_UNAVAILABLE */
    SB_FETCH_OUTCOME__MAX
};

struct sb_fetch_result {
    enum sb_fetch_outcome outcome;
    enum sb_error error; /* SB_OK also while it is running */
    int status;          /* of the last attempt; 0: none came */
    int attempts;
    const char *body; /* NUL-terminated, in the arena; NULL: nothing collected. 2xx without a sink,
                         and any other status, up to SB_FETCH_ERROR_BODY_MAX */
    size_t body_length;
    const char *headers; /* for sb_fetch_header() */
    size_t headers_length;
    char code[SB_FETCH_CODE_SIZE];       /* `error.code` or `detail.status` of an error's JSON, else
                                            the status; "" for 2xx and where none came */
    char request_id[SB_FETCH_CODE_SIZE]; /* x-request-id of the upstream, or "" */
};

struct sb_fetch_session;
struct sb_fetch_call;

/* Sets up libcurl and reads the certificate authorities, which the first use of the process does
 * anyway. SB_E_MISCONFIGURED: UPSTREAM_CA_FILE cannot be read or holds no certificate (logged).
 * SB_E_UNAVAILABLE: no memory. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_fetch_prepare(const struct sb_config *config);

/* Borrows the session that was given back last, or makes one. The first use of the process reads
 * UPSTREAM_CA_FILE. SB_E_MISCONFIGURED: it cannot be read, or holds no certificate (logged).
 * SB_E_UNAVAILABLE: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_fetch_borrow(const struct sb_config *config,
                                                           struct sb_fetch_session **session);

/* Gives session back; its calls are cancelled and freed. Not from a callback. NULL is allowed. */
void sb_fetch_return(struct sb_fetch_session *session);

/* Puts a call in; it moves in sb_fetch_step(). request itself is copied. *call lives until it is
 * cancelled or session given back. Also from a callback.
 * SB_E_INTERNAL: request breaks its contract, or its URL is of no scheme that peers allows;
 * SB_E_UNAVAILABLE: out of memory, or SB_FETCH_CALLS_MAX are running. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_fetch_start(struct sb_fetch_session *session,
                                                          const struct sb_fetch_request *request,
                                                          struct sb_fetch_call **call);

/* Waits until something moves, moves it, and returns how many calls are still running: after bytes
 * went to a sink, a call ended, one of fds has revents (set as poll() does, whose fds they are; all
 * 0 otherwise), or wait_ms passed (-1: no limit). At once where no call is running. fds may be NULL
 * where fd_count is 0; fd_count: at most 8. Not from a callback. */
SB_NONNULL(1)
size_t sb_fetch_step(struct sb_fetch_session *session, int64_t wait_ms, struct pollfd *fds,
                     size_t fd_count);

/* How call stands, or ended; from the first byte on status and headers are those of the answer.
 * Lives as long as call. */
SB_NONNULL_ALL SB_RETURNS_NONNULL const struct sb_fetch_result *
sb_fetch_result(const struct sb_fetch_call *call);

/* Ends call at once if it is running, and frees it: what a result points to in the arena stays.
 * Also from a callback. */
SB_NONNULL_ALL void sb_fetch_cancel(struct sb_fetch_call *call);

/* One request from beginning to end. Returns result->error; where the call did not come to be, the
 * error of sb_fetch_borrow() or sb_fetch_start(), and the outcome is SB_FETCH_CANCELLED. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_fetch(const struct sb_config *config,
                                                    const struct sb_fetch_request *request,
                                                    struct sb_fetch_result *result);

/* The value of the first response header called name (any case), or NULL. In the result's arena. */
SB_NONNULL_ALL const char *sb_fetch_header(const struct sb_fetch_result *result, const char *name);

/* Likewise of the next one behind previous, a value this gave for the same name; NULL: the first.
 */
SB_NONNULL(1, 2)
const char *sb_fetch_header_next(const struct sb_fetch_result *result, const char *name,
                                 const char *previous);

/* What log and metrics call it: "ok", "status", ... */
SB_RETURNS_NONNULL const char *sb_fetch_outcome_name(enum sb_fetch_outcome outcome);

#endif
