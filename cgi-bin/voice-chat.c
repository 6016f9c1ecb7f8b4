/* POST /api/voice-chat: one spoken turn. What is said is written down, answered and spoken, the
 * first clause while the model still thinks of the next. */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "endpoint/budget.h"
#include "endpoint/turn_cost.h"
#include "endpoint/voice_input.h"
#include "endpoint/voice_output.h"
#include "endpoint/voice_session.h"
#include "upstream/local.h"
#include "upstream/opus.h"
#include "upstream/receptionist.h"

enum {
    DECODE_MS = 15000,
    PCM_SECOND = 2 * SB_AUDIO_RATE_HZ,          /* bytes */
    SECONDS_MAX = SB_AUDIO_PCM_MAX / PCM_SECOND /* decoding ends there, or some ms before */
};

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

/* One turn on its way. */
struct turn {
    struct sb_request *request;
    struct sb_voice voice;
    struct sb_engines engines;
    struct sb_voice_input input;
    struct sb_voice_output output;
    struct sb_voice_session session;
    struct sb_voice_reply reply;
    struct sb_turn_cost cost;
    struct sb_budget_hold hold;
    bool reserved;
    struct sb_spend real;
    const char *prompt;
};

static int64_t recorded_seconds(const struct turn *turn)
{
    return (turn->input.recording.pcm_length + PCM_SECOND - 1) / PCM_SECOND;
}

/* What stands in the way is ours, unless it is that nobody waits for it any more. */
static enum sb_error not_decoded(const struct turn *turn)
{
    if (!sb_request_gone(turn->request) && !sb_request_must_end(turn->request))
        SB_LOG(SB_LOG_ERROR, "temp_audio.failed", turn->request->trace_id,
               SB_LOG_TEXT("variable", "STATE_DIR"),
               SB_LOG_TEXT("reason", "no room there for what is decoded of a recording, or no "
                                     "process, descriptor or memory for it"));
    return SB_E_UNAVAILABLE;
}

/* A recording must be decodable and hold something before anybody is paid to listen to it. */
static enum sb_error check_recording(struct turn *turn)
{
    struct sb_voice_recording *recording = &turn->input.recording;
    bool speech = false;
    recording->pcm_fd = sb_voice_file(turn->request);
    recording->ogg_fd = sb_voice_file(turn->request);
    if (recording->pcm_fd < 0 || recording->ogg_fd < 0)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_opus_decode(recording, turn->input.format);
    if (error == SB_E_UNSUPPORTED_MEDIA_TYPE)
        error = sb_local_decode(&turn->voice, recording, turn->input.format, DECODE_MS);
    if (error == SB_E_UNAVAILABLE)
        return not_decoded(turn);
    if (error == SB_E_UNSUPPORTED_MEDIA_TYPE)
        sb_request_explain(turn->request, "The recording could not be decoded.");
    /* What is behind was not decoded: nobody would hear it. */
    if (error == SB_OK && recorded_seconds(turn) >= SECONDS_MAX) {
        sb_request_explain(turn->request, "The recording is longer than 119 seconds.");
        error = SB_E_BODY_TOO_LARGE;
    }
    /* Nobody needs it any more, and it may be 25 MB of the disk. */
    close(recording->fd);
    recording->fd = -1;
    if (error == SB_OK)
        error = sb_audio_has_speech(recording->pcm_fd, recording->pcm_length, &speech);
    return error == SB_OK && !speech ? SB_E_NO_SPEECH : error;
}

/* What the model is told; said is the last of it. False: out of memory. */
static bool set_cost(struct turn *turn, const char *said)
{
    turn->cost = (struct sb_turn_cost){.thinking = turn->engines.thinking};
    turn->cost.messages = sb_voice_session_messages(turn->request, &turn->session, turn->prompt,
                                                    said, &turn->cost.count);
    return turn->cost.messages != NULL;
}

/* Before anything is spent. */
static enum sb_error reserve(struct turn *turn)
{
    const struct sb_config *config = turn->request->config;
    const char *typed = turn->input.text;
    if (!set_cost(turn, typed == NULL ? "" : typed))
        return SB_E_UNAVAILABLE;
    turn->cost.more = typed == NULL ? SB_VOICE_REPLY_MAX : 0; /* nobody says more in a recording */
    struct sb_budget_ask ask = {.most = sb_turn_cost_max(config, &turn->cost),
                                .timeout_ms = sb_turn_cost_timeout_ms(config)};
    ask.most.seconds = recorded_seconds(turn);
    enum sb_error error = sb_request_reserve(turn->request, &ask, &turn->hold);
    turn->reserved = error == SB_OK;
    return error;
}

static void settle(struct turn *turn)
{
    if (!turn->reserved)
        return;
    /* A failure is logged; what was set aside then counts until its deadline. */
    turn->reserved = sb_request_settle(turn->request, &turn->hold, &turn->real) != SB_OK;
}

static void count_thinking(struct turn *turn, enum sb_error error)
{
    struct sb_spend spent = sb_turn_cost_real(&turn->voice, &turn->cost, error,
                                              sb_request_gone(turn->request), turn->reply.text);
    turn->real.turns = spent.turns;
    turn->real.tokens = spent.tokens;
}

