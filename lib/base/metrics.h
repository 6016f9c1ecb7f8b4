/* Metrics of all processes together, in one mapped file of RUN_DIR (base/shared_file).
 *
 * A metric's family (name, kind, help) is a row of the table in metrics.c; a series is a family
 * with labels, made at its first use. Labels come from tables of the program (endpoint names,
 * status codes, policies), never from a client, so the number of series is bounded; should the
 * file's 1,024 places not suffice, or labels be too long, the count is lost and counted in
 * switchboard_metrics_dropped_total. */
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
    SB_METRIC_CONNECTIONS_BAD,   /* counter: reason */
    SB_METRIC_UPSTREAM_REQUESTS, /* counter: upstream, outcome */
    SB_METRIC_UPSTREAM_DURATION, /* histogram in us: upstream, outcome */
    SB_METRIC_DROPPED,           /* counter: series that found no place */
    SB_METRIC__MAX
};

enum { SB_METRICS_LABELS_SIZE = 96 };

/* Maps the file in run_dir. Without it (false, errno) every other call is a no-op. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_metrics_open(const char *run_dir);

/* Adds amount to a counter. labels is finished Prometheus label text such as
 * endpoint="health",status="200", or "", of less than SB_METRICS_LABELS_SIZE
 * bytes. */
SB_NONNULL_ALL void sb_metrics_add(enum sb_metric metric, const char *labels, uint64_t amount);

/* Counts one observation of value_us microseconds in a histogram. */
SB_NONNULL_ALL void sb_metrics_observe(enum sb_metric metric, const char *labels,
                                       uint64_t value_us);

/* The value of a counter, for tests; 0 if it was never counted. */
SB_NONNULL_ALL SB_MUST_CHECK uint64_t sb_metrics_value(enum sb_metric metric, const char *labels);

/* Writes all series in Prometheus' text exposition format 0.0.4. */
SB_NONNULL_ALL void sb_metrics_write(struct sb_buf *out);

#endif
