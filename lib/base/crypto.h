/* Hashes, MACs and text encodings: thin over OpenSSL, so that no other file includes it. */
#ifndef SB_BASE_CRYPTO_H
#define SB_BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

enum { SB_SHA256_SIZE = 32, SB_SHA1_SIZE = 20, SB_SHA256_HEX_SIZE = 65 };

/* Fills memory with size bytes of the kernel's randomness; ends the process if there is none. */
SB_NONNULL_ALL void sb_random(void *memory, size_t size);

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

/* Overwrites memory in a way the compiler may not drop. */
SB_NONNULL_ALL void sb_wipe(void *memory, size_t size);

#endif
