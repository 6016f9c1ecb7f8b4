#include "endpoint/voice_output.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "upstream/audio.h"

enum {
    EVENT_MAX = 1024 * 1024,  /* bytes of JSON */
    EVENT_AUDIO = 384 * 1024, /* bytes of audio in an event */
    BASE64_PIECE = 3 * 16 * 1024,
    BASE64_ARENA = 4 * BASE64_PIECE,
    ENGINES_MAX = 64
};

/* --- What all forms need ------------------------------------------------------------------------
 */

static bool pcm(const struct sb_voice_output *output)
{
    return output->engines->speaking->content_type == NULL;
}

static const char *audio_type(const struct sb_voice_output *output)
{
    return pcm(output) ? "audio/wav" : output->engines->speaking->content_type;
}

/* "local", "openai", "openai+elevenlabs": who took part. */
static const char *engine_names(const struct sb_voice_output *output, char *text)
{
    const char *names[] = {output->transcript != NULL ? output->engines->hearing->name
                                                      : output->engines->thinking->name,
                           output->engines->thinking->name, output->engines->speaking->name};
    struct sb_buf out;
    sb_buf_init_fixed(&out, text, ENGINES_MAX);
    for (size_t i = 0; i < SB_COUNT(names); i++) {
        if (out.length == 0 || strstr(text, names[i]) == NULL)
            sb_buf_add_format(&out, "%s%s", out.length > 0 ? "+" : "", names[i]);
    }
    return text;
}

/* The form that Accept wants most; of those it wants alike events, then the one it names first. */
static enum sb_voice_form form_asked_for(const char *accept)
{
    static const struct {
        const char *type;
        enum sb_voice_form form;
    } rows[] = {{"text/event-stream", SB_VOICE_FORM_EVENTS},
                {"audio/", SB_VOICE_FORM_AUDIO},
                {"application/json", SB_VOICE_FORM_JSON},
                {"*/*", SB_VOICE_FORM_JSON}};
    enum sb_voice_form form = SB_VOICE_FORM_JSON;
    struct sb_accept_range range;
    int best = 0;
    while (accept != NULL && sb_accept_next(&accept, &range)) {
        for (size_t i = 0; i < SB_COUNT(rows); i++) {
            bool better = range.quality > best || (range.quality == best && best > 0 &&
                                                   rows[i].form == SB_VOICE_FORM_EVENTS);
            if (better && sb_accept_range_is(&range, rows[i].type)) {
                form = rows[i].form;
                best = range.quality;
            }
        }
    }
    return form;
}

void sb_voice_output_open(struct sb_voice_output *output, struct sb_request *request,
                          struct sb_voice *voice, const struct sb_engines *engines)
{
    *output = (struct sb_voice_output){
        .request = request, .voice = voice, .engines = engines, .started_us = sb_clock_mono_us()};
    output->form = form_asked_for(request->accept);
    sb_buf_init(&output->audio, NULL, SB_VOICE_AUDIO_MAX);
}

void sb_voice_output_close(struct sb_voice_output *output)
{
    sb_buf_free(&output->audio);
}

static void add_text(struct sb_buf *out, const char *key, const char *text)
{
    sb_json_key(out, key);
    sb_json_string(out, text);
}

/* Milliseconds of a span; one that did not happen is left out. */
static void add_ms(struct sb_buf *out, const char *key, int64_t us)
{
    if (us < 0)
        return;
    sb_json_key(out, key);
    sb_json_int(out, us / 1000);
}

/* stt: of hearing, not of sending the recording; llm: from the end of hearing to the model's last
 * word; tts: from its first word to the last audio; ttfa: from the request to the first audio sent.
 */
