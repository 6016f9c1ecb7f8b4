#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/ids.h"
#include "http/json.h"
#include "http/request.h"
#include "upstream/openai_request.h"

enum { BODY_MAX = 64 * 1024, SECRET_ANSWER_MAX = 64 * 1024, SECONDS_MS = 1000 };
static const char model_variable[] = "OPENAI_REALTIME_MODEL";

static void write_text(struct sb_buf *out, const char *key, const char *text)
{
    sb_json_key(out, key);
    sb_json_string(out, text);
}

static void open_member(struct sb_buf *out, const char *key)
{
    sb_json_key(out, key);
    sb_json_open(out, '{');
}

static void write_turn_detection(struct sb_buf *out, bool server_vad)
{
    sb_json_key(out, "turn_detection");
    if (server_vad)
        sb_json_raw(out, "{\"type\":\"server_vad\",\"threshold\":0.5,\"prefix_padding_ms\":300,"
                         "\"silence_duration_ms\":500}");
    else
        sb_json_null(out); /* not left out: absent, the API's own default is to detect turns */
}

static void write_session(struct sb_buf *out, const struct sb_config *config,
                          const struct sb_openai_session *session)
{
    sb_json_open(out, '{');
    write_text(out, "type", "realtime");
    write_text(out, "model", config->realtime_model);
    if (config->realtime_instructions != NULL)
        write_text(out, "instructions", config->realtime_instructions);
    sb_json_key(out, "output_modalities");
    sb_json_raw(out, "[\"audio\"]");
    open_member(out, "audio");
    open_member(out, "input");
    open_member(out, "transcription");
    write_text(out, "model", config->transcription_model);
    sb_json_close(out, '}');
    write_turn_detection(out, config->enable_server_vad);
    sb_json_close(out, '}');
    open_member(out, "output");
    write_text(out, "voice", session->voice);
    sb_json_close(out, '}');
    sb_json_close(out, '}');
    sb_json_close(out, '}');
}

/* A text of 1 to max visible ASCII characters, copied; else NULL. */
static const char *take_text(const struct sb_openai *openai, const json_t *object, const char *key,
                             size_t max)
{
    const char *text = json_string_value(json_object_get(object, key));
    size_t length = text == NULL ? 0 : strlen(text);
    if (length == 0 || length > max)
        return NULL;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < 0x21 || *c > 0x7E)
            return NULL;
    }
    return sb_arena_strdup(openai->arena, text);
}

static enum sb_error read_secret(const struct sb_openai *openai,
                                 const struct sb_fetch_result *result, const json_t *body,
                                 struct sb_openai_secret *secret)
{
    const json_t *session = json_object_get(body, "session");
    const json_t *expires_at = json_object_get(body, "expires_at");
    const struct sb_openai_secret read = {
        .value = take_text(openai, body, "value", SB_OPENAI_SECRET_MAX),
        .expires_at_s = json_integer_value(expires_at),
        .session_id = take_text(openai, session, "id", SB_OPENAI_ID_MAX),
        .model = take_text(openai, session, "model", SB_OPENAI_ID_MAX),
        .url = sb_arena_printf(openai->arena, "%s/realtime/calls", openai->config->openai_base_url),
    };
    if (read.value == NULL || read.session_id == NULL || read.model == NULL)
        return sb_openai_malformed(openai, result,
                                   "the client secret, its session's id or model is missing");
    int64_t now_s = sb_clock_now_ms() / SECONDS_MS;
    if (read.expires_at_s <= 0 ||
        read.expires_at_s - now_s > SB_REALTIME_TOKEN_TTL_MAX_S + SB_OPENAI_EXPIRY_SLACK_S)
        return sb_openai_malformed(
            openai, result,
            "the client secret would be good for longer than it was asked for; is the "
            "clock of this machine right?");
    if (read.url == NULL)
        return SB_E_UNAVAILABLE;
    *secret = read;
    return SB_OK;
}

