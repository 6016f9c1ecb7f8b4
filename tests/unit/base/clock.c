#include "base/clock.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    int64_t ms;
    const char *text;
} formats[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {1, "1970-01-01T00:00:00.001Z"},
    {999, "1970-01-01T00:00:00.999Z"},
    {951782399999, "2000-02-28T23:59:59.999Z"},
    {951782400000, "2000-02-29T00:00:00.000Z"}, /* a leap year: 2000 is divisible by 400 */
    {1709164800123, "2024-02-29T00:00:00.123Z"},
    {1740787199000, "2025-02-28T23:59:59.000Z"},
    {1740787200000, "2025-03-01T00:00:00.000Z"},
    {1798761599999, "2026-12-31T23:59:59.999Z"},
    {4107542400000, "2100-03-01T00:00:00.000Z"}, /* no leap year */
    {2147483648000, "2038-01-19T03:14:08.000Z"}, /* past 32 bits */
    {-1, "1969-12-31T23:59:59.999Z"},
    {-1000, "1969-12-31T23:59:59.000Z"},
    {-1001, "1969-12-31T23:59:58.999Z"},
    {-62167219200000, "0000-01-01T00:00:00.000Z"},
    {-62167219200001, "0000-01-01T00:00:00.000Z"},
    {253402300799999, "9999-12-31T23:59:59.999Z"},
    {253402300800000, "9999-12-31T23:59:59.999Z"},
    {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    {INT64_MAX, "9999-12-31T23:59:59.999Z"},
};

Test(clock, formats_rfc3339_with_milliseconds)
{
    for (size_t i = 0; i < SB_COUNT(formats); i++) {
        char text[SB_CLOCK_TEXT_SIZE];
        sb_clock_format(formats[i].ms, text);
        cr_expect_str_eq(text, formats[i].text, "%lld gives %s, not %s", (long long)formats[i].ms,
                         text, formats[i].text);
    }
}

Test(clock, formatting_stays_inside_its_buffer)
{
    char memory[SB_CLOCK_TEXT_SIZE + 8];
    for (size_t i = 0; i < SB_COUNT(formats); i++) {
        memset(memory, '#', sizeof memory);
        sb_clock_format(formats[i].ms, memory);
        cr_expect_eq(strnlen(memory, sizeof memory), SB_CLOCK_TEXT_SIZE - 1);
        for (size_t at = SB_CLOCK_TEXT_SIZE; at < sizeof memory; at++)
            cr_expect_eq(memory[at], '#');
    }
}

Test(clock, now_agrees_with_the_wall_clock)
{
    int64_t before = (int64_t)time(NULL) - 1; /* time() may lag behind by a tick */
    int64_t now_ms = sb_clock_now_ms();
    int64_t after = (int64_t)time(NULL) + 2;
    cr_assert(now_ms >= before * 1000 && now_ms <= after * 1000, "%lld", (long long)now_ms);
}

Test(clock, the_monotonic_clock_counts_microseconds_and_never_goes_back)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    int64_t last = sb_clock_mono_us();
    cr_assert_geq(last, (int64_t)before.tv_sec * 1000000 + before.tv_nsec / 1000);
    for (int i = 0; i < 10000; i++) {
        int64_t now = sb_clock_mono_us();
        cr_assert_geq(now, last);
        last = now;
    }
    clock_gettime(CLOCK_MONOTONIC, &after);
    cr_assert_leq(last, (int64_t)after.tv_sec * 1000000 + after.tv_nsec / 1000);
}

Test(clock, a_deadline_lies_its_span_ahead_and_is_normalised)
{
    static const int64_t spans_ms[] = {0, 1, 999, 1000, 1001, 5999, 3600000, -1, -999};
    for (size_t i = 0; i < SB_COUNT(spans_ms); i++) {
        int64_t before = sb_clock_mono_us();
        struct timespec at = sb_clock_deadline(spans_ms[i]);
        int64_t after = sb_clock_mono_us();
        int64_t at_us = (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
        cr_expect(at.tv_nsec >= 0 && at.tv_nsec < 1000000000, "span %lld", (long long)spans_ms[i]);
        cr_expect_geq(at_us, before + spans_ms[i] * 1000);
        cr_expect_leq(at_us, after + spans_ms[i] * 1000);
    }
}
