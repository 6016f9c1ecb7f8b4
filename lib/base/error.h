/* The one list of ways a request can fail, and what each means on the wire.
 *
 * Every function that can fail for a reason a client may hear returns enum sb_error. The value is
 * the whole message to the client: the table behind sb_error_info() gives status, code and public
 * text, so that no internal detail can reach an answer by accident. Detail belongs in the log. */
#ifndef SB_BASE_ERROR_H
#define SB_BASE_ERROR_H

#define SB_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#define SB_NONNULL_ALL __attribute__((nonnull))
#define SB_MUST_CHECK __attribute__((warn_unused_result))
#define SB_RETURNS_NONNULL __attribute__((returns_nonnull))
#define SB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SB_COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum sb_error {
    SB_OK,
    SB_E_INVALID_REQUEST,
    SB_E_INVALID_JSON,
    SB_E_INVALID_MULTIPART,
    SB_E_VALIDATION_FAILED,
    SB_E_UNAUTHENTICATED,
    SB_E_FORBIDDEN,
    SB_E_ORIGIN_DENIED,
    SB_E_NOT_FOUND,
    SB_E_METHOD_NOT_ALLOWED,
    SB_E_CONFLICT,
    SB_E_GONE,
    SB_E_BODY_TOO_LARGE,
    SB_E_UNSUPPORTED_MEDIA_TYPE,
    SB_E_NO_SPEECH,
    SB_E_IDEMPOTENCY_MISMATCH,
    SB_E_RATE_LIMITED,
    SB_E_BUDGET_EXCEEDED,
    SB_E_INTERNAL,
    SB_E_UPSTREAM_ERROR,
    SB_E_MISCONFIGURED,
    SB_E_UNAVAILABLE,
    SB_E_UPSTREAM_TIMEOUT,
    SB_E__MAX
};

struct sb_error_info {
    int status;          /* HTTP status, RFC 9110 section 15 */
    const char *code;    /* `error.code`, stable */
    const char *title;   /* RFC 9457 `title`: the same for every occurrence of the code */
    const char *message; /* default of `error.message`, safe to show */
};

/* What error means on the wire. SB_OK gives 200. A value outside the enum gives SB_E_INTERNAL. */
SB_RETURNS_NONNULL const struct sb_error_info *sb_error_info(enum sb_error error);

#endif