static void add_timings(const struct sb_voice_output *output, struct sb_buf *out,
                        const struct sb_voice_reply *reply)
{
    int64_t heard_us = output->heard_us > 0 ? output->heard_us - output->hearing_us : -1;
    sb_json_key(out, "timings");
    sb_json_open(out, '{');
    add_ms(out, "sttMs", heard_us);
    add_ms(out, "llmMs", reply->thought_us);
    add_ms(out, "ttsMs", reply->spoken_us < 0 ? -1 : reply->spoken_us - reply->first_delta_us);
    add_ms(out, "ttfaMs", output->sent_us > 0 ? output->sent_us - output->started_us : -1);
    add_ms(out, "totalMs", sb_clock_mono_us() - output->started_us);
    sb_json_close(out, '}');
}

static void add_member(struct sb_buf *out, const char *name, int64_t us)
{
    if (us >= 0)
        sb_buf_add_format(out, "%s%s;dur=%lld.%lld", out->length > 0 ? ", " : "", name,
                          (long long)(us / 1000), (long long)(us / 100 % 10));
}

/* Server-Timing (W3C): what is known when the head goes out. reply NULL: there is none yet. */
static void add_server_timing(struct sb_voice_output *output, const struct sb_voice_reply *reply)
{
    struct sb_buf text;
    sb_buf_init(&text, output->request->arena, 256);
    sb_buf_add_text(&text, "");
    if (output->heard_us > 0)
        add_member(&text, "stt", output->heard_us - output->hearing_us);
    if (reply != NULL) {
        add_member(&text, "llm", reply->thought_us);
        add_member(&text, "tts",
                   reply->spoken_us < 0 ? -1 : reply->spoken_us - reply->first_delta_us);
    }
    if (output->sent_us > 0)
        add_member(&text, "ttfa", output->sent_us - output->started_us);
    if (sb_buf_ok(&text) && text.length > 0)
        sb_request_header(output->request, "Server-Timing", text.data);
}

/* --- Events -------------------------------------------------------------------------------------
 */

/* Sends an event whose data is in the heap buffer data, and frees it. */
static bool send_event(struct sb_voice_output *output, const char *name, struct sb_buf *data)
{
    bool sent = sb_request_write_event(output->request, name, data);
    sb_buf_free(data);
    return sent;
}

static void open_event(struct sb_buf *data)
{
    sb_buf_init(data, NULL, EVENT_MAX);
    sb_json_open(data, '{');
}

static bool send_text_event(struct sb_voice_output *output, const char *name, const char *text,
                            size_t length)
{
    struct sb_buf data;
    open_event(&data);
    sb_json_key(&data, "text");
    sb_json_string_n(&data, text, length);
    sb_json_close(&data, '}');
    return send_event(output, name, &data);
}

static bool send_audio_event(struct sb_voice_output *output, size_t clause, const void *audio,
                             size_t length, bool last)
{
    struct sb_buf data;
    struct sb_arena *arena = sb_arena_new(EVENT_MAX);
    char *text = arena == NULL ? NULL : sb_base64(arena, audio, length);
    open_event(&data);
    sb_json_key(&data, "clause");
    sb_json_int(&data, (int64_t)clause);
    add_text(&data, "format", audio_type(output));
    add_text(&data, "data", text == NULL ? "" : text);
    sb_json_key(&data, "last");
    sb_json_bool(&data, last);
    sb_json_close(&data, '}');
    sb_arena_free(arena);
    bool sent = send_event(output, "audio", &data);
    return sent && (text != NULL || length == 0);
}

/* In events of a size that every client takes. last: of this clause. */
static bool send_audio(struct sb_voice_output *output, size_t clause, const char *audio,
                       size_t length, bool last)
{
    bool sent = true;
    size_t at = 0, size;
    do {
        size = length - at < EVENT_AUDIO ? length - at : EVENT_AUDIO;
        sent = send_audio_event(output, clause, audio + at, size, last && at + size == length);
        at += size;
    } while (sent && at < length);
    return sent;
}

