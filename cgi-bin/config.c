/* GET /api/config: the settings browsers need. Nothing here is secret, and nothing that is has a
 * field to appear in. */
#include "endpoint/endpoint.h"

struct realtime {
    const char *model;
    bool server_vad, vad;
};

struct calls {
    int64_t heartbeat_s, token_ttl_s;
};

struct limits {
    int64_t json_body_max;
};

struct output {
    const char *version;
    struct realtime realtime;
    struct calls calls;
    struct limits limits;
};

static const struct sb_field realtime_fields[] = {
    SB_STRING(struct realtime, model, "model", 1, 128, SB_REQUIRED),
    SB_BOOL(struct realtime, server_vad, "serverVad", SB_REQUIRED),
    SB_BOOL(struct realtime, vad, "vad", SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field calls_fields[] = {
    SB_INT(struct calls, heartbeat_s, "heartbeatSeconds", 5, 300, SB_REQUIRED),
    SB_INT(struct calls, token_ttl_s, "tokenTtlSeconds", 60, 86400, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field limits_fields[] = {
    SB_INT(struct limits, json_body_max, "jsonBodyBytes", 1, INT64_MAX, SB_REQUIRED),
    SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_STRING(struct output, version, "version", 1, 32, SB_REQUIRED),
    SB_OBJECT(struct output, realtime, "realtime", realtime_fields),
    SB_OBJECT(struct output, calls, "calls", calls_fields),
    SB_OBJECT(struct output, limits, "limits", limits_fields), SB_FIELDS_END};

static enum sb_error config(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    const struct sb_config *from = request->config;
    *(struct output *)out = (struct output){
        .version = SB_VERSION,
        .realtime = {from->realtime_model, from->enable_server_vad, from->enable_vad},
        .calls = {from->call_heartbeat_s, from->call_token_ttl_s},
        .limits = {SB_JSON_BODY_MAX},
    };
    return SB_OK;
}

const struct sb_endpoint sb_endpoint = {
    .name = "config",
    .routes = (const struct sb_route[]){{.methods = SB_GET,
                                         .path = "",
                                         .handler = config,
                                         .access = SB_ACCESS_PUBLIC,
                                         SB_OUTPUT(struct output, output_fields),
                                         .summary = "The settings a client needs"},
                                        {.handler = NULL}},
};
