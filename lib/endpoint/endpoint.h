/* What an endpoint is: a descriptor with a table of routes. This is the header a file in cgi-bin/
 * includes; docs/ADD_AN_ENDPOINT.md walks through one. */
#ifndef SB_ENDPOINT_ENDPOINT_H
#define SB_ENDPOINT_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "access/principal.h"
#include "access/rate_limit.h"
#include "base/arena.h"
#include "base/config.h"
#include "http/fields.h"
#include "http/request.h"
#include "store/db.h"

/* Who may call a route. There is no default: a row that says nothing does not start. */
enum sb_access {
    SB_ACCESS__UNSET,
    SB_ACCESS_PUBLIC,      /* everyone; credentials are not looked at */
    SB_ACCESS_ANYONE,      /* everyone; one who has a user's or a visitor's token is known by it */
    SB_ACCESS_USER,        /* a bearer token */
    SB_ACCESS_PARTICIPANT, /* a bearer token, or a call ticket */
    SB_ACCESS_VISITOR,     /* a bearer token, or a visitor's token where ENABLE_VISITORS */
    SB_ACCESS_STAFF,       /* the bearer token of a user with the role staff, else 403 */
    SB_ACCESS_SERVICE,     /* the same with the role service */
    SB_ACCESS_METRICS,     /* METRICS_TOKEN; everyone where it is not set (never in production) */
    SB_ACCESS__MAX
};

enum sb_body { SB_BODY_NONE, SB_BODY_JSON, SB_BODY_STREAM };
enum sb_reply { SB_REPLY_JSON, SB_REPLY_STREAM };

/* What a route does when the limiter's counters cannot be reached. */
enum sb_on_failure { SB_FAIL_CLOSED, SB_FAIL_OPEN };

enum { SB_JSON_BODY_MAX = 64 * 1024 }; /* bytes, where a route names no other cap */

struct sb_request;

/* Does the one thing the route is for. in is the validated input struct (NULL without an input
 * table), out the zeroed output struct (NULL without an output table), which is encoded if SB_OK is
 * returned. All memory comes from the request's arena. */
typedef enum sb_error sb_handler_fn(struct sb_request *request, const void *in, void *out);

struct sb_route {
    unsigned methods; /* SB_GET, SB_POST | SB_PUT, ... or SB_ANY. GET answers HEAD too */
    const char *path; /* below the endpoint: "", "/live", "/{id}/hangup" */
    sb_handler_fn *handler;
    enum sb_access access;
    enum sb_body body;
    enum sb_reply reply;
    size_t body_max;              /* 0: SB_JSON_BODY_MAX */
    bool origin_required;         /* demands an allowed Origin unless ALLOW_NO_ORIGIN */
    const struct sb_field *input; /* the body's, the query's (SB_BODY_NONE) and the path's fields */
    size_t input_size;
    const struct sb_field *output;
    size_t output_size;
    size_t created; /* offset in the output of a bool that makes it 201, + 1; see SB_CREATED */
    int status;     /* of every success, where there is no created; 0: 200 */
    const char *content_type; /* SB_REPLY_STREAM: of a success, see sb_request_content_type() */
    /* For the documentation of what is streamed, NULL-terminated: the other types of a success, and
     * the types that a body may have. With an output table JSON answers are documented by it. */
    const char *const *other_types, *const *body_types;
    struct sb_rate_policy limit; /* without a name: "default", 100 a minute */
    enum sb_on_failure limiter_failure;
    bool idempotent;             /* honours Idempotency-Key; writes by sb_request_write() only */
    bool always_fails;           /* there is no success, says the documentation */
    bool report_errors;          /* an error answer carries the output as well */
    const char *audit;           /* action in the audit log, NULL: none */
    const enum sb_error *errors; /* the handler's own, SB_OK-terminated; for the documentation */
    const char *summary;         /* one line, for the documentation */
};

/* The output's bool that says whether something was made: 201 instead of 200. */
#define SB_CREATED(type, member) (offsetof(type, member) + 1)
#define SB_INPUT(type, fields) .input = (fields), .input_size = sizeof(type)
#define SB_OUTPUT(type, fields) .output = (fields), .output_size = sizeof(type)
#define SB_ERRORS(...) ((const enum sb_error[]){__VA_ARGS__, SB_OK})

struct sb_endpoint {
    const char *name; /* its file below cgi-bin/ without .c: "calls/start" is /api/calls/start */
    const char *const *aliases;    /* whole paths, NULL-terminated; NULL: none */
    const struct sb_route *routes; /* ended by a row without a handler */
    unsigned needs;                /* enum sb_needs; users' routes imply SB_NEEDS_USERS */
    int workers;                   /* most requests at once in one process; 0: 8 */
    bool catch_all;                /* answers any path: not-found */
};

/* Each file in cgi-bin/ defines this. */
extern const struct sb_endpoint sb_endpoint;

