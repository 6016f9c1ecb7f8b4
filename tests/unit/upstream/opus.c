#include "upstream/opus.h"

#include <criterion/criterion.h>
#include <math.h>
#include <opus/opus.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../support/container.h"
#include "upstream/ogg.h"

enum { CODED_HZ = 48000, FRAME = CODED_HZ / 50, TONE_HZ = 400, PACKET_MAX = 1500 };

static const struct sb_audio_format webm = {.extension = "webm"}, ogg = {.extension = "ogg"},
                                    mp3 = {.extension = "mp3"};

static struct sb_buf file;
static unsigned char head[OPUS_HEAD_SIZE];
static struct sb_voice_recording recording;

static void set_up(void)
{
    sb_buf_init(&file, NULL, 1 << 24);
    opus_head(head, 1);
    recording = (struct sb_voice_recording){.fd = -1,
                                            .pcm_fd = memfd_create("pcm", MFD_CLOEXEC),
                                            .ogg_fd = memfd_create("ogg", MFD_CLOEXEC)};
}

static void tear_down(void)
{
    sb_buf_free(&file);
    close(recording.pcm_fd);
    close(recording.ogg_fd);
}

TestSuite(opus, .init = set_up, .fini = tear_down, .timeout = 60);

static void begin(void)
{
    file.length = 0;
    webm_begin(&file);
    webm_track(&file, 1, 2, "A_OPUS", head, sizeof head);
}

static void add_packet(const void *packet, size_t length)
{
    webm_block(&file, 0xA3, 1, 0x80, packet, length);
}

/* Bytes that each packet of add_tone() is padded to; 0: it is not. */
static int padded;

/* So many packets of 20 ms of a tone of the given heights, left and right. */
static void add_tone(int channels, int packets, double left, double right)
{
    int error;
    OpusEncoder *encoder = opus_encoder_create(CODED_HZ, channels, OPUS_APPLICATION_AUDIO, &error);
    for (int i = 0; i < packets; i++) {
        opus_int16 samples[FRAME * 2];
        unsigned char packet[SB_AUDIO_PACKET_MAX];
        for (int at = 0; at < FRAME; at++) {
            double wave = sin(2 * M_PI * TONE_HZ * (i * FRAME + at) / CODED_HZ);
            samples[at * channels] = (opus_int16)(left * wave);
            if (channels == 2)
                samples[at * channels + 1] = (opus_int16)(right * wave);
        }
        int length = opus_encode(encoder, samples, FRAME, packet, PACKET_MAX);
        cr_assert_gt(length, 2);
        if (padded > 0) {
            cr_assert_eq(opus_packet_pad(packet, length, padded), OPUS_OK);
            length = padded;
        }
        add_packet(packet, (size_t)length);
    }
    opus_encoder_destroy(encoder);
}

static enum sb_error decode(const struct sb_audio_format *format)
{
    recording.fd = file_with(file.data, file.length);
    recording.length = (int64_t)file.length;
    enum sb_error error = sb_opus_decode(&recording, format);
    close(recording.fd);
    return error;
}

/* How high the tone is in the PCM behind its first 100 ms; the rest of it must be that tone. */
static double height(void)
{
    double sine = 0, cosine = 0, energy = 0;
    const int from = SB_AUDIO_RATE_HZ / 10, to = (int)recording.pcm_length / 2;
    for (int i = from; i < to; i++) {
        unsigned char bytes[2];
        cr_assert_eq(pread(recording.pcm_fd, bytes, 2, 2 * i), 2);
        double sample = (int16_t)(bytes[0] | bytes[1] << 8);
        double angle = 2 * M_PI * TONE_HZ * i / SB_AUDIO_RATE_HZ;
        sine += sample * sin(angle);
        cosine += sample * cos(angle);
        energy += sample * sample;
    }
    double found = 2 * sqrt(sine * sine + cosine * cosine) / (to - from);
    cr_expect_float_eq(found * found / 2, energy / (to - from), 0.05 * energy / (to - from));
    return found;
}

Test(opus, a_tone_is_heard_again)
{
    begin();
    add_tone(1, 50, 8000, 0);
    cr_expect_eq(decode(&webm), SB_OK);
    cr_expect_eq(recording.pcm_length, SB_AUDIO_RATE_HZ * 2);
    cr_expect_float_eq(height(), 8000, 400);
}

Test(opus, of_packets_that_are_padding_only_the_samples_are_kept)
{
    padded = SB_AUDIO_PACKET_MAX;
    begin();
    add_tone(1, 50, 8000, 0);
    cr_expect_eq(decode(&webm), SB_OK);
    cr_expect_eq(recording.pcm_length, SB_AUDIO_RATE_HZ * 2);
    cr_expect_eq(recording.ogg_length, 0);
    cr_expect_eq(lseek(recording.ogg_fd, 0, SEEK_END), 0);
}

