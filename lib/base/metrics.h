/* Metrics of all processes together, in one mapped file of RUN_DIR (base/shared_file).
 *
 * A metric's family (name, kind, help) is a row of the table in metrics.c; a series is a family
 * with labels, made at its first use. Labels come from tables of the program (endpoint names,
 * status codes, policies), never from a client, so the number of series is bounded; should the
 * file's 1,024 places not suffice, or labels be too long, the count is lost and counted in
 * switchboard_metrics_dropped_total. A family is described even while it has no series, and series
 * known from the start stand at 0, so that a first count is seen as an increase. */
#ifndef SB_BASE_METRICS_H
#define SB_BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"

enum sb_metric {
    SB_METRIC_REQUESTS,          /* counter: endpoint, method, status */
    SB_METRIC_REQUEST_DURATION,  /* histogram in us: endpoint */
    SB_METRIC_RATE_LIMITED,      /* counter: policy */
    SB_METRIC_RATE_EVICTIONS,    /* counter */
    SB_METRIC_ORIGIN_DENIED,     /* counter: endpoint, enforced */
    SB_METRIC_AUTH_REFUSED,      /* counter: reason */
    SB_METRIC_WRITES,            /* counter: outcome */
    SB_METRIC_WRITE_BATCHES,     /* counter */
    SB_METRIC_CHECKPOINTS,       /* counter */
    SB_METRIC_CONNECTIONS_BAD,   /* counter */
    SB_METRIC_UPSTREAM_REQUESTS, /* counter: upstream, outcome */
    SB_METRIC_UPSTREAM_DURATION, /* histogram in us: upstream, outcome */
    SB_METRIC_READY_CHECKS,      /* counter: check, outcome */
    SB_METRIC_STARTS,            /* counter: endpoint */
    SB_METRIC_START_TIME,        /* gauge in s since 1970: endpoint */
    SB_METRIC_CHAT_CACHE,        /* counter: outcome */
    SB_METRIC_DROPPED,           /* counter: series that found no place */
    SB_METRIC__MAX
};

enum { SB_METRICS_LABELS_SIZE = 96 };

/* Maps the file in run_dir. Without it (false, errno) every other call is a no-op. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_metrics_open(const char *run_dir);

struct sb_metrics_label {
    const char *name, *value;
};

/* Label text for the calls below, with what must be escaped in values escaped; labels end with a
 * NULL name. Returns text. Labels that do not fit become overflow="true". */
SB_NONNULL_ALL const char *sb_metrics_labels(char text[static SB_METRICS_LABELS_SIZE],
                                             const struct sb_metrics_label *labels);

/* SB_LABELS({"endpoint", name}, {"outcome", "ok"}): their text, good until the block ends. */
#define SB_LABELS(...)                                                                             \
    sb_metrics_labels((char[SB_METRICS_LABELS_SIZE]){0},                                           \
                      (const struct sb_metrics_label[]){__VA_ARGS__, {NULL, NULL}})

/* Adds amount to a counter. labels is finished Prometheus label text such as
 * endpoint="health",status="200", or "", of less than SB_METRICS_LABELS_SIZE
 * bytes. Adding 0 makes the series. */
SB_NONNULL_ALL void sb_metrics_add(enum sb_metric metric, const char *labels, uint64_t amount);

/* Sets a gauge. */
SB_NONNULL_ALL void sb_metrics_set(enum sb_metric metric, const char *labels, uint64_t value);

/* Counts one observation of value_us microseconds in a histogram. */
SB_NONNULL_ALL void sb_metrics_observe(enum sb_metric metric, const char *labels,
                                       uint64_t value_us);

/* The value of a counter or gauge, for tests; 0 if there is none. */
SB_NONNULL_ALL SB_MUST_CHECK uint64_t sb_metrics_value(enum sb_metric metric, const char *labels);

/* Writes all series in Prometheus' text exposition format 0.0.4. */
SB_NONNULL_ALL void sb_metrics_write(struct sb_buf *out);

#endif
