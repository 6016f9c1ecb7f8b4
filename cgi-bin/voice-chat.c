/* POST /api/voice-chat: one spoken turn. What is said is written down, answered and spoken, the
 * first clause while the model still thinks of the next. */
#include "base/log.h"
#include "endpoint/voice_input.h"
#include "endpoint/voice_output.h"
#include "upstream/local.h"
#include "upstream/receptionist.h"

enum { DECODE_MS = 15000 };

struct timings {
    int64_t stt_ms, llm_ms, tts_ms, ttfa_ms, total_ms;
};

/* For the documentation: voice_output writes it. */
struct output {
    const char *transcript, *reply, *audio, *format, *engine, *session_id;
    struct timings timings;
};

enum { MS_MAX = 86400000 };

static const struct sb_field timing_fields[] = {
    SB_INT(struct timings, stt_ms, "sttMs", 0, MS_MAX, 0),
    SB_INT(struct timings, llm_ms, "llmMs", 0, MS_MAX, 0),
    SB_INT(struct timings, tts_ms, "ttsMs", 0, MS_MAX, 0),
    SB_INT(struct timings, ttfa_ms, "ttfaMs", 0, MS_MAX, 0),
    SB_INT(struct timings, total_ms, "totalMs", 0, MS_MAX, SB_REQUIRED),
    SB_FIELDS_END};

static const struct sb_field output_fields[] = {
    SB_STRING(struct output, transcript, "transcript", 0, SB_VOICE_REPLY_MAX,
              SB_REQUIRED | SB_NULLABLE),
    SB_STRING(struct output, reply, "reply", 0, SB_VOICE_REPLY_MAX, SB_REQUIRED),
    SB_STRING(struct output, audio, "audio", 0, 4 * SB_VOICE_AUDIO_MAX / 3, SB_REQUIRED),
    SB_STRING(struct output, format, "format", 1, 32, SB_REQUIRED),
    SB_STRING(struct output, engine, "engine", 1, 64, SB_REQUIRED),
    SB_ID(struct output, session_id, "sessionId", 0),
    SB_OBJECT(struct output, timings, "timings", timing_fields),
    SB_FIELDS_END};

/* A recording must be decodable and hold something before anybody is paid to listen to it. */
static enum sb_error check_recording(struct sb_request *request, struct sb_voice *voice,
                                     struct sb_voice_input *input)
{
    struct sb_voice_recording *recording = &input->recording;
    bool speech = false;
    recording->pcm_fd = sb_voice_file(request);
    if (recording->pcm_fd < 0)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_local_decode(voice, recording, input->format, DECODE_MS);
    if (error == SB_E_UNSUPPORTED_MEDIA_TYPE)
        sb_request_explain(request, "The recording could not be decoded.");
    if (error == SB_OK)
        error = sb_audio_has_speech(recording->pcm_fd, recording->pcm_length, &speech);
    return error == SB_OK && !speech ? SB_E_NO_SPEECH : error;
}

static enum sb_error hear(struct sb_request *request, struct sb_voice_output *output,
                          struct sb_voice_input *input)
{
    const char *transcript;
    struct sb_voice *voice = output->voice;
    enum sb_error error = check_recording(request, voice, input);
    if (error == SB_OK)
        error = sb_voice_hear(voice, output->engines->hearing, &input->recording,
                              voice->config->voice_timeout_s * 1000, &transcript);
    if (error != SB_OK)
        return error;
    input->text = transcript;
    if (!sb_voice_output_transcript(output, transcript)) {
        voice->gone = true;
        return SB_E_UNAVAILABLE;
    }
    return SB_OK;
}

static enum sb_error answer(struct sb_voice_output *output, const char *text,
                            struct sb_voice_reply *reply)
{
    struct sb_voice *voice = output->voice;
    const struct sb_receptionist *receptionist = sb_local_receptionist(voice->config);
    if (receptionist == NULL)
        return SB_E_MISCONFIGURED;
    const struct sb_voice_message messages[] = {
        {SB_VOICE_SYSTEM, sb_receptionist_prompt(receptionist, voice->arena)},
        {SB_VOICE_USER, text}};
    if (messages[0].text == NULL)
        return SB_E_UNAVAILABLE;
    const struct sb_voice_engines engines = {.thinking = output->engines->thinking,
                                             .speaking = output->engines->speaking,
                                             .stage_ms = voice->config->voice_timeout_s * 1000};
    const struct sb_voice_receiver receiver = sb_voice_output_receiver(output);
    return sb_voice_answer(voice, &engines, messages, SB_COUNT(messages), &receiver, reply);
}

static enum sb_error take_turn(struct sb_request *request, struct sb_voice_output *output,
                               struct sb_voice_input *input)
{
    struct sb_voice_reply reply = {.text = "", .first_delta_us = -1, .first_audio_us = -1};
    enum sb_error error = sb_voice_input_take(request, input);
    if (error == SB_OK && input->text == NULL)
        error = hear(request, output, input);
    if (error == SB_OK)
        error = answer(output, input->text, &reply);
    if (output->voice->gone)
        SB_LOG(SB_LOG_INFO, "voice.client_gone", request->trace_id);
    return sb_voice_output_end(output, error, &reply);
}

static enum sb_error turn(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    (void)out;
    struct sb_engines engines;
    struct sb_voice_output output;
    struct sb_voice_input input = {.recording = {.fd = -1, .pcm_fd = -1}};
    struct sb_voice voice = {.arena = request->arena,
                             .config = request->config,
                             .trace_id = request->trace_id,
                             .user_id = request->principal.user_id,
                             .client_fd = request->client_fd,
                             .tick = sb_voice_output_tick,
                             .context = &output};
    enum sb_error error = sb_engines_choose(request->config, &engines);
    if (error == SB_OK && engines.fetches)
        error = sb_fetch_borrow(request->config, &voice.session);
    if (error != SB_OK)
        return error;
    sb_voice_output_open(&output, request, &voice, &engines);
    error = take_turn(request, &output, &input);
    sb_voice_input_close(&input);
    sb_voice_output_close(&output);
    sb_fetch_return(voice.session);
    return error;
}

static const char *const body_types[] = {"multipart/form-data", "application/json", "audio/*",
                                         "application/octet-stream", NULL};
static const char *const other_types[] = {"text/event-stream", "audio/mpeg", "audio/wav", NULL};

const struct sb_endpoint sb_endpoint = {
    .name = "voice-chat",
    .routes =
        (const struct sb_route[]){
            {.methods = SB_POST,
             .path = "",
             .handler = turn,
             .access = SB_ACCESS_VISITOR,
             .origin_required = true,
             .body = SB_BODY_STREAM,
             .body_max = SB_VOICE_BODY_MAX,
             .body_types = body_types,
             .reply = SB_REPLY_STREAM,
             .content_type = "application/json",
             .other_types = other_types,
             SB_OUTPUT(struct output, output_fields),
             .limit = {"voice-chat", 20, 60},
             .errors = SB_ERRORS(SB_E_INVALID_JSON, SB_E_INVALID_MULTIPART, SB_E_VALIDATION_FAILED,
                                 SB_E_NO_SPEECH, SB_E_UPSTREAM_ERROR, SB_E_UPSTREAM_TIMEOUT),
             .summary = "Say something and hear the answer"},
            {.handler = NULL}},
    .needs = SB_NEEDS_VOICE | SB_NEEDS_UPSTREAM | SB_NEEDS_TICKETS,
    .workers = 256,
};
