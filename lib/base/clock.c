#include "base/clock.h"

#include <string.h>

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what RFC 3339 can write. */
static const int64_t YEAR_0_MS = -62167219200000, YEAR_9999_END_MS = 253402300799999;

int64_t sb_clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sb_clock_mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Each request formats several times, and printf() takes ten times as long. */
static void write_digits(char *text, int count, int value)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        text[i] = (char)('0' + value % 10);
}

void sb_clock_format(int64_t time_ms, char text[static SB_CLOCK_TEXT_SIZE])
{
    if (time_ms < YEAR_0_MS)
        time_ms = YEAR_0_MS;
    if (time_ms > YEAR_9999_END_MS)
        time_ms = YEAR_9999_END_MS;
    int64_t ms = (time_ms % 1000 + 1000) % 1000; /* before 1970 a plain % is negative */
    time_t seconds = (time_t)((time_ms - ms) / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    memcpy(text, "0000-00-00T00:00:00.000Z", SB_CLOCK_TEXT_SIZE);
    write_digits(text, 4, utc.tm_year + 1900);
    write_digits(text + 5, 2, utc.tm_mon + 1);
    write_digits(text + 8, 2, utc.tm_mday);
    write_digits(text + 11, 2, utc.tm_hour);
    write_digits(text + 14, 2, utc.tm_min);
    write_digits(text + 17, 2, utc.tm_sec);
    write_digits(text + 20, 3, (int)ms);
}

struct timespec sb_clock_deadline(int64_t span_ms)
{
    int64_t at_us = sb_clock_mono_us() + span_ms * 1000;
    return (struct timespec){.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
}
