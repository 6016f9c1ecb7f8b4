/* The way of a request: one straight line, one function a step. A step passes the request on by
 * returning SB_OK, or ends it with an error; the answer always leaves by sb_answer(). */
#include "endpoint/pipeline.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/origin.h"
#include "endpoint/access.h"
#include "http/client_address.h"
#include "http/security_headers.h"

static const char *param(void *context, const char *name, bool *twice)
{
    struct sb_gateway *gateway = context;
    return gateway->param(gateway->state, name, twice);
}

static enum sb_error read_head(struct sb_pipeline *p)
{
    return sb_http_head_read(p->request.arena, param, p->gateway, &p->head);
}

void sb_standing_headers_add(const struct sb_pipeline *p, struct sb_response *response)
{
    sb_security_headers_add(response, p->request.config);
    sb_response_header(response, "X-Trace-Id", p->trace_id);
    sb_cors_add(response, p->origin, p->head.origin);
}

/* Runs even when the head was refused, so that the refusal carries trace id and headers. */
static void dress(struct sb_pipeline *p)
{
    const struct sb_config *config = p->request.config;
    sb_trace_id(p->head.traceparent, p->trace_id);
    p->address =
        sb_client_address(&config->trust_proxy, p->head.remote_addr, p->head.forwarded_for);
    sb_address_format(&p->address, p->address_text);
    p->origin = sb_cors_judge(config, p->head.origin);
    p->request.origin = p->head.origin;
    p->request.accept = p->head.accept;
    p->request.content_type = p->head.content_type;
    p->request.query = p->head.query == NULL ? "" : p->head.query;
    sb_response_init(&p->response, p->request.arena);
    sb_standing_headers_add(p, &p->response);
}

static enum sb_error find_route(struct sb_pipeline *p)
{
    enum sb_error error = sb_route_find(p);
    return error == SB_OK ? SB_OK : sb_limit_refused(p, error);
}

static enum sb_error check_origin(struct sb_pipeline *p)
{
    if (p->origin != SB_ORIGIN_DENIED)
        return SB_OK;
    enum { LOGGED_MAX = 300 }; /* more than an origin has: the line comes before any limit */
    bool enforced = !p->request.config->cors_report_only;
    sb_metrics_add(SB_METRIC_ORIGIN_DENIED,
                   SB_LABELS({"endpoint", p->worker->runtime->endpoint->name},
                             {"enforced", enforced ? "true" : "false"}),
                   1);
    SB_LOG(SB_LOG_WARN, "origin.denied", p->trace_id,
           SB_LOG_TEXT("origin",
                       sb_arena_printf(p->request.arena, "%.*s", LOGGED_MAX, p->head.origin)),
           SB_LOG_TEXT("enforced", enforced ? "true" : "false"));
    p->refusal = "the origin is not allowed";
    if (enforced)
        return sb_limit_refused(p, SB_E_ORIGIN_DENIED);
    /* Not every text that came as an origin may go into a header, and "null" is never allowed. */
    if (sb_origin_valid(p->head.origin))
        sb_cors_allow(&p->response, p->head.origin);
    return SB_OK;
}

static enum sb_error answer_options(struct sb_pipeline *p)
{
    char allow[64];
    if (p->head.method != SB_OPTIONS)
        return SB_OK;
    sb_allow_list(p->allow, allow, sizeof allow);
    if (p->head.origin != NULL && p->head.preflight_method != NULL)
        sb_cors_add_preflight(&p->response, allow);
    sb_response_header(&p->response, "Allow", allow);
    p->answered = true;
    return SB_OK;
}

static enum sb_error check_configuration(struct sb_pipeline *p)
{
    return p->worker->runtime->misconfigured ? SB_E_MISCONFIGURED : SB_OK;
}

static enum sb_error demand_origin(struct sb_pipeline *p)
{
    if (!p->route->origin_required || p->origin != SB_ORIGIN_ABSENT ||
        p->request.config->allow_no_origin)
        return SB_OK;
    p->message = "This route demands an Origin header of an allowed origin.";
    p->refusal = "no origin";
    return sb_limit_refused(p, SB_E_ORIGIN_DENIED);
}

static enum sb_error refuse(struct sb_pipeline *p, enum sb_error error, const char *reason)
{
    sb_metrics_add(SB_METRIC_AUTH_REFUSED, SB_LABELS({"reason", reason}), 1);
    p->refusal = reason;
    return sb_limit_refused(p, error);
}

static enum sb_error check_metrics_token(struct sb_pipeline *p)
{
    const char *token = p->request.config->metrics_token;
    if (token == NULL || sb_principal_bearer_is(p->head.authorization, token))
        return SB_OK;
    return refuse(p, SB_E_UNAUTHENTICATED, "not the metrics token");
}

