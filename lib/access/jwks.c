#include "access/jwks.h"

#include <stdatomic.h>
#include <string.h>

#include "access/token_json.h"
#include "base/crypto.h"

enum { ARENA_CAP = 1024 * 1024 };

static const char *const result_texts[SB_JWKS__MAX] = {
    [SB_JWKS_OK] = "the key set is sound",
    [SB_JWKS_TOO_LONG] = "the key set is longer than 64 KiB",
    [SB_JWKS_NOT_JSON] = "the key set is not one JSON object without duplicate names",
    [SB_JWKS_NO_KEYS] = "the key set has no array \"keys\"",
    [SB_JWKS_TOO_MANY] = "the key set has more than 32 keys",
    [SB_JWKS_BAD_MEMBER] = "an element of \"keys\" is no object",
    [SB_JWKS_NO_MEMORY] = "out of memory",
};

const char *sb_jwks_result_text(enum sb_jwks_result result)
{
    return result < SB_JWKS__MAX ? result_texts[result] : "unknown";
}

/* What a struct sb_jwks is the face of. */
struct owned {
    struct sb_jwks face; /* first: the address is the same */
    atomic_uint references;
    struct sb_arena *arena; /* owns this and all texts */
    struct sb_jws_key keys[SB_JWKS_KEYS_MAX];
    struct sb_jwks_member members[SB_JWKS_KEYS_MAX];
};

struct number {
    unsigned char *bytes;
    size_t length;
};

/* A member that is canonical base64url. */
static bool read_number(struct sb_arena *arena, const json_t *json, const char *name,
                        struct number *number)
{
    const json_t *value = json_object_get(json, name);
    return json_is_string(value) &&
           sb_base64url_decode(arena, json_string_value(value), json_string_length(value),
                               &number->bytes, &number->length);
}

/* Makes the key of one kty; NULL, or what is wrong with it. */
typedef const char *import_fn(struct sb_arena *arena, const json_t *json,
                              struct sb_public_key **key);

/* RFC 7518 section 6.3.1. */
static const char *import_rsa(struct sb_arena *arena, const json_t *json,
                              struct sb_public_key **key)
{
    struct number n, e;
    if (!read_number(arena, json, "n", &n) || !read_number(arena, json, "e", &e))
        return "n or e is no canonical base64url";
    if (n.length < SB_RSA_BITS_MIN / 8 ||
        (n.length == SB_RSA_BITS_MIN / 8 && (n.bytes[0] & 0x80) == 0))
        return "the modulus is below 2048 bits";
    if (n.length > SB_RSA_BITS_MAX / 8)
        return "the modulus is above 8192 bits";
    *key = sb_public_key_rsa(n.bytes, n.length, e.bytes, e.length);
    return *key == NULL ? "n or e is not a number an RSA key can have" : NULL;
}

/* RFC 7518 section 6.2.1: the coordinates have the curve's full length. */
static const char *import_p256(struct sb_arena *arena, const json_t *json,
                               struct sb_public_key **key)
{
    const char *curve = sb_token_text(json, "crv");
    struct number x, y;
    if (curve == NULL || strcmp(curve, "P-256") != 0)
        return "crv is not P-256";
    if (!read_number(arena, json, "x", &x) || !read_number(arena, json, "y", &y) ||
        x.length != SB_P256_COORDINATE_SIZE || y.length != SB_P256_COORDINATE_SIZE)
        return "x or y is not 32 bytes in canonical base64url";
    *key = sb_public_key_p256(x.bytes, y.bytes);
    return *key == NULL ? "the point is not on P-256" : NULL;
}

static const struct kind {
    const char *kty, *alg;
    enum sb_jws_alg value;
    import_fn *import;
} kinds[] = {
    {"RSA", "RS256", SB_JWS_RS256, import_rsa},
    {"EC", "ES256", SB_JWS_ES256, import_p256},
};

static const struct kind *kind_of(const json_t *json)
{
    const char *kty = sb_token_text(json, "kty");
    for (size_t i = 0; kty != NULL && i < SB_COUNT(kinds); i++) {
        if (strcmp(kty, kinds[i].kty) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* A member that is absent, or exactly text. */
static bool absent_or(const json_t *json, const char *name, const char *text)
{
    const json_t *value = json_object_get(json, name);
    return value == NULL || (json_is_string(value) && strcmp(json_string_value(value), text) == 0);
}

/* RFC 7517 section 4.3: absent, or texts without repetition, among them "verify". */
static bool may_verify(const json_t *json)
{
    const json_t *operations = json_object_get(json, "key_ops");
    bool verifies = operations == NULL;
    if (operations != NULL && !json_is_array(operations))
        return false;
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const char *operation = json_string_value(json_array_get(operations, i));
        if (operation == NULL)
            return false;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(json_string_value(json_array_get(operations, k)), operation) == 0)
                return false;
        }
        verifies = verifies || strcmp(operation, "verify") == 0;
    }
    return verifies;
}

