#include "upstream/audio.h"

#include <string.h>
#include <unistd.h>

static const struct sb_audio_format wav = {"wav", "wav"};
static const struct sb_audio_format webm = {"webm", "matroska"};
static const struct sb_audio_format ogg = {"ogg", "ogg"};
static const struct sb_audio_format flac = {"flac", "flac"};
static const struct sb_audio_format mp4 = {"m4a", "mov"};
static const struct sb_audio_format mp3 = {"mp3", "mp3"};

static const struct {
    size_t offset;
    const char *magic;
    const struct sb_audio_format *format;
} magics[] = {
    {0, "\x1a\x45\xdf\xa3", &webm},
    {0, "OggS", &ogg},
    {0, "fLaC", &flac},
    {4, "ftyp", &mp4},
    {0, "ID3", &mp3},
};

/* An MPEG audio frame of layer III (ISO 11172-3): sync, a version, layer bits 01, and bit rate and
 * sampling rate that are none of the forbidden ones. AAC's frames have layer bits 00. */
static bool mp3_frame(const unsigned char *b, size_t length)
{
    return length >= 4 && b[0] == 0xff && (b[1] & 0xe6) == 0xe2 && (b[1] & 0x18) != 0x08 &&
           (b[2] & 0xf0) != 0xf0 && (b[2] & 0xf0) != 0 && (b[2] & 0x0c) != 0x0c;
}

const struct sb_audio_format *sb_audio_sniff(const unsigned char *bytes, size_t length)
{
    if (length >= 12 && memcmp(bytes, "RIFF", 4) == 0)
        return memcmp(bytes + 8, "WAVE", 4) == 0 ? &wav : NULL;
    for (size_t i = 0; i < SB_COUNT(magics); i++) {
        size_t size = strlen(magics[i].magic);
        if (length >= magics[i].offset + size &&
            memcmp(bytes + magics[i].offset, magics[i].magic, size) == 0)
            return magics[i].format;
    }
    return mp3_frame(bytes, length) ? &mp3 : NULL;
}

/* --- Silence ---------------------------------------------------------------------------------- */

enum {
    FRAME = SB_AUDIO_RATE_HZ / 50, /* samples of 20 ms */
    LOUD_FRAMES = 3,
    LOUD_RMS = 184 /* 32767 at -45 dB */
};

struct loudness {
    int64_t energy, offset;
    int samples, loud, longest;
};

/* Around the mean: a microphone's constant offset is no sound. */
static void end_frame(struct loudness *loudness)
{
    int64_t mean = loudness->offset / FRAME;
    int64_t variance = loudness->energy / FRAME - mean * mean;
    loudness->loud = variance >= (int64_t)LOUD_RMS * LOUD_RMS ? loudness->loud + 1 : 0;
    if (loudness->loud > loudness->longest)
        loudness->longest = loudness->loud;
    loudness->energy = loudness->offset = 0;
    loudness->samples = 0;
}

static void take_sample(struct loudness *loudness, int value)
{
    loudness->energy += (int64_t)value * value;
    loudness->offset += value;
    if (++loudness->samples == FRAME)
        end_frame(loudness);
}

enum sb_error sb_audio_has_speech(int fd, int64_t length, bool *speech)
{
    unsigned char bytes[8192];
    struct loudness loudness = {.samples = 0};
    for (int64_t at = 0; at < length && loudness.longest < LOUD_FRAMES;) {
        ssize_t got = pread(fd, bytes, sizeof bytes, at);
        if (got <= 0)
            return SB_E_UNAVAILABLE;
        for (ssize_t i = 0; i + 1 < got; i += 2)
            take_sample(&loudness, (int16_t)(bytes[i] | bytes[i + 1] << 8));
        at += got > 1 ? got - got % 2 : got;
    }
    const int64_t min = SB_AUDIO_MIN_MS * INT64_C(2) * SB_AUDIO_RATE_HZ / 1000;
    *speech = length >= min && loudness.longest >= LOUD_FRAMES;
    return SB_OK;
}

/* --- WAV -------------------------------------------------------------------------------------- */

static void put(unsigned char *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

static uint32_t get(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

void sb_audio_wav_header(unsigned char header[static SB_AUDIO_WAV_HEADER_SIZE], int64_t rate_hz,
                         int64_t data_length)
{
    static const char names[SB_AUDIO_WAV_HEADER_SIZE + 1] =
        "RIFF----WAVEfmt --------------------data----";
    bool known = data_length >= 0 && data_length <= UINT32_MAX - 36;
    uint32_t length = known ? (uint32_t)data_length : UINT32_MAX;
    memcpy(header, names, SB_AUDIO_WAV_HEADER_SIZE);
    put(header + 4, known ? length + 36 : UINT32_MAX, 4);
    put(header + 16, 16, 4);
    put(header + 20, 1, 2); /* PCM */
    put(header + 22, 1, 2); /* channels */
    put(header + 24, (uint32_t)rate_hz, 4);
    put(header + 28, (uint32_t)rate_hz * 2, 4);
    put(header + 32, 2, 2);
    put(header + 34, 16, 2);
    put(header + 40, length, 4);
}

/* Collects until size bytes are held; false: more must come. */
static bool hold(struct sb_audio_wav_reader *reader, const char **data, size_t *left, size_t size)
{
    size_t take = size - reader->held < *left ? size - reader->held : *left;
    memcpy(reader->header + reader->held, *data, take);
    reader->held += take;
    *data += take;
    *left -= take;
    return reader->held == size;
}

/* A chunk's header, and of "fmt " the 16 bytes behind it, are held. */
static bool take_chunk(struct sb_audio_wav_reader *reader, const char **data, size_t *left)
{
    if (!hold(reader, data, left, reader->held < 8 ? 8 : 24) && reader->held < 8)
        return true;
    uint32_t size = get(reader->header + 4, 4);
    if (memcmp(reader->header, "data", 4) == 0) {
        reader->in_data = true;
        return reader->rate_hz > 0;
    }
    if (memcmp(reader->header, "fmt ", 4) != 0) {
        reader->held = 0;
        reader->skip = size + (size & 1);
        return true;
    }
    if (size < 16)
        return false;
    if (reader->held < 24 && !hold(reader, data, left, 24))
        return true;
    const unsigned char *format = reader->header + 8;
    reader->held = 0;
    reader->skip = size + (size & 1) - 16;
    reader->rate_hz = get(format + 4, 4);
    return get(format, 2) == 1 && get(format + 2, 2) == 1 && get(format + 14, 2) == 16 &&
           reader->rate_hz > 0;
}

bool sb_audio_wav_read(struct sb_audio_wav_reader *reader, const char *data, size_t length,
                       const char **samples, size_t *count)
{
    *samples = data;
    *count = 0;
    while (length > 0 && !reader->in_data && !reader->bad) {
        if (!reader->begun) {
            if (!hold(reader, &data, &length, 12))
                break;
            reader->begun = true;
            reader->held = 0;
            reader->bad = memcmp(reader->header, "RIFF", 4) != 0 ||
                          memcmp(reader->header + 8, "WAVE", 4) != 0;
        } else if (reader->skip > 0) {
            size_t skip = reader->skip < (int64_t)length ? (size_t)reader->skip : length;
            reader->skip -= (int64_t)skip;
            data += skip;
            length -= skip;
        } else {
            reader->bad = !take_chunk(reader, &data, &length);
        }
    }
    if (reader->in_data && !reader->bad) {
        *samples = data;
        *count = length;
    }
    return !reader->bad;
}
