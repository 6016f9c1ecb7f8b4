#include <stdio.h>
#include <string.h>

#include "access/audit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "endpoint/pipeline.h"
#include "http/error_response.h"
#include "http/output_encoder.h"
#include "http/sse.h"

enum {
    LAST_RESORT_HEAD_MAX = 2048,
    LAST_RESORT_BODY_MAX = 1024,
    CLIENT_GONE = 499,                 /* nginx's status for it, in log and metrics alone */
    EVENT_FRAME = SB_SSE_NAME_MAX + 32 /* bytes of an event besides its data */
};

int sb_success_status(const struct sb_route *route, const void *output)
{
    if (route->created == 0)
        return route->status == 0 ? 200 : route->status;
    return *(const bool *)((const char *)output + route->created - 1) ? 201 : 200;
}

static const char *stream_type(const struct sb_pipeline *p)
{
    return p->content_type != NULL ? p->content_type : p->route->content_type;
}

static void write_success(struct sb_pipeline *p)
{
    struct sb_response *response = &p->response;
    if (p->route->reply == SB_REPLY_STREAM) { /* of nothing: the handler wrote none of it */
        sb_response_header(response, "Content-Type", stream_type(p));
        return;
    }
    response->status = sb_success_status(p->route, p->output);
    sb_response_header(response, "Content-Type", "application/json");
    sb_buf_add_text(&response->body, "{\"success\":true");
    if (p->route->output != NULL)
        sb_output_members(&response->body, p->route->output, p->output);
    sb_json_key(&response->body, "traceId");
    sb_json_string(&response->body, p->trace_id);
    sb_json_close(&response->body, '}');
}

/* RFC 6750 section 3: a missing credential gets no error code, a refused one does. */
static void add_challenge(struct sb_pipeline *p)
{
    if (p->head.authorization == NULL) {
        sb_response_header(&p->response, "WWW-Authenticate", "Bearer realm=\"switchboard\"");
        return;
    }
    sb_response_header(&p->response, "WWW-Authenticate",
                       "Bearer realm=\"switchboard\", error=\"invalid_token\"");
    if (p->message == NULL)
        p->message = "The bearer token was refused.";
}

static void write_error(struct sb_pipeline *p, enum sb_error error)
{
    struct sb_buf members;
    sb_buf_init(&members, p->request.arena, SB_RESPONSE_BODY_MAX);
    if (error == SB_E_UNAUTHENTICATED)
        add_challenge(p);
    if (error == SB_E_METHOD_NOT_ALLOWED) {
        char allow[64];
        sb_allow_list(p->allow, allow, sizeof allow);
        sb_response_header(&p->response, "Allow", allow);
    }
    if (p->route != NULL && p->route->report_errors && p->output != NULL)
        sb_output_members(&members, p->route->output, p->output);
    bool fields = error == SB_E_VALIDATION_FAILED && p->field_errors.count > 0;
    sb_error_response_write(&p->response, &(struct sb_error_response){
                                              .error = error,
                                              .message = p->message,
                                              .trace_id = p->trace_id,
                                              .accept = p->head.accept,
                                              .fields = fields ? &p->field_errors : NULL,
                                              .members = sb_buf_ok(&members) ? members.data : NULL,
                                          });
}

/* One finished text, one write. False: it did not fit, nothing was written. */
static bool send_response(struct sb_pipeline *p, struct sb_response *response, struct sb_buf *out)
{
    sb_response_header_format(response, "Content-Length", "%zu", response->body.length);
    sb_response_write_head(response, out);
    if (p->head.method != SB_HEAD && response->body.length > 0)
        sb_buf_add(out, response->body.data, response->body.length);
    if (!sb_buf_ok(out) || !sb_buf_ok(&response->body))
        return false;
    p->stream_broken = !p->gateway->write(p->gateway->state, out->data, out->length);
    return true;
}

/* When not even the error fits into the arena: a 503 from the stack, with all that every answer
 * has. It fits, for what is a client's in it, the origin, is one of the configuration's. */