/* What a handler may look at and use. */
struct sb_request {
    struct sb_arena *arena;
    const struct sb_config *config;
    const char *trace_id;
    const char *address; /* the client's, as text */
    const char *origin;  /* the Origin header, which the route has let pass; NULL: none */
    struct sb_principal principal;
    int64_t now_ms; /* when the request was taken */
    const char *accept, *content_type,
        *query;    /* as the client sent them; NULL: absent, query: "" */
    int client_fd; /* its hang-up shows there as POLLRDHUP; -1: there is none to watch */
    struct sb_pipeline *pipeline;
};

/* The process's database reader; NULL where the endpoint has no SB_NEEDS_DB. */
SB_NONNULL_ALL struct sb_db_conn *sb_request_reader(struct sb_request *request);

/* Runs closure as sb_db_write() does. With an Idempotency-Key the stored answer is looked up and
 * stored in the same transaction, so the output struct must be complete when closure returns. Is
 * there one, it becomes the answer: SB_OK, closure has not run, the output is zeroed still. */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error sb_request_write(struct sb_request *request, sb_db_closure_fn *closure,
                                             void *context);

/* The public text of the error the handler is about to return, instead of the code's own. Must
 * live as long as the request. */
SB_NONNULL_ALL void sb_request_explain(struct sb_request *request, const char *message);

/* Charges the call to the client's address under another policy than the route's. limit 0: it is
 * off. SB_E_RATE_LIMITED, to be returned by the handler before it writes: the answer names policy.
 * SB_E_UNAVAILABLE: the counters cannot be reached. policy's name must live as long as the process.
 */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_request_charge(struct sb_request *request,
                                                             const struct sb_rate_policy *policy);

/* Refuses a field for what no table can say, such as a cursor that is none: to be returned by the
 * handler. Gives SB_E_VALIDATION_FAILED. field, code and message as in struct sb_field_error, alive
 * as long as the request; NULL for field (out of memory): SB_E_UNAVAILABLE. */
SB_NONNULL(1, 3, 4)
SB_MUST_CHECK enum sb_error sb_request_invalid(struct sb_request *request, const char *field,
                                               const char *code, const char *message);

/* What the audit line is about, such as a call id, and where something was issued, when it expires
 * and the conversation the client named (NULL: none). Texts must live as long as the request. */
SB_NONNULL_ALL void sb_request_audit_object(struct sb_request *request, const char *object);
SB_NONNULL(1)
void sb_request_audit_issued(struct sb_request *request, int64_t expires_at_ms,
                             const char *conversation_id);

/* SB_BODY_STREAM: up to size bytes of the body, which is CONTENT_LENGTH and so at most the route's
 * body_max long; *got is 0 at its end. SB_E_INVALID_REQUEST: it breaks off, or goes on. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_request_read(struct sb_request *request, void *data,
                                                           size_t size, size_t *got);

/* SB_REPLY_STREAM: sends data as part of the body, the head before the first. False: the client is
 * gone, stop. An error returned after the first write only ends the stream and is logged. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_request_write_body(struct sb_request *request,
                                                        const void *data, size_t size);
/* SB_REPLY_STREAM, before the first write: the type of the answer, instead of the route's, and
 * another header field of it. The texts must live as long as the request. */
SB_NONNULL_ALL void sb_request_content_type(struct sb_request *request, const char *type);
SB_NONNULL_ALL void sb_request_header(struct sb_request *request, const char *name,
                                      const char *value);
/* Whether some of the answer has been written: an error cannot be an answer of its own any more. */
SB_NONNULL_ALL bool sb_request_begun(const struct sb_request *request);
/* SB_REPLY_STREAM: sends an event (http/sse.h) whose data is one line of JSON, or a comment that
 * keeps the connection alive, at once; before the first write, the type of the answer is set. name:
 * below SB_SSE_NAME_MAX bytes. False: the client is gone, or out of memory, as where data is not
 * ok. */
SB_NONNULL_ALL SB_MUST_CHECK bool
sb_request_write_event(struct sb_request *request, const char *name, const struct sb_buf *data);
SB_NONNULL_ALL SB_MUST_CHECK bool sb_request_write_ping(struct sb_request *request);
/* What an error ends a stream of events with: the event `error`, its text as sb_request_explain()
 * said. False: the client is gone, or out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_request_write_error_event(struct sb_request *request,
                                                               enum sb_error error);
/* Pushes out what was written. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_request_flush(struct sb_request *request);
/* Whether the client has hung up; for long work. */
SB_NONNULL_ALL bool sb_request_gone(struct sb_request *request);
/* Whether the process was told to end and will soon do so in the middle of what goes on: long work
 * ends itself, SB_E_UNAVAILABLE, while there is time to say so and to settle what it cost. */
SB_NONNULL_ALL bool sb_request_must_end(const struct sb_request *request);

/* For health: how long the process runs, what is wrong with the configuration, and whether the
 * counters of RUN_DIR (rate limits, metrics) are at hand. */
SB_NONNULL_ALL int64_t sb_request_uptime_s(const struct sb_request *request);
SB_NONNULL_ALL const struct sb_config_problem *
sb_request_config_problems(const struct sb_request *request);
SB_NONNULL_ALL bool sb_request_counters_ok(const struct sb_request *request);
SB_NONNULL_ALL struct sb_db *sb_request_db(struct sb_request *request);

#endif
