/* Visitors: a site's guests, known by nothing but a token that POST /api/visitor gives to anyone on
 * an allowed origin. A JWS with typ "visitor+jwt" under a key derived from JWT_SECRET; good for
 * routes of SB_ACCESS_VISITOR alone, for a short time, and from the origin it was given to. A
 * visitor has no row and no role. Sent as a bearer token. */
#ifndef SB_ACCESS_VISITOR_H
#define SB_ACCESS_VISITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"

struct sb_visitor {
    const char *id;     /* "visitor_..." */
    const char *origin; /* of the page it is for; "": of a caller without an Origin */
    int64_t expires_at_s;
};

/* The token's text in arena; NULL: out of memory, or JWT_SECRET is not set or below 32 bytes. */
SB_NONNULL_ALL SB_MUST_CHECK char *sb_visitor_make(struct sb_arena *arena,
                                                   const struct sb_config *config,
                                                   const struct sb_visitor *visitor);

/* Verifies text at now_s (seconds since 1970, no leeway: it is our own clock that set the expiry).
 * Whether it comes from its origin is the caller's to compare. True fills *visitor with texts in
 * arena, false leaves it untouched. A token that is no visitor's at all, going by its `typ`, gives
 * false with *is_visitor false. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_visitor_verify(struct sb_arena *arena,
                                                    const struct sb_config *config,
                                                    const char *text, int64_t now_s,
                                                    struct sb_visitor *visitor, bool *is_visitor);

#endif
