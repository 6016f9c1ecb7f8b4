#include "access/jws.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "access/token_json.h"
#include "base/crypto.h"

enum { HS256_SECRET_MIN = SB_SHA256_SIZE };

static const char *const result_texts[SB_JWS__MAX] = {
    [SB_JWS_OK] = "the token is good",
    [SB_JWS_TOO_LONG] = "the token is too long",
    [SB_JWS_NOT_THREE_PARTS] = "the token is not three parts",
    [SB_JWS_BAD_HEADER] = "the header is not base64url of one sound JSON object",
    [SB_JWS_BAD_TYP] = "the typ is not an expected one",
    [SB_JWS_FORBIDDEN_HEADER] = "the header has a parameter that is refused",
    [SB_JWS_BAD_BASE64] = "the payload or signature is not canonical base64url",
    [SB_JWS_NO_KEY] = "no key fits the token",
    [SB_JWS_BAD_ALG] = "the alg is not the key's",
    [SB_JWS_BAD_SIGNATURE] = "the signature does not match",
    [SB_JWS_NO_MEMORY] = "out of memory",
};

const char *sb_jws_result_text(enum sb_jws_result result)
{
    return result < SB_JWS__MAX ? result_texts[result] : "unknown";
}

struct part {
    const char *text;
    size_t length;
};

struct token {
    struct part header, payload, signature;
    struct part signed_part; /* header "." payload: the signing input, RFC 7515 section 5.1 */
};

struct bytes {
    unsigned char *data;
    size_t length;
};

/* Algorithms: one row each. */

typedef bool key_usable_fn(const struct sb_jws_key *key);
typedef bool signature_valid_fn(const struct sb_jws_key *key, const struct part *input,
                                const struct bytes *signature);

static bool hs256_usable(const struct sb_jws_key *key)
{
    return key->secret != NULL && key->secret_length >= HS256_SECRET_MIN;
}

static bool hs256_valid(const struct sb_jws_key *key, const struct part *input,
                        const struct bytes *signature)
{
    unsigned char mac[SB_SHA256_SIZE];
    if (signature->length != sizeof mac ||
        !sb_hmac_sha256(key->secret, key->secret_length, input->text, input->length, mac))
        return false;
    /* All bytes, whatever they are: the time must not tell how many of them agree. volatile keeps
     * the compiler from leaving the loop early. */
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < sizeof mac; i++)
        difference = (unsigned char)(difference | (mac[i] ^ signature->data[i]));
    sb_wipe(mac, sizeof mac);
    return difference == 0;
}

static bool public_usable(const struct sb_jws_key *key)
{
    return key->public_key != NULL;
}

static bool rs256_valid(const struct sb_jws_key *key, const struct part *input,
                        const struct bytes *signature)
{
    return sb_rs256_valid(key->public_key, input->text, input->length, signature->data,
                          signature->length);
}

static bool es256_valid(const struct sb_jws_key *key, const struct part *input,
                        const struct bytes *signature)
{
    return sb_es256_valid(key->public_key, input->text, input->length, signature->data,
                          signature->length);
}

static const struct algorithm {
    const char *name; /* RFC 7518 section 3.1 */
    key_usable_fn *usable;
    signature_valid_fn *valid;
} algorithms[SB_JWS_ALG__MAX] = {
    [SB_JWS_HS256] = {"HS256", hs256_usable, hs256_valid},
    [SB_JWS_RS256] = {"RS256", public_usable, rs256_valid},
    [SB_JWS_ES256] = {"ES256", public_usable, es256_valid},
};

static bool split(const char *text, size_t length, struct token *token)
{
    const char *end = text + length;
    const char *dot = memchr(text, '.', length);
    const char *second = dot == NULL ? NULL : memchr(dot + 1, '.', (size_t)(end - dot) - 1);
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second) - 1) != NULL)
        return false;
    token->header = (struct part){text, (size_t)(dot - text)};
    token->payload = (struct part){dot + 1, (size_t)(second - dot) - 1};
    token->signature = (struct part){second + 1, (size_t)(end - second) - 1};
    token->signed_part = (struct part){text, (size_t)(second - text)};
    return true;
}

static enum sb_jws_result decode(struct sb_arena *arena, const struct part *part,
                                 struct bytes *bytes)
{
    if (sb_base64url_decode(arena, part->text, part->length, &bytes->data, &bytes->length))
        return SB_JWS_OK;
    /* The decoder does not say which it was; memory that suffices now sufficed a moment ago. */
    return sb_arena_alloc(arena, part->length + 4) == NULL ? SB_JWS_NO_MEMORY : SB_JWS_BAD_BASE64;
}

struct header {
    json_t *json; /* owns the texts */
    const char *alg, *typ, *kid;
};

/* A member that is a string or absent; false if it is anything else. */
static bool optional_text(const json_t *json, const char *name, const char **text)
{
    const json_t *value = json_object_get(json, name);
    *text = json_string_value(value);
    return value == NULL || *text != NULL;
}

