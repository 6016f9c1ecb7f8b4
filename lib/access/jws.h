/* JSON Web Signature, compact serialisation (RFC 7515), strict: the only verifier of the program.
 *
 * A token has one accepted spelling and one accepted algorithm, the key's. Refused before any
 * cryptography: over 8 KiB, not three parts, a header or signature in base64url that is padded or
 * not canonical, a header that is no JSON object or has duplicate keys, an `alg` that is not
 * exactly the key's (so "none" in any case, and HS256 with an asymmetric key), `crit`, `b64`,
 * `jwk`, `jku`, `x5u`, `x5c`, a `typ` that is none of the expected. The payload is not even decoded
 * before its signature has been found good; then it must be canonical too. What the payload says is
 * for access/claims. */
#ifndef SB_ACCESS_JWS_H
#define SB_ACCESS_JWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

enum { SB_JWS_MAX = 8192 }; /* bytes of a token */

enum sb_jws_alg { SB_JWS_HS256, SB_JWS_RS256, SB_JWS_ES256, SB_JWS_ALG__MAX };

struct sb_public_key;

struct sb_jws_key {
    enum sb_jws_alg alg;
    const char *kid;             /* NULL: accepts tokens of any kid */
    const unsigned char *secret; /* HS256 */
    size_t secret_length; /* HS256: 32 or more (RFC 7518 section 3.2), else the key fits no token */
    const struct sb_public_key *public_key; /* RS256, ES256 */
};

/* Why a token was refused; fit for the log and `switchboard token inspect`, not for clients. In the
 * order of the checks, but for SB_JWS_BAD_BASE64, which can also be the payload's. */
enum sb_jws_result {
    SB_JWS_OK,
    SB_JWS_TOO_LONG,
    SB_JWS_NOT_THREE_PARTS,
    SB_JWS_BAD_HEADER, /* not base64url, no object, or alg, typ or kid is no string */
    SB_JWS_BAD_TYP,    /* another kind of token, which may be good for somebody else */
    SB_JWS_FORBIDDEN_HEADER,
    SB_JWS_BAD_BASE64, /* of the signature or the payload */
    SB_JWS_NO_KEY,     /* no usable key of that kid */
    SB_JWS_BAD_ALG,
    SB_JWS_BAD_SIGNATURE,
    SB_JWS_NO_MEMORY,
    SB_JWS__MAX
};

/* A few words on result, such as "the signature does not match". */
SB_RETURNS_NONNULL const char *sb_jws_result_text(enum sb_jws_result result);

/* What a token must satisfy. */
struct sb_jws_rules {
    const struct sb_jws_key *keys;
    size_t count;
    /* The accepted `typ` values, NULL-terminated, compared without case (RFC 7515 section 4.1.9);
     * a missing `typ` is accepted only if the list begins with "". NULL: any. */
    const char *const *types;
};

/* Verifies token (length bytes, not NUL-terminated) with whichever of the keys fits: those whose
 * algorithm is the header's are tried in turn, and where key and token both have a kid, it must be
 * the same (RFC 7515 section 4.1.4). On SB_JWS_OK
 * *payload is in arena, NUL-terminated behind *payload_length; else the results are untouched. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_jws_result
sb_jws_verify(struct sb_arena *arena, const char *token, size_t length,
              const struct sb_jws_rules *rules, const char **payload, size_t *payload_length);

#endif
