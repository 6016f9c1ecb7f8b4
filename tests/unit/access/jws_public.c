/* Tokens under an identity provider's public keys, and the attacks on them. */
#include "access/jwks.h"
#include "signers.h"
#include "tokens.h"

static const char RS256[] = "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JWT\"}";
static const char ES256[] = "{\"alg\":\"ES256\",\"kid\":\"ec\",\"typ\":\"JWT\"}";
static const char CLAIMS[] = "{\"sub\":\"u1\"}";

static struct sb_arena *arena;
static EVP_PKEY *rsa, *ec;
static const struct sb_jwks *set;

static const struct sb_jwks *parse(const char *text)
{
    const struct sb_jwks *parsed = NULL;
    cr_assert_eq(sb_jwks_parse(text, strlen(text), &parsed), SB_JWKS_OK, "%s", text);
    return parsed;
}

static void setup(void)
{
    arena = sb_arena_new(4 * 1024 * 1024);
    cr_assert_not_null(arena);
    rsa = signer_rsa(2048);
    ec = signer_ec("P-256");
    set = parse(sb_arena_printf(arena, "{\"keys\":[%s,%s]}",
                                signer_jwk(arena, rsa, ",\"kid\":\"rsa\",\"alg\":\"RS256\""),
                                signer_jwk(arena, ec, ",\"kid\":\"ec\",\"alg\":\"ES256\"")));
    cr_assert_eq(set->count, 2);
}

static void teardown(void)
{
    sb_jwks_release(set);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    sb_arena_free(arena);
}

TestSuite(jws_public, .init = setup, .fini = teardown);

static enum sb_jws_result verify_by(const struct sb_jwks *keys, const char *token)
{
    static const char *const types[] = {"", "JWT", NULL};
    const char *payload;
    size_t length;
    return sb_jws_verify(arena, token, strlen(token),
                         &(struct sb_jws_rules){keys->keys, keys->count, types}, &payload, &length);
}

static enum sb_jws_result verify(const char *token)
{
    return verify_by(set, token);
}

static enum sb_jws_result verify_rsa(const char *header)
{
    return verify(signer_token(arena, rsa, header, CLAIMS));
}

static enum sb_jws_result verify_ec(const char *header)
{
    return verify(signer_token(arena, ec, header, CLAIMS));
}

Test(jws_public, accepts_what_the_provider_signed)
{
    cr_assert_eq(verify_rsa(RS256), SB_JWS_OK);
    cr_assert_eq(verify_ec(ES256), SB_JWS_OK);
}

#define RFC_PAYLOAD                                                                                \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

Test(jws_public, accepts_the_examples_of_rfc_7515_appendices_a_2_and_a_3)
{
    const struct sb_jwks *rfc = parse(
        "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":"
        "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEz"
        "P1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpa"
        "SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT"
        "6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"},"
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}");
    cr_expect_eq(
        verify_by(rfc,
                  "eyJhbGciOiJSUzI1NiJ9." RFC_PAYLOAD
                  ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
                  "lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75v"
                  "RK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEs"
                  "qtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtV"
                  "rBp0igcN_IoypGlUPQGe77Rw"),
        SB_JWS_OK);
    cr_expect_eq(verify_by(rfc, "eyJhbGciOiJFUzI1NiJ9." RFC_PAYLOAD
                                ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSAp"
                                "mWQxfKTUJqPP3-Kg6NU1Q"),
                 SB_JWS_OK);
    sb_jwks_release(rfc);
}

/* Algorithms. */

Test(jws_public, refuses_alg_none_in_any_case_signed_or_not)
{
    static const char *const spellings[] = {"none", "None", "NONE", "nOnE", "nonE"};
    for (size_t i = 0; i < SB_COUNT(spellings); i++) {
        char *header = sb_arena_printf(arena, "{\"alg\":\"%s\",\"kid\":\"rsa\"}", spellings[i]);
        char *token = signer_token(arena, rsa, header, CLAIMS);
        cr_expect_eq(verify(token), SB_JWS_BAD_ALG, "%s", spellings[i]);
        strrchr(token, '.')[1] = '\0';
        cr_expect_eq(verify(token), SB_JWS_BAD_ALG, "%s without a signature", spellings[i]);
    }
}

