#include "base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/shared_file.h"

enum { LAYOUT = 1, SERIES_MAX = 1024, VALUES = 16 };
enum state { FREE, CLAIMED, READY };

struct series {
    _Atomic uint32_t state;
    uint32_t metric;
    char labels[SB_METRICS_LABELS_SIZE];
    /* A counter uses value 0. A histogram: one for each bound, then beyond the last, then sum. */
    _Atomic uint64_t values[VALUES];
};

struct file {
    struct sb_shared_header header;
    struct series series[SERIES_MAX];
};

enum kind { COUNTER, HISTOGRAM };

static const struct family {
    const char *name, *help;
    enum kind kind;
} families[SB_METRIC__MAX] = {
    [SB_METRIC_REQUESTS] = {"switchboard_http_requests_total", "Requests answered.", COUNTER},
    [SB_METRIC_REQUEST_DURATION] = {"switchboard_http_request_duration_seconds",
                                    "Time from accepting a request to its last byte.", HISTOGRAM},
    [SB_METRIC_RATE_LIMITED] = {"switchboard_rate_limited_total",
                                "Requests refused by a rate limit.", COUNTER},
    [SB_METRIC_RATE_EVICTIONS] = {"switchboard_rate_limit_evictions_total",
                                  "Live rate-limit counters that had to give way.", COUNTER},
    [SB_METRIC_ORIGIN_DENIED] = {"switchboard_origin_denied_total",
                                 "Requests from an origin that is not allowed.", COUNTER},
    [SB_METRIC_AUTH_REFUSED] = {"switchboard_auth_refused_total", "Credentials refused.", COUNTER},
    [SB_METRIC_WRITES] = {"switchboard_db_writes_total", "Database writes by outcome.", COUNTER},
    [SB_METRIC_WRITE_BATCHES] = {"switchboard_db_write_batches_total",
                                 "Commits; writes that wait together share one.", COUNTER},
    [SB_METRIC_CHECKPOINTS] = {"switchboard_db_checkpoints_total", "WAL checkpoints run.",
                               COUNTER},
    [SB_METRIC_CONNECTIONS_BAD] = {"switchboard_fastcgi_bad_connections_total",
                                   "Connections given up before a request was read.", COUNTER},
    [SB_METRIC_DROPPED] = {"switchboard_metrics_dropped_total",
                           "Counts lost because the metrics file is full.", COUNTER},
};

static const uint64_t bounds_us[] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
                                     100000, 250000, 500000, 1000000, 2500000, 10000000};
static const char *const bounds_text[] = {"0.0005", "0.001", "0.0025", "0.005", "0.01",
                                          "0.025",  "0.05",  "0.1",    "0.25",  "0.5",
                                          "1",      "2.5",   "10"};
enum { BOUNDS = SB_COUNT(bounds_us), SUM = BOUNDS + 1 };
_Static_assert(SB_COUNT(bounds_us) + 2 <= VALUES, "bounds, overflow and sum fit a series");

static struct file *file;

bool sb_metrics_open(const char *run_dir)
{
    file = sb_shared_file_map(run_dir, "metrics", LAYOUT, sizeof *file);
    return file != NULL;
}

/* Waits for the process that claimed a place to name it. It is a copy of 96 bytes away; one that
 * died in between leaves the place unused for ever. */
static bool ready(struct series *series)
{
    for (int spin = 0; spin < 10000; spin++) {
        if (atomic_load_explicit(&series->state, memory_order_acquire) == READY)
            return true;
    }
    return false;
}

static bool claim(struct series *series, enum sb_metric metric, const char *labels, size_t length)
{
    uint32_t expected = FREE;
    if (!atomic_compare_exchange_strong(&series->state, &expected, CLAIMED))
        return false;
    series->metric = metric;
    memcpy(series->labels, labels, length + 1);
    atomic_store_explicit(&series->state, READY, memory_order_release);
    return true;
}

