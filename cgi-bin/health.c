/* GET /api/health: for uptime monitors. /live: this process answers. /ready: what it depends on
 * works: configuration, a durable database write, room on the disk, RUN_DIR's counters. /stream:
 * two events a moment apart, by whose arrival a client sees whether something in between holds
 * them. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "endpoint/endpoint.h"

enum { CHECK_LIMIT_MS = 1000, CACHE_MS = 1000, DISK_MIN_MIB = 64, STREAM_PAUSE_MS = 300 };

struct health {
    const char *status, *version;
    int64_t time_ms, uptime_s;
};

static const struct sb_field health_fields[] = {
    SB_STRING(struct health, status, "status", 1, 16, SB_REQUIRED),
    SB_STRING(struct health, version, "version", 1, 32, SB_REQUIRED),
    SB_TIME(struct health, time_ms, "time", SB_REQUIRED),
    SB_INT(struct health, uptime_s, "uptimeSeconds", 0, INT64_MAX, SB_REQUIRED), SB_FIELDS_END};

static enum sb_error health(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    *(struct health *)out = (struct health){.status = "ok",
                                            .version = SB_VERSION,
                                            .time_ms = request->now_ms,
                                            .uptime_s = sb_request_uptime_s(request)};
    return SB_OK;
}

struct live {
    const char *status;
};

static const struct sb_field live_fields[] = {
    SB_STRING(struct live, status, "status", 1, 16, SB_REQUIRED), SB_FIELDS_END};

static enum sb_error live(struct sb_request *request, const void *in, void *out)
{
    (void)request;
    (void)in;
    *(struct live *)out = (struct live){"live"};
    return SB_OK;
}

struct check {
    const char *status; /* "ok" or "fail": what is wrong stands in the log */
    int64_t duration_ms;
};

struct ready {
    struct check configuration, database, disk, counters;
};

static const struct sb_field check_fields[] = {
    SB_STRING(struct check, status, "status", 1, 16, SB_REQUIRED),
    SB_INT(struct check, duration_ms, "durationMs", 0, INT64_MAX, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field checks_fields[] = {
    SB_OBJECT(struct ready, configuration, "configuration", check_fields),
    SB_OBJECT(struct ready, database, "database", check_fields),
    SB_OBJECT(struct ready, disk, "disk", check_fields),
    SB_OBJECT(struct ready, counters, "counters", check_fields), SB_FIELDS_END};

struct ready_output {
    const char *status;
    struct ready checks;
};
static const struct sb_field ready_fields[] = {
    SB_STRING(struct ready_output, status, "status", 1, 16, SB_REQUIRED),
    SB_OBJECT(struct ready_output, checks, "checks", checks_fields), SB_FIELDS_END};

/* Whatever is set must be sound, whichever endpoint it is for. What is not set at all is found by
 * `switchboard check`, which asks the installed endpoints what they need. */
static bool configuration_ok(struct sb_request *request)
{
    const struct sb_config_problem *problem =
        sb_config_blocking(sb_request_config_problems(request), SB_NEEDS_ALL);
    if (problem == NULL)
        return true;
    SB_LOG(SB_LOG_WARN, "ready.configuration", request->trace_id,
           SB_LOG_TEXT("variable", problem->variable), SB_LOG_TEXT("reason", problem->message));
    return false;
}

static enum sb_error touch(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx,
                      "INSERT INTO probe (id, at) VALUES (1, $1) "
                      "ON CONFLICT (id) DO UPDATE SET at = excluded.at",
                      SB_DB_VALUES(SB_DB_INT(sb_clock_now_ms())), NULL);
}

/* The durable write runs in a thread of its own: one that hangs on a slow disk may not be given up
 * half-way, but nobody who asks waits for it longer than a second. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct sb_db *db;
    bool running, ok;
} probe = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static void *write_probe(void *context)
{
    (void)context;
    bool ok = sb_db_write(probe.db, touch, NULL, CHECK_LIMIT_MS) == SB_OK;
    pthread_mutex_lock(&probe.lock);
    probe.ok = ok;
    probe.running = false;
    pthread_cond_broadcast(&probe.ended);
    pthread_mutex_unlock(&probe.lock);
    return NULL;
}

static bool start_probe(struct sb_db *db)
{
    pthread_t thread;
    probe.db = db;
    probe.running = pthread_create(&thread, NULL, write_probe, NULL) == 0;
    return probe.running && pthread_detach(thread) == 0;
}

static bool database_ok(struct sb_request *request)
{
    struct timespec deadline = sb_clock_deadline(CHECK_LIMIT_MS);
    int waited = 0;
    pthread_mutex_lock(&probe.lock);
    bool started = probe.running || start_probe(sb_request_db(request));
    while (probe.running && waited == 0)
        waited = pthread_cond_clockwait(&probe.ended, &probe.lock, CLOCK_MONOTONIC, &deadline);
    bool ok = started && !probe.running && probe.ok;
    pthread_mutex_unlock(&probe.lock);
    return ok;
}

static bool disk_ok(struct sb_request *request)
{
    struct statvfs fs;
    bool ok = statvfs(request->config->state_dir, &fs) == 0 &&
              (uint64_t)fs.f_bavail * fs.f_frsize >= (uint64_t)DISK_MIN_MIB * 1024 * 1024;
    if (!ok)
        SB_LOG(SB_LOG_WARN, "ready.disk", request->trace_id, SB_LOG_TEXT("variable", "STATE_DIR"),
               SB_LOG_INT("neededMiB", DISK_MIN_MIB));
    return ok;
}

static bool counters_ok(struct sb_request *request)
{
    return sb_request_counters_ok(request); /* the runtime logs why not */
}