/* CVE-2015-9235: the public key, which everybody knows, as the secret of an HMAC. */
Test(jws_public, refuses_an_hmac_under_the_bytes_of_a_public_key)
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(rsa, &der);
    cr_assert_gt(length, 0);
    char *jwk = signer_jwk(arena, rsa, "");
    const struct {
        const void *bytes;
        size_t length;
    } secrets[] = {{der, (size_t)length}, {jwk, strlen(jwk)}};
    static const char *const headers[] = {"{\"alg\":\"HS256\",\"kid\":\"rsa\"}",
                                          "{\"alg\":\"HS256\"}",
                                          "{\"alg\":\"RS256\",\"kid\":\"rsa\"}"};
    for (size_t i = 0; i < SB_COUNT(secrets); i++) {
        for (size_t h = 0; h < SB_COUNT(headers); h++) {
            unsigned char mac[SB_SHA256_SIZE];
            char *input = signer_input(arena, headers[h], CLAIMS);
            cr_assert(
                sb_hmac_sha256(secrets[i].bytes, secrets[i].length, input, strlen(input), mac));
            char *token = signer_join(arena, input, (struct signature){mac, sizeof mac});
            cr_expect_eq(verify(token), h == 2 ? SB_JWS_BAD_SIGNATURE : SB_JWS_BAD_ALG, "%zu %zu",
                         i, h);
        }
    }
    OPENSSL_free(der);
}

Test(jws_public, refuses_an_alg_that_is_not_the_keys_though_the_key_signed_it)
{
    static const char *const names[] = {"RS384", "RS512",  "PS256", "ES256", "HS256",
                                        "rs256", "RS256 ", "EdDSA", ""};
    for (size_t i = 0; i < SB_COUNT(names); i++)
        cr_expect_eq(
            verify_rsa(sb_arena_printf(arena, "{\"alg\":\"%s\",\"kid\":\"rsa\"}", names[i])),
            SB_JWS_BAD_ALG, "%s", names[i]);
    cr_expect_eq(verify_ec("{\"alg\":\"RS256\",\"kid\":\"ec\"}"), SB_JWS_BAD_ALG);
    cr_expect_eq(verify_ec("{\"alg\":\"ES256\",\"kid\":\"rsa\"}"), SB_JWS_BAD_ALG);
    cr_expect_eq(verify_ec("{\"kid\":\"ec\"}"), SB_JWS_BAD_ALG);
}

Test(jws_public, refuses_a_sound_rs512_or_pss_signature)
{
    char *input = signer_input(arena, RS256, CLAIMS);
    struct signature sha512 = signer_sign(arena, rsa, EVP_sha512(), input);
    cr_expect_eq(verify(signer_join(arena, input, sha512)), SB_JWS_BAD_SIGNATURE);
    struct signature pss = {sb_arena_alloc(arena, 256), 256};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters;
    cr_assert_eq(EVP_DigestSignInit(context, &parameters, EVP_sha256(), NULL, rsa), 1);
    cr_assert_gt(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 0);
    cr_assert_eq(
        EVP_DigestSign(context, pss.bytes, &pss.length, (unsigned char *)input, strlen(input)), 1);
    EVP_MD_CTX_free(context);
    cr_expect_eq(verify(signer_join(arena, input, pss)), SB_JWS_BAD_SIGNATURE);
    cr_expect_eq(verify(signer_join(arena, input, signer_sign(arena, rsa, EVP_sha256(), input))),
                 SB_JWS_OK);
}

/* Headers. */

Test(jws_public, refuses_headers_that_bring_a_key_or_an_extension)
{
    EVP_PKEY *mallory = signer_ec("P-256");
    const char *const members[] = {
        sb_arena_printf(arena, "\"jwk\":%s", signer_jwk(arena, mallory, "")),
        "\"jku\":\"https://evil.example/keys\"",
        "\"x5u\":\"https://evil.example/cert\"",
        "\"x5c\":[\"MIIB\"]",
        "\"crit\":[]",
        "\"crit\":[\"exp\"],\"exp\":1",
        "\"b64\":false,\"crit\":[\"b64\"]",
        "\"b64\":true",
    };
    for (size_t i = 0; i < SB_COUNT(members); i++) {
        char *header = sb_arena_printf(arena, "{\"alg\":\"ES256\",\"kid\":\"ec\",%s}", members[i]);
        cr_expect_eq(verify(signer_token(arena, mallory, header, CLAIMS)), SB_JWS_FORBIDDEN_HEADER,
                     "%s", members[i]);
        cr_expect_eq(verify_ec(header), SB_JWS_FORBIDDEN_HEADER, "%s, our key", members[i]);
    }
    cr_expect_eq(verify_ec("{\"alg\":\"ES256\",\"kid\":\"ec\",\"cty\":\"x\"}"), SB_JWS_OK);
    EVP_PKEY_free(mallory);
}

