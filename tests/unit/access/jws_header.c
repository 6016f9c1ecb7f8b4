#include "access/jws.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tokens.h"

static const char *const jwt_or_none[] = {"", "JWT", "at+jwt", NULL};
static const char *const jwt_only[] = {"JWT", NULL};

static struct sb_arena *arena;
static const struct sb_jws_key key = {.alg = SB_JWS_HS256,
                                      .secret = (const unsigned char *)token_secret,
                                      .secret_length = sizeof token_secret - 1};
static const char *payload;
static size_t payload_length;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    cr_assert_not_null(arena);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(jws_header, .init = setup, .fini = teardown);

static enum sb_jws_result verify_with(const struct sb_jws_key *keys, size_t count,
                                      const char *const *types, const char *token)
{
    return sb_jws_verify(arena, token, strlen(token), &(struct sb_jws_rules){keys, count, types},
                         &payload, &payload_length);
}

static enum sb_jws_result verify(const char *token)
{
    return verify_with(&key, 1, jwt_or_none, token);
}

/* A token with this header whose signature is good: only the header can be what refuses it. */
static enum sb_jws_result verify_header(const char *header)
{
    return verify(token_make(arena, header, "{}"));
}

static char *encode(const char *text)
{
    return sb_base64url(arena, text, strlen(text));
}

/* Algorithms. */

Test(jws_header, refuses_alg_none_in_any_case_with_a_good_mac_and_with_no_signature)
{
    static const char *const spellings[] = {"none", "None", "NONE", "nOnE", "nonE"};
    for (size_t i = 0; i < SB_COUNT(spellings); i++) {
        char *header = sb_arena_printf(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", spellings[i]);
        char *token = token_make(arena, header, "{}");
        cr_assert_eq(verify(token), SB_JWS_BAD_ALG, "%s", spellings[i]);
        strrchr(token, '.')[1] = '\0';
        cr_assert_eq(verify(token), SB_JWS_BAD_ALG, "%s, no signature", spellings[i]);
    }
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), SB_JWS_OK);
}

Test(jws_header, refuses_every_alg_that_is_not_exactly_the_keys)
{
    static const char *const names[] = {"HS512", "HS384",  "RS256",  "ES256", "PS256", "EdDSA",
                                        "hs256", "HS256 ", " HS256", "HS25",  "",      "dir"};
    for (size_t i = 0; i < SB_COUNT(names); i++) {
        char *header = sb_arena_printf(arena, "{\"alg\":\"%s\"}", names[i]);
        cr_assert_eq(verify_header(header), SB_JWS_BAD_ALG, "%s", names[i]);
    }
    cr_assert_eq(verify_header("{\"alg\":\"HS256\"}"), SB_JWS_OK);
}

Test(jws_header, refuses_a_sound_hs512_token_under_the_hs256_key)
{
    unsigned char mac[64];
    char *input = sb_arena_printf(arena, "%s.%s", encode("{\"alg\":\"HS512\"}"), encode("{}"));
    cr_assert_not_null(HMAC(EVP_sha512(), token_secret, (int)strlen(token_secret),
                            (unsigned char *)input, strlen(input), mac, NULL));
    char *token = sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, sizeof mac));
    cr_assert_eq(verify(token), SB_JWS_BAD_ALG);
    /* the same bytes cut to HMAC-SHA256's length */
    token = sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, 32));
    cr_assert_eq(verify(token), SB_JWS_BAD_ALG);
}

Test(jws_header, refuses_a_header_without_alg)
{
    cr_assert_eq(verify_header("{\"typ\":\"JWT\"}"), SB_JWS_BAD_ALG);
}

Test(jws_header, refuses_an_alg_that_is_no_string)
{
    cr_assert_eq(verify_header("{\"alg\":[\"HS256\"]}"), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":null}"), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":256}"), SB_JWS_BAD_HEADER);
}

/* The header. */

