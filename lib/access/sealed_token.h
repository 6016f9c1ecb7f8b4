/* What the tokens that Switchboard issues to itself have in common: a JWS under a key that is
 * derived from JWT_SECRET for one purpose, with a `typ` of its own, so that no kind passes for
 * another or for a user's token, nor a user's token for it. For the files of access/ alone. */
#ifndef SB_ACCESS_SEALED_TOKEN_H
#define SB_ACCESS_SEALED_TOKEN_H

#include <jansson.h>

#include "access/jws.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/config.h"

struct sb_sealed_kind {
    const char *typ;     /* "ticket+jwt"; needs no JSON escape */
    const char *purpose; /* what the key is derived for; changes with the meaning of the payload */
};

/* The token of payload (a JSON object) in arena; NULL: payload failed, out of memory, or JWT_SECRET
 * is not set or below 32 bytes. */
SB_NONNULL_ALL SB_MUST_CHECK char *sb_sealed_make(struct sb_arena *arena,
                                                  const struct sb_config *config,
                                                  const struct sb_sealed_kind *kind,
                                                  const struct sb_buf *payload);

/* Verifies text and gives its payload, which the caller json_decref()s; what it says is for the
 * caller to check. NULL: refused, or out of memory. *is_kind: whether the text is of this kind at
 * all, going by its `typ`. */
SB_NONNULL_ALL SB_MUST_CHECK json_t *sb_sealed_open(struct sb_arena *arena,
                                                    const struct sb_config *config,
                                                    const struct sb_sealed_kind *kind,
                                                    const char *text, bool *is_kind);

#endif
