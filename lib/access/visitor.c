#include "access/visitor.h"

#include "access/sealed_token.h"
#include "access/token_json.h"
#include "base/ids.h"

enum { PAYLOAD_MAX = 1024 };
static const struct sb_sealed_kind kind = {"visitor+jwt", "switchboard visitor v1"};

char *sb_visitor_make(struct sb_arena *arena, const struct sb_config *config,
                      const struct sb_visitor *visitor)
{
    struct sb_buf payload;
    sb_buf_init(&payload, arena, PAYLOAD_MAX);
    sb_json_open(&payload, '{');
    sb_json_key(&payload, "sub");
    sb_json_string(&payload, visitor->id);
    sb_json_key(&payload, "origin");
    sb_json_string(&payload, visitor->origin);
    sb_json_key(&payload, "exp");
    sb_json_int(&payload, visitor->expires_at_s);
    sb_json_close(&payload, '}');
    return sb_sealed_make(arena, config, &kind, &payload);
}

/* The signature is ours, so a token that fails here has expired or was made by another version of
 * this file. */
static bool read_payload(struct sb_arena *arena, const json_t *json, int64_t now_s,
                         struct sb_visitor *visitor)
{
    const char *id = sb_token_text(json, "sub"), *origin = sb_token_text(json, "origin");
    struct sb_visitor found = {.id = NULL};
    if (!sb_id_valid(id) || origin == NULL || !sb_token_time(json, "exp", &found.expires_at_s) ||
        now_s >= found.expires_at_s)
        return false;
    found.id = sb_arena_strdup(arena, id);
    found.origin = sb_arena_strdup(arena, origin);
    if (found.id == NULL || found.origin == NULL)
        return false;
    *visitor = found;
    return true;
}

bool sb_visitor_verify(struct sb_arena *arena, const struct sb_config *config, const char *text,
                       int64_t now_s, struct sb_visitor *visitor, bool *is_visitor)
{
    json_t *json = sb_sealed_open(arena, config, &kind, text, is_visitor);
    bool valid = json != NULL && read_payload(arena, json, now_s, visitor);
    json_decref(json);
    return valid;
}
