/* The claims of a verified token (RFC 7519, OpenID Connect Core, Clerk's session tokens). */
#ifndef SB_ACCESS_CLAIMS_H
#define SB_ACCESS_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"

enum { SB_CLAIMS_SKEW_S = 5 };

struct sb_claims {
    const char *sub;
    const char *name; /* at most SB_USER_NAME_MAX bytes; NULL if the token has none */
    unsigned roles;   /* bits 1 << enum sb_role, from role, roles, org_role, o.rol */
    int64_t expires_at_s;
};

enum sb_claims_result {
    SB_CLAIMS_OK,
    SB_CLAIMS_NOT_JSON, /* no object, duplicate keys, U+0000, an integer beyond 64 bits */
    SB_CLAIMS_BAD_SUB,  /* missing or no valid user id */
    SB_CLAIMS_BAD_TIME, /* exp missing, or a time that is no integer */
    SB_CLAIMS_EXPIRED,
    SB_CLAIMS_NOT_YET, /* nbf or iat in the future */
    SB_CLAIMS_BAD_ISSUER,
    SB_CLAIMS_BAD_AUDIENCE,
    SB_CLAIMS_BAD_PARTY, /* azp */
    SB_CLAIMS_PENDING,   /* Clerk: sts is "pending" */
    SB_CLAIMS_NO_MEMORY,
    SB_CLAIMS__MAX
};

/* A few words on result. */
SB_RETURNS_NONNULL const char *sb_claims_result_text(enum sb_claims_result result);

/* Checks payload (the JSON of a token whose signature was verified) at now_s (seconds since 1970)
 * with SB_CLAIMS_SKEW_S of leeway. iss, aud and azp are checked against config where it sets them,
 * and must then be there. A role that is none of ours is ignored.
 * On SB_CLAIMS_OK fills *claims with texts in arena; else it is untouched. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_claims_result
sb_claims_check(struct sb_arena *arena, const char *payload, size_t length,
                const struct sb_config *config, int64_t now_s, struct sb_claims *claims);

#endif
