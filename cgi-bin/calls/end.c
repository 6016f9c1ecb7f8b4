/* POST /api/calls/end: ends a call for everyone; the same answer every time. By its starter or a
 * moderator of its thread, with a user's token or a call ticket. */
#include <string.h>

#include "endpoint/endpoint.h"
#include "store/calls.h"

struct input {
    const char *call_id;
};

static const struct sb_field input_fields[] = {SB_ID(struct input, call_id, "callId", SB_REQUIRED),
                                               SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_TIME(struct sb_call, ended_at_ms, "endedAt", SB_REQUIRED),
    SB_INT(struct sb_call, duration_s, "durationSeconds", 0, INT64_MAX, SB_REQUIRED),
    SB_STRING(struct sb_call, end_reason, "endReason", 1, 32, SB_REQUIRED), SB_FIELDS_END};

struct work {
    struct sb_request *request;
    const struct input *input;
    struct sb_call *call;
};

static enum sb_error close_call(struct sb_db_conn *tx, void *context)
{
    struct work *work = context;
    return sb_calls_end(tx, work->request->arena, work->input->call_id,
                        work->request->principal.user_id, work->call);
}

static enum sb_error end(struct sb_request *request, const void *in, void *out)
{
    struct work work = {request, in, out};
    const struct sb_principal *principal = &request->principal;
    sb_request_audit_object(request, work.input->call_id);
    /* A ticket is good for its own call alone. */
    if (principal->kind == SB_PRINCIPAL_PARTICIPANT &&
        strcmp(principal->call_id, work.input->call_id) != 0)
        return SB_E_NOT_FOUND;
    return sb_request_write(request, close_call, &work);
}

const struct sb_endpoint sb_endpoint = {
    .name = "calls/end",
    .routes = (const struct sb_route[]){{.methods = SB_POST,
                                         .path = "",
                                         .handler = end,
                                         .access = SB_ACCESS_PARTICIPANT,
                                         .body = SB_BODY_JSON,
                                         SB_INPUT(struct input, input_fields),
                                         SB_OUTPUT(struct sb_call, output_fields),
                                         .limit = {"calls-end", 30, 60},
                                         .audit = "calls.end",
                                         .errors = SB_ERRORS(SB_E_NOT_FOUND, SB_E_FORBIDDEN),
                                         .summary = "End a call for everyone"},
                                        {.handler = NULL}},
    .needs = SB_NEEDS_DB,
};
