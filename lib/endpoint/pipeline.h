/* One request on its way, shared by the files of endpoint/pipeline*. */
#ifndef SB_ENDPOINT_PIPELINE_H
#define SB_ENDPOINT_PIPELINE_H

#include <jansson.h>

#include "endpoint/runtime.h"
#include "http/cors.h"
#include "http/input_validator.h"
#include "http/response.h"

enum { SB_PATH_PARAMS_MAX = 4, SB_IDEMPOTENCY_KEY_MAX = 255 };

struct sb_path_param {
    const char *name; /* as in the route's pattern; name_length bytes */
    size_t name_length;
    const char *value; /* of value_length bytes in the path */
    size_t value_length;
};

struct sb_pipeline {
    struct sb_request request;
    struct sb_worker *worker;
    struct sb_gateway *gateway;
    struct sb_http_head head;
    struct sb_response response;
    const struct sb_route *route;
    struct sb_path_param params[SB_PATH_PARAMS_MAX];
    size_t param_count;
    unsigned allow; /* methods the path takes */
    char trace_id[SB_TRACE_ID_SIZE], address_text[46];
    size_t rate_begin, rate_end; /* of the RateLimit lines in the head; 0: there are none */
    struct sb_address address;
    enum sb_origin_verdict origin;
    bool answered;            /* a step has given the whole answer: no handler */
    bool charged;             /* a rate limit counted this request */
    const char *content_type; /* of a stream, where the handler chose one */
    const char *message, *refusal, *audit_object, *audit_conversation_id;
    int64_t audit_expires_at_ms;
    struct sb_field_errors field_errors;
    const char *body; /* SB_BODY_JSON: the text; "" if none */
    size_t body_length;
    int64_t body_got; /* bytes read so far */
    const void *input;
    void *output;
    const char *idempotency_key; /* NULL: none to honour */
    const char *body_sha256;     /* hexadecimal, once it was needed */
    bool streaming, stream_broken;
    int64_t started_us;
};

/* pipeline.c: the header fields that every answer has. */
SB_NONNULL_ALL void sb_standing_headers_add(const struct sb_pipeline *p,
                                            struct sb_response *response);

/* router.c: sets route, params and allow, or gives SB_E_NOT_FOUND or SB_E_METHOD_NOT_ALLOWED. */
SB_NONNULL_ALL enum sb_error sb_route_find(struct sb_pipeline *p);

/* The Allow list of methods ("GET, HEAD, OPTIONS") into text of size bytes. */
SB_NONNULL_ALL void sb_allow_list(unsigned methods, char *text, size_t size);

/* pipeline_limits.c: the steps that count. */
SB_NONNULL_ALL enum sb_error sb_limit_address(struct sb_pipeline *p);
SB_NONNULL_ALL enum sb_error sb_limit_principal(struct sb_pipeline *p);
/* Charges the address for a call that is refused with error; the limit may turn it into 429. */
SB_NONNULL_ALL enum sb_error sb_limit_refused(struct sb_pipeline *p, enum sb_error error);

/* pipeline_input.c: the steps that take in the body. */
SB_NONNULL_ALL enum sb_error sb_body_take(struct sb_pipeline *p);
SB_NONNULL_ALL enum sb_error sb_input_take(struct sb_pipeline *p);
SB_NONNULL_ALL enum sb_error sb_idempotency_take(struct sb_pipeline *p);
/* The SHA-256 of the JSON body; NULL: no body, or out of memory. */
SB_NONNULL_ALL const char *sb_body_hash(struct sb_pipeline *p);

/* pipeline_answer.c: the one door. Answers with error (SB_OK: success), then logs and counts. */
SB_NONNULL_ALL void sb_answer(struct sb_pipeline *p, enum sb_error error);
/* The 200 or 201 of a success; output may be NULL where route has none. */
SB_NONNULL(1) int sb_success_status(const struct sb_route *route, const void *output);

#endif
