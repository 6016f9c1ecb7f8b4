#include "base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/shared_file.h"

/* The numbers of metrics are part of the layout: another table is another layout. */
enum { LAYOUT = 3 << 16 | SB_METRIC__MAX, SERIES_MAX = 1024, VALUES = 16 };
enum { LABEL_WORDS = SB_METRICS_LABELS_SIZE / 8 };

/* A place is free while its tag is 0. The tag, a keyed hash of metric and labels, is the series'
 * identity and is set by one compare-and-swap, so that no process ever waits for another and none
 * can take a second place for the same series. The name behind it is written by everyone who finds
 * it unwritten, with the same words, so that it does not matter who dies in between. */
struct series {
    _Atomic uint64_t tag;
    _Atomic uint32_t named;
    _Atomic uint32_t metric;
    _Atomic uint64_t labels[LABEL_WORDS];
    /* A counter or gauge uses value 0. A histogram: one for each bound, then beyond the last, then
     * sum. */
    _Atomic uint64_t values[VALUES];
};
_Static_assert(SB_METRICS_LABELS_SIZE % 8 == 0, "labels are whole words");

struct name {
    uint64_t metric;
    uint64_t labels[LABEL_WORDS];
};

struct file {
    struct sb_shared_header header;
    struct series series[SERIES_MAX];
};

enum kind { COUNTER, GAUGE, HISTOGRAM };
static const char *const kinds[] = {"counter", "gauge", "histogram"};

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
    [SB_METRIC_CHECKPOINTS] = {"switchboard_db_checkpoints_total", "WAL checkpoints run.", COUNTER},
    [SB_METRIC_CONNECTIONS_BAD] = {"switchboard_fastcgi_bad_connections_total",
                                   "Connections given up before a request was read.", COUNTER},
    [SB_METRIC_UPSTREAM_REQUESTS] = {"switchboard_upstream_requests_total",
                                     "Requests to other systems by outcome.", COUNTER},
    [SB_METRIC_UPSTREAM_DURATION] = {"switchboard_upstream_request_duration_seconds",
                                     "Their time from the start to the last byte, with retries.",
                                     HISTOGRAM},
    [SB_METRIC_READY_CHECKS] = {"switchboard_ready_checks_total",
                                "Checks of /api/health/ready by outcome.", COUNTER},
    [SB_METRIC_STARTS] = {"switchboard_process_starts_total", "Starts of endpoints.", COUNTER},
    [SB_METRIC_START_TIME] = {"switchboard_process_start_time_seconds",
                              "When an endpoint's youngest process started.", GAUGE},
    [SB_METRIC_CHAT_CACHE] = {"switchboard_chat_cache_total",
                              "Chats answered with the cache: hit, shared, miss.", COUNTER},
    [SB_METRIC_DROPPED] = {"switchboard_metrics_dropped_total",
                           "Counts lost because the metrics file is full.", COUNTER},
};

static const struct {
    enum sb_metric metric;
    const char *labels;
} standing[] = {
    {SB_METRIC_DROPPED, ""}, /* first: a place of its own while there is one */
    {SB_METRIC_RATE_EVICTIONS, ""},
    {SB_METRIC_WRITES, "outcome=\"ok\""},
    {SB_METRIC_WRITES, "outcome=\"refused\""},
    {SB_METRIC_WRITES, "outcome=\"failed\""},
    {SB_METRIC_WRITES, "outcome=\"late\""},
    {SB_METRIC_WRITE_BATCHES, ""},
    {SB_METRIC_CHECKPOINTS, ""},
    {SB_METRIC_CONNECTIONS_BAD, ""},
};

static const uint64_t bounds_us[] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
                                     100000, 250000, 500000, 1000000, 2500000, 10000000};
static const char *const bounds_text[] = {"0.0005", "0.001", "0.0025", "0.005", "0.01",
                                          "0.025",  "0.05",  "0.1",    "0.25",  "0.5",
                                          "1",      "2.5",   "10"};
enum { BOUNDS = SB_COUNT(bounds_us), SUM = BOUNDS + 1 };
_Static_assert(SB_COUNT(bounds_us) + 2 <= VALUES, "bounds, overflow and sum fit a series");

static struct file *_Atomic file; /* may appear late, once RUN_DIR does */

bool sb_metrics_open(const char *run_dir)
{
    file = sb_shared_file_map(run_dir, "metrics", LAYOUT, sizeof *file);
    if (file == NULL)
        return false;
    for (size_t i = 0; i < SB_COUNT(standing); i++)
        sb_metrics_add(standing[i].metric, standing[i].labels, 0);
    return true;
}

static void add_escaped(struct sb_buf *buf, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            sb_buf_add_text(buf, "\\n");
        else if (*value == '"' || *value == '\\')
            sb_buf_add_format(buf, "\\%c", *value);
        else
            sb_buf_add_char(buf, *value);
    }
}

const char *sb_metrics_labels(char text[static SB_METRICS_LABELS_SIZE],
                              const struct sb_metrics_label *labels)
{
    struct sb_buf buf;
    sb_buf_init_fixed(&buf, text, SB_METRICS_LABELS_SIZE);
    for (const struct sb_metrics_label *label = labels; label->name != NULL; label++) {
        sb_buf_add_format(&buf, "%s%s=\"", label == labels ? "" : ",", label->name);
        add_escaped(&buf, label->value);
        sb_buf_add_char(&buf, '"');
    }
    return sb_buf_ok(&buf) ? text : "overflow=\"true\"";
}

