/* ICE servers for browsers (W3C WebRTC, RTCIceServer; RFC 7064, RFC 7065), with coturn's
 * time-limited credentials (draft-uberti-behave-turn-rest-00) where TURN_SECRET is set, else
 * TURN_USERNAME and TURN_PASSWORD. */
#ifndef SB_UPSTREAM_TURN_H
#define SB_UPSTREAM_TURN_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"

struct sb_ice_server {
    const char **urls;
    size_t url_count;
    const char *username, *credential; /* NULL for stun: */
};

struct sb_ice {
    struct sb_ice_server *servers;
    size_t count; /* 0 where TURN_HOST is not set */
    int64_t expires_at_ms;
};

/* The servers for user_id, good from now_ms for CALL_TOKEN_TTL: one for stun:, one for turn: over
 * UDP and TCP and, where TURN_TLS_PORT is not 0, turns:. Without credentials there is the first
 * alone. In arena. SB_E_UNAVAILABLE: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_turn_ice(struct sb_arena *arena,
                                                       const struct sb_config *config,
                                                       const char *user_id, int64_t now_ms,
                                                       struct sb_ice *ice);

#endif
