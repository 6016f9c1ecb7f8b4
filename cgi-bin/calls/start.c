/* POST /api/calls/start: opens the call of a thread, or gives the one already open. */
#include "endpoint/endpoint.h"
#include "endpoint/views.h"
#include "store/calls.h"

struct input {
    const char *thread_id;
    int64_t kind;
};

struct output {
    struct sb_call call;
    bool created;
};

static const struct sb_field input_fields[] = {
    SB_ID(struct input, thread_id, "threadId", SB_REQUIRED),
    SB_ENUM(struct input, kind, "kind", sb_call_kind_names, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_OBJECT(struct output, call, "call", sb_call_fields),
    SB_BOOL(struct output, created, "created", SB_REQUIRED), SB_FIELDS_END};

struct work {
    struct sb_request *request;
    const struct input *input;
    struct output *output;
};

static enum sb_error open_call(struct sb_db_conn *tx, void *context)
{
    struct work *work = context;
    const struct sb_call_start call = {.thread_id = work->input->thread_id,
                                       .user_id = work->request->principal.user_id,
                                       .kind = (enum sb_call_kind)work->input->kind};
    return sb_calls_start(tx, work->request->arena, &call, &work->output->call,
                          &work->output->created);
}

static enum sb_error start(struct sb_request *request, const void *in, void *out)
{
    struct work work = {request, in, out};
    enum sb_error error = sb_request_write(request, open_call, &work);
    if (error == SB_OK && work.output->call.id != NULL) /* not a replayed answer */
        sb_request_audit_object(request, work.output->call.id);
    return error;
}

const struct sb_endpoint sb_endpoint = {
    .name = "calls/start",
    .routes =
        (const struct sb_route[]){{.methods = SB_POST,
                                   .path = "",
                                   .handler = start,
                                   .access = SB_ACCESS_USER,
                                   .body = SB_BODY_JSON,
                                   SB_INPUT(struct input, input_fields),
                                   SB_OUTPUT(struct output, output_fields),
                                   .created = SB_CREATED(struct output, created),
                                   .limit = {"calls-start", 10, 60},
                                   .idempotent = true,
                                   .audit = "calls.start",
                                   .errors = SB_ERRORS(SB_E_NOT_FOUND),
                                   .summary = "Open the call of a thread, or get the open one"},
                                  {.handler = NULL}},
    .needs = SB_NEEDS_DB,
    .workers = 32,
};
