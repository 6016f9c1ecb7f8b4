/* POST /api/realtime/calls: opens a realtime call for a browser's SDP offer, so that no secret
 * leaves the server and the call is on a leash: POST /api/realtime/calls/{id}/hangup ends it, and
 * `switchboard realtime reap` ends it when it is as long as it may be. */
#include <string.h>

#include "base/clock.h"
#include "endpoint/budget.h"
#include "endpoint/realtime_session.h"
#include "store/realtime_calls.h"

enum {
    BODY_MAX = 2 * SB_OPENAI_SDP_MAX, /* every line end of an SDP is four bytes in JSON */
    SESSION_MIN_S = 60,
    SESSION_MAX_S = 3600,
    REAPED_S = 600 /* in which cron hangs up a call that is over */
};

struct offer {
    const char *sdp, *session_id, *voice;
};

struct opened {
    struct sb_realtime_call call;
    const char *sdp;
    int64_t max_session_s;
};

struct named {
    const char *id;
};

struct ended {
    struct sb_realtime_call call;
};

static const struct sb_field offer_fields[] = {
    SB_STRING(struct offer, sdp, "sdp", 1, SB_OPENAI_SDP_MAX, SB_REQUIRED),
    SB_ID(struct offer, session_id, "sessionId", 0), SB_ID(struct offer, voice, "voice", 0),
    SB_FIELDS_END};
static const struct sb_field call_fields[] = {
    SB_ID(struct sb_realtime_call, id, "id", SB_REQUIRED),
    SB_TIME(struct sb_realtime_call, started_at_ms, "startedAt", SB_REQUIRED),
    SB_TIME(struct sb_realtime_call, expires_at_ms, "expiresAt", SB_REQUIRED),
    SB_TIME(struct sb_realtime_call, ended_at_ms, "endedAt", SB_REQUIRED | SB_NULLABLE),
    SB_STRING(struct sb_realtime_call, end_reason, "endReason", 1, 32, SB_REQUIRED | SB_NULLABLE),
    SB_FIELDS_END};
static const struct sb_field opened_fields[] = {
    SB_OBJECT(struct opened, call, "call", call_fields),
    SB_STRING(struct opened, sdp, "sdp", 1, SB_OPENAI_SDP_MAX, SB_REQUIRED),
    SB_INT(struct opened, max_session_s, "maxSessionSeconds", SESSION_MIN_S, SESSION_MAX_S,
           SB_REQUIRED),
    SB_FIELDS_END};
static const struct sb_field named_fields[] = {SB_ID(struct named, id, "id", SB_REQUIRED),
                                               SB_FIELDS_END};
static const struct sb_field ended_fields[] = {SB_OBJECT(struct ended, call, "call", call_fields),
                                               SB_FIELDS_END};

struct work {
    struct sb_request *request;
    struct sb_realtime_call *call;
    enum sb_realtime_end reason;
};

static enum sb_error add_call(struct sb_db_conn *tx, void *context)
{
    const struct work *work = context;
    return sb_realtime_calls_add(tx, work->call);
}

static enum sb_error end_call(struct sb_db_conn *tx, void *context)
{
    const struct work *work = context;
    return sb_realtime_calls_end(tx, work->request->arena, work->reason, sb_clock_now_ms(),
                                 work->call);
}

static enum sb_error shorten_call(struct sb_db_conn *tx, void *context)
{
    const struct work *work = context;
    return sb_realtime_calls_shorten(tx, work->call->id, sb_clock_now_ms());
}

/* RFC 8866: a version, an audio section, and nothing that is no text. */
static bool is_offer(const char *sdp)
{
    if (strncmp(sdp, "v=0\r\n", 5) != 0 && strncmp(sdp, "v=0\n", 4) != 0)
        return false;
    for (const char *c = sdp; *c != '\0'; c++) {
        if (((unsigned char)*c < 0x20 && strchr("\r\n\t", *c) == NULL) || *c == 0x7F)
            return false;
    }
    return strlen(sdp) <= SB_OPENAI_SDP_MAX && strstr(sdp, "\nm=audio ") != NULL;
}

/* The call's row. Without one nobody would end the call: then it is better ended now. */
static enum sb_error record(struct sb_request *request, const struct sb_openai *openai,
                            int64_t max_session_s, struct sb_realtime_call *call)
{
    call->user_id = request->principal.user_id;
    call->started_at_ms = sb_clock_now_ms();
    call->expires_at_ms = call->started_at_ms + max_session_s * 1000;
    struct work work = {.request = request, .call = call};
    enum sb_error error = sb_request_write(request, add_call, &work);
    if (error != SB_OK) {
        enum sb_error ended = sb_openai_call_hangup(openai, call->upstream_id);
        (void)ended; /* logged; upstream ends it, by its own limit at the latest */
    }
    /* The API gave an id it has given before: no conflict that the client could do anything about.
     */
    return error == SB_E_CONFLICT ? SB_E_UPSTREAM_ERROR : error;
}