Test(opus, two_channels_are_mixed)
{
    opus_head(head, 2);
    begin();
    add_tone(2, 50, 8000, 2000);
    cr_expect_eq(decode(&webm), SB_OK);
    cr_expect_eq(recording.pcm_length, SB_AUDIO_RATE_HZ * 2);
    cr_expect_float_eq(height(), 5000, 400);
}

Test(opus, the_head_says_what_to_skip_and_how_loud_it_is)
{
    head[10] = 312 & 0xff;
    head[11] = 312 >> 8;
    head[16] = 0x05; /* -6.02 dB in 1/256 */
    head[17] = 0xfa;
    begin();
    add_tone(1, 50, 8000, 0);
    cr_expect_eq(decode(&webm), SB_OK);
    cr_expect_eq(recording.pcm_length, (SB_AUDIO_RATE_HZ - 104) * 2);
    cr_expect_float_eq(height(), 4000, 250);
    unsigned char first[400], unskipped[sizeof first];
    cr_assert_eq(pread(recording.pcm_fd, first, sizeof first, 0), (ssize_t)sizeof first);
    head[10] = head[11] = 0;
    begin();
    add_tone(1, 50, 8000, 0);
    cr_expect_eq(decode(&webm), SB_OK);
    cr_assert_eq(pread(recording.pcm_fd, unskipped, sizeof first, 208), (ssize_t)sizeof first);
    cr_expect_arr_eq(first, unskipped, sizeof first);
    head[10] = head[11] = 0xff; /* more than there is */
    begin();
    add_tone(1, 50, 8000, 0);
    cr_expect_eq(decode(&webm), SB_E_UNSUPPORTED_MEDIA_TYPE);
}

Test(opus, ogg_is_heard_as_well)
{
    const size_t sizes[] = {OPUS_HEAD_SIZE, 8};
    unsigned char packet[PACKET_MAX];
    opus_int16 samples[FRAME] = {0};
    int error;
    OpusEncoder *encoder = opus_encoder_create(CODED_HZ, 1, OPUS_APPLICATION_VOIP, &error);
    size_t length = (size_t)opus_encode(encoder, samples, FRAME, packet, sizeof packet);
    opus_encoder_destroy(encoder);
    ogg_add_page(&file, &(struct ogg_page_said){.flags = 2, .packets = sizes, .count = 1}, head);
    ogg_add_page(&file, &(struct ogg_page_said){.number = 1, .packets = sizes + 1, .count = 1},
                 "OpusTags");
    ogg_add_page(&file, &(struct ogg_page_said){.number = 2, .packets = &length, .count = 1},
                 packet);
    cr_expect_eq(decode(&ogg), SB_OK);
    cr_expect_eq(recording.pcm_length, SB_AUDIO_RATE_HZ / 50 * 2);
}

/* The packets of an Ogg file as its reader gives them, each behind its length. */
static bool list_packet(void *context, const unsigned char *data, size_t length)
{
    struct sb_buf *list = context;
    sb_buf_add(list, &length, sizeof length);
    sb_buf_add(list, data, length);
    return true;
}

Test(opus, what_was_decoded_and_nothing_else_is_there_as_ogg)
{
    struct sb_buf first, again;
    sb_buf_init(&first, NULL, 1 << 20);
    sb_buf_init(&again, NULL, 1 << 20);
    head[10] = 100;
    begin();
    add_tone(1, 50, 8000, 0);
    cr_expect_eq(decode(&webm), SB_OK);
    int64_t pcm_length = recording.pcm_length;
    cr_expect_eq(sb_ogg_read(recording.ogg_fd, list_packet, &first), SB_OK);
    cr_expect_eq(recording.ogg_length, lseek(recording.ogg_fd, 0, SEEK_END));
    cr_expect_lt(recording.ogg_length, pcm_length / 2);
    cr_expect_arr_eq(first.data + sizeof(size_t), head, sizeof head);

    begin();
    add_packet("\xff\x00", 2);                       /* damaged: decoded by nobody */
    webm_block(&file, 0xA3, 2, 0x80, "\x1b\x02", 2); /* of another track */
    add_tone(1, 50, 8000, 0);
    cr_assert_eq(ftruncate(recording.pcm_fd, 0), 0);
    cr_assert_eq(ftruncate(recording.ogg_fd, 0), 0);
    cr_expect_eq(decode(&webm), SB_OK);
    cr_expect_eq(recording.pcm_length, pcm_length);
    cr_expect_eq(sb_ogg_read(recording.ogg_fd, list_packet, &again), SB_OK);
    cr_expect_eq(first.length, again.length);
    cr_expect_arr_eq(first.data, again.data, first.length);

    int ogg_fd = recording.ogg_fd;
    int64_t length = recording.ogg_length;
    file.length = (size_t)length;
    cr_assert_eq(pread(ogg_fd, file.data, file.length, 0), (ssize_t)length);
    cr_assert_eq(ftruncate(recording.pcm_fd, 0), 0);
    cr_assert_eq(ftruncate(recording.ogg_fd, 0), 0);
    cr_expect_eq(decode(&ogg), SB_OK);
    cr_expect_eq(recording.pcm_length, pcm_length, "it is heard in whole again");
    cr_expect_eq(recording.ogg_length, length);
    sb_buf_free(&first);
    sb_buf_free(&again);
}