/* On SB_JWS_OK the caller json_decref()s header->json. */
static enum sb_jws_result parse_header(struct sb_arena *arena, const struct part *part,
                                       struct header *header)
{
    struct bytes text;
    enum sb_jws_result decoded = decode(arena, part, &text);
    if (decoded != SB_JWS_OK)
        return decoded == SB_JWS_NO_MEMORY ? decoded : SB_JWS_BAD_HEADER;
    bool no_memory;
    struct header parsed = {.json = sb_token_object(text.data, text.length, &no_memory)};
    if (parsed.json == NULL)
        return no_memory ? SB_JWS_NO_MEMORY : SB_JWS_BAD_HEADER;
    if (!optional_text(parsed.json, "alg", &parsed.alg) ||
        !optional_text(parsed.json, "typ", &parsed.typ) ||
        !optional_text(parsed.json, "kid", &parsed.kid)) {
        json_decref(parsed.json);
        return SB_JWS_BAD_HEADER;
    }
    *header = parsed;
    return SB_JWS_OK;
}

static bool type_expected(const char *typ, const char *const *types)
{
    if (types == NULL)
        return true;
    if (typ == NULL)
        return types[0] != NULL && types[0][0] == '\0';
    for (; *types != NULL; types++) {
        if ((*types)[0] != '\0' && strcasecmp(typ, *types) == 0)
            return true;
    }
    return false;
}

/* A key inside the token, or an extension that changes what is signed (RFC 7515 section 4.1,
 * RFC 7797): we know no extension, so any `crit` is one we do not understand. */
static bool has_forbidden(const json_t *json)
{
    static const char *const names[] = {"crit", "b64", "jwk", "jku", "x5u", "x5c"};
    for (size_t i = 0; i < SB_COUNT(names); i++) {
        if (json_object_get(json, names[i]) != NULL)
            return true;
    }
    return false;
}

/* A kid is a hint: it picks a key, and a token or key without one leaves the picking to the
 * signature. */
static bool key_named(const struct sb_jws_key *key, const char *kid)
{
    return key->kid == NULL || kid == NULL || strcmp(key->kid, kid) == 0;
}

/* Tries the keys that the token can mean. The key's algorithm decides; the header must agree. */
static enum sb_jws_result try_keys(const struct header *header, const struct token *token,
                                   const struct bytes *signature, const struct sb_jws_rules *rules)
{
    enum sb_jws_result result = SB_JWS_NO_KEY;
    for (size_t i = 0; i < rules->count; i++) {
        const struct sb_jws_key *key = &rules->keys[i];
        const struct algorithm *algorithm =
            (size_t)key->alg < SB_JWS_ALG__MAX ? &algorithms[key->alg] : NULL;
        if (algorithm == NULL || !key_named(key, header->kid) || !algorithm->usable(key))
            continue;
        if (header->alg == NULL || strcmp(header->alg, algorithm->name) != 0) {
            if (result == SB_JWS_NO_KEY)
                result = SB_JWS_BAD_ALG;
            continue;
        }
        if (algorithm->valid(key, &token->signed_part, signature))
            return SB_JWS_OK;
        result = SB_JWS_BAD_SIGNATURE;
    }
    return result;
}

/* The type comes first: it tells a token of another kind, which somebody else may have to judge,
 * from a bad one. */
static enum sb_jws_result judge(struct sb_arena *arena, const struct header *header,
                                const struct token *token, const struct sb_jws_rules *rules)
{
    if (!type_expected(header->typ, rules->types))
        return SB_JWS_BAD_TYP;
    if (has_forbidden(header->json))
        return SB_JWS_FORBIDDEN_HEADER;
    struct bytes signature;
    enum sb_jws_result decoded = decode(arena, &token->signature, &signature);
    return decoded == SB_JWS_OK ? try_keys(header, token, &signature, rules) : decoded;
}

enum sb_jws_result sb_jws_verify(struct sb_arena *arena, const char *token, size_t length,
                                 const struct sb_jws_rules *rules, const char **payload,
                                 size_t *payload_length)
{
    struct token parts;
    struct header header;
    if (length > SB_JWS_MAX)
        return SB_JWS_TOO_LONG;
    if (!split(token, length, &parts))
        return SB_JWS_NOT_THREE_PARTS;
    enum sb_jws_result result = parse_header(arena, &parts.header, &header);
    if (result != SB_JWS_OK)
        return result;
    result = judge(arena, &header, &parts, rules);
    json_decref(header.json);
    struct bytes decoded;
    if (result == SB_JWS_OK)
        result = decode(arena, &parts.payload, &decoded);
    if (result == SB_JWS_OK) {
        *payload = (const char *)decoded.data;
        *payload_length = decoded.length;
    }
    return result;
}
