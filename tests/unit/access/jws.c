#include "access/jws.h"

#include <criterion/criterion.h>

#include "tokens.h"

static const char *const jwt_or_none[] = {"", "JWT", "at+jwt", NULL};
static const char *const jwt_only[] = {"JWT", NULL};
static const char good_header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

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

TestSuite(jws, .init = setup, .fini = teardown);

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

static char *encode(const char *text)
{
    return sb_base64url(arena, text, strlen(text));
}

static char *good_token(void)
{
    return token_make(arena, good_header, "{\"sub\":\"u1\"}");
}

Test(jws, accepts_the_example_of_rfc_7515_appendix_a_1)
{
    static const char token[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
                                ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                                "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
                                ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    static const char k[] =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgU"
        "uTwjAzZr1Z9CAow";
    unsigned char *secret;
    size_t length;
    cr_assert(sb_base64url_decode(arena, k, strlen(k), &secret, &length));
    const struct sb_jws_key rfc = {.secret = secret, .secret_length = length};
    cr_assert_eq(verify_with(&rfc, 1, jwt_only, token), SB_JWS_OK);
    cr_assert_str_eq(payload, "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                              "\"http://example.com/is_root\":true}");
    cr_assert_eq(payload_length, strlen(payload));
}

Test(jws, gives_the_payload_byte_for_byte_and_terminated)
{
    cr_assert_eq(verify(good_token()), SB_JWS_OK);
    cr_assert_str_eq(payload, "{\"sub\":\"u1\"}");
    cr_assert_eq(payload_length, strlen("{\"sub\":\"u1\"}"));
}

Test(jws, accepts_what_our_own_signer_makes)
{
    char *token = sb_jws_sign_hs256(arena, "JWT", "{}", 2, token_secret, strlen(token_secret));
    cr_assert_not_null(token);
    cr_assert_eq(verify(token), SB_JWS_OK);
}

Test(jws, leaves_the_results_alone_when_it_refuses)
{
    const char *before = payload = "before";
    payload_length = 42;
    char *token = good_token();
    token[strlen(token) - 10] ^= 1;
    cr_assert_eq(verify(token), SB_JWS_BAD_SIGNATURE);
    cr_assert_eq(payload, before);
    cr_assert_eq(payload_length, 42);
}

/* Spelling. */

Test(jws, refuses_any_number_of_parts_but_three)
{
    char *good = good_token();
    char *two = sb_arena_strdup(arena, good);
    *strrchr(two, '.') = '\0';
    cr_assert_eq(verify(two), SB_JWS_NOT_THREE_PARTS);
    cr_assert_eq(verify(sb_arena_printf(arena, "%s.", good)), SB_JWS_NOT_THREE_PARTS);
    cr_assert_eq(verify(sb_arena_printf(arena, "%s.e30.e30", good)), SB_JWS_NOT_THREE_PARTS);
    cr_assert_eq(verify(""), SB_JWS_NOT_THREE_PARTS);
    cr_assert_eq(verify("."), SB_JWS_NOT_THREE_PARTS);
    cr_assert_eq(verify(".."), SB_JWS_BAD_HEADER);
    cr_assert_eq(verify(good), SB_JWS_OK);
}

Test(jws, refuses_a_padded_part)
{
    const char *header64 = encode("{\"alg\":\"HS256\"}"); /* 15 bytes: no padding due */
    const char *odd64 = encode("{\"alg\": \"HS256\"}");   /* 16 bytes: "==" would be due */
    char *good = token_seal(arena, header64, "e30", token_secret);
    cr_assert_eq(verify(token_seal(arena, odd64, "e30", token_secret)), SB_JWS_OK);
    cr_assert_eq(
        verify(token_seal(arena, sb_arena_printf(arena, "%s==", odd64), "e30", token_secret)),
        SB_JWS_BAD_HEADER);
    cr_assert_eq(verify(token_seal(arena, header64, "e30=", token_secret)), SB_JWS_BAD_BASE64);
    cr_assert_eq(verify(sb_arena_printf(arena, "%s=", good)), SB_JWS_BAD_BASE64);
}

Test(jws, refuses_a_second_spelling_of_the_same_bytes)
{
    char *token = good_token();
    char *last = token + strlen(token) - 1; /* 43 characters for 32 bytes: 2 bits to spare */
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    *last = strchr(digits, *last)[1];
    cr_assert_eq(verify(token), SB_JWS_BAD_BASE64, "signature");
    cr_assert_eq(verify(token_seal(arena, encode(good_header), "e31", token_secret)),
                 SB_JWS_BAD_BASE64, "payload: e30 and e31 are both {}");
    cr_assert_eq(verify(token_seal(arena, encode(good_header), "e30", token_secret)), SB_JWS_OK);
}

Test(jws, refuses_characters_outside_base64url)
{
    static const char *const payloads[] = {"e3+0", "e3/0", "e3 0", "e30\n", "e3%0", "e30e3"};
    for (size_t i = 0; i < SB_COUNT(payloads); i++) {
        char *token = token_seal(arena, encode(good_header), payloads[i], token_secret);
        cr_assert_eq(verify(token), SB_JWS_BAD_BASE64, "%s", payloads[i]);
    }
}

Test(jws, refuses_a_nul_byte_within_the_token)
{
    char *token = good_token();
    size_t length = strlen(token);
    cr_assert_eq(sb_jws_verify(arena, token, length + 1,
                               &(struct sb_jws_rules){&key, 1, jwt_or_none}, &payload,
                               &payload_length),
                 SB_JWS_BAD_BASE64);
    cr_assert_eq(sb_jws_verify(arena, token, length, &(struct sb_jws_rules){&key, 1, jwt_or_none},
                               &payload, &payload_length),
                 SB_JWS_OK);
}

static char *token_of_length(size_t length)
{
    char *header64 = encode(good_header);
    size_t fill = length - strlen(header64) - 2 - 43; /* two dots, the signature */
    char *payload64 = sb_arena_alloc(arena, fill + 1);
    memset(payload64, 'A', fill);
    char *token = token_seal(arena, header64, payload64, token_secret);
    cr_assert_eq(strlen(token), length);
    return token;
}

Test(jws, accepts_8192_bytes_and_refuses_8193)
{
    cr_assert_eq(verify(token_of_length(SB_JWS_MAX)), SB_JWS_OK);
    cr_assert_eq(verify(token_of_length(SB_JWS_MAX + 1)), SB_JWS_TOO_LONG);
}

/* Keys and signatures. */

Test(jws, refuses_a_signature_cut_extended_or_absent)
{
    unsigned char mac[SB_SHA256_SIZE + 1] = {0};
    char *input = sb_arena_printf(arena, "%s.%s", encode(good_header), encode("{}"));
    cr_assert(sb_hmac_sha256(token_secret, strlen(token_secret), input, strlen(input), mac));
    for (size_t size = 0; size <= sizeof mac; size++) {
        char *token = sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, size));
        cr_assert_eq(verify(token), size == 32 ? SB_JWS_OK : SB_JWS_BAD_SIGNATURE, "%zu bytes",
                     size);
    }
}

