#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "endpoint/access.h"
#include "endpoint/pipeline.h"

struct sb_rate_policy sb_route_policy(const struct sb_route *route)
{
    static const struct sb_rate_policy fallback = {"default", 100, 60};
    return route->limit.name == NULL ? fallback : route->limit;
}

/* The policy of the request's route as the administrator has set it. */
static struct sb_rate_policy effective_policy(const struct sb_pipeline *p)
{
    static const struct sb_route none; /* the path was nobody's: the default applies */
    struct sb_rate_policy policy = sb_route_policy(p->route != NULL ? p->route : &none);
    const struct sb_rate_setting *setting = sb_config_rate(p->request.config, policy.name);
    if (setting != NULL) {
        policy.limit = setting->limit;
        policy.window_s = setting->window_s;
    }
    return policy;
}

/* RateLimit fields: draft-ietf-httpapi-ratelimit-headers, in agreement with Retry-After. */
static void add_headers(struct sb_pipeline *p, const struct sb_rate_policy *policy,
                        const struct sb_rate_state *state)
{
    struct sb_response *response = &p->response;
    p->rate_begin = response->head.length;
    sb_response_header_format(response, "RateLimit-Policy", "\"%s\";q=%lld;w=%lld", policy->name,
                              (long long)policy->limit, (long long)policy->window_s);
    sb_response_header_format(response, "RateLimit", "\"%s\";r=%lld;t=%lld", policy->name,
                              (long long)state->remaining, (long long)state->reset_s);
    if (!state->allowed)
        sb_response_header_format(response, "Retry-After", "%lld", (long long)state->retry_after_s);
    p->rate_end = response->head.length;
}

/* Takes back what add_headers() has added. */
static void drop_headers(struct sb_pipeline *p)
{
    struct sb_buf *head = &p->response.head;
    if (p->rate_end == 0 || !sb_buf_ok(head))
        return;
    memmove(head->data + p->rate_begin, head->data + p->rate_end, head->length - p->rate_end + 1);
    head->length -= p->rate_end - p->rate_begin;
    p->rate_begin = p->rate_end = 0;
}

static enum sb_error refuse(struct sb_pipeline *p, const struct sb_rate_policy *policy)
{
    sb_metrics_add(SB_METRIC_RATE_LIMITED, SB_LABELS({"policy", policy->name}), 1);
    p->refusal = sb_arena_printf(p->request.arena, "rate limit %s", policy->name);
    p->message = sb_arena_printf(
        p->request.arena, "Too many requests: policy %s allows %lld in %lld s; see Retry-After.",
        policy->name, (long long)policy->limit, (long long)policy->window_s);
    return SB_E_RATE_LIMITED;
}

/* Charges one call to each subject ("user:..."), in turn until one refuses, under the same policy;
 * the answer says how the one with the least left stands. */
static enum sb_error charge(struct sb_pipeline *p, const char *const subjects[], size_t count)
{
    struct sb_rate_policy policy = effective_policy(p);
    if (policy.limit == 0 || p->charged)
        return SB_OK;
    if (!atomic_load(&p->worker->runtime->counters_ok))
        return p->route != NULL && p->route->limiter_failure == SB_FAIL_OPEN ? SB_OK
                                                                             : SB_E_UNAVAILABLE;
    struct sb_rate_state least = {.allowed = true, .remaining = INT64_MAX};
    for (size_t i = 0; least.allowed && i < count; i++) {
        if (subjects[i] == NULL)
            return SB_E_UNAVAILABLE;
        struct sb_rate_state state = sb_rate_limit_charge(&policy, subjects[i], p->request.now_ms);
        if (!state.allowed || state.remaining < least.remaining)
            least = state;
    }
    p->charged = true;
    add_headers(p, &policy, &least);
    return least.allowed ? SB_OK : refuse(p, &policy);
}

/* NULL: out of memory. */
static const char *address_subject(struct sb_pipeline *p)
{
    struct sb_address subscriber = sb_address_subscriber(&p->address);
    char text[46];
    sb_address_format(&subscriber, text);
    return sb_arena_printf(p->request.arena, "address:%s", text);
}

static enum sb_error charge_address(struct sb_pipeline *p)
{
    const char *subject = address_subject(p);
    return charge(p, &subject, 1);
}

enum sb_error sb_limit_address(struct sb_pipeline *p)
{
    return sb_access_rule(p->route->access)->principals == 0 ? charge_address(p) : SB_OK;
}

enum sb_error sb_limit_principal(struct sb_pipeline *p)
{
    static const char *const kinds[] = {[SB_PRINCIPAL_USER] = "user",
                                        [SB_PRINCIPAL_PARTICIPANT] = "participant",
                                        [SB_PRINCIPAL_VISITOR] = "visitor"};
    const struct sb_principal *principal = &p->request.principal;
    if (principal->kind == SB_PRINCIPAL_ANONYMOUS)
        return charge_address(p); /* once: sb_limit_address() may have */
    bool participant = principal->kind == SB_PRINCIPAL_PARTICIPANT;
    const char *id = participant ? principal->participant_id : principal->user_id;
    const char *own = sb_arena_printf(p->request.arena, "%s:%s", kinds[principal->kind], id);
    if (principal->kind != SB_PRINCIPAL_VISITOR)
        return charge(p, &own, 1);
    /* The address first: another visitor's token is free to have. */
    return charge(p, (const char *const[]){address_subject(p), own}, 2);
}

enum sb_error sb_limit_refused(struct sb_pipeline *p, enum sb_error error)
{
    const char *message = p->message;
    p->message = NULL;
    if (charge_address(p) == SB_E_RATE_LIMITED)
        return SB_E_RATE_LIMITED;
    p->message = message;
    return error;
}

enum sb_error sb_request_charge(struct sb_request *request, const struct sb_rate_policy *policy)
{
    struct sb_pipeline *p = request->pipeline;
    const char *subject = address_subject(p);
    if (policy->limit == 0)
        return SB_OK;
    if (subject == NULL || !atomic_load(&p->worker->runtime->counters_ok))
        return SB_E_UNAVAILABLE;
    struct sb_rate_state state = sb_rate_limit_charge(policy, subject, request->now_ms);
    if (state.allowed)
        return SB_OK;
    drop_headers(p);
    add_headers(p, policy, &state);
    return refuse(p, policy);
}