/* PCM goes out as a WAV file of the whole clause, which a browser can decode by itself. */
static bool send_clause(struct sb_voice_output *output, size_t clause)
{
    unsigned char header[SB_AUDIO_WAV_HEADER_SIZE];
    struct sb_buf file;
    sb_audio_wav_header(header, output->voice->pcm_rate_hz, (int64_t)output->audio.length);
    sb_buf_init(&file, NULL, SB_VOICE_AUDIO_MAX);
    sb_buf_add(&file, header, sizeof header);
    sb_buf_add(&file, output->audio.data, output->audio.length);
    bool sent = sb_buf_ok(&file) && send_audio(output, clause, file.data, file.length, true);
    sb_buf_free(&file);
    sb_buf_free(&output->audio);
    sb_buf_init(&output->audio, NULL, SB_VOICE_AUDIO_MAX);
    return sent;
}

/* --- The receiver -------------------------------------------------------------------------------
 */

void sb_voice_output_hearing(struct sb_voice_output *output)
{
    output->hearing_us = sb_clock_mono_us();
}

bool sb_voice_output_transcript(struct sb_voice_output *output, const char *transcript)
{
    output->transcript = transcript;
    output->heard_us = sb_clock_mono_us();
    if (output->form != SB_VOICE_FORM_EVENTS)
        return true;
    add_server_timing(output, NULL);
    return send_text_event(output, "transcript", transcript, strlen(transcript));
}

static bool take_delta(void *context, const char *text, size_t length)
{
    struct sb_voice_output *output = context;
    return output->form != SB_VOICE_FORM_EVENTS || send_text_event(output, "delta", text, length);
}

static bool stream_audio(struct sb_voice_output *output, const char *data, size_t length)
{
    unsigned char header[SB_AUDIO_WAV_HEADER_SIZE];
    struct sb_request *request = output->request;
    if (!output->header_sent) {
        sb_request_content_type(request, audio_type(output));
        add_server_timing(output, NULL);
        sb_audio_wav_header(header, output->voice->pcm_rate_hz, -1);
        if (pcm(output) && !sb_request_write_body(request, header, sizeof header))
            return false;
        output->header_sent = true;
    }
    return sb_request_write_body(request, data, length) && sb_request_flush(request);
}

static bool take_audio(void *context, size_t clause, const char *data, size_t length)
{
    struct sb_voice_output *output = context;
    bool held =
        output->form == SB_VOICE_FORM_JSON || (output->form == SB_VOICE_FORM_EVENTS && pcm(output));
    if (output->sent_us == 0 && !held)
        output->sent_us = sb_clock_mono_us();
    if (held) {
        sb_buf_add(&output->audio, data, length);
        return sb_buf_ok(&output->audio);
    }
    return output->form == SB_VOICE_FORM_AUDIO ? stream_audio(output, data, length)
                                               : send_audio(output, clause, data, length, false);
}

static bool take_clause_end(void *context, size_t clause, const char *text)
{
    struct sb_voice_output *output = context;
    (void)text;
    if (output->form != SB_VOICE_FORM_EVENTS)
        return true;
    if (!pcm(output))
        return send_audio(output, clause, "", 0, true);
    if (output->sent_us == 0)
        output->sent_us = sb_clock_mono_us();
    return send_clause(output, clause);
}

struct sb_voice_receiver sb_voice_output_receiver(struct sb_voice_output *output)
{
    return (struct sb_voice_receiver){take_delta, take_audio, take_clause_end, output};
}

bool sb_voice_output_tick(void *context)
{
    struct sb_voice_output *output = context;
    struct sb_request *request = output->request;
    if (output->form == SB_VOICE_FORM_EVENTS && !sb_request_write_ping(request))
        return false;
    return !sb_request_gone(request) && !sb_request_must_end(request);
}

/* --- The end ------------------------------------------------------------------------------------
 */