static bool send_last_resort(struct sb_pipeline *p)
{
    char head[LAST_RESORT_HEAD_MAX], body[LAST_RESORT_BODY_MAX];
    char text[LAST_RESORT_HEAD_MAX + LAST_RESORT_BODY_MAX];
    struct sb_response response = {.status = 503};
    struct sb_buf out;
    sb_buf_init_fixed(&response.head, head, sizeof head);
    sb_buf_init_fixed(&response.body, body, sizeof body);
    sb_buf_init_fixed(&out, text, sizeof text);
    sb_standing_headers_add(p, &response);
    sb_error_response_write(
        &response, &(struct sb_error_response){.error = SB_E_UNAVAILABLE, .trace_id = p->trace_id});
    p->response.status = response.status;
    return send_response(p, &response, &out);
}

static void send(struct sb_pipeline *p)
{
    struct sb_buf out;
    sb_buf_init(&out, p->request.arena, SB_RESPONSE_HEAD_MAX + SB_RESPONSE_BODY_MAX);
    if (!send_response(p, &p->response, &out) && !send_last_resort(p))
        p->stream_broken = true;
}

static void audit(struct sb_pipeline *p, enum sb_error error)
{
    bool refused = error == SB_E_UNAUTHENTICATED || error == SB_E_FORBIDDEN ||
                   error == SB_E_ORIGIN_DENIED || error == SB_E_RATE_LIMITED;
    const char *action = p->route != NULL ? p->route->audit : NULL;
    if (action == NULL && !refused)
        return;
    if (action == NULL)
        action = "request.refused";
    sb_audit_write(&(struct sb_audit){.action = action,
                                      .outcome = sb_error_info(error)->code,
                                      .trace_id = p->trace_id,
                                      .user_id = p->request.principal.user_id,
                                      .address = p->address_text,
                                      .user_agent = p->head.user_agent,
                                      .object = p->audit_object,
                                      .conversation_id = p->audit_conversation_id,
                                      .expires_at_ms = p->audit_expires_at_ms,
                                      .data_sha256 = p->body_length > 0 ? sb_body_hash(p) : NULL,
                                      .reason = p->refusal});
}

/* The route as the tables write it: nothing a client made up reaches log or metrics. */
static const char *route_text(const struct sb_pipeline *p)
{
    return p->route == NULL ? "" : p->route->path;
}

static void count(const struct sb_pipeline *p, int64_t duration_us)
{
    const char *endpoint = p->worker->runtime->endpoint->name;
    const char *method = sb_method_name(p->head.method);
    char status[12];
    snprintf(status, sizeof status, "%d", p->response.status);
    sb_metrics_add(SB_METRIC_REQUESTS,
                   SB_LABELS({"endpoint", endpoint}, {"method", *method == '\0' ? "OTHER" : method},
                             {"status", status}),
                   1);
    sb_metrics_observe(SB_METRIC_REQUEST_DURATION, SB_LABELS({"endpoint", endpoint}),
                       (uint64_t)duration_us);
}

static void record(struct sb_pipeline *p, enum sb_error error)
{
    int64_t duration_us = sb_clock_mono_us() - p->started_us;
    count(p, duration_us);
    audit(p, error);
    SB_LOG(p->response.status >= 500 ? SB_LOG_ERROR : SB_LOG_INFO, "request", p->trace_id,
           SB_LOG_TEXT("method", sb_method_name(p->head.method)),
           SB_LOG_TEXT("route", route_text(p)), SB_LOG_INT("status", p->response.status),
           SB_LOG_TEXT("code", sb_error_info(error)->code), SB_LOG_INT("durationUs", duration_us),
           SB_LOG_TEXT("client", p->stream_broken ? "gone" : "ok"));
}

void sb_answer(struct sb_pipeline *p, enum sb_error error)
{
    /* Work ends for want of a listener: nobody is told, and no service has failed. */
    bool left = error == SB_E_UNAVAILABLE && p->gateway->gone(p->gateway->state);
    if (error == SB_OK && p->stream_broken && !p->streaming) /* there was no room for its head */
        error = SB_E_UNAVAILABLE;
    if (p->streaming) {
        if (error != SB_OK) /* too late to tell the client anything but the end */
            p->response.status = sb_error_info(error)->status;
    } else {
        if (error != SB_OK)
            write_error(p, error);
        else if (!p->answered)
            write_success(p);
        send(p);
    }
    p->stream_broken = !p->gateway->end(p->gateway->state) || p->stream_broken;
    if (left)
        p->response.status = CLIENT_GONE;
    record(p, error);
}

