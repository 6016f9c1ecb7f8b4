#include "upstream/audio.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct {
    const char *bytes;
    size_t length;
    const char *extension; /* NULL: not taken */
} recordings[] = {
    {"RIFF\x24\x00\x00\x00WAVEfmt ", 16, "wav"},
    {"RIFF\xff\xff\xff\xffWAVEfmt ", 16, "wav"},
    {"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81", 16, "webm"},
    {"OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16, "ogg"},
    {"fLaC\x00\x00\x00\x22\x10\x00\x10\x00\x00\x00\x00\x00", 16, "flac"},
    {"\x00\x00\x00\x1c"
     "ftypM4A \x00\x00\x00",
     16, "m4a"},
    {"\x00\x00\x00\x1c"
     "ftypiso5\x00\x00\x00",
     16, "m4a"},
    {"ID3\x04\x00\x00\x00\x00\x00\x23TSSE\x00\x00", 16, "mp3"},
    {"\xff\xfb\x90\x64\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16, "mp3"},
    {"\xff\xf3\x40\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16, "mp3"},
    {"\xff\xf1\x50\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16, NULL}, /* AAC */
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16, NULL},
    {"RIFF\x24\x00\x00\x00"
     "AVI LIST",
     16, NULL},
    {"XXXX\x24\x00\x00\x00WAVEfmt ", 16, NULL},
    {"#EXTM3U\n#EXTINF:", 16, NULL},
    {"<!DOCTYPE html>\n", 16, NULL},
    {"RIFF\x24\x00\x00\x00WAV", 11, NULL},
    {"Ogg", 3, NULL},
    {"", 0, NULL},
};

Test(audio, formats_are_told_by_their_content)
{
    for (size_t i = 0; i < SB_COUNT(recordings); i++) {
        unsigned char *copy = malloc(recordings[i].length + 1);
        memcpy(copy, recordings[i].bytes, recordings[i].length);
        copy = realloc(copy, recordings[i].length > 0 ? recordings[i].length : 1);
        const struct sb_audio_format *format = sb_audio_sniff(copy, recordings[i].length);
        if (recordings[i].extension == NULL)
            cr_expect_null(format, "recording %zu", i);
        else if (format == NULL)
            cr_expect_fail("recording %zu is not known", i);
        else
            cr_expect_str_eq(format->extension, recordings[i].extension, "recording %zu", i);
        free(copy);
    }
}

/* ms of a tone of the given height, after a silence of before_ms, on a constant offset. */
static bool speaks(int before_ms, int ms, double height, int offset)
{
    int fd = memfd_create("pcm", MFD_CLOEXEC);
    int samples = (before_ms + ms) * SB_AUDIO_RATE_HZ / 1000;
    for (int i = 0; i < samples; i++) {
        bool tone = i >= before_ms * SB_AUDIO_RATE_HZ / 1000;
        int16_t value = (int16_t)(offset + (tone ? (i / 16 % 2 == 0 ? height : -height) : 0));
        cr_assert_eq(write(fd, &value, 2), 2);
    }
    bool speech;
    cr_assert_eq(sb_audio_has_speech(fd, samples * 2L, &speech), SB_OK);
    close(fd);
    return speech;
}

Test(audio, a_tone_is_something_and_silence_is_nothing)
{
    cr_expect(speaks(0, 500, 3000, 0));
    cr_expect(speaks(900, 100, 3000, 0));
    cr_expect_not(speaks(0, 1000, 0, 0));
    cr_expect_not(speaks(0, 1000, 100, 0), "noise of a room");
    cr_expect_not(speaks(0, 1000, 0, 8000), "an offset is no sound");
    cr_expect(speaks(900, 60, 3000, 0), "three frames of 20 ms");
    cr_expect_not(speaks(900, 40, 3000, 0), "a click");
}

Test(audio, what_is_too_short_is_nothing)
{
    cr_expect(speaks(0, SB_AUDIO_MIN_MS, 3000, 0));
    cr_expect_not(speaks(0, SB_AUDIO_MIN_MS - 1, 3000, 0));
    cr_expect_not(speaks(0, 0, 3000, 0));
}

Test(audio, pcm_that_cannot_be_read_is_no_silence)
{
    bool speech;
    int fd = memfd_create("pcm", MFD_CLOEXEC);
    cr_expect_eq(sb_audio_has_speech(fd, 10000, &speech), SB_E_UNAVAILABLE);
    close(fd);
}

/* The samples of a WAV file fed in steps, as text; NULL: refused. */
static const char *samples_of(const unsigned char *file, size_t length, size_t step,
                              int64_t *rate_hz)
{
    static char text[256];
    size_t size = 0;
    struct sb_audio_wav_reader reader = {.held = 0};
    for (size_t at = 0; at < length; at += step) {
        const char *samples;
        size_t count;
        if (!sb_audio_wav_read(&reader, (const char *)file + at,
                               length - at < step ? length - at : step, &samples, &count))
            return NULL;
        memcpy(text + size, samples, count);
        size += count;
    }
    text[size] = '\0';
    *rate_hz = reader.rate_hz;
    return text;
}

static void expect_samples(const unsigned char *file, size_t length, const char *samples)
{
    for (size_t step = 1; step <= length; step++) {
        int64_t rate_hz = 0;
        const char *got = samples_of(file, length, step, &rate_hz);
        cr_assert_not_null(got, "step %zu", step);
        cr_expect_str_eq(got, samples, "step %zu: %s", step, got);
        cr_expect_eq(rate_hz, 8000);
    }
}

Test(audio, a_wav_header_is_read_back_at_every_split_point)
{
    unsigned char file[SB_AUDIO_WAV_HEADER_SIZE + 8];
    sb_audio_wav_header(file, 8000, 8);
    memcpy(file + SB_AUDIO_WAV_HEADER_SIZE, "abcdefgh", 8);
    expect_samples(file, sizeof file, "abcdefgh");
    static const char format[] = "\x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0";
    cr_expect_eq(memcmp(file + 4, "\x2c\0\0\0", 4), 0);
    cr_expect_eq(memcmp(file + 16, format, sizeof format - 1), 0, "16000 bytes a second");
}

Test(audio, an_open_ended_header_claims_all_there_can_be)
{
    unsigned char file[SB_AUDIO_WAV_HEADER_SIZE + 2];
    sb_audio_wav_header(file, 8000, -1);
    memcpy(file + SB_AUDIO_WAV_HEADER_SIZE, "ab", 2);
    cr_expect_eq(memcmp(file + 4, "\xff\xff\xff\xff", 4), 0);
    cr_expect_eq(memcmp(file + 40, "\xff\xff\xff\xff", 4), 0);
    expect_samples(file, sizeof file, "ab");
}

Test(audio, other_chunks_and_a_longer_format_are_skipped)
{
    static const unsigned char file[] =
        "RIFF\xff\xff\xff\x7fWAVE"
        "LIST\x03\0\0\0abc\0"
        "fmt \x12\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0\0\0"
        "fact\x04\0\0\0wxyz"
        "data\xff\xff\xff\x7fsamples";
    expect_samples(file, sizeof file - 1, "samples");
}

Test(audio, what_is_no_mono_pcm_is_refused)
{
    static const struct {
        size_t at;
        unsigned char byte;
    } wrong[] = {{0, 'X'}, {8, 'X'}, {16, 15}, {20, 3}, {22, 2}, {34, 8}, {24, 0}};
    for (size_t i = 0; i < SB_COUNT(wrong); i++) {
        unsigned char file[SB_AUDIO_WAV_HEADER_SIZE];
        int64_t rate_hz;
        sb_audio_wav_header(file, 64, 0);
        file[wrong[i].at] = wrong[i].byte;
        cr_expect_null(samples_of(file, sizeof file, 5, &rate_hz), "byte %zu", wrong[i].at);
    }
    unsigned char file[SB_AUDIO_WAV_HEADER_SIZE];
    int64_t rate_hz;
    sb_audio_wav_header(file, 8000, 0);
    memcpy(file + 12, file + 36, 8); /* data before any format */
    cr_expect_null(samples_of(file, sizeof file, 50, &rate_hz));
}
