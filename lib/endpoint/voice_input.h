/* What is said to /api/voice-chat: a recording, alone or in a form, or a text. */
#ifndef SB_ENDPOINT_VOICE_INPUT_H
#define SB_ENDPOINT_VOICE_INPUT_H

#include "endpoint/endpoint.h"
#include "upstream/audio.h"
#include "upstream/voice.h"

enum {
    SB_VOICE_RECORDING_MAX = 25 * 1024 * 1024, /* bytes; what transcription services take */
    SB_VOICE_BODY_MAX = SB_VOICE_RECORDING_MAX + 64 * 1024,
    SB_VOICE_TEXT_MAX = 2000 /* characters */
};

struct sb_voice_input {
    const char *text;                     /* NULL: there is a recording */
    const char *session_id, *language;    /* NULL: not said */
    struct sb_voice_recording recording;  /* its descriptors are -1 without one */
    const struct sb_audio_format *format; /* of the recording */
};

/* Takes the body: multipart/form-data with `audio`, a raw recording (audio/..., video/webm,
 * application/octet-stream; the fields in the query), or JSON. A recording goes to a file without a
 * name below STATE_DIR/temp_audio as it arrives. sb_voice_input_close() is due whatever is
 * returned. SB_E_NO_SPEECH: it is empty. SB_E_UNSUPPORTED_MEDIA_TYPE: another type, or no recording
 * of a kind that we take. SB_E_BODY_TOO_LARGE, SB_E_INVALID_MULTIPART, SB_E_INVALID_JSON,
 * SB_E_VALIDATION_FAILED, SB_E_INVALID_REQUEST; SB_E_UNAVAILABLE: the disk is full, or fails
 * (logged). */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_voice_input_take(struct sb_request *request,
                                                               struct sb_voice_input *input);

/* Another such file, empty; -1: there is no place (logged). */
SB_NONNULL_ALL SB_MUST_CHECK int sb_voice_file(struct sb_request *request);

SB_NONNULL_ALL void sb_voice_input_close(struct sb_voice_input *input);

#endif