/* Speaking may go on for longer than anything is set aside, and costs no more: what was thought is
 * settled while it does. */
static bool tick(void *context)
{
    struct turn *turn = context;
    if (turn->reserved && turn->reply.thought_us >= 0) {
        count_thinking(turn, SB_OK);
        settle(turn);
    }
    return sb_voice_output_tick(&turn->output);
}

static enum sb_error hear(struct turn *turn)
{
    struct sb_voice *voice = &turn->voice;
    const struct sb_voice_recording *recording = &turn->input.recording;
    sb_voice_output_hearing(&turn->output);
    enum sb_error error = sb_voice_hear(voice, turn->engines.hearing, recording,
                                        voice->config->voice_timeout_s * 1000, &turn->input.text);
    if (error == SB_OK || error == SB_E_NO_SPEECH || sb_request_gone(turn->request))
        turn->real.seconds = recorded_seconds(turn);
    if (error == SB_OK && !sb_voice_output_transcript(&turn->output, turn->input.text))
        return SB_E_UNAVAILABLE;
    return error;
}

static enum sb_error answer(struct turn *turn)
{
    if (!set_cost(turn, turn->input.text))
        return SB_E_UNAVAILABLE;
    const struct sb_voice_engines engines = {.thinking = turn->engines.thinking,
                                             .speaking = turn->engines.speaking,
                                             .stage_ms =
                                                 turn->request->config->voice_timeout_s * 1000};
    const struct sb_voice_receiver receiver = sb_voice_output_receiver(&turn->output);
    enum sb_error error = sb_voice_answer(&turn->voice, &engines, turn->cost.messages,
                                          turn->cost.count, &receiver, &turn->reply);
    count_thinking(turn, error);
    if (error == SB_OK || turn->reply.text[0] != '\0')
        sb_voice_session_keep(turn->request, &turn->session, turn->input.text, turn->reply.text,
                              error != SB_OK);
    return error;
}

/* Everything that can be refused is, before the first call to anybody. */
static enum sb_error prepare(struct turn *turn)
{
    const struct sb_receptionist *receptionist = sb_local_receptionist(turn->request->config);
    if (receptionist == NULL)
        return SB_E_MISCONFIGURED;
    turn->prompt = sb_receptionist_prompt(receptionist, turn->request->arena);
    if (turn->prompt == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_voice_input_take(turn->request, &turn->input);
    if (error == SB_OK && turn->input.text == NULL)
        error = check_recording(turn);
    if (error == SB_OK)
        error = sb_voice_session_find(turn->request, SB_SESSION_VOICE, turn->input.session_id,
                                      &turn->session);
    turn->output.session_id = turn->session.id;
    return error == SB_OK ? reserve(turn) : error;
}

static enum sb_error run(struct turn *turn)
{
    sb_voice_output_open(&turn->output, turn->request, &turn->voice, &turn->engines);
    enum sb_error error = prepare(turn);
    if (error == SB_OK && turn->input.text == NULL)
        error = hear(turn);
    if (error == SB_OK)
        error = answer(turn);
    settle(turn);
    if (error != SB_OK && sb_request_gone(turn->request))
        SB_LOG(SB_LOG_INFO, "voice.client_gone", turn->request->trace_id);
    return sb_voice_output_end(&turn->output, error, &turn->reply);
}

static enum sb_error take_turn(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    (void)out;
    struct turn turn = {
        .request = request,
        .voice = {.arena = request->arena,
                  .config = request->config,
                  .trace_id = request->trace_id,
                  .user_id = request->principal.user_id,
                  .client_fd = request->client_fd,
                  .tick = tick,
                  .context = &turn},
        .input = {.recording = {.fd = -1, .pcm_fd = -1, .ogg_fd = -1}},
        .reply = {.text = "", .first_delta_us = -1, .thought_us = -1, .first_audio_us = -1}};
    enum sb_error error = sb_engines_choose(request->config, SB_NEEDS_VOICE, &turn.engines);
    if (error == SB_OK && turn.engines.fetches)
        error = sb_fetch_borrow(request->config, &turn.voice.session);
    if (error != SB_OK)
        return error;
    error = run(&turn);
    sb_voice_input_close(&turn.input);
    sb_voice_output_close(&turn.output);
    sb_fetch_return(turn.voice.session);
    return error;
}

static const char *const body_types[] = {
    "multipart/form-data", "application/json",         "audio/*", "video/webm",
    "video/mp4",           "application/octet-stream", NULL};
static const char *const other_types[] = {"text/event-stream", "audio/mpeg", "audio/wav", NULL};

const struct sb_endpoint sb_endpoint = {
    .name = "voice-chat",
    .routes =
        (const struct sb_route[]){
            {.methods = SB_POST,
             .path = "",
             .handler = take_turn,
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
                                 SB_E_CONFLICT, SB_E_NO_SPEECH, SB_E_BUDGET_EXCEEDED,
                                 SB_E_UPSTREAM_ERROR, SB_E_UPSTREAM_TIMEOUT),
             .summary = "Say something and hear the answer"},
            {.handler = NULL}},
    .needs = SB_NEEDS_VOICE | SB_NEEDS_UPSTREAM | SB_NEEDS_TICKETS,
    .workers = 256,
};
