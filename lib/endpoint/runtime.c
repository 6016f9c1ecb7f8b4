#include "endpoint/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "access/key_refresh.h"
#include "access/rate_limit.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/owner.h"
#include "endpoint/access.h"

enum { COUNTERS_RETRY_US = 1000000 };

unsigned sb_endpoint_needs(const struct sb_endpoint *endpoint)
{
    unsigned needs = endpoint->needs;
    for (const struct sb_route *route = endpoint->routes; route->handler != NULL; route++) {
        if (route->access < SB_ACCESS__MAX) /* else it does not start */
            needs |= sb_access_rule(route->access)->needs;
    }
    return needs;
}

static const char *route_flaw(const struct sb_route *route)
{
    if (route->access <= SB_ACCESS__UNSET || route->access >= SB_ACCESS__MAX)
        return "a route says nothing of access";
    if (route->methods == 0 || route->path == NULL)
        return "a route has no method or path";
    if (*route->path != '\0' && *route->path != '/')
        return "a path is neither empty nor begins with a slash";
    if ((route->input != NULL) != (route->input_size > 0) ||
        (route->output != NULL) != (route->output_size > 0))
        return "a route has a field table without a size";
    if (route->created != 0 && (route->output == NULL || route->status != 0))
        return "a route that may create says its status, or has no output to tell by";
    if (route->body == SB_BODY_JSON && route->input == NULL)
        return "a JSON body has no input table to be held against";
    if (route->reply == SB_REPLY_STREAM && route->content_type == NULL)
        return "a streaming route has no content type";
    if (route->reply == SB_REPLY_STREAM && (route->created != 0 || route->status != 0))
        return "a stream is 200 and nothing else";
    if (route->idempotent && (route->body != SB_BODY_JSON || route->output == NULL))
        return "an idempotent route must take JSON and have an output table";
    if (route->limit.name != NULL && route->limit.limit > SB_RATE_LIMIT_MAX)
        return "a rate limit is higher than counters can hold";
    return NULL;
}

static bool named(const struct sb_field *fields, const char *name, size_t length)
{
    for (; fields != NULL && fields->name != NULL; fields++) {
        if (strncmp(fields->name, name, length) == 0 && fields->name[length] == '\0')
            return true;
    }
    return false;
}

/* {ids} of the path that no input field takes, and fields that would stand beside the pipeline's
 * own members of the same name. (`status` may: a report leaves it out of its errors.) */
