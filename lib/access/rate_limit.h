/* Sliding-window rate limits over all processes, in one mapped file of RUN_DIR.
 *
 * Definition: with `previous` and `current` the calls allowed in the previous and the current
 * window of W ms and e the ms since the current one began (windows begin at multiples of W since
 * 1970), a call is allowed iff floor(previous * (W - e) / W) + current < limit. Refused calls do
 * not count. A counter is one 64-bit word changed by compare-and-swap, so the definition holds
 * exactly however many processes and threads ask.
 *
 * Time is the caller's. A caller whose clock reads an earlier window than one already charged, by
 * up to 10 s or one window, counts in that later window; beyond that the clock was set back, and
 * the subject starts anew. The table holds 65,536 counters in sets of eight. Where nine live
 * subjects meet in a set, the one that would expire first forgets its calls (counted in
 * switchboard_rate_limit_evictions_total). A counter knows its window modulo 65,536, so one that
 * nobody touched for that many windows (18 hours of 1 s windows, 45 days of 60 s) may be taken for
 * a recent one, for 10 s or two windows at most. */
#ifndef SB_ACCESS_RATE_LIMIT_H
#define SB_ACCESS_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { SB_RATE_LIMIT_MAX = 16383 }; /* highest limit a counter can hold */

struct sb_rate_policy {
    const char *name; /* "calls-start"; tells subjects of different policies apart */
    int64_t limit;    /* 1 to SB_RATE_LIMIT_MAX; 0: off */
    int64_t window_s; /* 1 to 86400 */
};

struct sb_rate_state {
    bool allowed;
    int64_t remaining;     /* calls left now; 0 if refused */
    int64_t reset_s;       /* allowed: until the current window ends; refused: as retry_after_s */
    int64_t retry_after_s; /* refused: whole seconds, at least 1, until a call would be allowed */
};

/* Maps the file in run_dir. False with errno: then, as before it, every call is allowed; whether a
 * route goes on while nothing counts is the caller's to say. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_rate_limit_open(const char *run_dir);

/* Charges one call of subject ("user:..." or "address:...", of which 256 bytes count) under policy
 * at now_ms. */
SB_NONNULL_ALL struct sb_rate_state sb_rate_limit_charge(const struct sb_rate_policy *policy,
                                                         const char *subject, int64_t now_ms);

/* The same without charging: what a call would get, and how many are left with it. */
SB_NONNULL_ALL struct sb_rate_state sb_rate_limit_peek(const struct sb_rate_policy *policy,
                                                       const char *subject, int64_t now_ms);

#endif