static void add_summary(const struct sb_voice_output *output, struct sb_buf *out,
                        const struct sb_voice_reply *reply)
{
    char names[ENGINES_MAX];
    add_text(out, "reply", reply->text);
    add_text(out, "format", audio_type(output));
    add_text(out, "engine", engine_names(output, names));
    if (output->session_id != NULL)
        add_text(out, "sessionId", output->session_id);
    add_timings(output, out, reply);
    add_text(out, "traceId", output->request->trace_id);
}

/* The audio in base64, a piece at a time: it is never there twice. */
static bool write_base64(struct sb_voice_output *output, const char *data, size_t length)
{
    struct sb_arena *arena = sb_arena_new(BASE64_ARENA);
    bool written = arena != NULL;
    for (size_t at = 0; written && at < length; at += BASE64_PIECE) {
        size_t size = length - at < BASE64_PIECE ? length - at : BASE64_PIECE;
        const char *text = sb_base64(arena, data + at, size);
        written = text != NULL && sb_request_write_body(output->request, text, strlen(text));
        sb_arena_reset(arena);
    }
    sb_arena_free(arena);
    return written;
}

/* What was collected, as a file: of PCM a WAV header is put before it. */
static bool whole_audio(struct sb_voice_output *output, struct sb_buf *file)
{
    unsigned char header[SB_AUDIO_WAV_HEADER_SIZE];
    sb_buf_init(file, NULL, SB_VOICE_AUDIO_MAX + sizeof header + 1);
    if (pcm(output) && output->audio.length > 0) {
        sb_audio_wav_header(header, output->voice->pcm_rate_hz, (int64_t)output->audio.length);
        sb_buf_add(file, header, sizeof header);
    }
    if (output->audio.length > 0)
        sb_buf_add(file, output->audio.data, output->audio.length);
    sb_buf_free(&output->audio);
    return sb_buf_ok(file);
}

static enum sb_error end_json(struct sb_voice_output *output, const struct sb_voice_reply *reply)
{
    struct sb_buf text, file;
    sb_buf_init(&text, output->request->arena, EVENT_MAX);
    if (!whole_audio(output, &file)) {
        sb_buf_free(&file);
        return SB_E_UNAVAILABLE;
    }
    output->sent_us = reply->first_audio_us < 0 ? 0 : sb_clock_mono_us();
    add_server_timing(output, reply);
    sb_buf_add_text(&text, "{\"success\":true");
    sb_json_key(&text, "transcript");
    sb_json_string(&text, output->transcript);
    add_summary(output, &text, reply);
    sb_buf_add_text(&text, ",\"audio\":\"");
    bool sent = sb_buf_ok(&text) &&
                sb_request_write_body(output->request, text.data, text.length) &&
                write_base64(output, file.data, file.length) &&
                sb_request_write_body(output->request, "\"}", 2);
    sb_buf_free(&file);
    return sent ? SB_OK : SB_E_UNAVAILABLE;
}

static enum sb_error end_events(struct sb_voice_output *output, const struct sb_voice_reply *reply)
{
    struct sb_buf data;
    open_event(&data);
    add_summary(output, &data, reply);
    sb_json_close(&data, '}');
    return send_event(output, "done", &data) ? SB_OK : SB_E_UNAVAILABLE;
}

enum sb_error sb_voice_output_end(struct sb_voice_output *output, enum sb_error error,
                                  const struct sb_voice_reply *reply)
{
    if (sb_request_gone(output->request))
        return SB_E_UNAVAILABLE;
    if (error != SB_OK) {
        bool begun = output->form == SB_VOICE_FORM_EVENTS && sb_request_begun(output->request);
        bool told = !begun || sb_request_write_error_event(output->request, error);
        return told ? error : SB_E_UNAVAILABLE;
    }
    if (output->form == SB_VOICE_FORM_EVENTS)
        return end_events(output, reply);
    if (output->form == SB_VOICE_FORM_AUDIO) {
        sb_request_content_type(output->request, audio_type(output));
        return SB_OK;
    }
    return end_json(output, reply);
}
