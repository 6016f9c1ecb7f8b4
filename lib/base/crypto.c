#include "base/crypto.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

enum { RESERVE_SIZE = 512 * 1024 };

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return sb_memory_library_alloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size > 0)
        return sb_memory_library_realloc(memory, size);
    sb_memory_library_free(memory);
    return NULL;
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    sb_memory_library_free(memory);
}

void sb_crypto_init_memory(void)
{
    (void)CRYPTO_set_mem_functions(allocate, reallocate, release);
}

/* OpenSSL 3.0 ends in a segmentation fault, or never works again, where it gets no memory while it
 * initialises itself. Where it needed the reserve, that stays: this thread frees at the exit. */
bool sb_crypto_init(void)
{
    unsigned char digest[SB_SHA256_SIZE], mac[SB_SHA256_SIZE];
    bool works = sb_memory_reserve(RESERVE_SIZE) && sb_sha256("", 0, digest) &&
                 sb_hmac_sha256(digest, sizeof digest, "", 0, mac) &&
                 sb_hmac_sha1(digest, sizeof digest, "", 0, mac);
    if (!works || sb_memory_reserve_used())
        return false;
    sb_memory_unreserve();
    return true;
}

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

/* HMAC() looks its algorithm up by name for each call, which takes longer than the hashing. */
static EVP_MAC_CTX *hmac_new(const char *digest)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *made = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    if (made != NULL && EVP_MAC_CTX_set_params(made, params) == 1)
        return made;
    EVP_MAC_CTX_free(made);
    return NULL;
}

static struct hmac {
    const char *digest;
    size_t size;
    EVP_MAC_CTX *made; /* without a key; copied, never used */
} hmac_sha256 = {"SHA256", SB_SHA256_SIZE, NULL}, hmac_sha1 = {"SHA1", SB_SHA1_SIZE, NULL};

static void make_hmacs(void)
{
    hmac_sha256.made = hmac_new(hmac_sha256.digest);
    hmac_sha1.made = hmac_new(hmac_sha1.digest);
}

static bool run_hmac(const struct hmac *hmac, const void *key, size_t key_length, const void *data,
                     size_t length, unsigned char *mac)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_hmacs);
    bool possible = hmac->made != NULL && key_length <= INT32_MAX;
    EVP_MAC_CTX *ctx = possible ? EVP_MAC_CTX_dup(hmac->made) : NULL;
    size_t written;
    bool done = ctx != NULL && EVP_MAC_init(ctx, key, key_length, NULL) == 1 &&
                EVP_MAC_update(ctx, data, length) == 1 &&
                EVP_MAC_final(ctx, mac, &written, hmac->size) == 1;
    EVP_MAC_CTX_free(ctx);
    return done;
}

bool sb_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                    unsigned char mac[static SB_SHA256_SIZE])
{
    return run_hmac(&hmac_sha256, key, key_length, data, length, mac);
}

bool sb_hmac_sha1(const void *key, size_t key_length, const void *data, size_t length,
                  unsigned char mac[static SB_SHA1_SIZE])
{
    return run_hmac(&hmac_sha1, key, key_length, data, length, mac);
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

/* --- Public keys ----------------------------------------------------------------------------- */

struct sb_public_key {
    EVP_PKEY *pkey;
};

/* Takes params over. */
static struct sb_public_key *import(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    struct sb_public_key *key = NULL;
    if (params != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1)
        key = malloc(sizeof *key);
    if (key != NULL)
        key->pkey = pkey;
    else
        EVP_PKEY_free(pkey);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return key;
}

/* A number without leading zeros that is odd and has min to max bits. */
static bool odd_number(const unsigned char *bytes, size_t length, size_t min, size_t max)
{
    if (length == 0 || bytes[0] == 0 || (bytes[length - 1] & 1) == 0 || length > max / 8)
        return false;
    size_t bits = length * 8 - (size_t)(__builtin_clz(bytes[0]) - 24);
    return bits >= min;
}

struct sb_public_key *sb_public_key_rsa(const unsigned char *modulus, size_t modulus_length,
                                        const unsigned char *exponent, size_t exponent_length)
{
    if (!odd_number(modulus, modulus_length, SB_RSA_BITS_MIN, SB_RSA_BITS_MAX) ||
        !odd_number(exponent, exponent_length, 2, 64))
        return NULL;
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn(modulus, (int)modulus_length, NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_length, NULL);
    if (builder != NULL && n != NULL && e != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(builder);
    struct sb_public_key *key = import("RSA", params);
    BN_free(e);
    BN_free(n);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

struct sb_public_key *sb_public_key_p256(const unsigned char x[static SB_P256_COORDINATE_SIZE],
                                         const unsigned char y[static SB_P256_COORDINATE_SIZE])
{
    unsigned char point[1 + 2 * SB_P256_COORDINATE_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(point + 1, x, SB_P256_COORDINATE_SIZE);
    memcpy(point + 1 + SB_P256_COORDINATE_SIZE, y, SB_P256_COORDINATE_SIZE);
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) ==
            1)
        params = OSSL_PARAM_BLD_to_param(builder);
    struct sb_public_key *key = import("EC", params); /* refuses a point that is not on the curve */
    OSSL_PARAM_BLD_free(builder);
    return key;
}

void sb_public_key_free(struct sb_public_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

static bool sha256_signature_valid(EVP_PKEY *pkey, const void *data, size_t length,
                                   const unsigned char *signature, size_t signature_length)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool valid = context != NULL &&
                 EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
                 EVP_DigestVerify(context, signature, signature_length, data, length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error(); /* else the thread's queue of errors grows with each refused token */
    return valid;
}

bool sb_rs256_valid(const struct sb_public_key *key, const void *data, size_t length,
                    const unsigned char *signature, size_t signature_length)
{
    return EVP_PKEY_is_a(key->pkey, "RSA") &&
           sha256_signature_valid(key->pkey, data, length, signature, signature_length);
}

bool sb_es256_valid(const struct sb_public_key *key, const void *data, size_t length,
                    const unsigned char *signature, size_t signature_length)
{
    if (!EVP_PKEY_is_a(key->pkey, "EC") || signature_length != SB_ES256_SIZE)
        return false;
    unsigned char *der = NULL; /* what the library wants */
    int der_length = 0;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, SB_ES256_SIZE / 2, NULL);
    BIGNUM *s = BN_bin2bn(signature + SB_ES256_SIZE / 2, SB_ES256_SIZE / 2, NULL);
    if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* the pair's now */
        der_length = i2d_ECDSA_SIG(pair, &der);
    }
    bool valid =
        der_length > 0 && sha256_signature_valid(key->pkey, data, length, der, (size_t)der_length);
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return valid;
}

void sb_wipe(void *memory, size_t size)
{
    OPENSSL_cleanse(memory, size);
}