Test(jws_header, refuses_headers_that_bring_a_key_or_an_extension)
{
    static const char *const members[] = {
        "\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "\"jku\":\"https://evil.example/keys\"",
        "\"x5u\":\"https://evil.example/cert\"",
        "\"x5c\":[\"MIIB\"]",
        "\"crit\":[]",
        "\"crit\":[\"exp\"],\"exp\":1",
        "\"b64\":true",
        "\"b64\":false,\"crit\":[\"b64\"]",
        "\"jwk\":null",
    };
    for (size_t i = 0; i < SB_COUNT(members); i++) {
        char *header = sb_arena_printf(arena, "{\"alg\":\"HS256\",%s}", members[i]);
        cr_assert_eq(verify_header(header), SB_JWS_FORBIDDEN_HEADER, "%s", members[i]);
    }
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"cty\":\"x\"}"), SB_JWS_OK);
}

Test(jws_header, refuses_duplicate_keys_in_the_header)
{
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"alg\":\"HS256\"}"), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":\"none\",\"alg\":\"HS256\"}"), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}"), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"x\":{\"a\":1,\"a\":2}}"), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"x\":{\"a\":1,\"b\":2}}"), SB_JWS_OK);
}

Test(jws_header, refuses_a_header_that_is_not_one_json_object)
{
    static const char *const headers[] = {
        "",
        "null",
        "[]",
        "\"x\"",
        "{",
        "{\"alg\":\"HS256\"",
        "{}{}",
        "{} x",
        "{\"alg\":\"HS256\"}{\"alg\":\"HS256\"}",
        "{'a':1}",
        "{\"alg\":\"HS256\",}",
        "\xEF\xBB\xBF{\"alg\":\"HS256\"}",
    };
    for (size_t i = 0; i < SB_COUNT(headers); i++)
        cr_assert_eq(verify_header(headers[i]), SB_JWS_BAD_HEADER, "%s", headers[i]);
    cr_assert_eq(verify_header(" {\"alg\" : \"HS256\"}\n"), SB_JWS_OK);
}

Test(jws_header, refuses_nul_in_the_header_in_any_spelling)
{
    static const char behind[] = "{\"alg\":\"HS256\"}\0";
    static const char within[] = "{\"alg\":\"HS256\0\"}";
    char *header64 = sb_base64url(arena, behind, sizeof behind - 1);
    cr_assert_eq(verify(token_seal(arena, header64, "e30", token_secret)), SB_JWS_BAD_HEADER);
    header64 = sb_base64url(arena, within, sizeof within - 1);
    cr_assert_eq(verify(token_seal(arena, header64, "e30", token_secret)), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\\u0000\"}"), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"alg\\u0000\":1}"), SB_JWS_BAD_HEADER);
}

Test(jws_header, refuses_invalid_utf8_in_the_header)
{
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"x\":\"\xC3\"}"), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"x\":\"\xC3\xA9\"}"), SB_JWS_OK);
}

Test(jws_header, refuses_a_header_nested_beyond_measure)
{
    char deep[6001];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    cr_assert_eq(verify_header(deep), SB_JWS_BAD_HEADER);
}

/* Types. */

Test(jws_header, accepts_the_expected_types_without_case)
{
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"), SB_JWS_OK);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"typ\":\"jwt\"}"), SB_JWS_OK);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"typ\":\"AT+JWT\"}"), SB_JWS_OK);
}

Test(jws_header, refuses_other_types)
{
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"typ\":\"ticket+jwt\"}"), SB_JWS_BAD_TYP);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"typ\":\"JWTX\"}"), SB_JWS_BAD_TYP);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"typ\":\"\"}"), SB_JWS_BAD_TYP);
    cr_assert_eq(verify_header("{\"alg\":\"HS256\",\"typ\":1}"), SB_JWS_BAD_HEADER);
}

Test(jws_header, accepts_a_missing_type_only_where_the_list_says_so)
{
    char *token = token_make(arena, "{\"alg\":\"HS256\"}", "{}");
    cr_assert_eq(verify_with(&key, 1, jwt_or_none, token), SB_JWS_OK);
    cr_assert_eq(verify_with(&key, 1, jwt_only, token), SB_JWS_BAD_TYP);
}
