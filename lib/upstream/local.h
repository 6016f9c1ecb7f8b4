/* Hearing, thinking and speaking without a cloud: programs of the machine, and the receptionist's
 * own engine. For demonstrations, for tests, and for machines that may not reach anything. */
#ifndef SB_UPSTREAM_LOCAL_H
#define SB_UPSTREAM_LOCAL_H

#include "upstream/audio.h"
#include "upstream/voice.h"

enum {
    /* Programs of one process that decode at once, and that hear at once, of about 100 MB each;
     * more of them wait, within their deadlines. (Who speaks is small, and gone at once.) */
    SB_LOCAL_PROGRAMS_MAX = 8
};

extern const struct sb_hearing sb_local_hearing; /* STT_COMMAND, over the recording's PCM */
extern const struct sb_thinking
    sb_local_thinking; /* RECEPTIONIST_FILE, see sb_local_receptionist() */
extern const struct sb_speaking sb_local_speaking; /* TTS_COMMAND; PCM */

struct sb_receptionist;

/* The receptionist of RECEPTIONIST_FILE, read once in the process; NULL: it cannot be (logged). */
SB_NONNULL_ALL const struct sb_receptionist *sb_local_receptionist(const struct sb_config *config);

/* Decodes recording by DECODE_COMMAND into the empty file recording->pcm_fd and sets pcm_length. A
 * WAV file of such PCM is copied, its first SB_AUDIO_PCM_MAX bytes of it; no program is started.
 * SB_E_UNSUPPORTED_MEDIA_TYPE: the program could not decode it. SB_E_UPSTREAM_TIMEOUT,
 * SB_E_MISCONFIGURED, SB_E_UNAVAILABLE (also: the client is gone, the disk is full) as ever. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_local_decode(struct sb_voice *voice,
                                                           struct sb_voice_recording *recording,
                                                           const struct sb_audio_format *format,
                                                           int64_t deadline_ms);

#endif
