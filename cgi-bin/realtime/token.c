/* POST /api/realtime/token: a client secret with which the browser opens a realtime voice session
 * by itself. OPENAI_API_KEY stays here. */
#include "base/clock.h"
#include "endpoint/budget.h"
#include "endpoint/realtime_session.h"

struct input {
    const char *session_id, *voice;
};

struct session {
    const char *id, *model;
};

struct output {
    const char *client_secret;
    int64_t expires_at_s;
    struct session session;
    const char *url;
    int64_t max_session_s, server_time_ms;
};

static const struct sb_field input_fields[] = {SB_ID(struct input, session_id, "sessionId", 0),
                                               SB_ID(struct input, voice, "voice", 0),
                                               SB_FIELDS_END};
static const struct sb_field session_fields[] = {
    SB_STRING(struct session, id, "id", 1, SB_OPENAI_ID_MAX, SB_REQUIRED),
    SB_STRING(struct session, model, "model", 1, SB_OPENAI_ID_MAX, SB_REQUIRED), SB_FIELDS_END};
/* client_secret and expires_at are spelt as the API spells them: clients pass them on. */
static const struct sb_field output_fields[] = {
    SB_STRING(struct output, client_secret, "client_secret", 1, SB_OPENAI_SECRET_MAX, SB_REQUIRED),
    SB_INT(struct output, expires_at_s, "expires_at", 1, INT64_MAX, SB_REQUIRED),
    SB_OBJECT(struct output, session, "session", session_fields),
    SB_STRING(struct output, url, "url", 1, 2048, SB_REQUIRED),
    SB_INT(struct output, max_session_s, "maxSessionSeconds", 60, 3600, SB_REQUIRED),
    SB_TIME(struct output, server_time_ms, "serverTime", SB_REQUIRED),
    SB_FIELDS_END};

/* A secret counts for a turn and a flat rate: what becomes of it is between browser and API. */
static enum sb_error buy(struct sb_request *request, const struct sb_openai_session *session,
                         struct sb_openai_secret *secret)
{
    const struct sb_config *config = request->config;
    const struct sb_openai openai = sb_realtime_openai(request);
    struct sb_budget_payment payment = {
        .spend = {.turns = 1, .seconds = config->realtime_token_spend_s}};
    enum sb_error error = sb_request_pay(request, &payment);
    if (error != SB_OK)
        return error;
    error = sb_openai_client_secret(&openai, session, secret);
    if (error != SB_OK)
        sb_request_refund(request, &payment);
    return error;
}

static enum sb_error mint(struct sb_request *request, const void *in, void *out)
{
    const struct input *input = in;
    struct sb_openai_session session;
    struct sb_openai_secret secret;
    enum sb_error error = sb_realtime_session(request, input->voice, &session);
    if (error == SB_OK)
        error = buy(request, &session, &secret);
    if (error != SB_OK)
        return error;
    sb_request_audit_object(request, secret.session_id);
    sb_request_audit_issued(request, secret.expires_at_s * 1000, input->session_id);
    *(struct output *)out = (struct output){
        .client_secret = secret.value,
        .expires_at_s = secret.expires_at_s,
        .session = {secret.session_id, secret.model},
        .url = secret.url,
        .max_session_s = request->config->realtime_max_session_s,
        .server_time_ms = sb_clock_now_ms(),
    };
    return SB_OK;
}

const struct sb_endpoint sb_endpoint = {
    .name = "realtime/token",
    .routes =
        (const struct sb_route[]){
            {.methods = SB_POST,
             .path = "",
             .handler = mint,
             .access = SB_ACCESS_USER,
             .origin_required = true,
             .body = SB_BODY_JSON,
             SB_INPUT(struct input, input_fields),
             SB_OUTPUT(struct output, output_fields),
             .limit = {"realtime-token", 20, 900},
             .audit = "realtime.token",
             .errors = SB_ERRORS(SB_E_BUDGET_EXCEEDED, SB_E_UPSTREAM_ERROR, SB_E_UPSTREAM_TIMEOUT),
             .summary = "Make a client secret for a voice session"},
            {.handler = NULL}},
    .workers = 32, /* they wait for the API most of their time */
    .needs = SB_NEEDS_DB | SB_NEEDS_UPSTREAM | SB_NEEDS_OPENAI | SB_NEEDS_TICKETS,
};
