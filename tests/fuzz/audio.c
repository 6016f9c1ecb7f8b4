/* Recordings of strangers and the WAV streams of programs: the first byte says in what steps the
 * rest is fed. */
#include "upstream/audio.h"

#include <string.h>

#include "base/buf.h"
#include "support/fuzz.h"

enum { INPUT_MAX = 65536 };

static void check_sniff(const uint8_t *data, size_t size)
{
    size_t head = size < SB_AUDIO_SNIFF_SIZE ? size : SB_AUDIO_SNIFF_SIZE;
    const struct sb_audio_format *format = sb_audio_sniff(data, head);
    FUZZ_REQUIRE(sb_audio_sniff(data, size) == format);
    FUZZ_REQUIRE(format == NULL || (head >= 3 && *format->extension != '\0'));
}

/* False: it is no WAV file that we take. */
static bool read_wav(const uint8_t *data, size_t size, size_t step, struct sb_buf *samples,
                     int64_t *rate_hz)
{
    struct sb_audio_wav_reader reader = {.held = 0};
    bool good = true;
    sb_buf_init(samples, NULL, INPUT_MAX + 1);
    for (size_t at = 0; at < size && good; at += step) {
        const char *piece = (const char *)data + at, *found;
        size_t length = size - at < step ? size - at : step, count;
        good = sb_audio_wav_read(&reader, piece, length, &found, &count);
        FUZZ_REQUIRE(good || count == 0);
        FUZZ_REQUIRE(found >= piece && found + count <= piece + length);
        FUZZ_REQUIRE(count == 0 || (reader.in_data && reader.rate_hz > 0));
        sb_buf_add(samples, found, count);
    }
    FUZZ_REQUIRE(sb_buf_ok(samples));
    *rate_hz = reader.in_data ? reader.rate_hz : 0;
    return good;
}

/* The header that we write before samples is one that we read. */
static void check_header(const uint8_t *data, size_t size)
{
    unsigned char header[SB_AUDIO_WAV_HEADER_SIZE];
    struct sb_audio_wav_reader reader = {.held = 0};
    const char *found;
    size_t count;
    int64_t rate_hz = 1 + (size > 1 ? data[0] << 8 | data[1] : 0);
    sb_audio_wav_header(header, rate_hz, (int64_t)size - 1);
    FUZZ_REQUIRE(sb_audio_sniff(header, sizeof header) != NULL);
    FUZZ_REQUIRE(sb_audio_wav_read(&reader, (const char *)header, sizeof header, &found, &count));
    FUZZ_REQUIRE(reader.in_data && reader.rate_hz == rate_hz && count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_buf whole, split;
    int64_t rate_hz, split_rate_hz;
    if (size == 0 || size > INPUT_MAX)
        return 0;
    check_sniff(data + 1, size - 1);
    check_header(data + 1, size - 1);
    bool good = read_wav(data + 1, size - 1, size, &whole, &rate_hz);
    FUZZ_REQUIRE(read_wav(data + 1, size - 1, data[0] % 16 + 1u, &split, &split_rate_hz) == good);
    FUZZ_REQUIRE(!good || (whole.length == split.length && rate_hz == split_rate_hz));
    FUZZ_REQUIRE(!good || whole.length == 0 || memcmp(whole.data, split.data, whole.length) == 0);
    sb_buf_free(&whole);
    sb_buf_free(&split);
    return 0;
}
