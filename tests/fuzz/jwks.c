/* Key sets from a provider that may be anybody. */
#include <jansson.h>
#include <string.h>

#include "access/jwks.h"
#include "base/arena.h"
#include "base/crypto.h"
#include "support/fuzz.h"

/* What an accepted set must be, by another reading of it. */
static void check_set(const struct sb_jwks *set, const char *text, size_t size)
{
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *keys = json_object_get(json, "keys");
    FUZZ_REQUIRE(size <= SB_JWKS_BYTES_MAX && json_is_array(keys));
    FUZZ_REQUIRE(set->member_count == json_array_size(keys));
    FUZZ_REQUIRE(set->count <= set->member_count && set->member_count <= SB_JWKS_KEYS_MAX);
    size_t usable = 0;
    for (size_t i = 0; i < set->member_count; i++) {
        const struct sb_jwks_member *member = &set->members[i];
        const json_t *jwk = json_array_get(keys, i);
        FUZZ_REQUIRE((member->flaw == NULL) == (member->alg != NULL));
        FUZZ_REQUIRE(member->kid == NULL || strlen(member->kid) <= SB_JWKS_KID_MAX);
        if (member->flaw != NULL)
            continue;
        const char *kty = json_string_value(json_object_get(jwk, "kty"));
        const char *alg = json_string_value(json_object_get(jwk, "alg"));
        FUZZ_REQUIRE(strcmp(kty, strcmp(member->alg, "RS256") == 0 ? "RSA" : "EC") == 0);
        FUZZ_REQUIRE(alg == NULL || strcmp(alg, member->alg) == 0);
        FUZZ_REQUIRE(json_object_get(jwk, "d") == NULL);
        FUZZ_REQUIRE(set->keys[usable].public_key != NULL);
        FUZZ_REQUIRE(set->keys[usable].alg != SB_JWS_HS256);
        usable++;
    }
    FUZZ_REQUIRE(usable == set->count);
    json_decref(json);
}

/* Nobody signed these: no key may fit them. */
static void check_forgeries(struct sb_arena *arena, const struct sb_jwks *set)
{
    static const char *const headers[] = {"{\"alg\":\"RS256\"}", "{\"alg\":\"ES256\"}",
                                          "{\"alg\":\"HS256\"}", "{\"alg\":\"none\"}"};
    static unsigned char signature[256];
    if (signature[0] == 0) {
        sb_random(signature, sizeof signature);
        signature[0] = 1; /* below any modulus of as many bytes */
    }
    const struct sb_jws_rules rules = {set->keys, set->count, NULL};
    for (size_t i = 0; i < SB_COUNT(headers); i++) {
        const char *payload = "untouched";
        size_t length = i == 0 ? 256 : i == 3 ? 0 : i == 1 ? 64 : 32;
        char *token =
            sb_arena_printf(arena, "%s.e30.%s", sb_base64url(arena, headers[i], strlen(headers[i])),
                            sb_base64url(arena, signature, length));
        FUZZ_REQUIRE(token != NULL);
        FUZZ_REQUIRE(sb_jws_verify(arena, token, strlen(token), &rules, &payload, &length) !=
                     SB_JWS_OK);
        FUZZ_REQUIRE(strcmp(payload, "untouched") == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sb_arena *arena;
    const struct sb_jwks *set = NULL;
    if (arena == NULL)
        arena = sb_arena_new(1024 * 1024);
    FUZZ_REQUIRE(arena != NULL);
    enum sb_jwks_result result = sb_jwks_parse((const char *)data, size, &set);
    FUZZ_REQUIRE(result < SB_JWKS__MAX && (result == SB_JWKS_OK) == (set != NULL));
    if (set != NULL) {
        check_set(set, (const char *)data, size);
        check_forgeries(arena, set);
        sb_jwks_release(set);
    }
    sb_arena_reset(arena);
    return 0;
}
