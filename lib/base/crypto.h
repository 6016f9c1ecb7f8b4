/* Hashes, MACs, public keys and text encodings: thin over OpenSSL, so that no other file includes
 * it. */
#ifndef SB_BASE_CRYPTO_H
#define SB_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

enum { SB_SHA256_SIZE = 32, SB_SHA1_SIZE = 20, SB_SHA256_HEX_SIZE = 65 };

/* Fills memory with size bytes of the kernel's randomness; ends the process if there is none. */
SB_NONNULL_ALL void sb_random(void *memory, size_t size);

/* Makes OpenSSL allocate through base/memory; for sb_memory_init(). */
void sb_crypto_init_memory(void);

/* Has OpenSSL initialise itself. Called once, before there are threads and before anything else of
 * this header; a program that does no cryptography need not. False: no memory, the program is to
 * end. */
SB_MUST_CHECK bool sb_crypto_init(void);

/* False only if the library fails (no memory). */
SB_NONNULL(3)
SB_MUST_CHECK
bool sb_sha256(const void *data, size_t length, unsigned char digest[static SB_SHA256_SIZE]);
SB_NONNULL(1, 5)
SB_MUST_CHECK bool sb_hmac_sha256(const void *key, size_t key_length, const void *data,
                                  size_t length, unsigned char mac[static SB_SHA256_SIZE]);
/* RFC 2104 with SHA-1: only for coturn's time-limited credentials, which fix it. */
SB_NONNULL(1, 5)
SB_MUST_CHECK bool sb_hmac_sha1(const void *key, size_t key_length, const void *data, size_t length,
                                unsigned char mac[static SB_SHA1_SIZE]);

/* Lower-case hexadecimal with a NUL: text holds 2 * length + 1 bytes. */
SB_NONNULL_ALL void sb_hex(const unsigned char *data, size_t length, char *text);

/* RFC 4648 sections 4 and 5 into arena; base64url without padding. NULL: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK char *sb_base64(struct sb_arena *arena, const void *data,
                                             size_t length);
SB_NONNULL_ALL SB_MUST_CHECK char *sb_base64url(struct sb_arena *arena, const void *data,
                                                size_t length);

/* Decodes canonical, unpadded base64url (RFC 7515 section 2): any other character, a padding, a
 * length of 4n+1 or non-zero trailing bits are refused. *data is NUL-terminated behind *length.
 * False: refused or out of memory; the results are untouched. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_base64url_decode(struct sb_arena *arena, const char *text,
                                                      size_t text_length, unsigned char **data,
                                                      size_t *length);

/* Whether the two texts are equal, in a time that tells nothing of their content or of how much of
 * them agrees: both are hashed under a key made for the process, so that only the time to hash each
 * length shows. For everything secret. False also if the library fails. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_secret_equal(const char *a, size_t a_length, const char *b,
                                                  size_t b_length);

/* The compact JWS (RFC 7515 section 7.1) of payload under HS256, header {"alg":"HS256","typ":typ};
 * typ needs no JSON escape. In arena; NULL: out of memory. Verification is access/jws. */
SB_NONNULL_ALL SB_MUST_CHECK char *sb_jws_sign_hs256(struct sb_arena *arena, const char *typ,
                                                     const char *payload, size_t payload_length,
                                                     const void *key, size_t key_length);

/* A key that signatures are verified with. It does not change: threads share it. */
struct sb_public_key;

enum {
    SB_RSA_BITS_MIN = 2048, /* RFC 7518 section 3.3 */
    SB_RSA_BITS_MAX = 8192, /* what more would cost on every token */
    SB_P256_COORDINATE_SIZE = 32,
    SB_ES256_SIZE = 64
};

/* From an odd modulus of SB_RSA_BITS_MIN to SB_RSA_BITS_MAX bits and an odd exponent from 3 to
 * 2^64 - 1, both big-endian without leading zeros. Whether the modulus is a product of two primes
 * is the issuer's affair. NULL: the numbers are others, or out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK struct sb_public_key *sb_public_key_rsa(const unsigned char *modulus,
                                                                     size_t modulus_length,
                                                                     const unsigned char *exponent,
                                                                     size_t exponent_length);

/* From the coordinates of a point of P-256 (FIPS 186-4). NULL: it is not on the curve, or out of
 * memory. */
SB_NONNULL_ALL SB_MUST_CHECK struct sb_public_key *
sb_public_key_p256(const unsigned char x[static SB_P256_COORDINATE_SIZE],
                   const unsigned char y[static SB_P256_COORDINATE_SIZE]);

/* NULL is allowed. */
void sb_public_key_free(struct sb_public_key *key);

/* Whether signature is key's over data: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3), and
 * ECDSA on P-256 with SHA-256, which is r and s in 32 bytes each (section 3.4). False also for a
 * signature of another length, a key of the other kind, and where the library fails. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_rs256_valid(const struct sb_public_key *key, const void *data,
                                                 size_t length, const unsigned char *signature,
                                                 size_t signature_length);
SB_NONNULL_ALL SB_MUST_CHECK bool sb_es256_valid(const struct sb_public_key *key, const void *data,
                                                 size_t length, const unsigned char *signature,
                                                 size_t signature_length);

/* Overwrites memory in a way the compiler may not drop. */
SB_NONNULL_ALL void sb_wipe(void *memory, size_t size);

#endif
