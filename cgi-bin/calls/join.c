/* POST /api/calls/join: takes part in an open call: a room token for Jitsi, ICE servers, and a
 * ticket that keeps and ends the participation. */
#include "access/ticket.h"
#include "endpoint/endpoint.h"
#include "endpoint/views.h"
#include "store/calls.h"
#include "upstream/jitsi.h"
#include "upstream/turn.h"

struct input {
    const char *call_id;
};

struct output {
    struct sb_call call;
    struct sb_participant participant;
    const char *ticket;
    struct sb_jitsi_room jitsi;
    struct sb_ice ice;
    int64_t heartbeat_s;
};

static const struct sb_field input_fields[] = {SB_ID(struct input, call_id, "callId", SB_REQUIRED),
                                               SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_OBJECT(struct output, call, "call", sb_call_fields),
    SB_OBJECT(struct output, participant, "participant", sb_participant_fields),
    SB_STRING(struct output, ticket, "ticket", 1, SB_JWS_MAX, SB_REQUIRED),
    SB_OBJECT(struct output, jitsi, "jitsi", sb_jitsi_fields),
    SB_OBJECTS(struct output, ice.servers, ice.count, "iceServers", struct sb_ice_server,
               sb_ice_server_fields),
    SB_TIME(struct output, ice.expires_at_ms, "iceExpiresAt", SB_REQUIRED),
    SB_INT(struct output, heartbeat_s, "heartbeatSeconds", 5, 300, SB_REQUIRED),
    SB_FIELDS_END};

struct work {
    struct sb_request *request;
    const struct input *input;
    struct output *output;
};

static enum sb_error add_participant(struct sb_db_conn *tx, void *context)
{
    struct work *work = context;
    return sb_calls_join(tx, work->request->arena, work->input->call_id,
                         work->request->principal.user_id, &work->output->call,
                         &work->output->participant);
}

static const char *make_ticket(const struct sb_request *request, const struct output *output)
{
    const struct sb_participant *participant = &output->participant;
    return sb_ticket_make(request->arena, request->config,
                          &(struct sb_ticket){.user_id = participant->user_id,
                                              .call_id = output->call.id,
                                              .participant_id = participant->id,
                                              .moderator = participant->moderator,
                                              .expires_at_s = request->now_ms / 1000 +
                                                              request->config->call_token_ttl_s});
}

static enum sb_error join(struct sb_request *request, const void *in, void *out)
{
    struct output *output = out;
    struct work work = {request, in, out};
    enum sb_error error = sb_request_write(request, add_participant, &work);
    if (error != SB_OK)
        return error;
    sb_request_audit_object(request, output->call.id);
    const struct sb_jitsi_guest guest = {.user_id = request->principal.user_id,
                                         .name = request->principal.name,
                                         .moderator = output->participant.moderator};
    error = sb_jitsi_room(request->arena, request->config, output->call.room, &guest,
                          request->now_ms, &output->jitsi);
    if (error == SB_OK)
        error = sb_turn_ice(request->arena, request->config, guest.user_id, request->now_ms,
                            &output->ice);
    output->ticket = make_ticket(request, output);
    output->heartbeat_s = request->config->call_heartbeat_s;
    return error == SB_OK && output->ticket == NULL ? SB_E_UNAVAILABLE : error;
}

const struct sb_endpoint sb_endpoint = {
    .name = "calls/join",
    .routes = (const struct sb_route[]){{.methods = SB_POST,
                                         .path = "",
                                         .handler = join,
                                         .access = SB_ACCESS_USER,
                                         .body = SB_BODY_JSON,
                                         SB_INPUT(struct input, input_fields),
                                         SB_OUTPUT(struct output, output_fields),
                                         .limit = {"calls-join", 30, 60},
                                         .audit = "calls.join",
                                         .errors = SB_ERRORS(SB_E_NOT_FOUND, SB_E_GONE),
                                         .summary = "Take part in an open call"},
                                        {.handler = NULL}},
    .needs = SB_NEEDS_DB | SB_NEEDS_TICKETS | SB_NEEDS_JITSI | SB_NEEDS_TURN,
};
