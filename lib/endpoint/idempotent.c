/* Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the answer is stored in the
 * transaction of its effect, so that there is never one without the other. */
#include <string.h>

#include "endpoint/pipeline.h"
#include "http/output_encoder.h"
#include "store/idempotency.h"

struct wrapped {
    struct sb_pipeline *p;
    sb_db_closure_fn *closure;
    void *context;
    struct sb_idempotency_key key;
    int64_t status;
    const char *members;
    bool replay;
};

static enum sb_error store(struct sb_db_conn *tx, struct wrapped *wrapped)
{
    struct sb_pipeline *p = wrapped->p;
    struct sb_buf members;
    sb_buf_init(&members, p->request.arena, SB_RESPONSE_BODY_MAX);
    sb_buf_add_char(&members, '{');
    sb_output_members(&members, p->route->output, p->output);
    if (!sb_buf_ok(&members))
        return SB_E_UNAVAILABLE;
    /* Without the brace: the members go into an answer with its own traceId. */
    return sb_idempotency_store(tx, &wrapped->key, p->request.now_ms,
                                sb_success_status(p->route, p->output), members.data + 1);
}

static enum sb_error run(struct sb_db_conn *tx, void *context)
{
    struct wrapped *wrapped = context;
    enum sb_error error =
        sb_idempotency_find(tx, wrapped->p->request.arena, &wrapped->key,
                            wrapped->p->request.now_ms, &wrapped->status, &wrapped->members);
    wrapped->replay = error == SB_OK;
    if (error != SB_E_NOT_FOUND)
        return error;
    error = wrapped->closure(tx, wrapped->context);
    return error != SB_OK ? error : store(tx, wrapped);
}

/* The stored answer, as this request's. */
static void replay(struct sb_pipeline *p, const struct wrapped *wrapped)
{
    struct sb_response *response = &p->response;
    response->status = (int)wrapped->status;
    sb_response_header(response, "Content-Type", "application/json");
    sb_response_header(response, "Idempotent-Replayed", "true");
    sb_buf_add_text(&response->body, "{\"success\":true");
    if (*wrapped->members != '\0')
        sb_json_raw(&response->body, wrapped->members);
    sb_json_key(&response->body, "traceId");
    sb_json_string(&response->body, p->trace_id);
    sb_json_close(&response->body, '}');
    p->answered = true;
}

/* Whose key it is. */
static const char *subject(const struct sb_pipeline *p)
{
    const struct sb_principal *principal = &p->request.principal;
    if (principal->kind == SB_PRINCIPAL_ANONYMOUS)
        return sb_arena_printf(p->request.arena, "address:%s", p->address_text);
    return sb_principal_owner(p->request.arena, principal);
}

static enum sb_error write_once(struct sb_pipeline *p, sb_db_closure_fn *closure, void *context)
{
    struct sb_arena *arena = p->request.arena;
    struct wrapped wrapped = {.p = p, .closure = closure, .context = context};
    wrapped.key = (struct sb_idempotency_key){
        .principal = subject(p),
        /* The path, not its pattern: a key used on one {id} says nothing of another. */
        .route = sb_arena_printf(arena, "%s %s", sb_method_name(p->head.method), p->head.path),
        .key = p->idempotency_key,
        .payload_hash = sb_body_hash(p),
    };
    if (wrapped.key.principal == NULL || wrapped.key.route == NULL ||
        wrapped.key.payload_hash == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error =
        sb_db_write(p->worker->runtime->db, run, &wrapped, SB_DB_WRITE_DEADLINE_MS);
    if (error == SB_OK && wrapped.replay)
        replay(p, &wrapped);
    return error;
}

enum sb_error sb_request_write(struct sb_request *request, sb_db_closure_fn *closure, void *context)
{
    struct sb_pipeline *p = request->pipeline;
    if (p->idempotency_key != NULL)
        return write_once(p, closure, context);
    return sb_db_write(p->worker->runtime->db, closure, context, SB_DB_WRITE_DEADLINE_MS);
}
