/* Room tokens for Jitsi Meet with prosody's token plugin (mod_auth_token).
 * https://github.com/jitsi/lib-jitsi-meet/blob/master/doc/tokens.md */
#ifndef SB_UPSTREAM_JITSI_H
#define SB_UPSTREAM_JITSI_H

#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"

enum { SB_JITSI_BACKDATE_S = 10 }; /* prosody allows nbf no leeway */

struct sb_jitsi_guest {
    const char *user_id;
    const char *name; /* NULL: no display name */
    bool moderator;
};

struct sb_jitsi_room {
    const char *domain; /* JITSI_DOMAIN */
    const char *host;   /* JITSI_PUBLIC_HOST: what JitsiMeetExternalAPI takes */
    const char *room;
    const char *jwt;
    const char *url; /* https://host/room#jwt=... */
    int64_t expires_at_ms;
};

/* A token for guest in room ([a-z0-9_-]), good from now_ms for CALL_TOKEN_TTL. Texts in arena.
 * SB_E_MISCONFIGURED: no JITSI_JWT_SECRET. SB_E_INTERNAL: room has other characters.
 * SB_E_UNAVAILABLE: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_jitsi_room(struct sb_arena *arena, const struct sb_config *config, const char *room,
              const struct sb_jitsi_guest *guest, int64_t now_ms, struct sb_jitsi_room *result);

#endif
