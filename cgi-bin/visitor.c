/* POST /api/visitor: a short-lived token for a site's anonymous guest. */
#include "access/visitor.h"
#include "access/jws.h"
#include "base/origin.h"
#include "endpoint/endpoint.h"

struct output {
    const char *token;
    int64_t expires_at_ms;
    const char *visitor_id;
};

static const struct sb_field output_fields[] = {
    SB_STRING(struct output, token, "token", 1, SB_JWS_MAX, SB_REQUIRED),
    SB_TIME(struct output, expires_at_ms, "expiresAt", SB_REQUIRED),
    SB_ID(struct output, visitor_id, "visitorId", SB_REQUIRED), SB_FIELDS_END};

static enum sb_error forbid(struct sb_request *request, const char *message)
{
    sb_request_explain(request, message);
    return SB_E_FORBIDDEN;
}

static enum sb_error give(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    struct output *output = out;
    char id[SB_ID_SIZE];
    const char *origin = request->origin == NULL ? "" : request->origin;
    if (!request->config->enable_visitors)
        return forbid(request, "This site takes no visitors.");
    /* CORS_REPORT_ONLY lets any text pass for an origin. */
    if (*origin != '\0' && !sb_origin_valid(origin))
        return forbid(request, "A visitor's token is bound to an origin, and yours is none.");
    sb_id_make("visitor", request->now_ms, id);
    int64_t expires_at_s = request->now_ms / 1000 + request->config->visitor_token_ttl_s;
    const struct sb_visitor visitor = {id, origin, expires_at_s};
    *output = (struct output){.token = sb_visitor_make(request->arena, request->config, &visitor),
                              .expires_at_ms = expires_at_s * 1000,
                              .visitor_id = sb_arena_strdup(request->arena, id)};
    if (output->token == NULL || output->visitor_id == NULL)
        return SB_E_UNAVAILABLE;
    sb_request_audit_object(request, output->visitor_id);
    return SB_OK;
}

const struct sb_endpoint sb_endpoint = {
    .name = "visitor",
    .routes = (const struct sb_route[]){{.methods = SB_POST,
                                         .path = "",
                                         .handler = give,
                                         .access = SB_ACCESS_PUBLIC,
                                         .origin_required = true,
                                         SB_OUTPUT(struct output, output_fields),
                                         .status = 201,
                                         .limit = {"visitor", 10, 3600},
                                         .audit = "visitor.create",
                                         .errors = SB_ERRORS(SB_E_FORBIDDEN),
                                         .summary = "Get a token as an anonymous guest"},
                                        {.handler = NULL}},
    .needs = SB_NEEDS_TICKETS,
};