/* Opens the call at the API and records it. */
static enum sb_error connect_call(struct sb_request *request,
                                  const struct sb_openai_session *session, const char *sdp,
                                  struct opened *opened)
{
    struct sb_openai openai = sb_realtime_openai(request);
    struct sb_openai_call call;
    enum sb_error error = sb_openai_call_open(&openai, session, sdp, &call);
    if (error != SB_OK)
        return error;
    opened->call.upstream_id = call.id;
    opened->sdp = call.sdp;
    return record(request, &openai, opened->max_session_s, &opened->call);
}

/* The seconds that the call may last, of which its end gives back the rest: it is under the call's
 * id that they are set aside. Where the day has fewer left, it is a shorter call. */
static enum sb_error buy_call(struct sb_request *request, const struct sb_openai_session *session,
                              const char *sdp, struct opened *opened)
{
    const struct sb_config *config = request->config;
    int64_t most_s = config->realtime_max_session_s;
    const struct sb_budget_ask ask = {.most = {.turns = 1, .seconds = most_s},
                                      .seconds_least = SESSION_MIN_S,
                                      .timeout_ms =
                                          (config->openai_timeout_s + most_s + REAPED_S) * 1000,
                                      .id = opened->call.id};
    struct sb_budget_hold hold;
    enum sb_error error = sb_request_reserve(request, &ask, &hold);
    if (error != SB_OK)
        return error;
    opened->max_session_s = hold.seconds;
    error = connect_call(request, session, sdp, opened);
    if (error != SB_OK) {
        enum sb_error settled = sb_request_settle(request, &hold, &(struct sb_spend){.turns = 0});
        (void)settled; /* logged; what was set aside then counts until its deadline */
    }
    return error;
}

static enum sb_error open_call(struct sb_request *request, const void *in, void *out)
{
    const struct offer *offer = in;
    struct opened *opened = out;
    struct sb_openai_session session;
    char id[SB_ID_SIZE];
    if (!is_offer(offer->sdp))
        return sb_request_invalid(request, "sdp", "format",
                                  "must be an SDP offer with an audio section");
    sb_id_make("rtcall", request->now_ms, id);
    opened->call.id = sb_arena_strdup(request->arena, id);
    if (opened->call.id == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_realtime_session(request, offer->voice, &session);
    if (error == SB_OK)
        error = buy_call(request, &session, offer->sdp, opened);
    if (error != SB_OK)
        return error;
    sb_request_audit_object(request, opened->call.id);
    sb_request_audit_issued(request, opened->call.expires_at_ms, offer->session_id);
    return SB_OK;
}

static enum sb_error hang_up(struct sb_request *request, const void *in, void *out)
{
    const struct named *named = in;
    struct ended *ended = out;
    struct sb_openai openai = sb_realtime_openai(request);
    sb_request_audit_object(request, named->id);
    enum sb_error error =
        sb_realtime_calls_find(sb_request_reader(request), request->arena, named->id,
                               request->principal.user_id, &ended->call);
    if (error != SB_OK || ended->call.ended_at_ms != 0)
        return error;
    struct work work = {.request = request, .call = &ended->call};
    error = sb_openai_call_hangup(&openai, ended->call.upstream_id);
    work.reason = error == SB_E_NOT_FOUND ? SB_REALTIME_GONE : SB_REALTIME_HANGUP;
    if (error == SB_OK || error == SB_E_NOT_FOUND)
        return sb_request_write(request, end_call, &work);
    /* The user is told that it did not work; cron goes on trying. */
    enum sb_error shortened = sb_request_write(request, shorten_call, &work);
    (void)shortened; /* then it goes on until its time is up */
    return error;
}

const struct sb_endpoint sb_endpoint = {
    .name = "realtime/calls",
    .routes =
        (const struct sb_route[]){
            {.methods = SB_POST,
             .path = "",
             .handler = open_call,
             .access = SB_ACCESS_USER,
             .origin_required = true,
             .body = SB_BODY_JSON,
             .body_max = BODY_MAX,
             SB_INPUT(struct offer, offer_fields),
             SB_OUTPUT(struct opened, opened_fields),
             .status = 201,
             .limit = {"realtime-calls", 20, 900},
             .audit = "realtime.call",
             .errors = SB_ERRORS(SB_E_BUDGET_EXCEEDED, SB_E_UPSTREAM_ERROR, SB_E_UPSTREAM_TIMEOUT),
             .summary = "Open a voice session from an SDP offer"},
            {.methods = SB_POST,
             .path = "/{id}/hangup",
             .handler = hang_up,
             .access = SB_ACCESS_USER,
             .origin_required = true,
             SB_INPUT(struct named, named_fields),
             SB_OUTPUT(struct ended, ended_fields),
             .limit = {"realtime-hangup", 60, 60},
             .audit = "realtime.hangup",
             .errors = SB_ERRORS(SB_E_NOT_FOUND, SB_E_UPSTREAM_ERROR, SB_E_UPSTREAM_TIMEOUT),
             .summary = "End a voice session of the caller's"},
            {.handler = NULL}},
    .needs = SB_NEEDS_DB | SB_NEEDS_UPSTREAM | SB_NEEDS_OPENAI | SB_NEEDS_TICKETS,
};
