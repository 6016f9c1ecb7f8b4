/* The WebSocket proxy of older clients. A FastCGI program cannot carry WebSockets, and WebRTC with
 * a client secret replaces it: this says so, for good, to whoever still asks. */
#include "endpoint/endpoint.h"

static enum sb_error gone(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    (void)out;
    sb_request_explain(request, "There is no WebSocket proxy. Get a client secret from "
                                "POST /api/realtime/token and connect by WebRTC.");
    return SB_E_GONE;
}

const struct sb_endpoint sb_endpoint = {
    .name = "realtime-websocket",
    .aliases = (const char *const[]){"/api/realtime-websocket.php", NULL},
    .routes = (const struct sb_route[]){{.methods = SB_ANY,
                                         .path = "",
                                         .handler = gone,
                                         .access = SB_ACCESS_PUBLIC,
                                         .limiter_failure = SB_FAIL_OPEN,
                                         /* Whatever it is sent is not read. */
                                         .body = SB_BODY_STREAM,
                                         .body_max = INT64_MAX,
                                         .always_fails = true,
                                         .errors = SB_ERRORS(SB_E_GONE),
                                         .summary = "Gone: use WebRTC with a client secret"},
                                        {.handler = NULL}},
};
