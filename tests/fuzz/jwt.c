/* Tokens from strangers. The input is taken for a token as it stands, and for "HEADER\nPAYLOAD" to
 * be signed, which is how the code behind the signature is reached. */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "access/claims.h"
#include "access/jws.h"
#include "access/ticket.h"
#include "access/visitor.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "store/users.h"
#include "support/fuzz.h"

static const int64_t NOW = 1800000000;
static const char *const types[] = {"", "JWT", "at+jwt", NULL};
static char secret[33]; /* made for this process: no input can know it */

static struct sb_jws_key make_key(void)
{
    unsigned char random[16];
    if (secret[0] == '\0') {
        sb_random(random, sizeof random);
        sb_hex(random, sizeof random, secret);
    }
    return (struct sb_jws_key){.secret = (const unsigned char *)secret, .secret_length = 32};
}

static void check_stranger(struct sb_arena *arena, const struct sb_jws_key *key, const char *text,
                           size_t size)
{
    const char *payload = "untouched";
    size_t length = 42;
    FUZZ_REQUIRE(sb_jws_verify(arena, text, size, &(struct sb_jws_rules){key, 1, types}, &payload,
                               &length) != SB_JWS_OK);
    FUZZ_REQUIRE(strcmp(payload, "untouched") == 0 && length == 42);
    struct sb_config config = {.jwt_secret = secret};
    struct sb_ticket ticket;
    bool is_ticket;
    char *copy = sb_arena_strndup(arena, text, size);
    FUZZ_REQUIRE(copy != NULL);
    FUZZ_REQUIRE(!sb_ticket_verify(arena, &config, copy, NOW, &ticket, &is_ticket));
    struct sb_visitor visitor;
    bool is_visitor;
    FUZZ_REQUIRE(!sb_visitor_verify(arena, &config, copy, NOW, &visitor, &is_visitor));
    FUZZ_REQUIRE(!is_ticket || !is_visitor);
}

/* What an accepted header must be, by another reading of it. */
static void check_header(const char *header, size_t length)
{
    static const char *const forbidden[] = {"crit", "b64", "jwk", "jku", "x5u", "x5c"};
    json_t *json = json_loadb(header, length, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_REQUIRE(json_is_object(json));
    const char *alg = json_string_value(json_object_get(json, "alg"));
    FUZZ_REQUIRE(alg != NULL && strcmp(alg, "HS256") == 0);
    for (size_t i = 0; i < SB_COUNT(forbidden); i++)
        FUZZ_REQUIRE(json_object_get(json, forbidden[i]) == NULL);
    json_decref(json);
}

static void check_claims(struct sb_arena *arena, const char *payload, size_t length)
{
    const struct sb_config config = {.jwt_secret = secret};
    struct sb_claims claims;
    enum sb_claims_result result = sb_claims_check(arena, payload, length, &config, NOW, &claims);
    FUZZ_REQUIRE(result < SB_CLAIMS__MAX);
    if (result != SB_CLAIMS_OK)
        return;
    FUZZ_REQUIRE(claims.expires_at_s > NOW - SB_CLAIMS_SKEW_S);
    FUZZ_REQUIRE(sb_user_id_valid(claims.sub));
    FUZZ_REQUIRE(claims.roles < 1u << SB_ROLE__MAX);
    if (claims.name == NULL)
        return;
    size_t left = strlen(claims.name);
    FUZZ_REQUIRE(left > 0 && left <= SB_USER_NAME_MAX);
    for (const char *c = claims.name; left > 0;) {
        size_t step = sb_utf8_sequence(c, left);
        FUZZ_REQUIRE(step > 0 && (unsigned char)*c >= ' ');
        c += step;
        left -= step;
    }
}

static char *sign(struct sb_arena *arena, const char *header, size_t header_length,
                  const char *payload, size_t payload_length)
{
    unsigned char mac[SB_SHA256_SIZE];
    char *header64 = sb_base64url(arena, header, header_length);
    char *payload64 = sb_base64url(arena, payload, payload_length);
    FUZZ_REQUIRE(header64 != NULL && payload64 != NULL);
    char *input = sb_arena_printf(arena, "%s.%s", header64, payload64);
    FUZZ_REQUIRE(input != NULL && sb_hmac_sha256(secret, 32, input, strlen(input), mac));
    char *token = sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, sizeof mac));
    FUZZ_REQUIRE(token != NULL);
    return token;
}

static void check_signed(struct sb_arena *arena, const struct sb_jws_key *key, const char *text,
                         size_t size)
{
    const char *newline = memchr(text, '\n', size);
    if (newline == NULL)
        return;
    size_t header_length = (size_t)(newline - text), given = size - header_length - 1;
    char *token = sign(arena, text, header_length, newline + 1, given);
    const char *payload;
    size_t length;
    if (sb_jws_verify(arena, token, strlen(token), &(struct sb_jws_rules){key, 1, types}, &payload,
                      &length) != SB_JWS_OK)
        return;
    check_header(text, header_length);
    FUZZ_REQUIRE(length == given && memcmp(payload, newline + 1, given) == 0);
    FUZZ_REQUIRE(payload[length] == '\0');
    check_claims(arena, payload, length);
    char *bit = token + strlen(token) - 2 - size % 40;
    *bit = *bit == 'A' ? 'B' : 'A';
    FUZZ_REQUIRE(sb_jws_verify(arena, token, strlen(token), &(struct sb_jws_rules){key, 1, types},
                               &payload, &length) != SB_JWS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sb_arena *arena;
    if (size > 2 * SB_JWS_MAX)
        return 0;
    if (arena == NULL)
        arena = sb_arena_new(1024 * 1024);
    FUZZ_REQUIRE(arena != NULL);
    struct sb_jws_key key = make_key();
    check_stranger(arena, &key, (const char *)data, size);
    check_signed(arena, &key, (const char *)data, size);
    sb_arena_reset(arena);
    return 0;
}
