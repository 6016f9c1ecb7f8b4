#include "upstream/jitsi.h"

#include <string.h>

#include "base/buf.h"
#include "base/crypto.h"

enum { PAYLOAD_MAX = 4096 };

/* The plugin compares `room` literally with the lower-case name, and the name goes into a URL. */
static bool room_valid(const char *room)
{
    size_t length = strspn(room, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return length > 0 && room[length] == '\0';
}

static void write_text(struct sb_buf *out, const char *key, const char *text)
{
    if (text == NULL)
        return; /* absent, never null: prosody's plugins take any value for a string */
    sb_json_key(out, key);
    sb_json_string(out, text);
}

static void write_time(struct sb_buf *out, const char *key, int64_t time_s)
{
    sb_json_key(out, key);
    sb_json_int(out, time_s);
}

static void write_guest(struct sb_buf *out, const struct sb_jitsi_guest *guest)
{
    sb_json_key(out, "context");
    sb_json_open(out, '{');
    sb_json_key(out, "user");
    sb_json_open(out, '{');
    write_text(out, "id", guest->user_id);
    write_text(out, "name", guest->name);
    if (guest->moderator) {
        sb_json_key(out, "moderator");
        sb_json_bool(out, true);
    }
    write_text(out, "affiliation", guest->moderator ? "owner" : "member");
    sb_json_close(out, '}');
    sb_json_close(out, '}');
}

static void write_claims(struct sb_buf *out, const struct sb_config *config, const char *room,
                         const struct sb_jitsi_guest *guest, int64_t now_s)
{
    sb_json_open(out, '{');
    write_text(out, "aud", config->jitsi_app_id);
    write_text(out, "iss", config->jitsi_app_id);
    write_text(out, "sub", config->jitsi_domain);
    write_text(out, "room", room);
    write_time(out, "nbf", now_s - SB_JITSI_BACKDATE_S);
    write_time(out, "iat", now_s);
    write_time(out, "exp", now_s + config->call_token_ttl_s);
    write_guest(out, guest);
    sb_json_close(out, '}');
}

enum sb_error sb_jitsi_room(struct sb_arena *arena, const struct sb_config *config,
                            const char *room, const struct sb_jitsi_guest *guest, int64_t now_ms,
                            struct sb_jitsi_room *result)
{
    const char *secret = config->jitsi_jwt_secret;
    if (secret == NULL)
        return SB_E_MISCONFIGURED;
    if (!room_valid(room))
        return SB_E_INTERNAL;
    int64_t now_s = now_ms / 1000;
    struct sb_buf claims;
    sb_buf_init(&claims, arena, PAYLOAD_MAX);
    write_claims(&claims, config, room, guest, now_s);
    if (!sb_buf_ok(&claims))
        return SB_E_UNAVAILABLE;
    struct sb_jitsi_room made = {
        .domain = config->jitsi_domain,
        .host = config->jitsi_public_host,
        .room = sb_arena_strdup(arena, room),
        .jwt = sb_jws_sign_hs256(arena, "JWT", claims.data, claims.length, secret, strlen(secret)),
        .expires_at_ms = (now_s + config->call_token_ttl_s) * 1000,
    };
    if (made.room == NULL || made.jwt == NULL)
        return SB_E_UNAVAILABLE;
    made.url = sb_arena_printf(arena, "https://%s/%s#jwt=%s", made.host, room, made.jwt);
    if (made.url == NULL)
        return SB_E_UNAVAILABLE;
    *result = made;
    return SB_OK;
}
