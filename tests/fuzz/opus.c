/* Recordings of Opus: containers and packets of strangers. Pages of Ogg get the checksum that they
 * should have, which an input would hardly find. */
#include "upstream/opus.h"

#include <ogg/ogg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/fuzz.h"
#include "upstream/ogg.h"
#include "upstream/webm.h"

enum { INPUT_MAX = 65536, OGG_HEADER = 27 };

static unsigned char file[INPUT_MAX];

static void sum_pages(unsigned char *data, size_t size)
{
    for (size_t at = 0; at + OGG_HEADER <= size; at++) {
        size_t header = OGG_HEADER + (size_t)data[at + 26], body = 0;
        if (memcmp(data + at, "OggS", 4) != 0 || at + header > size)
            continue;
        for (size_t i = OGG_HEADER; i < header; i++)
            body += data[at + i];
        if (at + header + body > size)
            continue;
        ogg_page page = {data + at, (long)header, data + at + header, (long)body};
        ogg_page_checksum_set(&page);
    }
}

static int file_of(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    return fd;
}

/* How much was given, and that all of it is there. */
static bool take_packet(void *context, const unsigned char *data, size_t length)
{
    int64_t *total = context;
    volatile unsigned char last = 0;
    FUZZ_REQUIRE(length <= SB_AUDIO_PACKET_MAX);
    for (size_t i = 0; i < length; i++)
        last ^= data[i];
    *total += (int64_t)length;
    return true;
}

static void check_again(const struct sb_voice_recording *first)
{
    const struct sb_audio_format format = {.extension = "ogg"};
    struct sb_voice_recording again = {
        .fd = first->ogg_fd, .pcm_fd = file_of("", 0), .ogg_fd = file_of("", 0)};
    FUZZ_REQUIRE(sb_opus_decode(&again, &format) == SB_OK);
    FUZZ_REQUIRE(again.pcm_length == first->pcm_length && again.ogg_length == first->ogg_length);
    close(again.pcm_fd);
    close(again.ogg_fd);
}

static void check(enum sb_error (*read)(int, sb_audio_packets *, void *), const char *extension,
                  size_t size)
{
    const struct sb_audio_format format = {.extension = extension};
    struct sb_voice_recording recording = {
        .fd = file_of(file, size), .pcm_fd = file_of("", 0), .ogg_fd = file_of("", 0)};
    int64_t total = 0;
    enum sb_error packets = read(recording.fd, take_packet, &total);
    enum sb_error decoded = sb_opus_decode(&recording, &format);
    off_t written = lseek(recording.pcm_fd, 0, SEEK_END);
    FUZZ_REQUIRE(total <= (int64_t)size);
    FUZZ_REQUIRE(packets == SB_OK || packets == SB_E_UNSUPPORTED_MEDIA_TYPE);
    FUZZ_REQUIRE(decoded == SB_OK || decoded == SB_E_UNSUPPORTED_MEDIA_TYPE);
    FUZZ_REQUIRE(written == recording.pcm_length && written % 2 == 0);
    FUZZ_REQUIRE(written <= SB_AUDIO_PCM_MAX && (decoded == SB_OK) == (written > 0));
    if (recording.ogg_length > 0) /* what was decoded is the same when it is read again */
        check_again(&recording);
    FUZZ_REQUIRE(lseek(recording.ogg_fd, 0, SEEK_END) == recording.ogg_length);
    FUZZ_REQUIRE(recording.ogg_length <= recording.pcm_length);
    close(recording.fd);
    close(recording.pcm_fd);
    close(recording.ogg_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    memcpy(file, data, size);
    check(sb_webm_read, "webm", size);
    sum_pages(file, size);
    check(sb_ogg_read, "ogg", size);
    return 0;
}
