#include "upstream/openai_voice.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "http/json.h"
#include "http/sse.h"
#include "upstream/audio.h"
#include "upstream/openai_request.h"

enum {
    TRANSCRIPT_MAX = 256 * 1024,
    AUDIO_MAX = 8 * 1024 * 1024, /* of one clause */
    BODY_MAX = 1024 * 1024,      /* the prompt and the longest conversation, escaped */
    SPEECH_INPUT_MAX = 4096,     /* characters, the API's own limit */
    TOKENS_MAX = 100000000,      /* of a request: more is nonsense, and sums of it would overflow */
    TOKEN_BYTES = 4,             /* about, where nobody says */
    LINGER_MS = 250 /* that the connection may stay open behind the end of the stream */
};

/* A call as a task. */
struct ask {
    struct sb_voice_task task;
    struct sb_voice *voice;
    struct sb_openai openai;
    struct sb_openai_request request;
    struct sb_fetch_call *call;
    sb_voice_sink *sink;
    void *context;
    enum sb_error (*finish)(struct ask *ask, const struct sb_fetch_result *result);
    struct sb_sse_reader reader;
    bool reads;          /* reader is in use */
    int64_t complete_us; /* when the stream said that it ended; 0: it has not */
    bool refused, spoke; /* by sink; some sound, or a word, has come */
    bool counted;        /* the API has said how many tokens it took */
    int64_t tokens;      /* those counted so far, or guessed by bytes */
    size_t bytes;        /* of the messages, and of what was said so far */
    const char *broken;  /* what is wrong with the answer; NULL: nothing */
    unsigned char wav[SB_AUDIO_WAV_HEADER_SIZE];
    int pcm_fd; /* what wav is the header of */
    struct sb_fetch_source file;
    struct sb_fetch_part parts[4];
};

static void end(struct sb_voice_task *task)
{
    struct ask *ask = (struct ask *)task;
    if (ask->call != NULL)
        sb_fetch_cancel(ask->call);
    ask->call = NULL;
    if (ask->reads)
        sb_sse_reader_free(&ask->reader);
    ask->reads = false;
}

/* Whether nothing but the end of the connection is still to come, and takes its time. One that ends
 * at once is good for another call. */
static bool lingers(const struct ask *ask)
{
    return ask->complete_us != 0 &&
           sb_clock_mono_us() - ask->complete_us >= LINGER_MS * INT64_C(1000);
}

static void move(struct sb_voice_task *task)
{
    struct ask *ask = (struct ask *)task;
    const struct sb_fetch_result *result = sb_fetch_result(ask->call);
    if (result->outcome == SB_FETCH_RUNNING && !lingers(ask))
        return;
    task->done = true;
    if (ask->broken != NULL)
        task->error = sb_openai_malformed(&ask->openai, result, ask->broken);
    else if (ask->complete_us != 0) /* how the connection ends after that is of no matter */
        task->error = SB_OK;
    else if (result->outcome == SB_FETCH_STATUS)
        task->error = sb_openai_explain(&ask->request, result);
    else if (result->error != SB_OK || ask->finish == NULL)
        task->error = result->error;
    else
        task->error = ask->finish(ask, result);
}

/* A task for path, and its request, which the caller completes. */
static enum sb_error prepare(struct sb_voice *voice, const char *path, sb_voice_sink *sink,
                             void *context, struct ask **prepared)
{
    struct ask *ask = sb_arena_alloc(voice->arena, sizeof *ask);
    if (ask == NULL)
        return SB_E_UNAVAILABLE;
    ask->task = (struct sb_voice_task){.fd = -1, .move = move, .end = end};
    ask->voice = voice;
    ask->openai = (struct sb_openai){
        .arena = voice->arena, .config = voice->config, .trace_id = voice->trace_id};
    ask->sink = sink;
    ask->context = context;
    enum sb_error error = sb_openai_prepare(&ask->openai, path, NULL, &ask->request);
    struct sb_fetch_request *fetch = &ask->request.fetch;
    fetch->total_ms = fetch->silence_ms = voice->config->voice_timeout_s * 1000;
    fetch->retry = true; /* nothing was passed on yet, or fetch does not retry */
    *prepared = ask;
    return error;
}

static enum sb_error start(struct ask *ask, struct sb_voice_task **task)
{
    enum sb_error error = sb_fetch_start(ask->voice->session, &ask->request.fetch, &ask->call);
    if (error == SB_OK)
        *task = &ask->task;
    else
        end(&ask->task);
    return error;
}

static enum sb_error set_body(struct ask *ask, const struct sb_buf *body)
{
    if (!sb_buf_ok(body))
        return SB_E_UNAVAILABLE;
    ask->request.fetch.content_type = "application/json";
    ask->request.fetch.body = body->data;
    ask->request.fetch.body_length = body->length;
    return SB_OK;
}

static void add_text(struct sb_buf *body, const char *key, const char *text)
{
    sb_json_key(body, key);
    sb_json_string(body, text);
}

/* --- Hearing ------------------------------------------------------------------------------------
 */

