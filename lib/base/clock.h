/* Time. Points in time are int64_t milliseconds since 1970 UTC, spans are in the unit their name
 * says. */
#ifndef SB_BASE_CLOCK_H
#define SB_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/error.h"

enum { SB_CLOCK_TEXT_SIZE = 25 };

int64_t sb_clock_now_ms(void);  /* wall clock */
int64_t sb_clock_mono_us(void); /* monotonic, for spans within one boot */

/* RFC 3339 in UTC with milliseconds, "2026-11-21T10:00:00.123Z", into text. A time
 * outside the years 0 to 9999 gives the nearest one inside. */
SB_NONNULL_ALL void sb_clock_format(int64_t time_ms, char text[static SB_CLOCK_TEXT_SIZE]);

/* CLOCK_MONOTONIC in span_ms from now, for pthread_cond_clockwait(). */
struct timespec sb_clock_deadline(int64_t span_ms);

#endif