/* A kid is shown to people: it may not steer their terminal. */
static bool kid_sound(const json_t *json)
{
    const json_t *kid = json_object_get(json, "kid");
    if (kid == NULL)
        return true;
    if (!json_is_string(kid) || json_string_length(kid) > SB_JWKS_KID_MAX)
        return false;
    for (const char *c = json_string_value(kid); *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            return false;
    }
    return true;
}

/* What every kind of key must satisfy; NULL: it does. */
static const char *common_flaw(const json_t *json, const struct kind *kind)
{
    if (!kid_sound(json))
        return "kid is no text of at most 256 bytes without control characters";
    if (kind == NULL)
        return "kty is neither RSA nor EC";
    if (json_object_get(json, "d") != NULL)
        return "it is a private key, which whoever can read the set can sign with";
    if (!absent_or(json, "use", "sig"))
        return "use is not sig";
    if (!may_verify(json))
        return "key_ops is no list of different texts with verify among them";
    if (!absent_or(json, "alg", kind->alg))
        return "alg is not RS256 with kty RSA, or ES256 with kty EC";
    return NULL;
}

/* Adds one element of `keys`. False: out of memory. */
static bool add_member(struct owned *set, const json_t *json)
{
    struct sb_jwks_member *member = &set->members[set->face.member_count++];
    const struct kind *kind = kind_of(json);
    const char *kid = kid_sound(json) ? sb_token_text(json, "kid") : NULL;
    struct sb_public_key *key = NULL;
    member->flaw = common_flaw(json, kind);
    if (kid != NULL && (member->kid = sb_arena_strdup(set->arena, kid)) == NULL)
        return false;
    if (kind == NULL || member->flaw != NULL)
        return true;
    member->flaw = kind->import(set->arena, json, &key);
    if (key == NULL)
        return true;
    member->alg = kind->alg;
    set->keys[set->face.count++] =
        (struct sb_jws_key){.alg = kind->value, .kid = member->kid, .public_key = key};
    return true;
}

static enum sb_jwks_result fill(struct owned *set, const json_t *json)
{
    const json_t *keys = json_object_get(json, "keys");
    const char *source = sb_token_text(json, "source");
    if (!json_is_array(keys))
        return SB_JWKS_NO_KEYS;
    if (json_array_size(keys) > SB_JWKS_KEYS_MAX)
        return SB_JWKS_TOO_MANY;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        if (!json_is_object(json_array_get(keys, i)))
            return SB_JWKS_BAD_MEMBER;
        if (!add_member(set, json_array_get(keys, i)))
            return SB_JWKS_NO_MEMORY;
    }
    if (source != NULL && (set->face.source = sb_arena_strdup(set->arena, source)) == NULL)
        return SB_JWKS_NO_MEMORY;
    return SB_JWKS_OK;
}

enum sb_jwks_result sb_jwks_parse(const char *text, size_t length, const struct sb_jwks **set)
{
    bool no_memory;
    if (length > SB_JWKS_BYTES_MAX)
        return SB_JWKS_TOO_LONG;
    json_t *json = sb_token_object(text, length, &no_memory);
    if (json == NULL)
        return no_memory ? SB_JWKS_NO_MEMORY : SB_JWKS_NOT_JSON;
    struct sb_arena *arena = sb_arena_new(ARENA_CAP);
    struct owned *owned = arena == NULL ? NULL : sb_arena_alloc(arena, sizeof *owned);
    if (owned == NULL) {
        sb_arena_free(arena);
        json_decref(json);
        return SB_JWKS_NO_MEMORY;
    }
    owned->arena = arena;
    owned->face.keys = owned->keys;
    owned->face.members = owned->members;
    atomic_init(&owned->references, 1);
    enum sb_jwks_result result = fill(owned, json);
    json_decref(json);
    if (result == SB_JWKS_OK)
        *set = &owned->face;
    else
        sb_jwks_release(&owned->face);
    return result;
}

const struct sb_jwks *sb_jwks_hold(const struct sb_jwks *set)
{
    if (set != NULL)
        atomic_fetch_add(&((struct owned *)set)->references, 1);
    return set;
}

void sb_jwks_release(const struct sb_jwks *set)
{
    struct owned *owned = (struct owned *)set;
    if (owned == NULL || atomic_fetch_sub(&owned->references, 1) != 1)
        return;
    for (size_t i = 0; i < owned->face.count; i++)
        sb_public_key_free((struct sb_public_key *)owned->keys[i].public_key);
    sb_arena_free(owned->arena);
}