static void write_name(struct series *series, const struct name *name)
{
    atomic_store_explicit(&series->metric, (uint32_t)name->metric, memory_order_relaxed);
    for (size_t i = 0; i < LABEL_WORDS; i++)
        atomic_store_explicit(&series->labels[i], name->labels[i], memory_order_relaxed);
    atomic_store_explicit(&series->named, 1, memory_order_release);
}

/* The labels of a named series of metric; false: it is none. */
static bool read_name(struct series *series, enum sb_metric metric,
                      char labels[static SB_METRICS_LABELS_SIZE])
{
    if (atomic_load_explicit(&series->named, memory_order_acquire) == 0 ||
        atomic_load_explicit(&series->metric, memory_order_relaxed) != (uint32_t)metric)
        return false;
    for (size_t i = 0; i < LABEL_WORDS; i++) {
        uint64_t word = atomic_load_explicit(&series->labels[i], memory_order_relaxed);
        memcpy(labels + 8 * i, &word, sizeof word);
    }
    return true;
}

/* The series' place, taken for it if make is set and it has none. NULL: none, or none left. */
static struct series *find(enum sb_metric metric, const char *labels, bool make)
{
    struct name name = {.metric = metric};
    size_t length = strlen(labels);
    if (file == NULL || length >= sizeof name.labels)
        return NULL;
    memcpy(name.labels, labels, length);
    uint64_t tag = sb_siphash(file->header.key, &name, sizeof name) | 1; /* never 0 */
    for (size_t i = 0; i < SERIES_MAX; i++) {
        struct series *series = &file->series[((tag >> 1) + i) % SERIES_MAX];
        uint64_t found = atomic_load_explicit(&series->tag, memory_order_relaxed);
        if (found == 0 && !make)
            return NULL;
        if (found == 0 && atomic_compare_exchange_strong(&series->tag, &found, tag))
            found = tag;
        if (found != tag)
            continue;
        if (atomic_load_explicit(&series->named, memory_order_acquire) == 0)
            write_name(series, &name);
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

void sb_metrics_set(enum sb_metric metric, const char *labels, uint64_t value)
{
    struct series *series = find_or_drop(metric, labels);
    if (series != NULL)
        atomic_store_explicit(&series->values[0], value, memory_order_relaxed);
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

static void write_value(struct sb_buf *out, const struct family *family, const char *labels,
                        struct series *series)
{
    sb_buf_add_text(out, family->name);
    if (*labels != '\0')
        sb_buf_add_format(out, "{%s}", labels);
    sb_buf_add_format(out, " %" PRIu64 "\n", atomic_load(&series->values[0]));
}

static void write_histogram(struct sb_buf *out, const struct family *family, const char *labels,
                            struct series *series)
{
    const char *comma = *labels == '\0' ? "" : ",";
    uint64_t total = 0;
    for (size_t i = 0; i <= BOUNDS; i++) {
        total += atomic_load(&series->values[i]);
        sb_buf_add_format(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", family->name, labels,
                          comma, i < BOUNDS ? bounds_text[i] : "+Inf", total);
    }
    uint64_t sum_us = atomic_load(&series->values[SUM]);
    sb_buf_add_format(out, "%s_sum{%s} %" PRIu64 ".%06" PRIu64 "\n", family->name, labels,
                      sum_us / 1000000, sum_us % 1000000);
    sb_buf_add_format(out, "%s_count{%s} %" PRIu64 "\n", family->name, labels, total);
}

static void write_family(struct sb_buf *out, enum sb_metric metric)
{
    const struct family *family = &families[metric];
    sb_buf_add_format(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                      kinds[family->kind]);
    for (size_t i = 0; i < SERIES_MAX; i++) {
        struct series *series = &file->series[i];
        char labels[SB_METRICS_LABELS_SIZE];
        if (!read_name(series, metric, labels))
            continue;
        if (family->kind == HISTOGRAM)
            write_histogram(out, family, labels, series);
        else
            write_value(out, family, labels, series);
    }
}

/* What is no series: known without counting. */
static void write_facts(struct sb_buf *out)
{
    int64_t made_ms = file->header.made_ms;
    sb_buf_add_text(out, "# HELP switchboard_build_info The version of the program that answers.\n"
                         "# TYPE switchboard_build_info gauge\n"
                         "switchboard_build_info{version=\"" SB_VERSION "\"} 1\n");
    sb_buf_add_format(out,
                      "# HELP switchboard_metrics_start_time_seconds When counting began, with all "
                      "counters at 0.\n"
                      "# TYPE switchboard_metrics_start_time_seconds gauge\n"
                      "switchboard_metrics_start_time_seconds %" PRId64 ".%03" PRId64 "\n",
                      made_ms / 1000, made_ms % 1000);
}

void sb_metrics_write(struct sb_buf *out)
{
    if (file == NULL)
        return;
    write_facts(out);
    for (enum sb_metric metric = 0; metric < SB_METRIC__MAX; metric++)
        write_family(out, metric);
}
