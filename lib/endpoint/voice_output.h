/* How a spoken turn is told to the client: JSON at its end, events as it goes, or the bare audio.
 */
#ifndef SB_ENDPOINT_VOICE_OUTPUT_H
#define SB_ENDPOINT_VOICE_OUTPUT_H

#include "endpoint/endpoint.h"
#include "upstream/engines.h"

enum { SB_VOICE_AUDIO_MAX = 24 * 1024 * 1024 }; /* bytes of a JSON answer's audio */

enum sb_voice_form { SB_VOICE_FORM_JSON, SB_VOICE_FORM_EVENTS, SB_VOICE_FORM_AUDIO };

struct sb_voice_output {
    struct sb_request *request;
    const struct sb_engines *engines;
    struct sb_voice *voice;
    enum sb_voice_form form;
    const char *transcript; /* NULL: the turn was typed */
    const char *session_id; /* NULL: it belongs to none */
    /* Monotonic; hearing_us, heard_us 0: nothing was to be heard. */
    int64_t started_us, hearing_us, heard_us;
    int64_t sent_us;     /* when the first audio was sent; 0: none was */
    struct sb_buf audio; /* on the heap: of the clause, or of the whole answer */
    bool header_sent;    /* of a WAV stream */
};

/* What Accept asks for. */
SB_NONNULL_ALL void sb_voice_output_open(struct sb_voice_output *output, struct sb_request *request,
                                         struct sb_voice *voice, const struct sb_engines *engines);

/* The recording is there, and hearing it begins. */
SB_NONNULL_ALL void sb_voice_output_hearing(struct sb_voice_output *output);

/* What was heard. False: it cannot be told, most likely because the client is gone. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_voice_output_transcript(struct sb_voice_output *output,
                                                             const char *transcript);

/* Receives the reply; context is output. */
SB_NONNULL_ALL struct sb_voice_receiver sb_voice_output_receiver(struct sb_voice_output *output);

/* The end of a turn that ended with error. Gives the error for the handler to return. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_voice_output_end(struct sb_voice_output *output,
                                                               enum sb_error error,
                                                               const struct sb_voice_reply *reply);

SB_NONNULL_ALL void sb_voice_output_close(struct sb_voice_output *output);

/* Keeps the connection alive while nothing is to be said, and ends a turn that nobody listens to,
 * or that a process which is to end has no time for; a voice's tick. */
bool sb_voice_output_tick(void *output);

#endif
