#include "access/ticket.h"

#include <string.h>

#include "access/token_json.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/ids.h"
#include "store/users.h"

enum { PAYLOAD_MAX = 2048, JWT_SECRET_MIN = 32 };
static const char type[] = "ticket+jwt";
static const char purpose[] = "switchboard call ticket v1";

static bool derive_key(const struct sb_config *config, unsigned char key[static SB_SHA256_SIZE])
{
    const char *secret = config->jwt_secret;
    size_t length = secret == NULL ? 0 : strlen(secret);
    return length >= JWT_SECRET_MIN &&
           sb_hmac_sha256(secret, length, purpose, strlen(purpose), key);
}

static void write_payload(struct sb_buf *out, const struct sb_ticket *ticket)
{
    sb_json_open(out, '{');
    sb_json_key(out, "sub");
    sb_json_string(out, ticket->user_id);
    sb_json_key(out, "call");
    sb_json_string(out, ticket->call_id);
    sb_json_key(out, "participant");
    sb_json_string(out, ticket->participant_id);
    sb_json_key(out, "moderator");
    sb_json_bool(out, ticket->moderator);
    sb_json_key(out, "exp");
    sb_json_int(out, ticket->expires_at_s);
    sb_json_close(out, '}');
}

char *sb_ticket_make(struct sb_arena *arena, const struct sb_config *config,
                     const struct sb_ticket *ticket)
{
    unsigned char key[SB_SHA256_SIZE];
    struct sb_buf payload;
    sb_buf_init(&payload, arena, PAYLOAD_MAX);
    write_payload(&payload, ticket);
    if (!sb_buf_ok(&payload) || !derive_key(config, key))
        return NULL;
    char *text = sb_jws_sign_hs256(arena, type, payload.data, payload.length, key, sizeof key);
    sb_wipe(key, sizeof key);
    return text;
}

/* The signature is ours, so a ticket that fails here was made by another version of this file. */
static bool read_payload(struct sb_arena *arena, const json_t *json, int64_t now_s,
                         struct sb_ticket *ticket)
{
    const char *user_id = sb_token_text(json, "sub");
    const char *call_id = sb_token_text(json, "call");
    const char *participant_id = sb_token_text(json, "participant");
    const json_t *moderator = json_object_get(json, "moderator");
    struct sb_ticket found = {.moderator = json_is_true(moderator)};
    if (!sb_user_id_valid(user_id) || !sb_id_valid(call_id) || !sb_id_valid(participant_id) ||
        !json_is_boolean(moderator) || !sb_token_time(json, "exp", &found.expires_at_s) ||
        now_s >= found.expires_at_s)
        return false;
    found.user_id = sb_arena_strdup(arena, user_id);
    found.call_id = sb_arena_strdup(arena, call_id);
    found.participant_id = sb_arena_strdup(arena, participant_id);
    if (found.user_id == NULL || found.call_id == NULL || found.participant_id == NULL)
        return false;
    *ticket = found;
    return true;
}

static enum sb_jws_result verify(struct sb_arena *arena, const struct sb_config *config,
                                 const char *text, const char **payload, size_t *length)
{
    static const char *const types[] = {type, NULL};
    unsigned char secret[SB_SHA256_SIZE];
    bool derived = derive_key(config, secret);
    struct sb_jws_key key = {.alg = SB_JWS_HS256, .secret = secret, .secret_length = sizeof secret};
    /* Without a key it is still told whether the text is a ticket. */
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

bool sb_ticket_verify(struct sb_arena *arena, const struct sb_config *config, const char *text,
                      int64_t now_s, struct sb_ticket *ticket, bool *is_ticket)
{
    const char *payload;
    size_t length;
    bool no_memory;
    enum sb_jws_result result = verify(arena, config, text, &payload, &length);
    *is_ticket = typed(result);
    if (result != SB_JWS_OK)
        return false;
    json_t *json = sb_token_object(payload, length, &no_memory);
    bool valid = json != NULL && read_payload(arena, json, now_s, ticket);
    json_decref(json);
    return valid;
}