static struct series *find(enum sb_metric metric, const char *labels, bool make)
{
    size_t length = strlen(labels);
    if (file == NULL || length >= SB_METRICS_LABELS_SIZE)
        return NULL;
    uint64_t hash = sb_siphash(file->header.key, labels, length) + (uint64_t)metric * 40503;
    for (size_t i = 0; i < SERIES_MAX; i++) {
        struct series *series = &file->series[(hash + i) % SERIES_MAX];
        if (atomic_load_explicit(&series->state, memory_order_acquire) == FREE) {
            if (!make)
                return NULL;
            if (claim(series, metric, labels, length))
                return series;
        }
        if (ready(series) && series->metric == (uint32_t)metric &&
            strcmp(series->labels, labels) == 0)
            return series;
    }
    return NULL;
}

static void count(struct series *series, size_t value, uint64_t amount)
{
    atomic_fetch_add_explicit(&series->values[value], amount, memory_order_relaxed);
}

static struct series *find_or_drop(enum sb_metric metric, const char *labels)
{
    struct series *series = find(metric, labels, true);
    if (series == NULL && metric != SB_METRIC_DROPPED)
        sb_metrics_add(SB_METRIC_DROPPED, "", 1);
    return series;
}

void sb_metrics_add(enum sb_metric metric, const char *labels, uint64_t amount)
{
    struct series *series = find_or_drop(metric, labels);
    if (series != NULL)
        count(series, 0, amount);
}

void sb_metrics_observe(enum sb_metric metric, const char *labels, uint64_t value_us)
{
    struct series *series = find_or_drop(metric, labels);
    if (series == NULL)
        return;
    size_t bound = 0;
    while (bound < BOUNDS && value_us > bounds_us[bound])
        bound++;
    count(series, bound, 1);
    count(series, SUM, value_us);
}

uint64_t sb_metrics_value(enum sb_metric metric, const char *labels)
{
    struct series *series = find(metric, labels, false);
    return series == NULL ? 0 : atomic_load(&series->values[0]);
}

static void write_counter(struct sb_buf *out, const struct family *family, struct series *series)
{
    sb_buf_add_text(out, family->name);
    if (series->labels[0] != '\0')
        sb_buf_add_format(out, "{%s}", series->labels);
    sb_buf_add_format(out, " %" PRIu64 "\n", atomic_load(&series->values[0]));
}

static void write_histogram(struct sb_buf *out, const struct family *family,
                            struct series *series)
{
    const char *comma = series->labels[0] == '\0' ? "" : ",";
    uint64_t total = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        total += atomic_load(&series->values[i]);
        sb_buf_add_format(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", family->name,
                          series->labels, comma, i < BOUNDS ? bounds_text[i] : "+Inf", total);
    }
    uint64_t sum_us = atomic_load(&series->values[SUM]);
    sb_buf_add_format(out, "%s_sum{%s} %" PRIu64 ".%06" PRIu64 "\n", family->name, series->labels,
                      sum_us / 1000000, sum_us % 1000000);
    sb_buf_add_format(out, "%s_count{%s} %" PRIu64 "\n", family->name, series->labels, total);
}

static void write_family(struct sb_buf *out, enum sb_metric metric)
{
    const struct family *family = &families[metric];
    bool headed = false;
    for (size_t i = 0; i < SERIES_MAX; i++) {
        struct series *series = &file->series[i];
        if (atomic_load_explicit(&series->state, memory_order_acquire) != READY ||
            series->metric != (uint32_t)metric)
            continue;
        if (!headed)
            sb_buf_add_format(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help,
                              family->name, family->kind == COUNTER ? "counter" : "histogram");
        headed = true;
        if (family->kind == COUNTER)
            write_counter(out, family, series);
        else
            write_histogram(out, family, series);
    }
}

void sb_metrics_write(struct sb_buf *out)
{
    if (file == NULL)
        return;
    for (enum sb_metric metric = 0; metric < SB_METRIC__MAX; metric++)
        write_family(out, metric);
}