Test(jws_public, refuses_duplicate_keys_in_the_header)
{
    cr_expect_eq(verify_ec("{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"ec\"}"),
                 SB_JWS_BAD_HEADER);
    cr_expect_eq(verify_ec("{\"alg\":\"ES256\",\"kid\":\"ec\",\"kid\":\"rsa\"}"),
                 SB_JWS_BAD_HEADER);
}

Test(jws_public, takes_a_kid_for_a_name_and_nothing_else)
{
    static const char *const kids[] = {
        "other", "../../../../dev/null", "/etc/passwd", "EC", "ec ", "' OR 1=1 --", ""};
    for (size_t i = 0; i < SB_COUNT(kids); i++)
        cr_expect_eq(
            verify_ec(sb_arena_printf(arena, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kids[i])),
            SB_JWS_NO_KEY, "%s", kids[i]);
    cr_expect_eq(verify_ec("{\"alg\":\"ES256\",\"kid\":[\"ec\"]}"), SB_JWS_BAD_HEADER);
    cr_expect_eq(verify_ec("{\"alg\":\"ES256\",\"kid\":\"ec\\u0000\"}"), SB_JWS_BAD_HEADER);
    cr_expect_eq(verify_ec("{\"alg\":\"ES256\",\"kid\":\"ec\"}"), SB_JWS_OK);
}

Test(jws_public, tries_the_keys_of_the_alg_where_a_token_has_no_kid)
{
    cr_expect_eq(verify_ec("{\"alg\":\"ES256\"}"), SB_JWS_OK);
    cr_expect_eq(verify_rsa("{\"alg\":\"RS256\"}"), SB_JWS_OK);
    EVP_PKEY *mallory = signer_ec("P-256");
    cr_expect_eq(verify(signer_token(arena, mallory, "{\"alg\":\"ES256\"}", CLAIMS)),
                 SB_JWS_BAD_SIGNATURE);
    EVP_PKEY_free(mallory);
}

/* Signatures. */

Test(jws_public, refuses_the_signature_of_another_key)
{
    EVP_PKEY *other_rsa = signer_rsa(2048), *other_ec = signer_ec("P-256");
    cr_expect_eq(verify(signer_token(arena, other_rsa, RS256, CLAIMS)), SB_JWS_BAD_SIGNATURE);
    cr_expect_eq(verify(signer_token(arena, other_ec, ES256, CLAIMS)), SB_JWS_BAD_SIGNATURE);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(other_ec);
}

Test(jws_public, refuses_a_changed_payload)
{
    char *token = signer_token(arena, ec, ES256, CLAIMS);
    cr_expect_eq(verify(token), SB_JWS_OK);
    strchr(token, '.')[3]++;
    cr_expect_eq(verify(token), SB_JWS_BAD_SIGNATURE);
}

Test(jws_public, refuses_an_es256_signature_in_der)
{
    char *input = signer_input(arena, ES256, CLAIMS);
    struct signature der = signer_sign(arena, ec, EVP_sha256(), input);
    cr_expect_eq(verify(signer_join(arena, input, der)), SB_JWS_BAD_SIGNATURE);
    cr_expect_eq(verify(signer_join(arena, input, signer_raw(arena, der))), SB_JWS_OK);
}

/* 64 bytes can be DER as well: small r and s, which no token of ours has. */
Test(jws_public, refuses_every_length_but_64_of_an_es256_signature)
{
    char *input = signer_input(arena, ES256, CLAIMS);
    struct signature raw = signer_raw(arena, signer_sign(arena, ec, EVP_sha256(), input));
    unsigned char bytes[130] = {0};
    memcpy(bytes, raw.bytes, 64);
    for (size_t length = 0; length <= sizeof bytes; length++)
        cr_expect_eq(verify(signer_join(arena, input, (struct signature){bytes, length})),
                     length == 64 ? SB_JWS_OK : SB_JWS_BAD_SIGNATURE, "%zu bytes", length);
}

/* CVE-2022-21449: r and s of 0, and others that the equations must not be asked about. */
Test(jws_public, refuses_r_and_s_out_of_range)
{
    static const unsigned char order[32] = {0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00,
                                            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                            0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84,
                                            0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51};
    static const unsigned char zero[32] = {0};
    unsigned char one[32] = {[31] = 1}, ones[32];
    memset(ones, 0xFF, sizeof ones);
    const unsigned char *const values[] = {zero, one, order, ones};
    char *input = signer_input(arena, ES256, CLAIMS);
    for (size_t r = 0; r < SB_COUNT(values); r++) {
        for (size_t s = 0; s < SB_COUNT(values); s++) {
            unsigned char bytes[64];
            memcpy(bytes, values[r], 32);
            memcpy(bytes + 32, values[s], 32);
            cr_expect_eq(verify(signer_join(arena, input, (struct signature){bytes, 64})),
                         SB_JWS_BAD_SIGNATURE, "%zu %zu", r, s);
        }
    }
}