Test(opus, packets_that_are_damaged_or_empty_are_left_out)
{
    begin();
    add_tone(1, 5, 8000, 0);
    add_packet("\xff", 1); /* frames whose number is missing */
    add_packet("", 0);
    add_packet("\xff\x00", 2);
    add_tone(1, 5, 8000, 0);
    cr_expect_eq(decode(&webm), SB_OK);
    cr_expect_eq(recording.pcm_length, SB_AUDIO_RATE_HZ / 5 * 2);
}

Test(opus, two_minutes_of_it_at_the_most)
{
    const unsigned char long_silence[] = {0x1b, 6}; /* SILK, six empty frames of 60 ms: no packet */
    const unsigned char silence[] = {0x1b, 2};      /* and two, which is the longest there is */
    head[10] = 30;                                  /* so that the end lies within a packet */
    begin();
    add_packet(long_silence, sizeof long_silence);
    for (int i = 0; i < 1001; i++)
        add_packet(silence, sizeof silence);
    cr_expect_eq(decode(&webm), SB_OK);
    cr_expect_eq(recording.pcm_length, SB_AUDIO_PCM_MAX);
    cr_expect_eq(lseek(recording.pcm_fd, 0, SEEK_END), SB_AUDIO_PCM_MAX);
}

static void expect_nothing(const struct sb_audio_format *format, const char *what)
{
    cr_expect_eq(decode(format), SB_E_UNSUPPORTED_MEDIA_TYPE, "%s", what);
    cr_expect_eq(recording.pcm_length, 0, "%s", what);
    cr_expect_eq(lseek(recording.pcm_fd, 0, SEEK_END), 0, "%s", what);
    cr_expect_eq(recording.ogg_length, 0, "%s", what);
    cr_expect_eq(lseek(recording.ogg_fd, 0, SEEK_END), 0, "%s", what);
}

static void expect_no_head(size_t at, unsigned char value, const char *what)
{
    unsigned char good = head[at];
    head[at] = value;
    begin();
    add_tone(1, 2, 8000, 0);
    expect_nothing(&webm, what);
    head[at] = good;
}

Test(opus, what_no_browser_writes_is_left_to_others)
{
    begin();
    add_tone(1, 50, 8000, 0);
    expect_nothing(&mp3, "another format");
    expect_nothing(&ogg, "no Ogg");
    webm_block(&file, 0xA3, 1, 0x02, "laced", 5);
    expect_nothing(&webm, "unlike the rest after a second of it");
    expect_no_head(0, 'o', "another codec's head");
    expect_no_head(8, 0x10, "a later version");
    expect_no_head(9, 0, "no channel");
    expect_no_head(9, 3, "three channels");
    expect_no_head(18, 1, "a mapping of channels");
    file.length = 0;
    webm_begin(&file);
    webm_track(&file, 1, 2, "A_OPUS", head, sizeof head - 1);
    add_tone(1, 2, 8000, 0);
    expect_nothing(&webm, "a short head");
    begin();
    expect_nothing(&webm, "no packet");
}

static void expect_full_disk(int packets, int64_t disk_size)
{
    struct rlimit limit;
    begin();
    add_tone(1, packets, 8000, 0);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    int fd = file_with(file.data, file.length);
    limit.rlim_cur = (rlim_t)disk_size;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    recording.fd = fd;
    cr_expect_eq(sb_opus_decode(&recording, &webm), SB_E_UNAVAILABLE);
    cr_expect_eq(recording.pcm_length, disk_size);
    close(fd);
}

Test(opus, a_full_disk_is_no_fault_of_the_recording)
{
    expect_full_disk(50, 10000);
}

Test(opus, a_disk_that_is_full_at_the_end_is_none_either)
{
    expect_full_disk(10, 5000);
}