static enum sb_error take_transcript(struct ask *ask, const struct sb_fetch_result *result)
{
    json_t *body = sb_json_parse_object(result->body, result->body_length);
    const char *text = json_string_value(json_object_get(body, "text"));
    enum sb_error error = SB_OK;
    if (text == NULL)
        error = sb_openai_malformed(&ask->openai, result, "the answer holds no transcript");
    else if (*text != '\0' && !ask->sink(ask->context, text, strlen(text)))
        error = SB_E_INTERNAL;
    json_decref(body);
    return error;
}

/* sb_fetch_source: a WAV file of the PCM. */
static ssize_t read_wav(void *context, int64_t offset, char *buffer, size_t size)
{
    const struct ask *ask = context;
    const int64_t head = sizeof ask->wav;
    if (offset >= head)
        return pread(ask->pcm_fd, buffer, size, offset - head);
    if (size > (size_t)(head - offset))
        size = (size_t)(head - offset);
    memcpy(buffer, ask->wav + offset, size);
    return (ssize_t)size;
}

/* Fewer bytes are there sooner: each doubling of what a connection may send at once takes it a
 * round trip. */
static struct sb_fetch_part file_of(struct ask *ask, const struct sb_voice_recording *recording)
{
    bool ogg = recording->ogg_length > 0;
    ask->pcm_fd = recording->pcm_fd;
    sb_audio_wav_header(ask->wav, SB_AUDIO_RATE_HZ, recording->pcm_length);
    const int64_t wav_length = (int64_t)sizeof ask->wav + recording->pcm_length;
    ask->file =
        ogg ? (struct sb_fetch_source){.fd = recording->ogg_fd, .length = recording->ogg_length}
            : (struct sb_fetch_source){.read = read_wav, .context = ask, .length = wav_length};
    return (struct sb_fetch_part){.name = "file",
                                  .source = &ask->file,
                                  .filename = ogg ? "recording.ogg" : "recording.wav",
                                  .content_type = ogg ? "audio/ogg" : "audio/wav"};
}

static enum sb_error start_hearing(struct sb_voice *voice,
                                   const struct sb_voice_recording *recording, sb_voice_sink *sink,
                                   void *context, struct sb_voice_task **task)
{
    struct ask *ask;
    enum sb_error error = prepare(voice, "/audio/transcriptions", sink, context, &ask);
    if (error != SB_OK)
        return error;
    ask->finish = take_transcript;
    ask->request.model_variable = "OPENAI_TRANSCRIPTION_MODEL";
    size_t count = 0;
    ask->parts[count++] = file_of(ask, recording);
    ask->parts[count++] =
        (struct sb_fetch_part){.name = "model", .text = voice->config->transcription_model};
    ask->parts[count++] = (struct sb_fetch_part){.name = "response_format", .text = "json"};
    if (recording->language != NULL)
        ask->parts[count++] =
            (struct sb_fetch_part){.name = "language", .text = recording->language};
    ask->request.fetch.parts = ask->parts;
    ask->request.fetch.part_count = count;
    ask->request.fetch.response_max = TRANSCRIPT_MAX;
    return start(ask, task);
}

/* --- Thinking -----------------------------------------------------------------------------------
 */

/* A total is one of all so far; some servers send one with each chunk. Until one comes, and in a
 * stream that ends before it does, they are guessed: also who hangs up has spent them. */
static void count_tokens(struct ask *ask, const json_t *usage, size_t said)
{
    const json_t *total = json_object_get(usage, "total_tokens");
    int64_t tokens = json_integer_value(total), before = ask->tokens;
    ask->bytes += said;
    if (json_is_integer(total)) {
        ask->counted = true;
        ask->tokens = tokens < 0 ? 0 : tokens > TOKENS_MAX ? TOKENS_MAX : tokens;
    } else if (!ask->counted) {
        ask->tokens = (int64_t)(ask->bytes / TOKEN_BYTES);
    }
    ask->voice->tokens += ask->tokens - before;
}

static bool take_chunk(struct ask *ask, const json_t *chunk)
{
    const json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
    const json_t *error = json_object_get(chunk, "error");
    const char *text =
        json_string_value(json_object_get(json_object_get(choice, "delta"), "content"));
    if (error != NULL && !json_is_null(error)) {
        ask->broken = "the stream broke off with an error";
        return false;
    }
    count_tokens(ask, json_object_get(chunk, "usage"), text == NULL ? 0 : strlen(text));
    ask->spoke = ask->spoke || (text != NULL && text[strspn(text, " \t\r\n")] != '\0');
    ask->refused = text != NULL && *text != '\0' && !ask->sink(ask->context, text, strlen(text));
    return !ask->refused;
}

static bool take_event(void *context, const char *name, const char *data, size_t length)
{
    struct ask *ask = context;
    if (strcmp(data, "[DONE]") == 0) {
        ask->complete_us = sb_clock_mono_us();
        if (!ask->spoke)
            ask->broken = "the reply is empty: one that thinks needs more REPLY_TOKENS_MAX";
        return true;
    }
    json_t *chunk = sb_json_parse_object(data, length);
    bool good = chunk != NULL && strcmp(name, "error") != 0;
    if (!good)
        ask->broken = "an event of the stream is an error, or no JSON";
    good = good && take_chunk(ask, chunk);
    json_decref(chunk);
    return good;
}