static void run(struct sb_request *request, const char *name, bool (*check)(struct sb_request *),
                struct check *result)
{
    int64_t start_us = sb_clock_mono_us();
    bool ok = check(request);
    int64_t duration_ms = (sb_clock_mono_us() - start_us) / 1000;
    ok = ok && duration_ms <= CHECK_LIMIT_MS;
    *result = (struct check){ok ? "ok" : "fail", duration_ms};
    /* Both from the start, so that a first failure is seen as an increase. */
    sb_metrics_add(SB_METRIC_READY_CHECKS, SB_LABELS({"check", name}, {"outcome", "ok"}), ok);
    sb_metrics_add(SB_METRIC_READY_CHECKS, SB_LABELS({"check", name}, {"outcome", "fail"}), !ok);
}

/* The last report: monitors that ask more often than once a second share it. */
static struct {
    pthread_mutex_t lock;
    struct ready report;
    int64_t made_us; /* 0: never */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum sb_error ready(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    struct ready_output *output = out;
    pthread_mutex_lock(&cache.lock);
    if (cache.made_us == 0 || sb_clock_mono_us() - cache.made_us >= (int64_t)CACHE_MS * 1000) {
        run(request, "configuration", configuration_ok, &cache.report.configuration);
        run(request, "database", database_ok, &cache.report.database);
        run(request, "disk", disk_ok, &cache.report.disk);
        run(request, "counters", counters_ok, &cache.report.counters);
        cache.made_us = sb_clock_mono_us();
    }
    output->checks = cache.report;
    pthread_mutex_unlock(&cache.lock);
    bool ok = strcmp(output->checks.configuration.status, "ok") == 0 &&
              strcmp(output->checks.database.status, "ok") == 0 &&
              strcmp(output->checks.disk.status, "ok") == 0 &&
              strcmp(output->checks.counters.status, "ok") == 0;
    if (ok) /* in the report of an error `status` is the HTTP status (RFC 9457) */
        output->status = "ready";
    return ok ? SB_OK : SB_E_UNAVAILABLE;
}

/* An event (WHATWG HTML, section 9.2), pushed out at once. */
static bool send_event(struct sb_request *request, const char *name)
{
    char time[SB_CLOCK_TEXT_SIZE], text[128];
    sb_clock_format(sb_clock_now_ms(), time);
    int length = snprintf(text, sizeof text, "event: %s\ndata: {\"time\":\"%s\"}\n\n", name, time);
    return sb_request_write_body(request, text, (size_t)length) && sb_request_flush(request);
}

static enum sb_error stream(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    (void)out;
    if (!send_event(request, "first"))
        return SB_OK; /* nobody is there any more */
    poll(NULL, 0, STREAM_PAUSE_MS);
    (void)!send_event(request, "second");
    return SB_OK;
}

#define HEALTH_LIMIT .limit = {"health", 300, 60}, .limiter_failure = SB_FAIL_OPEN

const struct sb_endpoint sb_endpoint = {
    .name = "health",
    .aliases = (const char *const[]){"/api/health.php", NULL},
    .routes =
        (const struct sb_route[]){
            {.methods = SB_GET,
             .path = "",
             .handler = health,
             .access = SB_ACCESS_PUBLIC,
             SB_OUTPUT(struct health, health_fields),
             HEALTH_LIMIT,
             .summary = "Whether the site's API is up, its version and time"},
            {.methods = SB_GET,
             .path = "/live",
             .handler = live,
             .access = SB_ACCESS_PUBLIC,
             SB_OUTPUT(struct live, live_fields),
             HEALTH_LIMIT,
             .summary = "Whether this process answers"},
            {.methods = SB_GET,
             .path = "/ready",
             .handler = ready,
             .access = SB_ACCESS_PUBLIC,
             SB_OUTPUT(struct ready_output, ready_fields),
             HEALTH_LIMIT,
             .report_errors = true,
             .errors = SB_ERRORS(SB_E_UNAVAILABLE),
             .summary = "Whether configuration, database and disk are as they must be"},
            {.methods = SB_GET,
             .path = "/stream",
             .handler = stream,
             .access = SB_ACCESS_PUBLIC,
             .reply = SB_REPLY_STREAM,
             .content_type = "text/event-stream",
             /* Each holds a worker for its pause. */
             .limit = {"health-stream", 10, 60},
             .summary = "Two events 300 ms apart, to see whether a proxy holds events back"},
            {.handler = NULL}},
    .needs = SB_NEEDS_DB,
};
