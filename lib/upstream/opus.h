/* What browsers record, Opus (RFC 6716) in WebM or Ogg, made PCM in this process: a program that
 * decodes it takes far longer to start than the rest of a turn. */
#ifndef SB_UPSTREAM_OPUS_H
#define SB_UPSTREAM_OPUS_H

#include "upstream/audio.h"
#include "upstream/voice.h"

/* Decodes recording into the empty file recording->pcm_fd and sets pcm_length; of more than
 * SB_AUDIO_PCM_MAX bytes the first ones. The packets that were decoded are written into the empty
 * file recording->ogg_fd, and ogg_length is set, unless they are more bytes than the PCM. Two
 * channels are mixed; packets that are damaged are left out, and what a container says of samples
 * to drop at the end is not obeyed. SB_E_UNSUPPORTED_MEDIA_TYPE: format is neither, or it is coded
 * otherwise, or unlike anything a browser writes: for sb_local_decode(); the files are empty again.
 * SB_E_UNAVAILABLE: recording cannot be read, the disk is full, or out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_opus_decode(struct sb_voice_recording *recording,
                                                          const struct sb_audio_format *format);

#endif
