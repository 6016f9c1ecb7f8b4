/* What lives as long as the process, and what lives as long as a worker. */
#ifndef SB_ENDPOINT_RUNTIME_H
#define SB_ENDPOINT_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>

#include "endpoint/endpoint.h"
#include "endpoint/gateway.h"

enum {
    SB_REQUEST_ARENA_MAX = 16 * 1024 * 1024,
    SB_WORKERS_DEFAULT = 8,
    SB_STOP_PATIENCE_MS = 5000, /* after a signal long work goes on for so long, */
    SB_STOP_DEADLINE_MS = 7000  /* and then the process ends, whatever goes on */
};

struct sb_runtime {
    const struct sb_endpoint *endpoint;
    struct sb_config *config;
    struct sb_config_problem *problems;
    bool misconfigured;
    atomic_bool counters_ok;       /* RUN_DIR's files are mapped; else it is tried again */
    pthread_mutex_t counters_lock; /* over the next two lines */
    int64_t counters_tried_us;
    bool metrics_mapped, limiter_mapped;
    struct sb_db *db;           /* NULL without SB_NEEDS_DB */
    struct sb_keyring *keyring; /* NULL without SB_NEEDS_USERS or JWT_JWKS_URL */
    int64_t started_us;
    _Atomic int64_t stop_asked_us; /* 0: nobody has */
};

struct sb_worker {
    struct sb_runtime *runtime;
    struct sb_arena *arena;
};

/* The needs an endpoint declares and those its routes imply. */
SB_NONNULL_ALL unsigned sb_endpoint_needs(const struct sb_endpoint *endpoint);

/* What is wrong with the table of an endpoint (a route without access, an unknown combination), or
 * NULL; *row is the route, from 1. Such an endpoint does not start. */
SB_NONNULL_ALL const char *sb_endpoint_flaw(const struct sb_endpoint *endpoint, int *row);

/* Loads the configuration, becomes the owner of STATE_DIR where started as root, opens log, metrics
 * and limiter, and prepares the database. A misconfiguration is logged and leaves the runtime
 * answering 503. False, with errno: out of memory, or the environment file cannot be read for the
 * moment. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_runtime_open(struct sb_runtime *runtime,
                                                  const struct sb_endpoint *endpoint);
SB_NONNULL_ALL void sb_runtime_close(struct sb_runtime *runtime);

/* Maps the counters of RUN_DIR if that has not worked so far; at most one try a second. */
SB_NONNULL_ALL void sb_runtime_map_counters(struct sb_runtime *runtime);

SB_NONNULL_ALL SB_MUST_CHECK bool sb_worker_open(struct sb_worker *worker,
                                                 struct sb_runtime *runtime);
SB_NONNULL_ALL void sb_worker_close(struct sb_worker *worker);

/* Answers one request from gateway: the whole pipeline. */
SB_NONNULL_ALL void sb_pipeline_run(struct sb_worker *worker, struct sb_gateway *gateway);

/* Serves FastCGI on the listening socket 0 until TERM, INT or USR1. False: it could not begin, or
 * not go on (logged). */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_serve_fastcgi(struct sb_runtime *runtime);

/* Prints the endpoint's description (JSON) on standard output; returns the exit status. */
SB_NONNULL_ALL int sb_describe(const struct sb_endpoint *endpoint);

/* The policy of a route as declared: its own or the default. */
SB_NONNULL_ALL struct sb_rate_policy sb_route_policy(const struct sb_route *route);

#endif