/* Whether the principal is one the route is for. */
static enum sb_error check_access(struct sb_pipeline *p)
{
    static const char *const refusals[] = {
        [SB_PRINCIPAL_ANONYMOUS] = "no credential",
        [SB_PRINCIPAL_USER] = "a user's token is not taken here",
        [SB_PRINCIPAL_PARTICIPANT] = "a call ticket is no user token",
        [SB_PRINCIPAL_VISITOR] = "a visitor's token is no user token",
    };
    const struct sb_principal *principal = &p->request.principal;
    const struct sb_access_rule *rule = sb_access_rule(p->route->access);
    if ((rule->principals >> principal->kind & 1) == 0)
        return refuse(p, SB_E_UNAUTHENTICATED, refusals[principal->kind]);
    if ((rule->roles & ~principal->roles) == 0)
        return SB_OK;
    p->message = rule->refusal;
    return refuse(p, SB_E_FORBIDDEN, "a role is missing");
}

static enum sb_error find_principal(struct sb_pipeline *p)
{
    if (p->route->access == SB_ACCESS_METRICS)
        return check_metrics_token(p);
    if (sb_access_rule(p->route->access)->principals == 0)
        return SB_OK;
    const char *reason = NULL;
    struct sb_principal_input input = {.arena = p->request.arena,
                                       .config = p->request.config,
                                       .authorization = p->head.authorization,
                                       .origin = p->head.origin,
                                       .reads = (p->head.method & (SB_GET | SB_HEAD)) != 0,
                                       .now_ms = p->request.now_ms,
                                       .keyring = p->worker->runtime->keyring,
                                       .db = p->worker->runtime->db,
                                       .reader = sb_request_reader(&p->request)};
    enum sb_error error = sb_principal_find(&input, &p->request.principal, &reason);
    if (error == SB_E_UNAUTHENTICATED || error == SB_E_FORBIDDEN)
        return refuse(p, error, reason);
    return error != SB_OK ? error : check_access(p);
}

static enum sb_error handle(struct sb_pipeline *p)
{
    if (p->route->output != NULL) {
        p->output = sb_arena_alloc(p->request.arena, p->route->output_size);
        if (p->output == NULL)
            return SB_E_UNAVAILABLE;
    }
    return p->route->handler(&p->request, p->input, p->output);
}

/* A refusal reached while memory ran out may be no fault of the client's: a token that could not be
 * parsed for want of memory is not a bad one. */
static enum sb_error believed(struct sb_pipeline *p, enum sb_error error)
{
    if (!sb_memory_ran_out() || sb_error_info(error)->status < 400 ||
        sb_error_info(error)->status >= 500)
        return error;
    p->message = NULL;
    p->refusal = NULL;
    return SB_E_UNAVAILABLE;
}

static enum sb_error (*const steps[])(struct sb_pipeline *p) = {
    find_route,    check_origin,     answer_options,      check_configuration,
    demand_origin, sb_limit_address, find_principal,      sb_limit_principal,
    sb_body_take,  sb_input_take,    sb_idempotency_take, handle,
};

void sb_pipeline_run(struct sb_worker *worker, struct sb_gateway *gateway)
{
    struct sb_pipeline p = {.worker = worker, .gateway = gateway};
    p.started_us = sb_clock_mono_us();
    p.request = (struct sb_request){.arena = worker->arena,
                                    .config = worker->runtime->config,
                                    .trace_id = p.trace_id,
                                    .address = p.address_text,
                                    .now_ms = sb_clock_now_ms(),
                                    .client_fd = gateway->fd,
                                    .pipeline = &p};
    if (!atomic_load(&worker->runtime->counters_ok))
        sb_runtime_map_counters(worker->runtime);
    sb_memory_forget();
    enum sb_error error = read_head(&p);
    dress(&p);
    for (size_t i = 0; error == SB_OK && !p.answered && i < SB_COUNT(steps); i++)
        error = steps[i](&p);
    sb_answer(&p, believed(&p, error));
    sb_arena_reset(worker->arena);
}

struct sb_db_conn *sb_request_reader(struct sb_request *request)
{
    struct sb_db *db = request->pipeline->worker->runtime->db;
    return db == NULL ? NULL : sb_db_reader(db);
}

void sb_request_explain(struct sb_request *request, const char *message)
{
    request->pipeline->message = message;
}

void sb_request_audit_object(struct sb_request *request, const char *object)
{
    request->pipeline->audit_object = object;
}

void sb_request_audit_issued(struct sb_request *request, int64_t expires_at_ms,
                             const char *conversation_id)
{
    request->pipeline->audit_expires_at_ms = expires_at_ms;
    request->pipeline->audit_conversation_id = conversation_id;
}

bool sb_request_must_end(const struct sb_request *request)
{
    int64_t asked_us = atomic_load(&request->pipeline->worker->runtime->stop_asked_us);
    return asked_us != 0 && sb_clock_mono_us() - asked_us >= SB_STOP_PATIENCE_MS * INT64_C(1000);
}

int64_t sb_request_uptime_s(const struct sb_request *request)
{
    return (sb_clock_mono_us() - request->pipeline->worker->runtime->started_us) / 1000000;
}

const struct sb_config_problem *sb_request_config_problems(const struct sb_request *request)
{
    return request->pipeline->worker->runtime->problems;
}

bool sb_request_counters_ok(const struct sb_request *request)
{
    return atomic_load(&request->pipeline->worker->runtime->counters_ok);
}

struct sb_db *sb_request_db(struct sb_request *request)
{
    return request->pipeline->worker->runtime->db;
}