Test(jws_public, refuses_an_rs256_signature_cut_extended_or_changed)
{
    char *input = signer_input(arena, RS256, CLAIMS);
    struct signature made = signer_sign(arena, rsa, EVP_sha256(), input);
    unsigned char bytes[258] = {0};
    cr_assert_eq(made.length, 256);
    memcpy(bytes + 1, made.bytes, 256);
    cr_expect_eq(verify(signer_join(arena, input, (struct signature){bytes + 1, 256})), SB_JWS_OK);
    cr_expect_eq(verify(signer_join(arena, input, (struct signature){bytes, 257})),
                 SB_JWS_BAD_SIGNATURE, "a zero before it");
    cr_expect_eq(verify(signer_join(arena, input, (struct signature){bytes + 1, 257})),
                 SB_JWS_BAD_SIGNATURE, "a zero behind it");
    cr_expect_eq(verify(signer_join(arena, input, (struct signature){bytes + 1, 255})),
                 SB_JWS_BAD_SIGNATURE, "cut");
    cr_expect_eq(verify(signer_join(arena, input, (struct signature){bytes + 1, 0})),
                 SB_JWS_BAD_SIGNATURE, "empty");
    for (size_t byte = 1; byte <= 256; byte += 51) {
        bytes[byte] ^= 1;
        cr_expect_eq(verify(signer_join(arena, input, (struct signature){bytes + 1, 256})),
                     SB_JWS_BAD_SIGNATURE, "byte %zu", byte);
        bytes[byte] ^= 1;
    }
}

/* Spelling. */

Test(jws_public, refuses_every_spelling_but_one)
{
    char *good = signer_token(arena, ec, ES256, CLAIMS);
    char *second = sb_arena_strdup(arena, good);
    char *last = second + strlen(second) - 1; /* 86 characters for 64 bytes: 4 bits to spare */
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    *last = strchr(digits, *last)[1];
    cr_expect_eq(verify(good), SB_JWS_OK);
    cr_expect_eq(verify(second), SB_JWS_BAD_BASE64);
    cr_expect_eq(verify(sb_arena_printf(arena, "%s==", good)), SB_JWS_BAD_BASE64);
    cr_expect_eq(verify(sb_arena_printf(arena, "%s.", good)), SB_JWS_NOT_THREE_PARTS);
    cr_expect_eq(verify(sb_arena_printf(arena, "%s.%s", good, good)), SB_JWS_NOT_THREE_PARTS);
    *strrchr(second, '.') = '\0';
    cr_expect_eq(verify(second), SB_JWS_NOT_THREE_PARTS);
}

Test(jws_public, refuses_a_token_over_8_kib)
{
    char text[SB_JWS_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    cr_expect_eq(verify(signer_token(arena, ec, ES256, text)), SB_JWS_TOO_LONG);
    text[5000] = '\0';
    cr_expect_eq(verify(signer_token(arena, ec, ES256, text)), SB_JWS_OK);
}

Test(jws_public, has_no_key_in_an_empty_set)
{
    const struct sb_jwks *empty = parse("{\"keys\":[]}");
    cr_expect_eq(verify_by(empty, signer_token(arena, ec, ES256, CLAIMS)), SB_JWS_NO_KEY);
    sb_jwks_release(empty);
}

Test(jws_public, leaves_no_error_in_the_librarys_queue)
{
    EVP_PKEY *other = signer_rsa(2048);
    cr_expect_eq(verify(signer_token(arena, other, RS256, CLAIMS)), SB_JWS_BAD_SIGNATURE);
    cr_expect_eq(ERR_peek_error(), 0);
    EVP_PKEY_free(other);
}

Test(jws_public, takes_any_typ_where_none_is_asked_for)
{
    const char *payload;
    size_t length;
    char *token = signer_token(arena, ec, "{\"alg\":\"ES256\",\"typ\":\"other\"}", "not claims");
    cr_expect_eq(verify(token), SB_JWS_BAD_TYP);
    cr_assert_eq(sb_jws_verify(arena, token, strlen(token),
                               &(struct sb_jws_rules){set->keys, set->count, NULL}, &payload,
                               &length),
                 SB_JWS_OK);
    cr_expect_str_eq(payload, "not claims");
}
