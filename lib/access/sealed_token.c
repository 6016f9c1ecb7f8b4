#include "access/sealed_token.h"

#include <string.h>

#include "access/token_json.h"
#include "base/crypto.h"

enum { JWT_SECRET_MIN = 32 };

static bool derive_key(const struct sb_config *config, const struct sb_sealed_kind *kind,
                       unsigned char key[static SB_SHA256_SIZE])
{
    const char *secret = config->jwt_secret;
    size_t length = secret == NULL ? 0 : strlen(secret);
    return length >= JWT_SECRET_MIN &&
           sb_hmac_sha256(secret, length, kind->purpose, strlen(kind->purpose), key);
}

char *sb_sealed_make(struct sb_arena *arena, const struct sb_config *config,
                     const struct sb_sealed_kind *kind, const struct sb_buf *payload)
{
    unsigned char key[SB_SHA256_SIZE];
    if (!sb_buf_ok(payload) || !derive_key(config, kind, key))
        return NULL;
    char *text =
        sb_jws_sign_hs256(arena, kind->typ, payload->data, payload->length, key, sizeof key);
    sb_wipe(key, sizeof key);
    return text;
}

static enum sb_jws_result verify(struct sb_arena *arena, const struct sb_config *config,
                                 const struct sb_sealed_kind *kind, const char *text,
                                 const char **payload, size_t *length)
{
    const char *const types[] = {kind->typ, NULL};
    unsigned char secret[SB_SHA256_SIZE];
    bool derived = derive_key(config, kind, secret);
    struct sb_jws_key key = {.alg = SB_JWS_HS256, .secret = secret, .secret_length = sizeof secret};
    /* Without a key it is still told whether the text is of this kind. */
    enum sb_jws_result result =
        sb_jws_verify(arena, text, strnlen(text, SB_JWS_MAX + 1),
                      &(struct sb_jws_rules){&key, derived ? 1 : 0, types}, payload, length);
    sb_wipe(secret, sizeof secret);
    return result;
}

/* The results that sb_jws_verify() gives before it knows that `typ` is ours. */
static bool typed(enum sb_jws_result result)
{
    return result != SB_JWS_TOO_LONG && result != SB_JWS_NOT_THREE_PARTS &&
           result != SB_JWS_BAD_HEADER && result != SB_JWS_BAD_TYP;
}

json_t *sb_sealed_open(struct sb_arena *arena, const struct sb_config *config,
                       const struct sb_sealed_kind *kind, const char *text, bool *is_kind)
{
    const char *payload;
    size_t length;
    bool no_memory;
    enum sb_jws_result result = verify(arena, config, kind, text, &payload, &length);
    *is_kind = typed(result);
    return result == SB_JWS_OK ? sb_token_object(payload, length, &no_memory) : NULL;
}
