/* Tokens of any make: the header is given as its JSON, so that a test can sign what no honest
 * signer would. */
#ifndef TESTS_UNIT_ACCESS_TOKENS_H
#define TESTS_UNIT_ACCESS_TOKENS_H

#include <criterion/criterion.h>
#include <string.h>

#include "base/arena.h"
#include "base/crypto.h"

static const char token_secret[] = "0123456789abcdef0123456789abcdef";

/* "header.payload.HMAC-SHA256" with the HMAC over header64 "." payload64, whatever they are. */
static inline char *token_seal(struct sb_arena *arena, const char *header64, const char *payload64,
                               const char *secret)
{
    unsigned char mac[SB_SHA256_SIZE];
    char *input = sb_arena_printf(arena, "%s.%s", header64, payload64);
    cr_assert_not_null(input);
    cr_assert(sb_hmac_sha256(secret, strlen(secret), input, strlen(input), mac));
    char *token = sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, sizeof mac));
    cr_assert_not_null(token);
    return token;
}

/* The token of these two texts under token_secret. */
static inline char *token_make(struct sb_arena *arena, const char *header, const char *payload)
{
    return token_seal(arena, sb_base64url(arena, header, strlen(header)),
                      sb_base64url(arena, payload, strlen(payload)), token_secret);
}

#endif
