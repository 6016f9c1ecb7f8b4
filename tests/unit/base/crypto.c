#include "base/crypto.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct sb_arena *arena;

static void setup(void)
{
    arena = sb_arena_new(4 * 1024 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(crypto, .init = setup, .fini = teardown);

static const char *hex(const unsigned char *data, size_t length)
{
    char *text = sb_arena_alloc(arena, 2 * length + 1);
    sb_hex(data, length, text);
    return text;
}

Test(crypto, hex_is_lower_case_and_terminated)
{
    static const unsigned char data[] = {0x00, 0x01, 0x0F, 0x10, 0x7F, 0x80, 0xAB, 0xFF};
    cr_assert_str_eq(hex(data, sizeof data), "00010f107f80abff");
    cr_assert_str_eq(hex(data, 0), "");
}

Test(crypto, sha256_vectors)
{
    char *million = sb_arena_alloc(arena, 1000000);
    memset(million, 'a', 1000000);
    const struct {
        const char *data;
        size_t length;
        const char *digest;
    } rows[] = {
        /* FIPS 180-4 examples and the usual two */
        {"", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
        {NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        unsigned char digest[SB_SHA256_SIZE];
        cr_assert(sb_sha256(rows[i].data, rows[i].length, digest));
        cr_expect_str_eq(hex(digest, sizeof digest), rows[i].digest, "row %zu", i);
    }
}

/* key and data: length times the byte, or text, or 1, 2, 3 ... where both are absent. */
struct mac_input {
    const char *text;
    unsigned char byte;
    size_t length;
};

static const void *expand(const struct mac_input *input, size_t *length)
{
    *length = input->text != NULL ? strlen(input->text) : input->length;
    if (input->text != NULL)
        return input->text;
    unsigned char *bytes = sb_arena_alloc(arena, *length);
    for (size_t i = 0; i < *length; i++)
        bytes[i] = input->byte != 0 ? input->byte : (unsigned char)(i + 1);
    return bytes;
}

#define LONG_KEY_TEXT "Test Using Larger Than Block-Size Key - Hash Key First"

static const struct {
    struct mac_input key, data;
    const char *mac;
} rfc4231[] = {
    {{.byte = 0x0b, .length = 20},
     {.text = "Hi There"},
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {{.text = "Jefe"},
     {.text = "what do ya want for nothing?"},
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {{.byte = 0xaa, .length = 20},
     {.byte = 0xdd, .length = 50},
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {{.length = 25},
     {.byte = 0xcd, .length = 50},
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {{.byte = 0x0c, .length = 20},
     {.text = "Test With Truncation"},
     "a3b6167473100ee06e0c796c2955552bfa6f7c0a6a8aef8b93f860aab0cd20c5"},
    {{.byte = 0xaa, .length = 131},
     {.text = LONG_KEY_TEXT},
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {{.byte = 0xaa, .length = 131},
     {.text = "This is a test using a larger than block-size key and a larger than block-size "
              "data. The key needs to be hashed before being used by the HMAC algorithm."},
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static const struct {
    struct mac_input key, data;
    const char *mac;
} rfc2202[] = {
    {{.byte = 0x0b, .length = 20},
     {.text = "Hi There"},
     "b617318655057264e28bc0b6fb378c8ef146be00"},
    {{.text = "Jefe"},
     {.text = "what do ya want for nothing?"},
     "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {{.byte = 0xaa, .length = 20},
     {.byte = 0xdd, .length = 50},
     "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
    {{.length = 25}, {.byte = 0xcd, .length = 50}, "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
    {{.byte = 0x0c, .length = 20},
     {.text = "Test With Truncation"},
     "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
    {{.byte = 0xaa, .length = 80},
     {.text = LONG_KEY_TEXT},
     "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {{.byte = 0xaa, .length = 80},
     {.text = "Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data"},
     "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
};

Test(crypto, hmac_sha256_vectors_of_rfc4231)
{
    for (size_t i = 0; i < SB_COUNT(rfc4231); i++) {
        size_t key_length, length;
        const void *key = expand(&rfc4231[i].key, &key_length);
        const void *data = expand(&rfc4231[i].data, &length);
        unsigned char mac[SB_SHA256_SIZE];
        cr_assert(sb_hmac_sha256(key, key_length, data, length, mac));
        cr_expect_str_eq(hex(mac, sizeof mac), rfc4231[i].mac, "case %zu", i + 1);
    }
}

Test(crypto, hmac_sha1_vectors_of_rfc2202)
{
    for (size_t i = 0; i < SB_COUNT(rfc2202); i++) {
        size_t key_length, length;
        const void *key = expand(&rfc2202[i].key, &key_length);
        const void *data = expand(&rfc2202[i].data, &length);
        unsigned char mac[SB_SHA1_SIZE];
        cr_assert(sb_hmac_sha1(key, key_length, data, length, mac));
        cr_expect_str_eq(hex(mac, sizeof mac), rfc2202[i].mac, "case %zu", i + 1);
    }
}

Test(crypto, hmac_of_an_empty_key_and_message)
{
    unsigned char mac[SB_SHA256_SIZE];
    cr_assert(sb_hmac_sha256("", 0, NULL, 0, mac));
    cr_assert_str_eq(hex(mac, sizeof mac),
                     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

Test(crypto, a_key_longer_than_the_library_takes_is_refused)
{
    unsigned char mac[SB_SHA256_SIZE];
    volatile size_t length = (size_t)1 << 32; /* would be 0 as an int */
    cr_assert_not(sb_hmac_sha256("key", length, "data", 4, mac));
}

/* RFC 4648 section 10, and bytes that use the two digits in which the alphabets differ. */
static const struct {
    const char *data;
    size_t length;
    const char *base64, *base64url;
} encodings[] = {
    {"", 0, "", ""},
    {"f", 1, "Zg==", "Zg"},
    {"fo", 2, "Zm8=", "Zm8"},
    {"foo", 3, "Zm9v", "Zm9v"},
    {"foob", 4, "Zm9vYg==", "Zm9vYg"},
    {"fooba", 5, "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", 6, "Zm9vYmFy", "Zm9vYmFy"},
    {"\xFB\xEF\xBE\xFF\xFF\xFF", 6, "++++////", "----____"},
    {"\0\0\0\0", 4, "AAAAAA==", "AAAAAA"},
    {"\xFF", 1, "/w==", "_w"},
    {"\x14\xFB\x9C\x03\xD9\x7E", 6, "FPucA9l+", "FPucA9l-"}, /* RFC 1521's example */
};

Test(crypto, base64_vectors_of_rfc4648)
{
    for (size_t i = 0; i < SB_COUNT(encodings); i++) {
        cr_expect_str_eq(sb_base64(arena, encodings[i].data, encodings[i].length),
                         encodings[i].base64);
        cr_expect_str_eq(sb_base64url(arena, encodings[i].data, encodings[i].length),
                         encodings[i].base64url);
    }
}

Test(crypto, base64url_decodes_what_it_encodes)
{
    for (size_t i = 0; i < SB_COUNT(encodings); i++) {
        unsigned char *data;
        size_t length;
        const char *text = encodings[i].base64url;
        cr_assert(sb_base64url_decode(arena, text, strlen(text), &data, &length), "%s", text);
        cr_expect_eq(length, encodings[i].length, "%s", text);
        cr_expect_eq(memcmp(data, encodings[i].data, length), 0, "%s", text);
        cr_expect_eq(data[length], '\0', "%s", text);
    }
}

Test(crypto, base64url_round_trip_of_every_length)
{
    unsigned char bytes[300];
    sb_random(bytes, sizeof bytes);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        unsigned char *data;
        size_t length;
        char *text = sb_base64url(arena, bytes, size);
        cr_assert_not_null(text);
        cr_assert(sb_base64url_decode(arena, text, strlen(text), &data, &length));
        cr_assert_eq(length, size);
        cr_assert_eq(memcmp(data, bytes, size), 0);
    }
}

Test(crypto, base64url_refuses_every_other_spelling)
{
    static const struct {
        const char *what, *text;
        size_t length;
    } rows[] = {
#define ROW(what, text) {what, text, sizeof(text) - 1}
        ROW("length 4n+1", "A"),
        ROW("length 4n+1", "Zm9vY"),
        ROW("padding", "Zg=="),
        ROW("padding", "Zm8="),
        ROW("padding alone", "===="),
        ROW("the other alphabet", "++++"),
        ROW("the other alphabet", "////"),
        ROW("white space", "Zm 9v"),
        ROW("line end", "Zm9v\n"),
        ROW("line end inside", "Zm\n9"),
        ROW("NUL inside", "Zm\0v"),
        ROW("dot", "Zm9."),
        ROW("high byte", "Zm9\xC3"),
        ROW("trailing bits of one byte", "Zh"),
        ROW("trailing bits of one byte, the highest", "Zv"),
        ROW("trailing bits of two bytes", "Zm9"),
        ROW("trailing bits of two bytes, the highest", "Zm-"),
        ROW("trailing bits after whole groups", "Zm9vYmF"),
#undef ROW
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        unsigned char *data = (unsigned char *)&arena;
        size_t length = 12345;
        cr_expect_not(sb_base64url_decode(arena, rows[i].text, rows[i].length, &data, &length),
                      "%s: %s", rows[i].what, rows[i].text);
        cr_expect_eq(data, (unsigned char *)&arena, "%s", rows[i].what);
        cr_expect_eq(length, 12345, "%s", rows[i].what);
    }
}

Test(crypto, each_last_digit_has_one_spelling)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    int one = 0, two = 0;
    for (size_t i = 0; i < 64; i++) {
        unsigned char *data;
        size_t length;
        char text[] = {'A', 'A', digits[i], '\0'};
        one += sb_base64url_decode(arena, text + 1, 2, &data, &length);
        two += sb_base64url_decode(arena, text, 3, &data, &length);
    }
    cr_assert_eq(one, 4, "2 bits count: %d", one);
    cr_assert_eq(two, 16, "4 bits count: %d", two);
}

Test(crypto, encoders_and_decoder_say_when_memory_is_out)
{
    struct sb_arena *small = sb_arena_new(1);
    static unsigned char bytes[32 * 1024];
    static char text[32 * 1024];
    unsigned char *data = NULL;
    size_t length = 7;
    memset(text, 'A', sizeof text);
    cr_assert_null(sb_base64(small, bytes, sizeof bytes));
    cr_assert_null(sb_base64url(small, bytes, sizeof bytes));
    cr_assert_not(sb_base64url_decode(small, text, sizeof text, &data, &length));
    cr_assert_null(sb_jws_sign_hs256(small, "JWT", text, sizeof text, "key", 3));
    cr_assert(data == NULL && length == 7);
    sb_arena_free(small);
}

Test(crypto, secrets_are_equal_only_if_all_is_equal)
{
    static const struct {
        const char *a;
        size_t a_length;
        const char *b;
        size_t b_length;
        bool equal;
    } rows[] = {
        {"", 0, "", 0, true},
        {"secret", 6, "secret", 6, true},
        {"a\0b", 3, "a\0b", 3, true},
        {"a\0b", 3, "a\0c", 3, false},
        {"secret", 6, "secres", 6, false},
        {"secret", 6, "tecret", 6, false},
        {"secret", 6, "Secret", 6, false},
        {"secret", 6, "secret", 5, false},
        {"secret", 6, "secret\0", 7, false},
        {"", 0, "secret", 6, false},
        {"secret", 6, "", 0, false},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_eq(sb_secret_equal(rows[i].a, rows[i].a_length, rows[i].b, rows[i].b_length),
                     rows[i].equal, "row %zu", i);
}

/* The key and payload of RFC 7515 A.1. That example's header has the members the other way round
 * and a line end, so the signature here was computed anew, with Python's hmac. */
static const unsigned char rfc7515_key[] = {
    0x03, 0x23, 0x35, 0x4b, 0x2b, 0x0f, 0xa5, 0xbc, 0x83, 0x7e, 0x06, 0x65, 0x77, 0x7b, 0xa6, 0x8f,
    0x5a, 0xb3, 0x28, 0xe6, 0xf0, 0x54, 0xc9, 0x28, 0xa9, 0x0f, 0x84, 0xb2, 0xd2, 0x50, 0x2e, 0xbf,
    0xd3, 0xfb, 0x5a, 0x92, 0xd2, 0x06, 0x47, 0xef, 0x96, 0x8a, 0xb4, 0xc3, 0x77, 0x62, 0x3d, 0x22,
    0x3d, 0x2e, 0x21, 0x72, 0x05, 0x2e, 0x4f, 0x08, 0xc0, 0xcd, 0x9a, 0xf5, 0x67, 0xd0, 0x80, 0xa3,
};
static const char rfc7515_payload[] =
    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";

Test(crypto, jws_of_the_rfc7515_example)
{
    char *token = sb_jws_sign_hs256(arena, "JWT", rfc7515_payload, sizeof rfc7515_payload - 1,
                                    rfc7515_key, sizeof rfc7515_key);
    cr_assert_str_eq(token, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
                            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLm"
                            "NvbS9pc19yb290Ijp0cnVlfQ."
                            "SfgggA-oZk7ztlq1i8Uz5VhmPmustakoDa9wAf8uHyQ");
}

Test(crypto, jws_carries_its_typ)
{
    char *token = sb_jws_sign_hs256(arena, "ticket+jwt", "{}", 2, "k", 1);
    unsigned char *header;
    size_t length;
    cr_assert(sb_base64url_decode(arena, token, strcspn(token, "."), &header, &length));
    cr_assert_str_eq((char *)header, "{\"alg\":\"HS256\",\"typ\":\"ticket+jwt\"}");
}

Test(crypto, random_fills_all_it_is_asked_for)
{
    enum { SIZE = 1000, ROUNDS = 8 };
    unsigned char any[SIZE] = {0}, bytes[SIZE + 1];
    for (int round = 0; round < ROUNDS; round++) {
        memset(bytes, 0, sizeof bytes);
        sb_random(bytes, SIZE);
        cr_assert_eq(bytes[SIZE], 0);
        for (size_t i = 0; i < SIZE; i++)
            any[i] |= bytes[i];
    }
    for (size_t i = 0; i < SIZE; i++) /* 0 eight times: one in 2^64 */
        cr_assert_neq(any[i], 0, "byte %zu", i);
}

Test(crypto, random_of_nothing_touches_nothing)
{
    unsigned char byte = 0x5A;
    sb_random(&byte, 0);
    cr_assert_eq(byte, 0x5A);
}

Test(crypto, wipe_overwrites)
{
    char secret[] = "hunter2";
    sb_wipe(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        cr_assert_eq(secret[i], 0);
}

/* Public keys. What they verify is for the tests of access/jws. */

static struct sb_public_key *some_p256(void)
{
    unsigned char *x, *y;
    size_t length;
    /* RFC 7515 appendix A.3 */
    static const char x64[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    static const char y64[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    cr_assert(sb_base64url_decode(arena, x64, strlen(x64), &x, &length));
    cr_assert(sb_base64url_decode(arena, y64, strlen(y64), &y, &length));
    cr_assert_null(sb_public_key_p256(y, x), "not on the curve");
    return sb_public_key_p256(x, y);
}

static struct sb_public_key *some_rsa(size_t size)
{
    static const unsigned char exponent[] = {1, 0, 1};
    unsigned char *modulus = sb_arena_alloc(arena, size);
    memset(modulus, 0xFF, size);
    return sb_public_key_rsa(modulus, size, exponent, sizeof exponent);
}

Test(crypto, an_rsa_modulus_has_2048_to_8192_bits)
{
    static const struct {
        size_t bytes;
        bool taken;
    } rows[] = {{128, false}, {255, false}, {256, true}, {1024, true}, {1025, false}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_public_key *key = some_rsa(rows[i].bytes);
        cr_expect_eq(key != NULL, rows[i].taken, "%zu bytes", rows[i].bytes);
        sb_public_key_free(key);
    }
}

Test(crypto, a_key_verifies_signatures_of_its_kind_alone)
{
    static const unsigned char r_and_s[] = {
        0x0e, 0xd1, 0x21, 0x53, 0x79, 0x63, 0x6c, 0x48, 0x3c, 0x2f, 0x7f, 0x15, 0x58,
        0x07, 0xd4, 0x02, 0xa3, 0xb2, 0x28, 0x03, 0x3a, 0xf9, 0x7c, 0x7e, 0x17, 0x81,
        0x9a, 0xc3, 0x16, 0x9e, 0xa6, 0x65, 0xc5, 0x0a, 0x07, 0xd3, 0x8c, 0x3c, 0x70,
        0xe5, 0xd8, 0xf1, 0x2d, 0xaf, 0x08, 0x4a, 0x54, 0x80, 0xa6, 0x65, 0x90, 0xc5,
        0xf2, 0x93, 0x50, 0x9a, 0x8f, 0x3f, 0x7f, 0x8a, 0x83, 0xa3, 0x54, 0xd5};
    static const char data[] =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
        "LmNvbS9pc19yb290Ijp0cnVlfQ";
    struct sb_public_key *ec = some_p256(), *rsa = some_rsa(256);
    cr_expect(sb_es256_valid(ec, data, strlen(data), r_and_s, sizeof r_and_s));
    cr_expect_not(sb_rs256_valid(ec, data, strlen(data), r_and_s, sizeof r_and_s));
    cr_expect_not(sb_es256_valid(rsa, data, strlen(data), r_and_s, sizeof r_and_s));
    cr_expect_not(sb_es256_valid(ec, data, strlen(data) - 1, r_and_s, sizeof r_and_s));
    cr_expect_not(sb_es256_valid(ec, data, strlen(data), r_and_s, sizeof r_and_s - 1));
    sb_public_key_free(ec);
    sb_public_key_free(rsa);
    sb_public_key_free(NULL);
}
