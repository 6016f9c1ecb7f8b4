#include "endpoint/views.h"

#include "store/calls.h"
#include "store/users.h"
#include "upstream/jitsi.h"
#include "upstream/turn.h"

const struct sb_field sb_call_fields[] = {
    SB_ID(struct sb_call, id, "id", SB_REQUIRED),
    SB_ID(struct sb_call, thread_id, "threadId", SB_REQUIRED),
    SB_ENUM(struct sb_call, kind, "kind", sb_call_kind_names, SB_REQUIRED),
    SB_STRING(struct sb_call, started_by, "startedBy", 1, SB_USER_ID_MAX, SB_REQUIRED),
    SB_TIME(struct sb_call, started_at_ms, "startedAt", SB_REQUIRED),
    SB_TIME(struct sb_call, ended_at_ms, "endedAt", SB_REQUIRED | SB_NULLABLE),
    SB_INT(struct sb_call, duration_s, "durationSeconds", 0, INT64_MAX, SB_REQUIRED | SB_NULLABLE),
    SB_STRING(struct sb_call, end_reason, "endReason", 1, 32, SB_REQUIRED | SB_NULLABLE),
    SB_FIELDS_END};

const struct sb_field sb_participant_fields[] = {
    SB_ID(struct sb_participant, id, "id", SB_REQUIRED),
    SB_STRING(struct sb_participant, user_id, "userId", 1, SB_USER_ID_MAX, SB_REQUIRED),
    SB_BOOL(struct sb_participant, moderator, "moderator", SB_REQUIRED),
    SB_TIME(struct sb_participant, joined_at_ms, "joinedAt", SB_REQUIRED), SB_FIELDS_END};

const struct sb_field sb_jitsi_fields[] = {
    SB_STRING(struct sb_jitsi_room, domain, "domain", 1, 253, SB_REQUIRED),
    SB_STRING(struct sb_jitsi_room, host, "host", 1, 253, SB_REQUIRED),
    SB_STRING(struct sb_jitsi_room, room, "room", 1, 64, SB_REQUIRED),
    SB_STRING(struct sb_jitsi_room, jwt, "jwt", 1, 8192, SB_REQUIRED),
    SB_STRING(struct sb_jitsi_room, url, "url", 1, 9000, SB_REQUIRED),
    SB_TIME(struct sb_jitsi_room, expires_at_ms, "expiresAt", SB_REQUIRED),
    SB_FIELDS_END};

const struct sb_field sb_ice_server_fields[] = {
    SB_STRINGS(struct sb_ice_server, urls, url_count, "urls"),
    SB_STRING(struct sb_ice_server, username, "username", 1, 256, 0),
    SB_STRING(struct sb_ice_server, credential, "credential", 1, 256, 0), SB_FIELDS_END};