/* Bytes that are not there must not be compared as zeros. */
Test(jws, refuses_a_signature_that_lacks_a_zero_at_its_end)
{
    unsigned char mac[SB_SHA256_SIZE] = {[31] = 1};
    char *input = NULL;
    for (int i = 0; mac[31] != 0; i++) {
        input = sb_arena_printf(arena, "%s.%s", encode(good_header),
                                encode(sb_arena_printf(arena, "{\"i\":%d}", i)));
        cr_assert(sb_hmac_sha256(token_secret, strlen(token_secret), input, strlen(input), mac));
    }
    char *token = sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, 32));
    cr_assert_eq(verify(token), SB_JWS_OK);
    token = sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, 31));
    cr_assert_eq(verify(token), SB_JWS_BAD_SIGNATURE);
}

Test(jws, refuses_a_signature_with_any_one_bit_changed)
{
    unsigned char mac[SB_SHA256_SIZE];
    char *input = sb_arena_printf(arena, "%s.%s", encode(good_header), encode("{}"));
    cr_assert(sb_hmac_sha256(token_secret, strlen(token_secret), input, strlen(input), mac));
    for (size_t bit = 0; bit < 8 * sizeof mac; bit++) {
        mac[bit / 8] = (unsigned char)(mac[bit / 8] ^ 1 << bit % 8);
        char *token = sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, 32));
        cr_assert_eq(verify(token), SB_JWS_BAD_SIGNATURE, "bit %zu", bit);
        mac[bit / 8] = (unsigned char)(mac[bit / 8] ^ 1 << bit % 8);
    }
}

Test(jws, refuses_a_changed_payload)
{
    char *token = good_token();
    cr_assert_eq(verify(token), SB_JWS_OK);
    strchr(token, '.')[3]++;
    cr_assert_eq(verify(token), SB_JWS_BAD_SIGNATURE);
}