static const char *name_flaw(const struct sb_route *route)
{
    static const char *const own[] = {"success", "traceId", "error", "type", "title", "detail"};
    for (const char *at = strchr(route->path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        if (!named(route->input, at + 1, strcspn(at + 1, "}")))
            return "an {id} of a path has no field in the input table";
    }
    size_t count = route->report_errors ? SB_COUNT(own) : 2;
    for (size_t i = 0; i < count; i++) {
        if (named(route->output, own[i], strlen(own[i])))
            return "an output field has the name of a member that every answer has";
    }
    return NULL;
}

const char *sb_endpoint_flaw(const struct sb_endpoint *endpoint, int *row)
{
    *row = 0;
    for (const struct sb_route *route = endpoint->routes; route->handler != NULL; route++) {
        ++*row;
        const char *flaw = route_flaw(route);
        if (flaw == NULL)
            flaw = name_flaw(route);
        if (flaw != NULL)
            return flaw;
        if (route->idempotent && (sb_endpoint_needs(endpoint) & SB_NEEDS_DB) == 0)
            return "an idempotent route needs SB_NEEDS_DB";
    }
    return NULL;
}

static void misconfigured(struct sb_runtime *runtime, const char *variable, const char *reason)
{
    runtime->misconfigured = true;
    SB_LOG(SB_LOG_ERROR, "misconfigured", NULL, SB_LOG_TEXT("variable", variable),
           SB_LOG_TEXT("reason", reason));
}

static void counters_failed(const char *what)
{
    SB_LOG(SB_LOG_ERROR, what, NULL, SB_LOG_TEXT("variable", "RUN_DIR"),
           SB_LOG_TEXT("reason", strerror(errno)));
}

static void map_counters(struct sb_runtime *runtime)
{
    const char *run_dir = runtime->config->run_dir;
    /* What is mapped stays so: each try for the other would leave another mapping behind. */
    runtime->metrics_mapped = runtime->metrics_mapped || sb_metrics_open(run_dir);
    if (!runtime->metrics_mapped)
        counters_failed("metrics.unavailable");
    runtime->limiter_mapped = runtime->limiter_mapped || sb_rate_limit_open(run_dir);
    if (!runtime->limiter_mapped)
        counters_failed("rate_limit.unavailable");
    bool both = runtime->metrics_mapped && runtime->limiter_mapped;
    if (both) { /* so once in a process */
        const char *endpoint = SB_LABELS({"endpoint", runtime->endpoint->name});
        sb_metrics_add(SB_METRIC_STARTS, endpoint, 1);
        sb_metrics_set(SB_METRIC_START_TIME, endpoint, (uint64_t)sb_clock_now_ms() / 1000);
    }
    atomic_store(&runtime->counters_ok, both);
}

void sb_runtime_map_counters(struct sb_runtime *runtime)
{
    int64_t now_us = sb_clock_mono_us();
    pthread_mutex_lock(&runtime->counters_lock);
    bool due = now_us - runtime->counters_tried_us >= COUNTERS_RETRY_US;
    if (!atomic_load(&runtime->counters_ok) && (due || runtime->counters_tried_us == 0)) {
        runtime->counters_tried_us = now_us;
        map_counters(runtime);
    }
    pthread_mutex_unlock(&runtime->counters_lock);
}

/* False: out of memory. */
static bool open_keyring(struct sb_runtime *runtime, unsigned needs)
{
    const struct sb_config *config = runtime->config;
    char command[PATH_MAX];
    if ((needs & SB_NEEDS_USERS) == 0 || config->jwt_jwks_url == NULL)
        return true;
    sb_key_refresh_command(command);
    runtime->keyring = sb_keyring_new(config->run_dir, config->jwt_jwks_url, command);
    return runtime->keyring != NULL;
}

bool sb_runtime_open(struct sb_runtime *runtime, const struct sb_endpoint *endpoint)
{
    char reason[512];
    unsigned needs = sb_endpoint_needs(endpoint);
    bool secrets = (needs & ~(unsigned)(SB_NEEDS_CORE | SB_NEEDS_DB)) != 0;
    sb_memory_init();
    *runtime = (struct sb_runtime){.endpoint = endpoint,
                                   .started_us = sb_clock_mono_us(),
                                   .counters_lock = PTHREAD_MUTEX_INITIALIZER};
    if (secrets && !sb_crypto_init()) {
        errno = ENOMEM;
        return false;
    }
    if (!sb_config_load(NULL, needs, &runtime->config, &runtime->problems))
        return false;
    const struct sb_config *config = runtime->config;
    bool owner = sb_owner_become(config->state_dir, reason, sizeof reason);
    sb_log_open(config->log_dir, endpoint->name, (enum sb_log_level)config->log_level);
    if (!owner)
        misconfigured(runtime, "STATE_DIR", reason);
    const struct sb_config_problem *problem = sb_config_blocking(runtime->problems, needs);
    if (problem != NULL)
        misconfigured(runtime, problem->variable, problem->message);
    sb_runtime_map_counters(runtime);
    if (!open_keyring(runtime, needs))
        return false;
    if ((needs & SB_NEEDS_DB) != 0 && config->database_path != NULL) {
        runtime->db = sb_db_new(config->database_path, false);
        return runtime->db != NULL;
    }
    return true;
}

void sb_runtime_close(struct sb_runtime *runtime)
{
    sb_db_free(runtime->db);
    sb_keyring_free(runtime->keyring);
    sb_config_free(runtime->config);
    *runtime = (struct sb_runtime){0};
}

bool sb_worker_open(struct sb_worker *worker, struct sb_runtime *runtime)
{
    *worker = (struct sb_worker){.runtime = runtime, .arena = sb_arena_new(SB_REQUEST_ARENA_MAX)};
    return worker->arena != NULL;
}

void sb_worker_close(struct sb_worker *worker)
{
    sb_arena_free(worker->arena);
    *worker = (struct sb_worker){0};
}
