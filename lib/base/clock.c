#include "base/clock.h"

#include <stdio.h>

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
    /* The masks tell the compiler the ranges; they change nothing within years 0 to 9999. */
    snprintf(text, SB_CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
             (unsigned)(utc.tm_year + 1900) % 10000u, (unsigned)(utc.tm_mon + 1) % 100u,
             (unsigned)utc.tm_mday % 100u, (unsigned)utc.tm_hour % 100u,
             (unsigned)utc.tm_min % 100u, (unsigned)utc.tm_sec % 100u, (unsigned)ms % 1000u);
}

struct timespec sb_clock_deadline(int64_t span_ms)
{
    int64_t at_us = sb_clock_mono_us() + span_ms * 1000;
    return (struct timespec){.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
}
