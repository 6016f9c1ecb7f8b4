#include "endpoint/voice_input.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "base/temp_file.h"
#include "endpoint/pipeline.h"
#include "http/input_validator.h"
#include "http/json.h"
#include "http/multipart.h"

enum { PIECE = 16 * 1024, HELD = 4 * 1024, FORM_TEXT_MAX = 16 * 1024 };

struct fields {
    const char *text, *session_id, *language;
};

static const struct sb_field text_fields[] = {
    SB_STRING(struct fields, text, "text", 1, SB_VOICE_TEXT_MAX, 0),
    SB_ID(struct fields, session_id, "sessionId", 0),
    SB_STRING(struct fields, language, "language", 2, 3, 0), SB_FIELDS_END};

/* --- The file -----------------------------------------------------------------------------------
 */

static int no_place(struct sb_request *request)
{
    SB_LOG(SB_LOG_ERROR, "temp_audio.failed", request->trace_id,
           SB_LOG_TEXT("variable", "STATE_DIR"), SB_LOG_TEXT("reason", strerror(errno)));
    return -1;
}

int sb_voice_file(struct sb_request *request)
{
    const char *directory =
        sb_arena_printf(request->arena, "%s/temp_audio", request->config->state_dir);
    if (directory == NULL)
        return -1;
    int fd = sb_temp_file_open(directory);
    return fd >= 0 ? fd : no_place(request);
}

static enum sb_error append(struct sb_request *request, struct sb_voice_input *input,
                            const void *data, size_t length)
{
    struct sb_voice_recording *recording = &input->recording;
    if (recording->length + (int64_t)length > SB_VOICE_RECORDING_MAX)
        return SB_E_BODY_TOO_LARGE;
    if (sb_temp_file_append(recording->fd, &recording->length, data, length))
        return SB_OK;
    no_place(request);
    return SB_E_UNAVAILABLE;
}

static enum sb_error open_recording(struct sb_request *request, struct sb_voice_input *input)
{
    if (input->recording.fd < 0)
        input->recording.fd = sb_voice_file(request);
    return input->recording.fd < 0 ? SB_E_UNAVAILABLE : SB_OK;
}

/* Gives all of the body to take, piece by piece. */
static enum sb_error read_body(struct sb_request *request,
                               enum sb_error (*take)(void *, const void *, size_t), void *context)
{
    char piece[PIECE];
    size_t got;
    do {
        enum sb_error error = sb_request_read(request, piece, PIECE, &got);
        if (error == SB_OK && got > 0)
            error = take(context, piece, got);
        if (error != SB_OK)
            return error;
    } while (got > 0);
    return SB_OK;
}

/* --- The fields ---------------------------------------------------------------------------------
 */

