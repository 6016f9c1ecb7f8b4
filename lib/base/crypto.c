#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sb_random(void *memory, size_t size)
{
    unsigned char *at = memory;
    while (size > 0) {
        size_t ask = size < 256 ? size : 256; /* the most that getentropy() gives at once */
        if (getentropy(at, ask) != 0)
            abort(); /* no identifier, key or nonce may be made without it */
        at += ask;
        size -= ask;
    }
}

bool sb_sha256(const void *data, size_t length, unsigned char digest[static SB_SHA256_SIZE])
{
    return SHA256(data, length, digest) != NULL;
}

static bool hmac(const EVP_MD *md, const void *key, size_t key_length, const void *data,
                 size_t length, unsigned char *mac)
{
    return key_length <= INT32_MAX &&
           HMAC(md, key, (int)key_length, data, length, mac, NULL) != NULL;
}

bool sb_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                    unsigned char mac[static SB_SHA256_SIZE])
{
    return hmac(EVP_sha256(), key, key_length, data, length, mac);
}

bool sb_hmac_sha1(const void *key, size_t key_length, const void *data, size_t length,
                  unsigned char mac[static SB_SHA1_SIZE])
{
    return hmac(EVP_sha1(), key, key_length, data, length, mac);
}

void sb_hex(const unsigned char *data, size_t length, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    text[2 * length] = '\0';
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *encode(struct sb_arena *arena, const unsigned char *data, size_t length,
                    const char *digits, bool pad)
{
    if (length > SIZE_MAX / 2)
        return NULL;
    char *text = sb_arena_alloc(arena, (length + 2) / 3 * 4 + 1);
    if (text == NULL)
        return NULL;
    char *out = text;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t bits = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        if (left > 1 || pad)
            *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        if (left > 2 || pad)
            *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    return text;
}

char *sb_base64(struct sb_arena *arena, const void *data, size_t length)
{
    return encode(arena, data, length, base64_digits, true);
}

char *sb_base64url(struct sb_arena *arena, const void *data, size_t length)
{
    return encode(arena, data, length, base64url_digits, false);
}

static int base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

bool sb_base64url_decode(struct sb_arena *arena, const char *text, size_t text_length,
                         unsigned char **data, size_t *length)
{
    if (text_length % 4 == 1)
        return false;
    unsigned char *out = sb_arena_alloc(arena, text_length / 4 * 3 + 3);
    if (out == NULL)
        return false;
    size_t count = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < text_length; i++) {
        int value = base64url_value(text[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[count++] = (unsigned char)(bits >> have);
            bits &= (1u << have) - 1;
        }
    }
    if (bits != 0) /* trailing bits: a second spelling of the same bytes */
        return false;
    out[count] = '\0';
    *data = out;
    *length = count;
    return true;
}

static unsigned char compare_key[SB_SHA256_SIZE];

static void make_compare_key(void)
{
    sb_random(compare_key, sizeof compare_key);
}

bool sb_secret_equal(const char *a, size_t a_length, const char *b, size_t b_length)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_compare_key);
    unsigned char mac_a[SB_SHA256_SIZE], mac_b[SB_SHA256_SIZE];
    if (!sb_hmac_sha256(compare_key, sizeof compare_key, a, a_length, mac_a) ||
        !sb_hmac_sha256(compare_key, sizeof compare_key, b, b_length, mac_b))
        return false;
    return CRYPTO_memcmp(mac_a, mac_b, sizeof mac_a) == 0;
}

char *sb_jws_sign_hs256(struct sb_arena *arena, const char *typ, const char *payload,
                        size_t payload_length, const void *key, size_t key_length)
{
    char *header = sb_arena_printf(arena, "{\"alg\":\"HS256\",\"typ\":\"%s\"}", typ);
    if (header == NULL)
        return NULL;
    char *header64 = sb_base64url(arena, header, strlen(header));
    char *payload64 = sb_base64url(arena, payload, payload_length);
    if (header64 == NULL || payload64 == NULL)
        return NULL;
    char *input = sb_arena_printf(arena, "%s.%s", header64, payload64);
    unsigned char mac[SB_SHA256_SIZE];
    if (input == NULL || !sb_hmac_sha256(key, key_length, input, strlen(input), mac))
        return NULL;
    char *mac64 = sb_base64url(arena, mac, sizeof mac);
    return mac64 == NULL ? NULL : sb_arena_printf(arena, "%s.%s", input, mac64);
}

void sb_wipe(void *memory, size_t size)
{
    OPENSSL_cleanse(memory, size);
}
