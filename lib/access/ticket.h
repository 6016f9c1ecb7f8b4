/* Call tickets: a short signed proof that someone takes part in a call, given by calls/join. It
 * lets a participant end the call without the user's token. A JWS with typ "ticket+jwt" under a key
 * derived from JWT_SECRET, so that neither kind of token passes for the other. Sent as a bearer
 * token. */
#ifndef SB_ACCESS_TICKET_H
#define SB_ACCESS_TICKET_H

#include <stdint.h>

#include "access/jws.h"
#include "base/arena.h"
#include "base/config.h"

struct sb_ticket {
    const char *user_id, *call_id, *participant_id;
    bool moderator;
    int64_t expires_at_s;
};

/* The ticket's text in arena; NULL: out of memory, or JWT_SECRET is not set or below 32 bytes. */
SB_NONNULL_ALL SB_MUST_CHECK char *sb_ticket_make(struct sb_arena *arena,
                                                  const struct sb_config *config,
                                                  const struct sb_ticket *ticket);

/* Verifies text at now_s (seconds since 1970, no leeway: it is our own clock that set the expiry).
 * True fills *ticket with texts in arena, false leaves it untouched. A token that is no ticket at
 * all, going by its `typ`, gives false with *is_ticket false. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_ticket_verify(struct sb_arena *arena,
                                                   const struct sb_config *config, const char *text,
                                                   int64_t now_s, struct sb_ticket *ticket,
                                                   bool *is_ticket);

#endif
