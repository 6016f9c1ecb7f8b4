/* Identity providers for tests: key pairs, their public keys as JWK, and tokens of any make. */
#ifndef TESTS_UNIT_ACCESS_SIGNERS_H
#define TESTS_UNIT_ACCESS_SIGNERS_H

#include <criterion/criterion.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/arena.h"
#include "base/crypto.h"

static inline EVP_PKEY *signer_rsa(unsigned bits)
{
    EVP_PKEY *pkey = EVP_RSA_gen(bits);
    cr_assert_not_null(pkey);
    return pkey;
}

static inline EVP_PKEY *signer_ec(const char *curve)
{
    EVP_PKEY *pkey = EVP_EC_gen(curve);
    cr_assert_not_null(pkey);
    return pkey;
}

/* One number of the public key in base64url, with at least size bytes. */
static inline char *signer_number(struct sb_arena *arena, EVP_PKEY *pkey, const char *name,
                                  int size)
{
    unsigned char bytes[1024];
    BIGNUM *number = NULL;
    cr_assert_eq(EVP_PKEY_get_bn_param(pkey, name, &number), 1);
    if (size < BN_num_bytes(number))
        size = BN_num_bytes(number);
    cr_assert_eq(BN_bn2binpad(number, bytes, size), size);
    BN_free(number);
    return sb_base64url(arena, bytes, (size_t)size);
}

/* The JWK: kty and numbers of pkey, then members (",\"kid\":..." or ""). */
static inline char *signer_jwk(struct sb_arena *arena, EVP_PKEY *pkey, const char *members)
{
    if (EVP_PKEY_is_a(pkey, "RSA"))
        return sb_arena_printf(arena, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}",
                               signer_number(arena, pkey, OSSL_PKEY_PARAM_RSA_N, 0),
                               signer_number(arena, pkey, OSSL_PKEY_PARAM_RSA_E, 0), members);
    return sb_arena_printf(arena, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}",
                           signer_number(arena, pkey, OSSL_PKEY_PARAM_EC_PUB_X, 32),
                           signer_number(arena, pkey, OSSL_PKEY_PARAM_EC_PUB_Y, 32), members);
}

struct signature {
    unsigned char *bytes;
    size_t length;
};

/* As the library makes it: an ECDSA signature is DER. */
static inline struct signature signer_sign(struct sb_arena *arena, EVP_PKEY *pkey,
                                           const EVP_MD *digest, const char *input)
{
    struct signature made = {sb_arena_alloc(arena, 1024), 1024};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    cr_assert_eq(EVP_DigestSignInit(context, NULL, digest, NULL, pkey), 1);
    cr_assert_eq(EVP_DigestSign(context, made.bytes, &made.length, (const unsigned char *)input,
                                strlen(input)),
                 1);
    EVP_MD_CTX_free(context);
    return made;
}

/* r and s in 32 bytes each, of a DER signature. */
static inline struct signature signer_raw(struct sb_arena *arena, struct signature der)
{
    struct signature raw = {sb_arena_alloc(arena, 64), 64};
    const unsigned char *at = der.bytes;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der.length);
    cr_assert_not_null(pair);
    cr_assert_eq(BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw.bytes, 32), 32);
    cr_assert_eq(BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw.bytes + 32, 32), 32);
    ECDSA_SIG_free(pair);
    return raw;
}

static inline char *signer_input(struct sb_arena *arena, const char *header, const char *payload)
{
    return sb_arena_printf(arena, "%s.%s", sb_base64url(arena, header, strlen(header)),
                           sb_base64url(arena, payload, strlen(payload)));
}

static inline char *signer_join(struct sb_arena *arena, const char *input,
                                struct signature signature)
{
    char *token = sb_arena_printf(arena, "%s.%s", input,
                                  sb_base64url(arena, signature.bytes, signature.length));
    cr_assert_not_null(token);
    return token;
}

/* The token of these two texts, whatever the header says, by RS256 or ES256 as the key goes. */
static inline char *signer_token(struct sb_arena *arena, EVP_PKEY *pkey, const char *header,
                                 const char *payload)
{
    char *input = signer_input(arena, header, payload);
    struct signature made = signer_sign(arena, pkey, EVP_sha256(), input);
    if (EVP_PKEY_is_a(pkey, "EC"))
        made = signer_raw(arena, made);
    return signer_join(arena, input, made);
}

#endif