Test(jws, refuses_before_it_decodes_a_payload_whose_signature_is_bad)
{
    char *token = token_seal(arena, encode(good_header), "not base64!", token_secret);
    cr_assert_eq(verify(token), SB_JWS_BAD_BASE64, "positive control: the signature is good");
    strrchr(token, '.')[1] ^= 1;
    cr_assert_eq(verify(token), SB_JWS_BAD_SIGNATURE);
}

Test(jws, refuses_a_token_of_another_secret)
{
    char *token = token_seal(arena, encode(good_header), "e30", "another secret of 32 bytes or so");
    cr_assert_eq(verify(token), SB_JWS_BAD_SIGNATURE);
}

Test(jws, refuses_a_secret_below_32_bytes_though_it_matches)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    char short_secret[32] = "0123456789abcdef0123456789abcde";
    struct sb_jws_key weak = {.secret = (const unsigned char *)short_secret, .secret_length = 31};
    char *token = token_seal(arena, encode(good_header), "e30", short_secret);
    cr_assert_eq(verify_with(&weak, 1, jwt_or_none, token), SB_JWS_NO_KEY);
    struct sb_jws_key strong = {.secret = (const unsigned char *)secret, .secret_length = 32};
    token = token_seal(arena, encode(good_header), "e30", secret);
    cr_assert_eq(verify_with(&strong, 1, jwt_or_none, token), SB_JWS_OK);
}

Test(jws, has_no_key_without_keys_or_without_a_secret)
{
    struct sb_jws_key empty = {.alg = SB_JWS_HS256};
    cr_assert_eq(verify_with(&key, 0, jwt_or_none, good_token()), SB_JWS_NO_KEY);
    cr_assert_eq(verify_with(&empty, 1, jwt_or_none, good_token()), SB_JWS_NO_KEY);
}

Test(jws, tries_every_key_that_fits)
{
    struct sb_jws_key other = key;
    other.secret = (const unsigned char *)"another secret of 32 bytes or so";
    const struct sb_jws_key keys[] = {other, key};
    cr_assert_eq(verify_with(keys, 1, jwt_or_none, good_token()), SB_JWS_BAD_SIGNATURE);
    cr_assert_eq(verify_with(keys, 2, jwt_or_none, good_token()), SB_JWS_OK);
}

Test(jws, takes_only_the_key_of_the_tokens_kid)
{
    struct sb_jws_key named = key;
    named.kid = "k1";
    char *one = token_make(arena, "{\"alg\":\"HS256\",\"kid\":\"k1\"}", "{}");
    char *two = token_make(arena, "{\"alg\":\"HS256\",\"kid\":\"k2\"}", "{}");
    char *path = token_make(arena, "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", "{}");
    cr_assert_eq(verify_with(&named, 1, jwt_or_none, one), SB_JWS_OK);
    cr_assert_eq(verify_with(&named, 1, jwt_or_none, two), SB_JWS_NO_KEY);
    cr_assert_eq(verify_with(&named, 1, jwt_or_none, path), SB_JWS_NO_KEY);
    cr_assert_eq(verify_with(&key, 1, jwt_or_none, two), SB_JWS_OK, "a key without a kid fits all");
    cr_assert_eq(verify_with(&named, 1, jwt_or_none, good_token()), SB_JWS_OK, "a token likewise");
}

Test(jws, refuses_a_kid_that_is_no_string)
{
    cr_assert_eq(verify(token_make(arena, "{\"alg\":\"HS256\",\"kid\":[\"k1\"]}", "{}")),
                 SB_JWS_BAD_HEADER);
}

Test(jws, says_when_memory_ran_out)
{
    struct sb_arena *small = sb_arena_new(1);
    cr_assert_not_null(small);
    const char *token = token_of_length(SB_JWS_MAX);
    enum sb_jws_result result = SB_JWS_OK;
    for (int i = 0; i < 16 && result == SB_JWS_OK; i++)
        result =
            sb_jws_verify(small, token, SB_JWS_MAX, &(struct sb_jws_rules){&key, 1, jwt_or_none},
                          &payload, &payload_length);
    cr_assert_eq(result, SB_JWS_NO_MEMORY);
    sb_arena_reset(small);
    cr_assert_eq(sb_jws_verify(small, token, SB_JWS_MAX,
                               &(struct sb_jws_rules){&key, 1, jwt_or_none}, &payload,
                               &payload_length),
                 SB_JWS_OK);
    sb_arena_free(small);
}

Test(jws, has_words_for_every_result)
{
    for (int result = 0; result < SB_JWS__MAX; result++)
        cr_assert_gt(strlen(sb_jws_result_text((enum sb_jws_result)result)), 8, "%d", result);
}