bool sb_request_write_body(struct sb_request *request, const void *data, size_t size)
{
    struct sb_pipeline *p = request->pipeline;
    if (p->stream_broken)
        return false;
    if (!p->streaming) {
        struct sb_buf head;
        sb_buf_init(&head, request->arena, SB_RESPONSE_HEAD_MAX);
        sb_response_header(&p->response, "Content-Type", stream_type(p));
        sb_response_header(&p->response, "X-Accel-Buffering", "no"); /* nginx */
        sb_response_write_head(&p->response, &head);
        p->streaming = sb_buf_ok(&head);
        p->stream_broken =
            !p->streaming || !p->gateway->write(p->gateway->state, head.data, head.length);
    }
    bool send_it = !p->stream_broken && p->head.method != SB_HEAD && size > 0;
    if (send_it && !p->gateway->write(p->gateway->state, data, size))
        p->stream_broken = true;
    return !p->stream_broken;
}

bool sb_request_flush(struct sb_request *request)
{
    struct sb_pipeline *p = request->pipeline;
    p->stream_broken = p->stream_broken || !p->gateway->flush(p->gateway->state);
    return !p->stream_broken;
}

bool sb_request_begun(const struct sb_request *request)
{
    return request->pipeline->streaming;
}

/* Each is pushed out at once. */
static bool send_events(struct sb_request *request, const struct sb_buf *events)
{
    sb_request_content_type(request, "text/event-stream");
    return sb_buf_ok(events) && sb_request_write_body(request, events->data, events->length) &&
           sb_request_flush(request);
}

bool sb_request_write_event(struct sb_request *request, const char *name, const struct sb_buf *data)
{
    struct sb_buf event;
    if (!sb_buf_ok(data))
        return false;
    sb_buf_init(&event, NULL, data->length + EVENT_FRAME);
    sb_sse_write(&event, name, data->data, 0);
    bool sent = send_events(request, &event);
    sb_buf_free(&event);
    return sent;
}

bool sb_request_write_ping(struct sb_request *request)
{
    char text[EVENT_FRAME];
    struct sb_buf ping;
    sb_buf_init_fixed(&ping, text, sizeof text);
    sb_sse_ping(&ping);
    return send_events(request, &ping);
}

bool sb_request_write_error_event(struct sb_request *request, enum sb_error error)
{
    const char *message = request->pipeline->message;
    struct sb_buf data, event; /* in the arena, which may have room where the heap has none */
    sb_buf_init(&data, request->arena, SB_RESPONSE_BODY_MAX);
    sb_buf_init(&event, request->arena, SB_RESPONSE_BODY_MAX);
    sb_json_open(&data, '{');
    sb_json_key(&data, "error");
    sb_json_open(&data, '{');
    sb_json_key(&data, "code");
    sb_json_string(&data, sb_error_info(error)->code);
    sb_json_key(&data, "message");
    sb_json_string(&data, message != NULL ? message : sb_error_info(error)->message);
    sb_json_close(&data, '}');
    sb_json_key(&data, "traceId");
    sb_json_string(&data, request->trace_id);
    sb_json_close(&data, '}');
    if (sb_buf_ok(&data))
        sb_sse_write(&event, "error", data.data, 0);
    return sb_buf_ok(&data) && send_events(request, &event);
}

bool sb_request_gone(struct sb_request *request)
{
    struct sb_pipeline *p = request->pipeline;
    return p->stream_broken || p->gateway->gone(p->gateway->state);
}

void sb_request_content_type(struct sb_request *request, const char *type)
{
    request->pipeline->content_type = type;
}

void sb_request_header(struct sb_request *request, const char *name, const char *value)
{
    sb_response_header(&request->pipeline->response, name, value);
}