static enum sb_error take_fields(struct sb_request *request, const json_t *object,
                                 struct sb_voice_input *input)
{
    struct fields fields = {.text = NULL};
    enum sb_error error = sb_input_validate(request->arena, object, text_fields, false, &fields,
                                            &request->pipeline->field_errors);
    if (error != SB_OK)
        return error;
    for (const char *c = fields.language; c != NULL && *c != '\0'; c++) {
        if (*c < 'a' || *c > 'z')
            return sb_request_invalid(request, "language", "format",
                                      "is a language's code of ISO 639, such as en");
    }
    if (fields.text != NULL && fields.text[strspn(fields.text, " \t\r\n")] == '\0')
        return sb_request_invalid(request, "text", "format", "says nothing");
    input->text = fields.text;
    input->session_id = fields.session_id;
    input->language = input->recording.language = fields.language;
    return SB_OK;
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

static enum sb_error add_bytes(void *context, const void *data, size_t length)
{
    struct sb_buf *body = context;
    sb_buf_add(body, data, length);
    return sb_buf_ok(body) ? SB_OK : SB_E_BODY_TOO_LARGE;
}

static enum sb_error take_json(struct sb_request *request, struct sb_voice_input *input)
{
    struct sb_buf body;
    sb_buf_init(&body, request->arena, SB_JSON_BODY_MAX + 1);
    enum sb_error error = read_body(request, add_bytes, &body);
    if (error != SB_OK)
        return error;
    json_t *object = body.length == 0 ? NULL : sb_json_parse_object(body.data, body.length);
    if (object == NULL)
        return SB_E_INVALID_JSON;
    error = take_fields(request, object, input);
    json_decref(object);
    if (error == SB_OK && input->text == NULL)
        return sb_request_invalid(request, "text", "required", "is required");
    return error;
}

/* --- A form -------------------------------------------------------------------------------------
 */

struct form {
    struct sb_request *request;
    struct sb_voice_input *input;
    json_t *texts;
    struct sb_buf text; /* of the field that is being read */
    const char *name;   /* its name; NULL: it is the recording */
    bool audio;         /* the recording has come */
    size_t held_length;
    char held[HELD]; /* of the recording: a body of line ends comes byte by byte */
};

static enum sb_error write_held(struct form *form)
{
    size_t length = form->held_length;
    form->held_length = 0;
    return append(form->request, form->input, form->held, length);
}

static enum sb_error hold(struct form *form, const void *data, size_t length)
{
    enum sb_error error = SB_OK;
    if (length > sizeof form->held - form->held_length)
        error = write_held(form);
    if (error != SB_OK || length > sizeof form->held)
        return error != SB_OK ? error : append(form->request, form->input, data, length);
    memcpy(form->held + form->held_length, data, length);
    form->held_length += length;
    return SB_OK;
}

static enum sb_error begin_part(void *context, const struct sb_multipart_part *part)
{
    struct form *form = context;
    form->name = NULL;
    if (strcmp(part->name, "audio") == 0) {
        if (form->audio)
            return sb_request_invalid(form->request, "audio", "format", "must be there once");
        form->audio = true;
        return open_recording(form->request, form->input);
    }
    form->name = sb_arena_strdup(form->request->arena, part->name);
    sb_buf_init(&form->text, form->request->arena, FORM_TEXT_MAX);
    return form->name == NULL ? SB_E_UNAVAILABLE : SB_OK;
}

static enum sb_error take_part(void *context, const void *data, size_t length)
{
    struct form *form = context;
    if (form->name == NULL)
        return hold(form, data, length);
    sb_buf_add(&form->text, data, length);
    return sb_buf_ok(&form->text) ? SB_OK : SB_E_BODY_TOO_LARGE;
}

static enum sb_error end_part(void *context)
{
    struct form *form = context;
    if (form->name == NULL)
        return write_held(form);
    if (json_object_get(form->texts, form->name) != NULL)
        return SB_E_INVALID_MULTIPART;
    const char *text = form->text.data == NULL ? "" : form->text.data;
    /* jansson refuses what is no UTF-8; a NUL would cut the text. */
    bool set = strlen(text) == form->text.length &&
               json_object_set_new(form->texts, form->name, json_string(text)) == 0;
    return set ? SB_OK
               : sb_request_invalid(form->request, form->name, "format", "must be UTF-8 text");
}

static enum sb_error feed(void *context, const void *data, size_t length)
{
    return sb_multipart_feed(context, data, length);
}

static enum sb_error take_form(struct sb_request *request, struct sb_voice_input *input)
{
    struct form form = {.request = request, .input = input, .texts = json_object()};
    const struct sb_multipart_handler handler = {begin_part, take_part, end_part, &form};
    struct sb_multipart *multipart = sb_arena_alloc(request->arena, sizeof *multipart);
    if (form.texts == NULL || multipart == NULL) {
        json_decref(form.texts);
        return SB_E_UNAVAILABLE;
    }
    const char *type = request->content_type == NULL ? "" : request->content_type;
    enum sb_error error = sb_multipart_init(multipart, type, &handler);
    if (error == SB_OK)
        error = read_body(request, feed, multipart);
    if (error == SB_OK)
        error = sb_multipart_end(multipart);
    if (error == SB_OK)
        error = take_fields(request, form.texts, input);
    json_decref(form.texts);
    if (error == SB_OK && form.audio == (input->text != NULL))
        return sb_request_invalid(request, "audio", form.audio ? "not_allowed" : "required",
                                  "either audio or text must be there");
    return error;
}

/* --- A raw recording ----------------------------------------------------------------------------
 */

struct raw {
    struct sb_request *request;
    struct sb_voice_input *input;
};

static enum sb_error take_bytes(void *context, const void *data, size_t length)
{
    const struct raw *raw = context;
    return append(raw->request, raw->input, data, length);
}

static enum sb_error take_raw(struct sb_request *request, struct sb_voice_input *input)
{
    struct raw raw = {request, input};
    json_t *query = json_object();
    enum sb_error error = query == NULL
                              ? SB_E_UNAVAILABLE
                              : sb_input_parse_query(request->arena, request->query, query);
    if (error == SB_OK)
        error = take_fields(request, query, input);
    json_decref(query);
    if (error == SB_OK && input->text != NULL)
        error = sb_request_invalid(request, "text", "not_allowed", "the body is a recording");
    if (error == SB_OK)
        error = open_recording(request, input);
    return error == SB_OK ? read_body(request, take_bytes, &raw) : error;
}

/* What a client calls it is not believed, beyond that it is some recording. */
static bool names_recording(const char *type)
{
    return strncasecmp(type, "audio/", 6) == 0 || sb_media_type_is(type, "video/webm") ||
           sb_media_type_is(type, "video/mp4") ||
           sb_media_type_is(type, "application/octet-stream");
}

static enum sb_error sniff(struct sb_request *request, struct sb_voice_input *input)
{
    unsigned char head[SB_AUDIO_SNIFF_SIZE];
    struct sb_voice_recording *recording = &input->recording;
    if (recording->length == 0)
        return SB_E_NO_SPEECH;
    ssize_t got = pread(recording->fd, head, sizeof head, 0);
    if (got < 0) {
        no_place(request);
        return SB_E_UNAVAILABLE;
    }
    input->format = sb_audio_sniff(head, (size_t)got);
    if (input->format == NULL) {
        sb_request_explain(request, "The recording is none of WAV, WebM, Ogg, MP3, MP4 and FLAC.");
        return SB_E_UNSUPPORTED_MEDIA_TYPE;
    }
    return SB_OK;
}

enum sb_error sb_voice_input_take(struct sb_request *request, struct sb_voice_input *input)
{
    const char *type = request->content_type == NULL ? "" : request->content_type;
    *input = (struct sb_voice_input){.recording = {.fd = -1, .pcm_fd = -1, .ogg_fd = -1}};
    enum sb_error error = SB_E_UNSUPPORTED_MEDIA_TYPE;
    if (sb_media_type_is(type, "application/json"))
        error = take_json(request, input);
    else if (sb_media_type_is(type, "multipart/form-data"))
        error = take_form(request, input);
    else if (names_recording(type))
        error = take_raw(request, input);
    else
        sb_request_explain(request, "This endpoint takes a recording (audio/...), "
                                    "multipart/form-data with `audio`, or application/json.");
    if (error == SB_OK && input->text == NULL)
        error = sniff(request, input);
    return error;
}

void sb_voice_input_close(struct sb_voice_input *input)
{
    int *fds[] = {&input->recording.fd, &input->recording.pcm_fd, &input->recording.ogg_fd};
    for (size_t i = 0; i < SB_COUNT(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}