enum sb_error sb_openai_client_secret(const struct sb_openai *openai,
                                      const struct sb_openai_session *session,
                                      struct sb_openai_secret *secret)
{
    struct sb_openai_request request;
    struct sb_fetch_result result;
    struct sb_buf body;
    enum sb_error error =
        sb_openai_prepare(openai, "/realtime/client_secrets", session->user_id, &request);
    if (error != SB_OK)
        return error;
    request.model_variable = model_variable;
    sb_buf_init(&body, openai->arena, BODY_MAX);
    sb_json_open(&body, '{');
    open_member(&body, "expires_after");
    write_text(&body, "anchor", "created_at");
    sb_json_key(&body, "seconds");
    sb_json_int(&body, openai->config->realtime_token_ttl_s);
    sb_json_close(&body, '}');
    sb_json_key(&body, "session");
    write_session(&body, openai->config, session);
    sb_json_close(&body, '}');
    if (!sb_buf_ok(&body))
        return SB_E_UNAVAILABLE;
    request.fetch.content_type = "application/json";
    request.fetch.body = body.data;
    request.fetch.body_length = body.length;
    request.fetch.response_max = SECRET_ANSWER_MAX;
    request.fetch.retry = true; /* a secret nobody got is of no harm */
    error = sb_openai_ask(&request, &result);
    if (error != SB_OK)
        return error;
    json_t *answer =
        sb_json_parse_object(result.body == NULL ? "" : result.body, result.body_length);
    error = answer == NULL ? sb_openai_malformed(openai, &result, "the answer is not JSON")
                           : read_secret(openai, &result, answer, secret);
    json_decref(answer);
    return error;
}

/* The last segment of Location ("/v1/realtime/calls/rtc_...", perhaps an absolute URL). */
static const char *call_id(const struct sb_openai *openai, const struct sb_fetch_result *result)
{
    const char *location = sb_fetch_header(result, "Location");
    const char *slash = location == NULL ? NULL : strrchr(location, '/');
    return slash != NULL && sb_id_valid(slash + 1) ? sb_arena_strdup(openai->arena, slash + 1)
                                                   : NULL;
}

static bool is_sdp(const struct sb_fetch_result *result)
{
    return result->body != NULL &&
           sb_media_type_is(sb_fetch_header(result, "Content-Type"), "application/sdp") &&
           strncmp(result->body, "v=0", 3) == 0 && strlen(result->body) == result->body_length;
}

static enum sb_error read_call(const struct sb_openai *openai, const struct sb_fetch_result *result,
                               struct sb_openai_call *call)
{
    const char *id = call_id(openai, result);
    if (id == NULL)
        return sb_openai_malformed(openai, result, "the answer names no call in Location");
    if (!is_sdp(result)) {
        enum sb_error error = sb_openai_call_hangup(openai, id);
        (void)error; /* logged; it ends by itself when nobody connects */
        return sb_openai_malformed(openai, result, "the answer is not SDP");
    }
    *call = (struct sb_openai_call){.id = id, .sdp = result->body};
    return SB_OK;
}

enum sb_error sb_openai_call_open(const struct sb_openai *openai,
                                  const struct sb_openai_session *session, const char *sdp,
                                  struct sb_openai_call *call)
{
    struct sb_openai_request request;
    struct sb_fetch_result result;
    struct sb_buf text;
    enum sb_error error = sb_openai_prepare(openai, "/realtime/calls", session->user_id, &request);
    if (error != SB_OK)
        return error;
    sb_buf_init(&text, openai->arena, BODY_MAX);
    write_session(&text, openai->config, session);
    if (!sb_buf_ok(&text))
        return SB_E_UNAVAILABLE;
    const struct sb_fetch_part parts[] = {
        {.name = "sdp", .text = sdp, .content_type = "application/sdp"},
        {.name = "session", .text = text.data, .content_type = "application/json"}};
    request.model_variable = model_variable;
    sb_openai_header(&request, "Accept", "application/sdp");
    request.fetch.parts = parts;
    request.fetch.part_count = SB_COUNT(parts);
    request.fetch.response_max = SB_OPENAI_SDP_MAX;
    error = sb_openai_ask(&request, &result);
    return error != SB_OK ? error : read_call(openai, &result, call);
}

enum sb_error sb_openai_call_hangup(const struct sb_openai *openai, const char *id)
{
    struct sb_openai_request request;
    struct sb_fetch_result result;
    const char *path = sb_arena_printf(openai->arena, "/realtime/calls/%s/hangup", id);
    enum sb_error error =
        path == NULL ? SB_E_UNAVAILABLE : sb_openai_prepare(openai, path, NULL, &request);
    if (error != SB_OK)
        return error;
    request.fetch.retry = true;
    error = sb_fetch(openai->config, &request.fetch, &result);
    if (error == SB_OK || result.outcome != SB_FETCH_STATUS)
        return error;
    return result.status == 404 || result.status == 410 ? SB_E_NOT_FOUND
                                                        : sb_openai_explain(&request, &result);
}
