/* What kind of recording bytes are, whether one holds anything, and WAV files made of PCM. */
#ifndef SB_UPSTREAM_AUDIO_H
#define SB_UPSTREAM_AUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    SB_AUDIO_SNIFF_SIZE = 16, /* bytes that tell a format */
    SB_AUDIO_RATE_HZ = 16000, /* of decoded recordings: signed 16-bit, mono, little-endian */
    SB_AUDIO_PCM_MAX = 120 * SB_AUDIO_RATE_HZ * 2, /* bytes of it: two minutes */
    SB_AUDIO_MIN_MS = 200,                         /* a shorter recording holds no word */
    SB_AUDIO_WAV_HEADER_SIZE = 44,
    SB_AUDIO_PACKET_MAX = 8192 /* bytes of a coded packet; Opus at its fullest has 7,662 */
};

struct sb_audio_format {
    const char *extension;
    const char *demuxer; /* of ffmpeg */
};

/* The format of a recording that begins with length bytes; NULL: none that we take. What a browser
 * says of it is not believed: Safari calls its recordings by names of its own. */
SB_NONNULL_ALL const struct sb_audio_format *sb_audio_sniff(const unsigned char *bytes,
                                                            size_t length);

/* Takes the next packet of an audio track; false: no more are wanted. */
typedef bool sb_audio_packets(void *context, const unsigned char *data, size_t length);

/* Whether the PCM in fd (SB_AUDIO_RATE_HZ, from its beginning, length bytes) is long and loud
 * enough to hold a word: 60 ms of it in a row above -45 dB of full scale. *speech is set with
 * SB_OK. SB_E_UNAVAILABLE: it cannot be read. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_audio_has_speech(int fd, int64_t length,
                                                               bool *speech);

/* The header of a WAV file of mono 16-bit PCM; data_length -1: unknown, it goes on to the end of
 * the stream. */
SB_NONNULL_ALL void sb_audio_wav_header(unsigned char header[static SB_AUDIO_WAV_HEADER_SIZE],
                                        int64_t rate_hz, int64_t data_length);

/* Takes the samples out of a WAV stream that comes in pieces, whatever lengths its header claims.
 * All fields are the reader's own; it begins zeroed. */
struct sb_audio_wav_reader {
    unsigned char header[64];
    size_t held;  /* bytes of the chunk header or format that were collected */
    int64_t skip; /* bytes of a chunk nobody wants */
    bool begun, in_data, bad;
    int64_t rate_hz; /* once samples come */
};

/* Takes length bytes at data; *samples and *count are those of them that are samples (a part of
 * data). False: it is no WAV file of mono 16-bit PCM. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_audio_wav_read(struct sb_audio_wav_reader *reader,
                                                    const char *data, size_t length,
                                                    const char **samples, size_t *count);

#endif
