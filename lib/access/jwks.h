/* JSON Web Key Sets (RFC 7517): the public keys of an identity provider, read strictly.
 *
 * A set that is not sound is refused whole: over 64 KiB, no JSON object, duplicate names anywhere
 * in it, no array `keys`, too many keys, a key that is no object. In a sound set a key that cannot
 * verify an RS256 or ES256 signature is left out (RFC 7517 section 5), with the reason kept for
 * the administrator: another kty, crv or alg, a use or key_ops for something else, an RSA modulus
 * below 2048 bits, a point that is not on P-256, a private key. A key has exactly one algorithm,
 * which its kty decides where it has no alg. */
#ifndef SB_ACCESS_JWKS_H
#define SB_ACCESS_JWKS_H

#include <stddef.h>

#include "access/jws.h"

enum { SB_JWKS_BYTES_MAX = 64 * 1024, SB_JWKS_KEYS_MAX = 32, SB_JWKS_KID_MAX = 256 };

/* One element of `keys`. */
struct sb_jwks_member {
    const char *kid;  /* NULL: none that is sound */
    const char *alg;  /* NULL if it is left out */
    const char *flaw; /* why it is left out, a literal; else NULL */
};

/* A parsed set; it does not change, so threads share it. */
struct sb_jwks {
    const struct sb_jws_key *keys; /* those that verify */
    size_t count;
    const struct sb_jwks_member *members; /* all, in the set's order */
    size_t member_count;
    const char *source; /* the member `source` that access/key_file writes; NULL: none */
};

enum sb_jwks_result {
    SB_JWKS_OK,
    SB_JWKS_TOO_LONG,
    SB_JWKS_NOT_JSON, /* no object, duplicate names, U+0000 */
    SB_JWKS_NO_KEYS,  /* `keys` is missing or no array */
    SB_JWKS_TOO_MANY,
    SB_JWKS_BAD_MEMBER, /* an element of `keys` is no object */
    SB_JWKS_NO_MEMORY,
    SB_JWKS__MAX
};

/* A few words on result. */
SB_RETURNS_NONNULL const char *sb_jwks_result_text(enum sb_jwks_result result);

/* Parses text. On SB_JWKS_OK the caller owns one reference to *set, which may have no usable key;
 * else *set is untouched. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_jwks_result sb_jwks_parse(const char *text, size_t length,
                                                               const struct sb_jwks **set);

/* References: a set lives until each has been released. NULL is allowed. */
const struct sb_jwks *sb_jwks_hold(const struct sb_jwks *set);
void sb_jwks_release(const struct sb_jwks *set);

#endif
