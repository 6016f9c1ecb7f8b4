#include "base/error.h"

#include <criterion/criterion.h>
#include <string.h>

/* Section 4 of the design: what a client sees. */
static const struct {
    enum sb_error error;
    int status;
    const char *code;
} contract[] = {
    {SB_OK, 200, "ok"},
    {SB_E_INVALID_REQUEST, 400, "invalid_request"},
    {SB_E_INVALID_JSON, 400, "invalid_json"},
    {SB_E_INVALID_MULTIPART, 400, "invalid_multipart"},
    {SB_E_VALIDATION_FAILED, 400, "validation_failed"},
    {SB_E_UNAUTHENTICATED, 401, "unauthenticated"},
    {SB_E_FORBIDDEN, 403, "forbidden"},
    {SB_E_ORIGIN_DENIED, 403, "origin_denied"},
    {SB_E_NOT_FOUND, 404, "not_found"},
    {SB_E_METHOD_NOT_ALLOWED, 405, "method_not_allowed"},
    {SB_E_CONFLICT, 409, "conflict"},
    {SB_E_GONE, 410, "gone"},
    {SB_E_BODY_TOO_LARGE, 413, "body_too_large"},
    {SB_E_UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type"},
    {SB_E_NO_SPEECH, 422, "no_speech"},
    {SB_E_IDEMPOTENCY_MISMATCH, 422, "idempotency_mismatch"},
    {SB_E_RATE_LIMITED, 429, "rate_limited"},
    {SB_E_BUDGET_EXCEEDED, 429, "budget_exceeded"},
    {SB_E_INTERNAL, 500, "internal"},
    {SB_E_UPSTREAM_ERROR, 502, "upstream_error"},
    {SB_E_MISCONFIGURED, 503, "misconfigured"},
    {SB_E_UNAVAILABLE, 503, "unavailable"},
    {SB_E_UPSTREAM_TIMEOUT, 504, "upstream_timeout"},
};

Test(error, has_the_status_and_code_of_the_contract)
{
    for (size_t i = 0; i < SB_COUNT(contract); i++) {
        const struct sb_error_info *info = sb_error_info(contract[i].error);
        cr_expect_eq(info->status, contract[i].status, "%s: %d", contract[i].code, info->status);
        cr_expect_str_eq(info->code, contract[i].code);
    }
}

Test(error, every_row_is_complete_and_in_this_test)
{
    for (int error = 0; error < SB_E__MAX; error++) {
        const struct sb_error_info *info = sb_error_info((enum sb_error)error);
        size_t listed = 0;
        for (size_t i = 0; i < SB_COUNT(contract); i++)
            listed += (int)contract[i].error == error;
        cr_expect_eq(listed, 1, "error %d", error);
        cr_assert(info->code != NULL && info->title != NULL && info->message != NULL, "error %d",
                  error);
        cr_expect_str_not_empty(info->title, "error %d", error);
        cr_expect_str_not_empty(info->message, "error %d", error);
    }
}

Test(error, codes_are_distinct)
{
    for (int a = 0; a < SB_E__MAX; a++)
        for (int b = 0; b < a; b++)
            cr_expect_str_neq(sb_error_info((enum sb_error)a)->code,
                              sb_error_info((enum sb_error)b)->code);
}

Test(error, a_value_outside_the_enum_is_an_internal_error)
{
    const struct sb_error_info *internal = sb_error_info(SB_E_INTERNAL);
    volatile int outside[] = {-1, SB_E__MAX, 1000000};
    for (size_t i = 0; i < SB_COUNT(outside); i++)
        cr_expect_eq(sb_error_info((enum sb_error)outside[i]), internal, "%d", outside[i]);
}
