/* Everything below /api that no endpoint owns: the web servers send it here, so that every miss is
 * our JSON 404. */
#include "endpoint/endpoint.h"

static enum sb_error not_found(struct sb_request *request, const void *in, void *out)
{
    (void)request;
    (void)in;
    (void)out;
    return SB_E_NOT_FOUND;
}

const struct sb_endpoint sb_endpoint = {
    .name = "not-found",
    .routes = (const struct sb_route[]){{.methods = SB_ANY,
                                         .path = "",
                                         .handler = not_found,
                                         .access = SB_ACCESS_PUBLIC,
                                         /* Whatever it is sent is not read. */
                                         .body = SB_BODY_STREAM,
                                         .body_max = INT64_MAX,
                                         .always_fails = true,
                                         .errors = SB_ERRORS(SB_E_NOT_FOUND),
                                         .summary = "No endpoint has this path"},
                                        {.handler = NULL}},
    .catch_all = true,
};
