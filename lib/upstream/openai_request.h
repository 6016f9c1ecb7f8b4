/* What all requests to the OpenAI API share. For the files of upstream/openai* alone. */
#ifndef SB_UPSTREAM_OPENAI_REQUEST_H
#define SB_UPSTREAM_OPENAI_REQUEST_H

#include "upstream/fetch.h"
#include "upstream/openai.h"

enum { SB_OPENAI_HEADERS_MAX = 6 };

/* A request with the headers that all have. It points into itself: it is not to be copied. */
struct sb_openai_request {
    const struct sb_openai *openai;
    const char *model_variable; /* the variable that names the model it is for; NULL: none */
    struct sb_fetch_header headers[SB_OPENAI_HEADERS_MAX];
    struct sb_fetch_request fetch;
};

/* A POST to path below OPENAI_BASE_URL on behalf of user_id (NULL: of nobody), which the caller
 * completes with a body. SB_E_MISCONFIGURED: there is no key. SB_E_UNAVAILABLE: out of memory. */
SB_NONNULL(1, 2, 4)
SB_MUST_CHECK enum sb_error sb_openai_prepare(const struct sb_openai *openai, const char *path,
                                              const char *user_id,
                                              struct sb_openai_request *request);

/* Adds a header; at most SB_OPENAI_HEADERS_MAX with those that all have. */
SB_NONNULL_ALL void sb_openai_header(struct sb_openai_request *request, const char *name,
                                     const char *value);

/* sb_fetch(), with a refusal explained in the log. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_openai_ask(const struct sb_openai_request *request,
                                                         struct sb_fetch_result *result);

/* Says in the log what the administrator can do about a status that is not 2xx, and gives the error
 * for our client. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_openai_explain(const struct sb_openai_request *request, const struct sb_fetch_result *result);

/* Logs an answer of the right status that is not what it should be; SB_E_UPSTREAM_ERROR. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_openai_malformed(const struct sb_openai *openai,
                                                               const struct sb_fetch_result *result,
                                                               const char *reason);

#endif