static bool take_stream(void *context, const char *data, size_t length)
{
    struct ask *ask = context;
    bool good = sb_sse_reader_feed(&ask->reader, data, length);
    if (!good && !ask->refused && ask->broken == NULL && !sb_memory_ran_out())
        ask->broken = "an event of the stream is too long";
    return good;
}

static enum sb_error end_stream(struct ask *ask, const struct sb_fetch_result *result)
{
    return sb_openai_malformed(&ask->openai, result, "the stream ended before its end");
}

static const char *const role_names[SB_VOICE_ROLE__MAX] = {
    [SB_VOICE_SYSTEM] = "system", [SB_VOICE_USER] = "user", [SB_VOICE_ASSISTANT] = "assistant"};

static void write_messages(struct sb_buf *body, const struct sb_voice_message *messages,
                           size_t count)
{
    sb_json_key(body, "messages");
    sb_json_open(body, '[');
    for (size_t i = 0; i < count; i++) {
        sb_json_open(body, '{');
        add_text(body, "role", role_names[messages[i].role]);
        add_text(body, "content", messages[i].text);
        sb_json_close(body, '}');
    }
    sb_json_close(body, ']');
}

static enum sb_error start_thinking(struct sb_voice *voice, const struct sb_voice_message *messages,
                                    size_t count, sb_voice_sink *sink, void *context,
                                    struct sb_voice_task **task)
{
    struct ask *ask;
    struct sb_buf body;
    enum sb_error error = prepare(voice, "/chat/completions", sink, context, &ask);
    if (error != SB_OK)
        return error;
    ask->finish = end_stream;
    ask->request.model_variable = "OPENAI_CHAT_MODEL";
    sb_buf_init(&body, voice->arena, BODY_MAX);
    sb_json_open(&body, '{');
    add_text(&body, "model", voice->config->chat_model);
    write_messages(&body, messages, count);
    sb_json_key(&body, "max_completion_tokens");
    sb_json_int(&body, voice->config->reply_tokens_max);
    sb_json_key(&body, "stream");
    sb_json_bool(&body, true);
    sb_json_key(&body, "stream_options");
    sb_json_raw(&body, "{\"include_usage\":true}");
    if (voice->user_id != NULL) {
        const char *user = sb_openai_safety_identifier(voice->arena, voice->config, voice->user_id);
        if (user == NULL)
            return SB_E_UNAVAILABLE;
        add_text(&body, "safety_identifier", user);
    }
    sb_json_close(&body, '}');
    error = set_body(ask, &body);
    if (error != SB_OK)
        return error;
    for (size_t i = 0; i < count; i++)
        ask->bytes += strlen(messages[i].text);
    sb_openai_header(&ask->request, "Accept", "text/event-stream");
    sb_sse_reader_init(&ask->reader, SB_SSE_EVENT_MAX, take_event, ask);
    ask->reads = true;
    ask->request.fetch.sink = take_stream;
    ask->request.fetch.context = ask;
    return start(ask, task);
}

/* --- Speaking -----------------------------------------------------------------------------------
 */

static bool take_audio(void *context, const char *data, size_t length)
{
    struct ask *ask = context;
    if (!sb_voice_is_sound(sb_fetch_result(ask->call))) {
        ask->broken = "the answer is no sound";
        return false;
    }
    ask->spoke = true;
    return ask->sink(ask->context, data, length);
}

static enum sb_error end_audio(struct ask *ask, const struct sb_fetch_result *result)
{
    return ask->spoke ? SB_OK : sb_openai_malformed(&ask->openai, result, "the answer is silent");
}

static enum sb_error start_speaking(struct sb_voice *voice, const char *text, sb_voice_sink *sink,
                                    void *context, struct sb_voice_task **task)
{
    struct ask *ask;
    struct sb_buf body;
    enum sb_error error = prepare(voice, "/audio/speech", sink, context, &ask);
    if (error != SB_OK)
        return error;
    if (strlen(text) > SPEECH_INPUT_MAX)
        return SB_E_INTERNAL;
    ask->finish = end_audio;
    ask->request.model_variable = "OPENAI_SPEECH_MODEL";
    sb_buf_init(&body, voice->arena, BODY_MAX);
    sb_json_open(&body, '{');
    add_text(&body, "model", voice->config->speech_model);
    add_text(&body, "input", text);
    add_text(&body, "voice", voice->config->speech_voice);
    add_text(&body, "response_format", "mp3");
    sb_json_close(&body, '}');
    error = set_body(ask, &body);
    if (error != SB_OK)
        return error;
    ask->request.fetch.sink = take_audio;
    ask->request.fetch.context = ask;
    ask->request.fetch.response_max = AUDIO_MAX;
    return start(ask, task);
}

const struct sb_hearing sb_openai_hearing = {.name = "openai", .start = start_hearing};
const struct sb_thinking sb_openai_thinking = {.name = "openai", .start = start_thinking};
const struct sb_speaking sb_openai_speaking = {
    .name = "openai", .content_type = "audio/mpeg", .start = start_speaking};
