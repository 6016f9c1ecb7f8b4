#include "access/jwks.h"

#include <stdlib.h>

#include "signers.h"

static const char X[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"; /* RFC 7515 A.3 */
static const char Y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

static struct sb_arena *arena;

static void setup(void)
{
    arena = sb_arena_new(4 * 1024 * 1024);
    cr_assert_not_null(arena);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(jwks, .init = setup, .fini = teardown);

static enum sb_jwks_result parse(const char *text, const struct sb_jwks **set)
{
    *set = NULL;
    return sb_jwks_parse(text, strlen(text), set);
}

static enum sb_jwks_result result_of(const char *text)
{
    const struct sb_jwks *set;
    enum sb_jwks_result result = parse(text, &set);
    cr_assert_eq(set != NULL, result == SB_JWKS_OK, "%s", text);
    sb_jwks_release(set);
    return result;
}

/* The set of one key. */
static const struct sb_jwks *set_of(const char *jwk)
{
    const struct sb_jwks *set;
    cr_assert_eq(parse(sb_arena_printf(arena, "{\"keys\":[%s]}", jwk), &set), SB_JWKS_OK, "%s",
                 jwk);
    cr_assert_eq(set->member_count, 1);
    return set;
}

static void expect_usable(const char *jwk, const char *alg)
{
    const struct sb_jwks *set = set_of(jwk);
    cr_expect_eq(set->count, 1, "%s: %s", jwk, set->members[0].flaw);
    cr_expect_null(set->members[0].flaw);
    if (set->count == 1)
        cr_expect_str_eq(set->members[0].alg, alg);
    sb_jwks_release(set);
}

static void expect_left_out(const char *jwk, const char *why)
{
    const struct sb_jwks *set = set_of(jwk);
    cr_expect_eq(set->count, 0, "%s", jwk);
    cr_expect_null(set->members[0].alg);
    cr_expect_not_null(set->members[0].flaw, "%s", jwk);
    if (set->members[0].flaw != NULL)
        cr_expect_not_null(strstr(set->members[0].flaw, why), "%s: %s", jwk, set->members[0].flaw);
    sb_jwks_release(set);
}

static char *ec(const char *members)
{
    return sb_arena_printf(arena, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}",
                           X, Y, members);
}

static char *rsa(EVP_PKEY *pkey, const char *members)
{
    return signer_jwk(arena, pkey, members);
}

/* Sets. */

Test(jwks, reads_the_keys_of_a_set_in_their_order)
{
    EVP_PKEY *pkey = signer_rsa(2048);
    char *text =
        sb_arena_printf(arena, "{\"x\":1,\"keys\":[%s,{\"kty\":\"oct\",\"k\":\"AAAA\"},%s]}",
                        ec(",\"kid\":\"one\""), rsa(pkey, ",\"kid\":\"two\",\"x5c\":[\"MIIB\"]"));
    const struct sb_jwks *set;
    cr_assert_eq(parse(text, &set), SB_JWKS_OK);
    cr_assert_eq(set->count, 2);
    cr_assert_eq(set->member_count, 3);
    cr_expect_str_eq(set->keys[0].kid, "one");
    cr_expect_eq(set->keys[0].alg, SB_JWS_ES256);
    cr_expect_str_eq(set->keys[1].kid, "two");
    cr_expect_eq(set->keys[1].alg, SB_JWS_RS256);
    cr_expect_not_null(set->keys[1].public_key);
    cr_expect_null(set->members[1].kid);
    cr_expect_null(set->source);
    sb_jwks_release(set);
    EVP_PKEY_free(pkey);
}

Test(jwks, a_set_without_keys_is_sound_and_of_no_use)
{
    const struct sb_jwks *set;
    cr_assert_eq(parse("{\"keys\":[]}", &set), SB_JWKS_OK);
    cr_assert_eq(set->count, 0);
    cr_assert_eq(set->member_count, 0);
    sb_jwks_release(set);
}

Test(jwks, lives_until_its_last_reference_is_released)
{
    const struct sb_jwks *set = set_of(ec(",\"kid\":\"k\""));
    cr_assert_eq(sb_jwks_hold(set), set);
    sb_jwks_release(set);
    cr_assert_str_eq(set->keys[0].kid, "k");
    sb_jwks_release(set);
    cr_assert_null(sb_jwks_hold(NULL));
    sb_jwks_release(NULL);
}

Test(jwks, refuses_what_is_no_set)
{
    static const struct {
        const char *text;
        enum sb_jwks_result result;
    } rows[] = {
        {"", SB_JWKS_NOT_JSON},
        {"[]", SB_JWKS_NOT_JSON},
        {"null", SB_JWKS_NOT_JSON},
        {"{\"keys\":[]", SB_JWKS_NOT_JSON},
        {"{\"keys\":[]}x", SB_JWKS_NOT_JSON},
        {"{\"keys\":[]}{}", SB_JWKS_NOT_JSON},
        {"<html>", SB_JWKS_NOT_JSON},
        {"{}", SB_JWKS_NO_KEYS},
        {"{\"Keys\":[]}", SB_JWKS_NO_KEYS},
        {"{\"keys\":{}}", SB_JWKS_NO_KEYS},
        {"{\"keys\":null}", SB_JWKS_NO_KEYS},
        {"{\"kty\":\"EC\"}", SB_JWKS_NO_KEYS},
        {"{\"keys\":[[]]}", SB_JWKS_BAD_MEMBER},
        {"{\"keys\":[{},\"x\"]}", SB_JWKS_BAD_MEMBER},
        {"{\"keys\":[{},{}]}", SB_JWKS_OK},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_eq(result_of(rows[i].text), rows[i].result, "%s", rows[i].text);
}

Test(jwks, refuses_duplicate_names_anywhere)
{
    static const char *const texts[] = {
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[],\"\\u006beys\":[]}",
        "{\"keys\":[{\"kty\":\"EC\",\"kty\":\"RSA\"}]}",
        "{\"keys\":[{\"kid\":\"a\",\"kid\":\"a\"}]}",
        "{\"keys\":[{\"x\":{\"a\":1,\"a\":1}}]}",
    };
    for (size_t i = 0; i < SB_COUNT(texts); i++)
        cr_expect_eq(result_of(texts[i]), SB_JWKS_NOT_JSON, "%s", texts[i]);
}

Test(jwks, refuses_a_nul_byte_in_any_spelling)
{
    static const char text[] = "{\"keys\":[],\"x\":\"\0\"}";
    const struct sb_jwks *set;
    cr_assert_eq(sb_jwks_parse(text, sizeof text - 1, &set), SB_JWKS_NOT_JSON);
    cr_assert_eq(result_of("{\"keys\":[{\"kid\":\"a\\u0000\"}]}"), SB_JWKS_NOT_JSON);
}

static char *padded_set(size_t length)
{
    char *text = sb_arena_alloc(arena, length + 1);
    static const char set[] = "{\"keys\":[]}";
    memset(text, ' ', length);
    memcpy(text, set, sizeof set - 1);
    return text;
}

Test(jwks, takes_64_kib_and_refuses_a_byte_more)
{
    cr_assert_eq(result_of(padded_set(SB_JWKS_BYTES_MAX)), SB_JWKS_OK);
    cr_assert_eq(result_of(padded_set(SB_JWKS_BYTES_MAX + 1)), SB_JWKS_TOO_LONG);
}

static char *set_of_many(size_t count)
{
    char *text = sb_arena_strdup(arena, "{\"keys\":[{}");
    for (size_t i = 1; i < count; i++)
        text = sb_arena_printf(arena, "%s,{}", text);
    return sb_arena_printf(arena, "%s]}", text);
}

Test(jwks, takes_32_keys_and_refuses_one_more)
{
    cr_assert_eq(result_of(set_of_many(SB_JWKS_KEYS_MAX)), SB_JWKS_OK);
    cr_assert_eq(result_of(set_of_many(SB_JWKS_KEYS_MAX + 1)), SB_JWKS_TOO_MANY);
}

/* Keys. */

Test(jwks, takes_a_key_whose_members_agree)
{
    static const char *const members[] = {
        "",
        ",\"alg\":\"ES256\"",
        ",\"use\":\"sig\"",
        ",\"key_ops\":[\"verify\"]",
        ",\"key_ops\":[\"sign\",\"verify\"]",
        ",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"alg\":\"ES256\",\"kid\":\"../../etc/passwd\"",
        ",\"kid\":\"\"",
        ",\"ext\":true",
    };
    for (size_t i = 0; i < SB_COUNT(members); i++)
        expect_usable(ec(members[i]), "ES256");
}

Test(jwks, leaves_out_a_key_whose_members_say_something_else)
{
    static const struct {
        const char *members, *why;
    } rows[] = {
        {",\"alg\":\"RS256\"", "alg"},
        {",\"alg\":\"ES384\"", "alg"},
        {",\"alg\":\"HS256\"", "alg"},
        {",\"alg\":\"none\"", "alg"},
        {",\"alg\":\"es256\"", "alg"},
        {",\"alg\":\"ES256 \"", "alg"},
        {",\"alg\":null", "alg"},
        {",\"alg\":[\"ES256\"]", "alg"},
        {",\"use\":\"enc\"", "use"},
        {",\"use\":\"Sig\"", "use"},
        {",\"use\":[\"sig\"]", "use"},
        {",\"use\":null", "use"},
        {",\"key_ops\":[]", "key_ops"},
        {",\"key_ops\":[\"sign\"]", "key_ops"},
        {",\"key_ops\":[\"encrypt\"]", "key_ops"},
        {",\"key_ops\":\"verify\"", "key_ops"},
        {",\"key_ops\":[\"verify\",\"verify\"]", "key_ops"},
        {",\"key_ops\":[\"verify\",1]", "key_ops"},
        {",\"key_ops\":null", "key_ops"},
        {",\"use\":\"sig\",\"key_ops\":[\"encrypt\"]", "key_ops"},
        {",\"kid\":1", "kid"},
        {",\"kid\":null", "kid"},
        {",\"kid\":\"a\\nb\"", "kid"},
        {",\"kid\":\"\\u001b[2J\"", "kid"},
        {",\"d\":\"AAAA\"", "private"},
    };
    expect_usable(ec(""), "ES256");
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        expect_left_out(ec(rows[i].members), rows[i].why);
}

Test(jwks, leaves_out_a_kid_over_256_bytes)
{
    char kid[SB_JWKS_KID_MAX + 2];
    memset(kid, 'k', sizeof kid);
    kid[SB_JWKS_KID_MAX] = '\0';
    expect_usable(ec(sb_arena_printf(arena, ",\"kid\":\"%s\"", kid)), "ES256");
    kid[SB_JWKS_KID_MAX] = 'k';
    kid[SB_JWKS_KID_MAX + 1] = '\0';
    expect_left_out(ec(sb_arena_printf(arena, ",\"kid\":\"%s\"", kid)), "kid");
}

Test(jwks, leaves_out_every_other_kty)
{
    static const char *const jwks[] = {
        "{}",
        "{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}",
        "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        "{\"kty\":\"ec\"}",
        "{\"kty\":1}",
        "{\"kty\":null}",
    };
    for (size_t i = 0; i < SB_COUNT(jwks); i++)
        expect_left_out(jwks[i], "kty");
}

static char *ec_of(const char *crv, const char *x, const char *y)
{
    return sb_arena_printf(arena, "{\"kty\":\"EC\",\"crv\":%s,\"x\":\"%s\",\"y\":\"%s\"}", crv, x,
                           y);
}

Test(jwks, leaves_out_other_curves)
{
    static const char *const curves[] = {
        "\"P-384\"", "\"P-521\"", "\"secp256k1\"", "\"p-256\"", "\"\"", "null", "256"};
    expect_usable(ec_of("\"P-256\"", X, Y), "ES256");
    for (size_t i = 0; i < SB_COUNT(curves); i++)
        expect_left_out(ec_of(curves[i], X, Y), "crv");
    expect_left_out(sb_arena_printf(arena, "{\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", X, Y),
                    "crv");
}

Test(jwks, leaves_out_points_that_are_not_on_the_curve)
{
    static const char zero[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    static const char ones[] = "__________________________________________8";
    expect_left_out(ec_of("\"P-256\"", X, X), "point");
    expect_left_out(ec_of("\"P-256\"", zero, zero), "point");
    expect_left_out(ec_of("\"P-256\"", ones, Y), "point");
    expect_left_out(ec_of("\"P-256\"", X, ones), "point");
    EVP_PKEY *other = signer_ec("secp256k1");
    expect_left_out(ec_of("\"P-256\"", signer_number(arena, other, OSSL_PKEY_PARAM_EC_PUB_X, 32),
                          signer_number(arena, other, OSSL_PKEY_PARAM_EC_PUB_Y, 32)),
                    "point");
    EVP_PKEY_free(other);
}

Test(jwks, leaves_out_coordinates_that_are_not_32_bytes_spelt_canonically)
{
    static const char *const xs[] = {
        "",
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE",    /* short */
        "APg83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", /* a byte more */
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=",  /* padded */
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV",   /* trailing bits */
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE ",   /* a blank */
    };
    for (size_t i = 0; i < SB_COUNT(xs); i++)
        expect_left_out(ec_of("\"P-256\"", xs[i], Y), "32 bytes");
    expect_left_out("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":1,\"y\":2}", "32 bytes");
}

Test(jwks, takes_an_rsa_key_of_2048_bits_and_none_of_2047_or_1024)
{
    static const unsigned sizes[] = {1024, 2040, 2047};
    EVP_PKEY *good = signer_rsa(2048);
    expect_usable(rsa(good, ""), "RS256");
    expect_usable(rsa(good, ",\"alg\":\"RS256\",\"use\":\"sig\""), "RS256");
    expect_left_out(rsa(good, ",\"alg\":\"ES256\""), "alg");
    expect_left_out(rsa(good, ",\"alg\":\"RS512\""), "alg");
    expect_left_out(rsa(good, ",\"alg\":\"PS256\""), "alg");
    expect_left_out(rsa(good, ",\"alg\":\"RSA-OAEP\",\"use\":\"enc\""), "use");
    EVP_PKEY_free(good);
    for (size_t i = 0; i < SB_COUNT(sizes); i++) {
        EVP_PKEY *weak = signer_rsa(sizes[i]);
        expect_left_out(rsa(weak, ""), "2048");
        EVP_PKEY_free(weak);
    }
}

/* A modulus of this many bytes, all bits set or nearly so. */
static char *modulus(size_t bytes, unsigned char first, unsigned char last)
{
    unsigned char *data = sb_arena_alloc(arena, bytes);
    memset(data, 0xFF, bytes);
    data[0] = first;
    data[bytes - 1] = last;
    return sb_base64url(arena, data, bytes);
}

static char *rsa_of(const char *n, const char *e)
{
    return sb_arena_printf(arena, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", n, e);
}

Test(jwks, leaves_out_rsa_numbers_that_no_key_has)
{
    char *good = modulus(256, 0xFF, 0xFF);
    expect_usable(rsa_of(good, "AQAB"), "RS256");
    expect_usable(rsa_of(good, "Aw"), "RS256");
    expect_left_out(rsa_of(modulus(256, 0x7F, 0xFF), "AQAB"), "2048");
    expect_left_out(rsa_of(modulus(257, 0x00, 0xFF), "AQAB"), "number");
    expect_left_out(rsa_of(modulus(256, 0xFF, 0xFE), "AQAB"), "number");
    expect_usable(rsa_of(modulus(1024, 0xFF, 0xFF), "AQAB"), "RS256");
    expect_left_out(rsa_of(modulus(1025, 0x01, 0xFF), "AQAB"), "8192");
    expect_left_out(rsa_of(good, "AQ"), "number"); /* 1: any signature would do */
    expect_left_out(rsa_of(good, "AA"), "number"); /* 0 */
    expect_left_out(rsa_of(good, ""), "number");
    expect_left_out(rsa_of(good, "BA"), "number");           /* even */
    expect_left_out(rsa_of(good, "AAEAAQ"), "number");       /* a leading zero */
    expect_left_out(rsa_of(good, "AQAAAAAAAAAB"), "number"); /* 2^64 + 1 */
    expect_left_out(rsa_of(good, "AQAB="), "base64url");
    expect_left_out(rsa_of("!", "AQAB"), "base64url");
    expect_left_out("{\"kty\":\"RSA\",\"n\":1,\"e\":65537}", "base64url");
}

Test(jwks, one_bad_key_does_not_take_the_others_away)
{
    const struct sb_jwks *set;
    char *text = sb_arena_printf(arena, "{\"keys\":[%s,%s]}",
                                 ec(",\"kid\":\"bad\",\"use\":\"enc\""), ec(",\"kid\":\"good\""));
    cr_assert_eq(parse(text, &set), SB_JWKS_OK);
    cr_assert_eq(set->count, 1);
    cr_expect_str_eq(set->keys[0].kid, "good");
    cr_expect_str_eq(set->members[0].kid, "bad");
    cr_expect_not_null(set->members[0].flaw);
    sb_jwks_release(set);
}

Test(jwks, has_words_for_every_result)
{
    for (int result = 0; result < SB_JWKS__MAX; result++)
        cr_assert_gt(strlen(sb_jwks_result_text((enum sb_jwks_result)result)), 8, "%d", result);
}
