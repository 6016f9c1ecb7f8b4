/* ErrorResponse: the one shape of every error, which is also valid RFC 9457. */
#ifndef SB_HTTP_ERROR_RESPONSE_H
#define SB_HTTP_ERROR_RESPONSE_H

#include "http/input_validator.h"
#include "http/response.h"

struct sb_error_response {
    enum sb_error error;
    const char *message; /* NULL: the error's own text */
    const char *trace_id;
    const char *accept;                   /* the Accept header or NULL */
    const struct sb_field_errors *fields; /* with SB_E_VALIDATION_FAILED, else NULL */
    const char *members; /* more JSON members, such as a readiness report; NULL: none */
};

/* Sets the status, Content-Type (application/problem+json where accept asks for it) and body of
 * response. What stood in its body is gone. */
SB_NONNULL_ALL void sb_error_response_write(struct sb_response *response,
                                            const struct sb_error_response *error);

#endif
