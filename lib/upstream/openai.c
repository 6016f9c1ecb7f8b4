#include "upstream/openai_request.h"

#include <jansson.h>
#include <string.h>

#include "base/crypto.h"
#include "base/log.h"
#include "http/json.h"

enum { PARAM_MAX = 64, SECONDS_MS = 1000 };

void sb_openai_header(struct sb_openai_request *request, const char *name, const char *value)
{
    request->headers[request->fetch.header_count++] = (struct sb_fetch_header){name, value};
}

enum sb_error sb_openai_prepare(const struct sb_openai *openai, const char *path,
                                const char *user_id, struct sb_openai_request *request)
{
    const struct sb_config *config = openai->config;
    if (config->openai_api_key == NULL)
        return SB_E_MISCONFIGURED;
    const char *key = sb_arena_printf(openai->arena, "Bearer %s", config->openai_api_key);
    const char *url = sb_arena_printf(openai->arena, "%s%s", config->openai_base_url, path);
    const char *user =
        user_id == NULL ? "" : sb_openai_safety_identifier(openai->arena, config, user_id);
    if (key == NULL || url == NULL || user == NULL)
        return SB_E_UNAVAILABLE;
    int64_t timeout_ms = config->openai_timeout_s * SECONDS_MS;
    *request = (struct sb_openai_request){.openai = openai,
                                          .fetch = {.upstream = "openai",
                                                    .method = "POST",
                                                    .url = url,
                                                    .peers = SB_FETCH_CONFIGURED,
                                                    .silence_ms = timeout_ms,
                                                    .total_ms = timeout_ms,
                                                    .trace_id = openai->trace_id,
                                                    .arena = openai->arena}};
    request->fetch.headers = request->headers;
    sb_openai_header(request, "Authorization", key);
    if (config->openai_organization != NULL)
        sb_openai_header(request, "OpenAI-Organization", config->openai_organization);
    if (config->openai_project != NULL)
        sb_openai_header(request, "OpenAI-Project", config->openai_project);
    if (user_id != NULL)
        sb_openai_header(request, "OpenAI-Safety-Identifier", user);
    return SB_OK;
}

/* The first row that fits; a status of 0 or a code of NULL fits all. Without a variable it is the
 * one that names the model. */
static const struct refusal {
    const char *code, *variable, *advice;
    int status;
    enum sb_error error;
} refusals[] = {
    {.code = "beta_api_shape_disabled",
     .variable = "OPENAI_BASE_URL",
     .advice = "the API takes no request of this shape: point it at one that speaks the GA API, "
               "or update Switchboard",
     .error = SB_E_MISCONFIGURED},
    {.code = "insufficient_quota",
     .variable = "OPENAI_API_KEY",
     .advice = "the account of this key has used up its quota: see its billing",
     .error = SB_E_UPSTREAM_ERROR},
    {.code = "model_not_found",
     .advice = "the model has been retired, or this key may not use it: name another one",
     .error = SB_E_UPSTREAM_ERROR},
    {.status = 401,
     .variable = "OPENAI_API_KEY",
     .advice = "the API refuses this key: replace it",
     .error = SB_E_UPSTREAM_ERROR},
    {.status = 403,
     .variable = "OPENAI_API_KEY",
     .advice = "this key may not do this: see its permissions and project",
     .error = SB_E_UPSTREAM_ERROR},
    {.status = 404,
     .variable = "OPENAI_BASE_URL",
     .advice = "the API does not know this path",
     .error = SB_E_UPSTREAM_ERROR},
    {.status = 400,
     .advice = "the API does not take what it was asked for; param names it",
     .error = SB_E_UPSTREAM_ERROR},
};

/* The name of the member the API complains of: letters of a path, never a value. "" if none. */
static const char *param_of(const struct sb_openai *openai, const struct sb_fetch_result *result)
{
    json_t *body =
        result->body == NULL ? NULL : sb_json_parse_object(result->body, result->body_length);
    const char *param = json_string_value(json_object_get(json_object_get(body, "error"), "param"));
    char *copy = NULL;
    if (param != NULL && strlen(param) <= PARAM_MAX &&
        param[strspn(param, "abcdefghijklmnopqrstuvwxyz0123456789_.[]")] == '\0')
        copy = sb_arena_strdup(openai->arena, param);
    json_decref(body);
    return copy == NULL ? "" : copy;
}

enum sb_error sb_openai_explain(const struct sb_openai_request *request,
                                const struct sb_fetch_result *result)
{
    for (size_t i = 0; i < SB_COUNT(refusals); i++) {
        const struct refusal *refusal = &refusals[i];
        if ((refusal->status != 0 && refusal->status != result->status) ||
            (refusal->code != NULL && strcmp(refusal->code, result->code) != 0))
            continue;
        const char *variable =
            refusal->variable != NULL ? refusal->variable : request->model_variable;
        SB_LOG(SB_LOG_ERROR, "openai.refused", request->openai->trace_id,
               SB_LOG_TEXT("variable", variable), SB_LOG_TEXT("reason", refusal->advice),
               SB_LOG_INT("upstreamStatus", result->status),
               SB_LOG_TEXT("upstreamCode", result->code),
               SB_LOG_TEXT("param", param_of(request->openai, result)),
               SB_LOG_TEXT("upstreamRequestId", result->request_id));
        return refusal->error;
    }
    return SB_E_UPSTREAM_ERROR;
}

enum sb_error sb_openai_ask(const struct sb_openai_request *request, struct sb_fetch_result *result)
{
    enum sb_error error = sb_fetch(request->openai->config, &request->fetch, result);
    return error != SB_OK && result->outcome == SB_FETCH_STATUS ? sb_openai_explain(request, result)
                                                                : error;
}

enum sb_error sb_openai_malformed(const struct sb_openai *openai,
                                  const struct sb_fetch_result *result, const char *reason)
{
    SB_LOG(SB_LOG_ERROR, "openai.malformed", openai->trace_id, SB_LOG_TEXT("reason", reason),
           SB_LOG_INT("upstreamStatus", result->status),
           SB_LOG_TEXT("upstreamRequestId", result->request_id));
    return SB_E_UPSTREAM_ERROR;
}

const char *sb_openai_safety_identifier(struct sb_arena *arena, const struct sb_config *config,
                                        const char *user_id)
{
    unsigned char mac[SB_SHA256_SIZE];
    const char *key = config->jwt_secret != NULL ? config->jwt_secret : "";
    char *text = sb_arena_alloc(arena, SB_SHA256_HEX_SIZE);
    const char *named = sb_arena_printf(arena, "openai safety identifier:%s", user_id);
    if (text == NULL || named == NULL ||
        !sb_hmac_sha256(key, strlen(key), named, strlen(named), mac))
        return NULL;
    sb_hex(mac, sizeof mac, text);
    return text;
}
