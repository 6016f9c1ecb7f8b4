#include "access/ticket.h"

#include "access/sealed_token.h"
#include "access/token_json.h"
#include "base/ids.h"
#include "store/users.h"

enum { PAYLOAD_MAX = 2048 };
static const struct sb_sealed_kind kind = {"ticket+jwt", "switchboard call ticket v1"};

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
    struct sb_buf payload;
    sb_buf_init(&payload, arena, PAYLOAD_MAX);
    write_payload(&payload, ticket);
    return sb_sealed_make(arena, config, &kind, &payload);
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

bool sb_ticket_verify(struct sb_arena *arena, const struct sb_config *config, const char *text,
                      int64_t now_s, struct sb_ticket *ticket, bool *is_ticket)
{
    json_t *json = sb_sealed_open(arena, config, &kind, text, is_ticket);
    bool valid = json != NULL && read_payload(arena, json, now_s, ticket);
    json_decref(json);
    return valid;
}
