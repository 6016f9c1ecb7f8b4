#include "base/error.h"

static const struct sb_error_info infos[SB_E__MAX] = {
    [SB_OK] = {200, "ok", "OK", "OK"},
    [SB_E_INVALID_REQUEST] = {400, "invalid_request", "Invalid request",
                              "The request is malformed."},
    [SB_E_INVALID_JSON] = {400, "invalid_json", "Invalid JSON",
                           "The body is not valid JSON (RFC 8259, UTF-8, no duplicate keys)."},
    [SB_E_INVALID_MULTIPART] = {400, "invalid_multipart", "Invalid multipart body",
                                "The body is not valid multipart/form-data (RFC 7578)."},
    [SB_E_VALIDATION_FAILED] = {400, "validation_failed", "Validation failed",
                                "One or more fields are invalid."},
    [SB_E_UNAUTHENTICATED] = {401, "unauthenticated", "Unauthenticated",
                              "A bearer token is required."},
    [SB_E_FORBIDDEN] = {403, "forbidden", "Forbidden", "You may not do this."},
    [SB_E_ORIGIN_DENIED] = {403, "origin_denied", "Origin denied",
                            "This origin may not call the API."},
    [SB_E_NOT_FOUND] = {404, "not_found", "Not found", "There is nothing here."},
    [SB_E_METHOD_NOT_ALLOWED] = {405, "method_not_allowed", "Method not allowed",
                                 "This method is not allowed here; see Allow."},
    [SB_E_CONFLICT] = {409, "conflict", "Conflict",
                       "The request conflicts with the present state."},
    [SB_E_GONE] = {410, "gone", "Gone", "This is no longer available."},
    [SB_E_BODY_TOO_LARGE] = {413, "body_too_large", "Body too large",
                             "The body is larger than this endpoint takes."},
    [SB_E_UNSUPPORTED_MEDIA_TYPE] = {415, "unsupported_media_type", "Unsupported media type",
                                     "This endpoint takes application/json."},
    [SB_E_NO_SPEECH] = {422, "no_speech", "No speech", "The recording holds no speech."},
    [SB_E_IDEMPOTENCY_MISMATCH] = {422, "idempotency_mismatch", "Idempotency mismatch",
                                   "This Idempotency-Key was used with another payload."},
    [SB_E_RATE_LIMITED] = {429, "rate_limited", "Rate limited",
                           "Too many requests; see Retry-After."},
    [SB_E_BUDGET_EXCEEDED] = {429, "budget_exceeded", "Budget exceeded",
                              "The budget for today is used up."},
    [SB_E_INTERNAL] = {500, "internal", "Internal error", "Something went wrong on our side."},
    [SB_E_UPSTREAM_ERROR] = {502, "upstream_error", "Upstream error",
                             "A service this request depends on has failed."},
    [SB_E_MISCONFIGURED] = {503, "misconfigured", "Misconfigured",
                            "This endpoint is not configured; its administrator has been told."},
    [SB_E_UNAVAILABLE] = {503, "unavailable", "Unavailable",
                          "The service is unavailable for the moment; please try again."},
    [SB_E_UPSTREAM_TIMEOUT] = {504, "upstream_timeout", "Upstream timeout",
                               "A service this request depends on did not answer in time."},
};

const struct sb_error_info *sb_error_info(enum sb_error error)
{
    if ((unsigned)error >= SB_E__MAX)
        error = SB_E_INTERNAL;
    return &infos[error];
}
