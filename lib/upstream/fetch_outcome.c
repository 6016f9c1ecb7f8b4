#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/json.h"
#include "upstream/fetch_internal.h"

static const struct meaning {
    const char *name;
    enum sb_error error;
} meanings[SB_FETCH_OUTCOME__MAX] = {
    [SB_FETCH_RUNNING] = {"running", SB_OK},
    [SB_FETCH_OK] = {"ok", SB_OK},
    [SB_FETCH_STATUS] = {"status", SB_E_UPSTREAM_ERROR},
    [SB_FETCH_UNREACHABLE] = {"unreachable", SB_E_UPSTREAM_ERROR},
    [SB_FETCH_FORBIDDEN] = {"forbidden", SB_E_UPSTREAM_ERROR},
    [SB_FETCH_UNTRUSTED] = {"untrusted", SB_E_UPSTREAM_ERROR},
    [SB_FETCH_BROKEN] = {"broken", SB_E_UPSTREAM_ERROR},
    [SB_FETCH_TOO_LARGE] = {"too_large", SB_E_UPSTREAM_ERROR},
    [SB_FETCH_TIMEOUT] = {"timeout", SB_E_UPSTREAM_TIMEOUT},
    [SB_FETCH_CANCELLED] = {"cancelled", SB_E_INTERNAL},
    [SB_FETCH_NO_MEMORY] = {"no_memory", SB_E_UNAVAILABLE},
};

const char *sb_fetch_outcome_name(enum sb_fetch_outcome outcome)
{
    return meanings[outcome].name;
}

/* What libcurl says where none of our callbacks ended the attempt. */
static enum sb_fetch_outcome outcome_of_code(const struct sb_fetch_call *call, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return call->result.status >= 200 && call->result.status < 300 ? SB_FETCH_OK
                                                                       : SB_FETCH_STATUS;
    case CURLE_OPERATION_TIMEDOUT:
        return SB_FETCH_TIMEOUT;
    case CURLE_OUT_OF_MEMORY: /* also what libcurl calls a header line above its own cap */
        return call->heard_us != 0 && call->taken == 0 && call->body.length == 0
                   ? SB_FETCH_TOO_LARGE
                   : SB_FETCH_NO_MEMORY;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        return SB_FETCH_UNTRUSTED;
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return SB_FETCH_UNREACHABLE;
    default:
        return SB_FETCH_BROKEN;
    }
}

enum sb_fetch_outcome sb_fetch_outcome_of(const struct sb_fetch_call *call, CURLcode code)
{
    if (call->cancelled)
        return SB_FETCH_CANCELLED;
    if (call->broken != 0)
        return call->broken;
    if (call->body_cut)
        return SB_FETCH_STATUS;
    if (call->forbidden && code == CURLE_COULDNT_CONNECT)
        return SB_FETCH_FORBIDDEN;
    return outcome_of_code(call, code);
}

/* text if it looks like a code or an id, else "": it goes into the log. */
static void copy_code(char copy[static SB_FETCH_CODE_SIZE], const char *text)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_.:-";
    size_t length = text == NULL ? 0 : strspn(text, chars);
    copy[0] = '\0';
    if (length > 0 && length < SB_FETCH_CODE_SIZE && text[length] == '\0')
        memcpy(copy, text, length + 1);
}

static void read_code(struct sb_fetch_result *result)
{
    json_t *body =
        result->body == NULL ? NULL : sb_json_parse_object(result->body, result->body_length);
    const json_t *code = json_object_get(json_object_get(body, "error"), "code");
    if (!json_is_string(code))
        code = json_object_get(json_object_get(body, "detail"), "status");
    copy_code(result->code, json_string_value(code));
    json_decref(body);
    if (result->code[0] == '\0')
        snprintf(result->code, sizeof result->code, "%d", result->status);
}

void sb_fetch_outcome_read(struct sb_fetch_call *call, enum sb_fetch_outcome outcome)
{
    struct sb_fetch_result *result = &call->result;
    bool good = result->status >= 200 && result->status < 300;
    bool collected =
        outcome == SB_FETCH_STATUS || (outcome == SB_FETCH_OK && call->request.sink == NULL);
    if (collected) {
        result->body = call->body.data == NULL ? "" : call->body.data;
        result->body_length = call->body.length;
    }
    copy_code(result->request_id, sb_fetch_header(result, "x-request-id"));
    if (result->status != 0 && !good)
        read_code(result);
    result->error = meanings[outcome].error;
}

void sb_fetch_outcome_tell(const struct sb_fetch_call *call, const char *reason)
{
    const struct sb_fetch_result *result = &call->result;
    const char *outcome = sb_fetch_outcome_name(result->outcome);
    int64_t duration_us = sb_clock_mono_us() - call->started_us;
    enum sb_log_level level = result->outcome == SB_FETCH_OK ? SB_LOG_INFO : SB_LOG_WARN;
    const char *labels = SB_LABELS({"upstream", call->request.upstream}, {"outcome", outcome});
    sb_metrics_add(SB_METRIC_UPSTREAM_REQUESTS, labels, 1);
    sb_metrics_observe(SB_METRIC_UPSTREAM_DURATION, labels, (uint64_t)duration_us);
    SB_LOG(level, "upstream.fetch", call->request.trace_id,
           SB_LOG_TEXT("upstream", call->request.upstream), SB_LOG_TEXT("outcome", outcome),
           SB_LOG_TEXT("reason", reason), SB_LOG_INT("status", result->status),
           SB_LOG_TEXT("upstreamCode", result->code),
           SB_LOG_TEXT("upstreamRequestId", result->request_id),
           SB_LOG_INT("attempts", result->attempts), SB_LOG_INT("bytesSent", call->sent),
           SB_LOG_INT("bytesReceived", call->received), SB_LOG_INT("durationUs", duration_us));
}
