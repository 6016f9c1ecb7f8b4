#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "upstream/fetch_internal.h"

static struct sb_fetch_call call;
static char headers[512];

/* A call whose first attempt ended with status and the headers of name NUL value NUL. */
static void answered(int status, const char *name, const char *value)
{
    call = (struct sb_fetch_call){.request.retry = true,
                                  .result = {.status = status, .attempts = 1},
                                  .deadline_us = sb_clock_mono_us() + 60 * 1000000};
    if (name == NULL)
        return;
    size_t length = strlen(name) + 1;
    memcpy(headers, name, length);
    memcpy(headers + length, value, strlen(value) + 1);
    call.result.headers = headers;
    call.result.headers_length = length + strlen(value) + 1;
}

TestSuite(fetch_retry);

Test(fetch_retry, statuses_that_may_pass_are_repeated_and_others_are_not)
{
    static const int passing[] = {408, 409, 429, 500, 502, 503, 504, 529};
    static const int final[] = {300, 301, 400, 401, 403, 404, 410, 413, 422, 499};
    for (size_t i = 0; i < SB_COUNT(passing); i++) {
        answered(passing[i], NULL, NULL);
        cr_expect_geq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), 0, "%d", passing[i]);
    }
    for (size_t i = 0; i < SB_COUNT(final); i++) {
        answered(final[i], NULL, NULL);
        cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), -1, "%d", final[i]);
    }
}

Test(fetch_retry, the_upstream_has_the_last_word)
{
    answered(400, "X-Should-Retry", "true");
    cr_expect_geq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), 0);
    answered(500, "x-should-retry", "false");
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), -1);
    answered(500, "x-should-retry", "perhaps");
    cr_expect_geq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), 0);
}

Test(fetch_retry, an_empty_purse_is_not_asked_again_even_if_the_upstream_says_so)
{
    answered(429, "x-should-retry", "true");
    snprintf(call.result.code, sizeof call.result.code, "%s", "insufficient_quota");
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), -1);
    snprintf(call.result.code, sizeof call.result.code, "%s", "rate_limit_exceeded");
    cr_expect_geq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), 0);
}

Test(fetch_retry, only_a_request_that_asks_for_it_is_repeated)
{
    answered(500, NULL, NULL);
    call.request.retry = false;
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), -1);
}

Test(fetch_retry, there_are_two_retries)
{
    answered(500, NULL, NULL);
    call.result.attempts = 2;
    cr_expect_geq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), 0);
    call.result.attempts = 3;
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), -1);
}

Test(fetch_retry, what_was_never_answered_is_repeated)
{
    static const enum sb_fetch_outcome unanswered[] = {SB_FETCH_UNREACHABLE, SB_FETCH_BROKEN,
                                                       SB_FETCH_TIMEOUT};
    static const enum sb_fetch_outcome final[] = {SB_FETCH_OK,        SB_FETCH_FORBIDDEN,
                                                  SB_FETCH_UNTRUSTED, SB_FETCH_TOO_LARGE,
                                                  SB_FETCH_CANCELLED, SB_FETCH_NO_MEMORY};
    answered(0, NULL, NULL);
    for (size_t i = 0; i < SB_COUNT(unanswered); i++)
        cr_expect_geq(sb_fetch_retry_delay(&call, unanswered[i]), 0, "%zu", i);
    for (size_t i = 0; i < SB_COUNT(final); i++)
        cr_expect_eq(sb_fetch_retry_delay(&call, final[i]), -1, "%zu", i);
    call.heard_us = 1; /* connected, and silent ever since */
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_TIMEOUT), -1);
}

Test(fetch_retry, an_answer_that_began_is_not_repeated)
{
    answered(200, NULL, NULL);
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_BROKEN), -1);
}

Test(fetch_retry, no_retry_begins_after_the_total_deadline)
{
    answered(503, "retry-after-ms", "5000");
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), 5000);
    call.deadline_us = sb_clock_mono_us() + 4 * 1000000;
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), -1);
    call.deadline_us = sb_clock_mono_us() - 1;
    cr_expect_eq(sb_fetch_retry_delay(&call, SB_FETCH_STATUS), -1);
}

Test(fetch_retry, the_delay_is_what_the_upstream_asks_for)
{
    static const struct {
        const char *name, *value;
        int64_t asked_ms;
    } rows[] = {
        {"retry-after-ms", "120", 120},
        {"retry-after-ms", "0", 0},
        {"retry-after-ms", "120.75", 120},
        {"retry-after-ms", "-5", -1},
        {"retry-after-ms", "soon", -1},
        {"retry-after-ms", "99999999999", -1},
        {"retry-after-ms", "", -1},
        {"Retry-After", "3", 3000},
        {"Retry-After", "Thu, 01 Jan 1970 00:00:30 GMT", 10000},
        {"Retry-After", "Thu, 01 Jan 1970 00:00:05 GMT", 0},
        {"Retry-After", "3 apples", -1},
        {"other", "3", -1},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        answered(503, rows[i].name, rows[i].value);
        cr_expect_eq(sb_fetch_retry_asked_ms(&call.result, 20000), rows[i].asked_ms, "%s: %s",
                     rows[i].name, rows[i].value);
    }
}

Test(fetch_retry, else_it_doubles_from_half_a_second_to_eight_and_chance_takes_a_quarter)
{
    static const int64_t most_ms[] = {500, 1000, 2000, 4000, 8000, 8000, 8000};
    for (int i = 0; i < (int)SB_COUNT(most_ms); i++) {
        cr_expect_eq(sb_fetch_retry_backoff_ms(i, 0), most_ms[i]);
        cr_expect_eq(sb_fetch_retry_backoff_ms(i, UINT32_MAX), most_ms[i] * 3 / 4);
    }
    answered(503, NULL, NULL);
    call.result.attempts = 2;
    int64_t delay = sb_fetch_retry_delay(&call, SB_FETCH_STATUS);
    cr_expect(delay >= 750 && delay <= 1000, "%ld", (long)delay);
}
