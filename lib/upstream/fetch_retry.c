#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "upstream/fetch_internal.h"

enum { BACKOFF_FIRST_MS = 500, BACKOFF_MAX_MS = 8000 };

static bool worth_repeating(const struct sb_fetch_result *result)
{
    int status = result->status;
    if (status == 429 && strcmp(result->code, "insufficient_quota") == 0)
        return false;
    const char *asked = sb_fetch_header(result, "x-should-retry");
    if (asked != NULL && strcmp(asked, "true") == 0)
        return true;
    if (asked != NULL && strcmp(asked, "false") == 0)
        return false;
    return status == 408 || status == 409 || status == 429 || status >= 500;
}

/* text as a whole number of units of unit_ms, or -1. */
static int64_t parse_delay(const char *text, int64_t unit_ms)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || (text[digits] != '\0' && text[digits] != '.'))
        return -1;
    return strtoll(text, NULL, 10) * unit_ms; /* a fraction (some send one) is dropped */
}

int64_t sb_fetch_retry_asked_ms(const struct sb_fetch_result *result, int64_t now_ms)
{
    const char *text = sb_fetch_header(result, "retry-after-ms");
    int64_t asked = text == NULL ? -1 : parse_delay(text, 1);
    if (asked >= 0 || (text = sb_fetch_header(result, "retry-after")) == NULL)
        return asked;
    asked = parse_delay(text, 1000);
    if (asked >= 0)
        return asked;
    time_t at = curl_getdate(text, NULL);
    int64_t left = (int64_t)at * 1000 - now_ms;
    return at < 0 ? -1 : left > 0 ? left : 0;
}

int64_t sb_fetch_retry_backoff_ms(int number, uint32_t chance)
{
    int64_t delay = BACKOFF_FIRST_MS;
    while (number-- > 0 && delay < BACKOFF_MAX_MS)
        delay *= 2;
    return delay - delay * chance / UINT32_MAX / 4;
}

int64_t sb_fetch_retry_delay(const struct sb_fetch_call *call, enum sb_fetch_outcome outcome)
{
    const struct sb_fetch_result *result = &call->result;
    bool unanswered = outcome == SB_FETCH_UNREACHABLE || outcome == SB_FETCH_BROKEN ||
                      (outcome == SB_FETCH_TIMEOUT && call->heard_us == 0);
    if (!call->request.retry || result->attempts > SB_FETCH_RETRIES_MAX)
        return -1;
    if (outcome == SB_FETCH_STATUS ? !worth_repeating(result) : !unanswered || result->status != 0)
        return -1;
    int64_t delay = sb_fetch_retry_asked_ms(result, sb_clock_now_ms());
    if (delay < 0) {
        uint32_t chance;
        sb_random(&chance, sizeof chance);
        delay = sb_fetch_retry_backoff_ms(result->attempts - 1, chance);
    }
    int64_t left_us = call->deadline_us - sb_clock_mono_us();
    return left_us > 0 && delay < left_us / 1000 ? delay : -1;
}
