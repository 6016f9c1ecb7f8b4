#include "upstream/opus.h"

#include <opus/opus.h>
#include <string.h>
#include <unistd.h>

#include "base/temp_file.h"
#include "upstream/ogg.h"
#include "upstream/ogg_writer.h"
#include "upstream/webm.h"

enum {
    HEAD_SIZE = 19,                              /* of an OpusHead of channel mapping family 0 */
    CODED_SAMPLES = 48000 / SB_AUDIO_RATE_HZ,    /* of those its times are told in, for one */
    SAMPLES_MAX = SB_AUDIO_RATE_HZ / 1000 * 120, /* of a packet */
    SAMPLE_SIZE = 2,
    PENDING_MAX = 8192
};

struct decoding {
    struct sb_voice_recording *recording;
    OpusDecoder *decoder;
    struct sb_ogg_writer ogg;
    int64_t decoded; /* samples */
    int skip;        /* those that are not to be heard */
    enum sb_error error;
    size_t pending;
    unsigned char pcm[PENDING_MAX]; /* that has not been written yet */
};

static bool fail(struct decoding *decoding, enum sb_error error)
{
    decoding->error = error;
    return false;
}

/* RFC 7845, section 5.1. */
static bool begin(struct decoding *decoding, const unsigned char *head, size_t length)
{
    int error = OPUS_OK;
    bool ours = length >= HEAD_SIZE && memcmp(head, "OpusHead", 8) == 0 && head[8] >> 4 == 0 &&
                (head[9] == 1 || head[9] == 2) && head[18] == 0;
    if (!ours)
        return fail(decoding, SB_E_UNSUPPORTED_MEDIA_TYPE);
    decoding->decoder = opus_decoder_create(SB_AUDIO_RATE_HZ, 1, &error);
    if (decoding->decoder == NULL)
        return fail(decoding, SB_E_UNAVAILABLE);
    decoding->skip = (head[10] | head[11] << 8) / CODED_SAMPLES;
    int gain = (int16_t)(head[16] | head[17] << 8);
    if (opus_decoder_ctl(decoding->decoder, OPUS_SET_GAIN(gain)) != OPUS_OK)
        return fail(decoding, SB_E_INTERNAL);
    return sb_ogg_writer_begin(&decoding->ogg, decoding->recording->ogg_fd,
                               &decoding->recording->ogg_length, head, HEAD_SIZE) ||
           fail(decoding, SB_E_UNAVAILABLE);
}

static bool flush(struct decoding *decoding)
{
    struct sb_voice_recording *recording = decoding->recording;
    size_t size = decoding->pending;
    decoding->pending = 0;
    return sb_temp_file_append(recording->pcm_fd, &recording->pcm_length, decoding->pcm, size) ||
           fail(decoding, SB_E_UNAVAILABLE);
}

static bool add_samples(struct decoding *decoding, const int16_t *samples, int count)
{
    if (decoding->pending + (size_t)count * SAMPLE_SIZE > PENDING_MAX && !flush(decoding))
        return false;
    for (int i = 0; i < count; i++) {
        int64_t length = decoding->recording->pcm_length + (int64_t)decoding->pending;
        if (length >= SB_AUDIO_PCM_MAX)
            return false;
        decoding->pcm[decoding->pending++] = (unsigned char)samples[i];
        decoding->pcm[decoding->pending++] = (unsigned char)(samples[i] >> 8);
    }
    return true;
}

static bool take_packet(void *context, const unsigned char *data, size_t length)
{
    struct decoding *decoding = context;
    int16_t samples[SAMPLES_MAX];
    if (decoding->decoder == NULL)
        return begin(decoding, data, length);
    if (length == 0) /* to the decoder it would mean a lost one, of a length to be guessed */
        return true;
    int count = opus_decode(decoding->decoder, data, (int)length, samples, SAMPLES_MAX, 0);
    if (count < 0)
        return true;
    decoding->decoded += count;
    if (!sb_ogg_writer_add(&decoding->ogg, data, length, decoding->decoded * CODED_SAMPLES))
        return fail(decoding, SB_E_UNAVAILABLE);
    int dropped = count < decoding->skip ? count : decoding->skip;
    decoding->skip -= dropped;
    return add_samples(decoding, samples + dropped, count - dropped);
}

static enum sb_error decode(struct decoding *decoding, const struct sb_audio_format *format)
{
    int fd = decoding->recording->fd;
    enum sb_error error = SB_E_UNSUPPORTED_MEDIA_TYPE;
    if (strcmp(format->extension, "webm") == 0)
        error = sb_webm_read(fd, take_packet, decoding);
    else if (strcmp(format->extension, "ogg") == 0)
        error = sb_ogg_read(fd, take_packet, decoding);
    if (error == SB_OK)
        error = decoding->error;
    if (error == SB_OK && !flush(decoding))
        error = decoding->error;
    if (error == SB_OK && !sb_ogg_writer_finish(&decoding->ogg))
        error = SB_E_UNAVAILABLE;
    return error;
}

/* Packets of padding take more of the disk than what they say, for as long as the turn lasts. */
static bool keep_the_shorter(struct sb_voice_recording *recording)
{
    if (recording->ogg_length <= recording->pcm_length)
        return true;
    recording->ogg_length = 0;
    return ftruncate(recording->ogg_fd, 0) == 0;
}

enum sb_error sb_opus_decode(struct sb_voice_recording *recording,
                             const struct sb_audio_format *format)
{
    struct decoding decoding = {.recording = recording};
    recording->pcm_length = recording->ogg_length = 0;
    enum sb_error error = decode(&decoding, format);
    if (decoding.decoder != NULL) {
        opus_decoder_destroy(decoding.decoder);
        sb_ogg_writer_end(&decoding.ogg);
    }
    if (error == SB_OK && recording->pcm_length == 0) /* or it is too damaged for us */
        error = SB_E_UNSUPPORTED_MEDIA_TYPE;
    if (error == SB_E_UNSUPPORTED_MEDIA_TYPE) {
        recording->pcm_length = recording->ogg_length = 0;
        if (ftruncate(recording->pcm_fd, 0) != 0 || ftruncate(recording->ogg_fd, 0) != 0)
            error = SB_E_UNAVAILABLE;
    }
    return error == SB_OK && !keep_the_shorter(recording) ? SB_E_UNAVAILABLE : error;
}
