/* GET /api/metrics: counters of all processes together, for Prometheus (text format 0.0.4). */
#include "base/metrics.h"

#include "endpoint/endpoint.h"

enum { METRICS_MAX = 4 * 1024 * 1024 };

static enum sb_error metrics(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    (void)out;
    struct sb_buf text;
    sb_buf_init(&text, request->arena, METRICS_MAX);
    sb_metrics_write(&text);
    if (!sb_buf_ok(&text) || !sb_request_counters_ok(request))
        return SB_E_UNAVAILABLE;
    /* A client that has gone is noticed and logged by the pipeline. */
    (void)!sb_request_write_body(request, text.data == NULL ? "" : text.data, text.length);
    return SB_OK;
}

const struct sb_endpoint sb_endpoint = {
    .name = "metrics",
    .routes = (const struct sb_route[]){{.methods = SB_GET,
                                         .path = "",
                                         .handler = metrics,
                                         .access = SB_ACCESS_METRICS,
                                         .reply = SB_REPLY_STREAM,
                                         .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                         .limiter_failure = SB_FAIL_OPEN,
                                         .summary = "Metrics of all processes, for Prometheus"},
                                        {.handler = NULL}},
};
