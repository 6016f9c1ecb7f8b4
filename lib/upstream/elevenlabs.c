#include "upstream/elevenlabs.h"

#include <string.h>

#include "base/buf.h"
#include "base/log.h"

enum { AUDIO_MAX = 8 * 1024 * 1024, BODY_MAX = 32 * 1024 };

struct ask {
    struct sb_voice_task task;
    struct sb_voice *voice;
    struct sb_fetch_call *call;
    struct sb_fetch_request request;
    struct sb_fetch_header header;
    sb_voice_sink *sink;
    void *context;
    bool spoke, broken; /* some sound has come; what came is none */
};

static void end(struct sb_voice_task *task)
{
    struct ask *ask = (struct ask *)task;
    if (ask->call != NULL)
        sb_fetch_cancel(ask->call);
    ask->call = NULL;
}

/* What the administrator can do about a refusal; about an outage, or too much at once, nothing. */
static void explain(const struct ask *ask, const struct sb_fetch_result *result)
{
    enum { REQUEST_TIMEOUT = 408, TOO_MANY_REQUESTS = 429, SERVER_ERROR = 500 };
    if (result->status == REQUEST_TIMEOUT || result->status == TOO_MANY_REQUESTS ||
        result->status >= SERVER_ERROR)
        return;
    const char *variable = "ELEVENLABS_MODEL", *reason = "ElevenLabs refuses what it was asked for";
    if (result->status == 401 || result->status == 403) {
        variable = "ELEVENLABS_API_KEY";
        reason = "ElevenLabs refuses this key, or its plan allows no more: see the code";
    } else if (result->status == 404) {
        variable = "ELEVENLABS_VOICE_ID";
        reason = "ElevenLabs knows no such voice";
    }
    SB_LOG(SB_LOG_ERROR, "elevenlabs.refused", ask->voice->trace_id,
           SB_LOG_TEXT("variable", variable), SB_LOG_TEXT("reason", reason),
           SB_LOG_INT("upstreamStatus", result->status), SB_LOG_TEXT("upstreamCode", result->code));
}

static void move(struct sb_voice_task *task)
{
    struct ask *ask = (struct ask *)task;
    const struct sb_fetch_result *result = sb_fetch_result(ask->call);
    if (result->outcome == SB_FETCH_RUNNING)
        return;
    if (result->outcome == SB_FETCH_STATUS)
        explain(ask, result);
    bool silent = ask->broken || (result->outcome == SB_FETCH_OK && !ask->spoke);
    if (silent)
        SB_LOG(SB_LOG_ERROR, "elevenlabs.malformed", ask->voice->trace_id,
               SB_LOG_TEXT("reason", "the answer is no sound"),
               SB_LOG_TEXT("upstreamRequestId", result->request_id));
    task->done = true;
    task->error = silent ? SB_E_UPSTREAM_ERROR : result->error;
}

static bool take_audio(void *context, const char *data, size_t length)
{
    struct ask *ask = context;
    ask->broken = !sb_voice_is_sound(sb_fetch_result(ask->call));
    ask->spoke = !ask->broken;
    return ask->spoke && ask->sink(ask->context, data, length);
}

static const char *body_of(struct sb_voice *voice, const char *text, size_t *length)
{
    struct sb_buf body;
    sb_buf_init(&body, voice->arena, BODY_MAX);
    sb_json_open(&body, '{');
    sb_json_key(&body, "text");
    sb_json_string(&body, text);
    sb_json_key(&body, "model_id");
    sb_json_string(&body, voice->config->elevenlabs_model);
    sb_json_close(&body, '}');
    *length = body.length;
    return sb_buf_ok(&body) ? body.data : NULL;
}

static enum sb_error start(struct sb_voice *voice, const char *text, sb_voice_sink *sink,
                           void *context, struct sb_voice_task **task)
{
    const struct sb_config *config = voice->config;
    if (config->elevenlabs_api_key == NULL)
        return SB_E_MISCONFIGURED;
    struct ask *ask = sb_arena_alloc(voice->arena, sizeof *ask);
    size_t length;
    const char *body = body_of(voice, text, &length);
    const char *url =
        sb_arena_printf(voice->arena, "%s/v1/text-to-speech/%s/stream?output_format=mp3_44100_128",
                        config->elevenlabs_base_url, config->elevenlabs_voice_id);
    if (ask == NULL || body == NULL || url == NULL)
        return SB_E_UNAVAILABLE;
    *ask = (struct ask){.task = {.fd = -1, .move = move, .end = end},
                        .voice = voice,
                        .header = {"xi-api-key", config->elevenlabs_api_key},
                        .sink = sink,
                        .context = context};
    ask->request = (struct sb_fetch_request){.upstream = "elevenlabs",
                                             .url = url,
                                             .peers = SB_FETCH_CONFIGURED,
                                             .headers = &ask->header,
                                             .header_count = 1,
                                             .content_type = "application/json",
                                             .body = body,
                                             .body_length = length,
                                             .total_ms = config->voice_timeout_s * 1000,
                                             .silence_ms = config->voice_timeout_s * 1000,
                                             .response_max = AUDIO_MAX,
                                             .retry = true,
                                             .trace_id = voice->trace_id,
                                             .sink = take_audio,
                                             .context = ask,
                                             .arena = voice->arena};
    enum sb_error error = sb_fetch_start(voice->session, &ask->request, &ask->call);
    if (error == SB_OK)
        *task = &ask->task;
    return error;
}

const struct sb_speaking sb_elevenlabs_speaking = {
    .name = "elevenlabs", .content_type = "audio/mpeg", .start = start};
