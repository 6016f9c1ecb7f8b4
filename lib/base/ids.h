/* Identifiers: of things stored, and of traces (W3C Trace Context). */
#ifndef SB_BASE_IDS_H
#define SB_BASE_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    SB_ID_MAX = 64,       /* longest identifier accepted anywhere, in bytes without the NUL */
    SB_ID_SIZE = 40,      /* what sb_id_make() needs, NUL included */
    SB_TRACE_ID_SIZE = 33 /* 32 hexadecimal digits and the NUL */
};

/* Makes "<prefix>_<26 characters>": 48 bits of time and 80 random bits in Crockford's base 32, so
 * that ids of one kind sort by time (index locality) and cannot be guessed. prefix: at most 12
 * characters. */
SB_NONNULL_ALL void sb_id_make(const char *prefix, int64_t now_ms, char id[static SB_ID_SIZE]);

/* Whether text is an identifier: 1 to SB_ID_MAX of [A-Za-z0-9_-]. NULL is none. */
bool sb_id_valid(const char *text);

/* The trace id of a `traceparent` header (W3C Trace Context section 3.2), or a new random one if
 * the header is NULL or not valid. */
SB_NONNULL(2) void sb_trace_id(const char *traceparent, char trace_id[static SB_TRACE_ID_SIZE]);

#endif
