#include "upstream/webm.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "../support/container.h"

enum { SIMPLE_BLOCK = 0xA3, BLOCK = 0xA1, AUDIO = 2, VIDEO = 1, VOID = 0xEC };
static const uint32_t CLUSTER = 0x1F43B675, BLOCK_GROUP = 0xA0;

static struct sb_buf file;
static struct packets_seen seen;

static void set_up(void)
{
    sb_buf_init(&file, NULL, 1 << 20);
    sb_buf_init(&seen.text, NULL, 1 << 20);
    sb_buf_add_text(&seen.text, "");
    seen.count = seen.left = 0;
}

static void tear_down(void)
{
    sb_buf_free(&file);
    sb_buf_free(&seen.text);
}

TestSuite(webm, .init = set_up, .fini = tear_down, .timeout = 60);

/* Reads the first length bytes of the file. */
static enum sb_error read_part(size_t length)
{
    int fd = file_with(file.data, length);
    seen.count = 0;
    seen.text.length = 0;
    sb_buf_add_text(&seen.text, "");
    enum sb_error error = sb_webm_read(fd, see_packet, &seen);
    close(fd);
    return error;
}

static enum sb_error read_file(void)
{
    return read_part(file.length);
}

static void add_block(unsigned track, const char *packet)
{
    webm_block(&file, SIMPLE_BLOCK, track, 0x80, packet, strlen(packet));
}

static void begin_opus(void)
{
    webm_begin(&file);
    webm_track(&file, 1, AUDIO, "A_OPUS", "head", 4);
    webm_unknown(&file, CLUSTER);
    webm_number(&file, 0xE7, 0);
}

Test(webm, packets_come_in_order_after_the_head)
{
    begin_opus();
    add_block(1, "one");
    add_block(1, "two");
    webm_unknown(&file, CLUSTER);
    add_block(1, "");
    add_block(1, "four");
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, "head\none\ntwo\n\nfour\n");
}

Test(webm, blocks_in_groups_are_packets_as_well)
{
    struct sb_buf group, cluster;
    sb_buf_init(&group, NULL, 4096);
    sb_buf_init(&cluster, NULL, 4096);
    webm_block(&group, BLOCK, 1, 0, "grouped", 7);
    webm_number(&group, 0x75A2, 13500000); /* DiscardPadding */
    webm_block(&cluster, SIMPLE_BLOCK, 1, 0, "simple", 6);
    webm_element(&cluster, BLOCK_GROUP, group.data, group.length);
    begin_opus();
    webm_element(&file, CLUSTER, cluster.data, cluster.length);
    add_block(1, "last");
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, "head\nsimple\ngrouped\nlast\n");
    sb_buf_free(&group);
    sb_buf_free(&cluster);
}

Test(webm, the_first_track_with_sound_is_read)
{
    webm_begin(&file);
    webm_track(&file, 1, VIDEO, "V_VP8", "picture", 7);
    webm_track(&file, 2, AUDIO, "A_OPUS", "second", 6);
    webm_track(&file, 3, AUDIO, "A_OPUS", "third", 5);
    webm_track(&file, 4, VIDEO, "V_VP9", "", 0);
    webm_unknown(&file, CLUSTER);
    static const char picture[30000] = "";
    webm_block(&file, SIMPLE_BLOCK, 1, 0x06, picture, sizeof picture);
    add_block(3, "no");
    add_block(2, "yes");
    add_block(4, "no");
    add_block(2, "again");
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, "second\nyes\nagain\n");
}

Test(webm, what_is_no_packet_is_passed_over)
{
    static const char nothing[20000] = "\xA3\x85\x81";
    begin_opus();
    webm_element(&file, VOID, nothing, sizeof nothing);
    add_block(1, "one");
    webm_element(&file, 0x1C53BB6B, nothing, 200); /* Cues */
    webm_element(&file, VOID, nothing, 0);
    add_block(1, "two");
    webm_element(&file, 0x1254C367, nothing, 9000); /* Tags */
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, "head\none\ntwo\n");
}

Test(webm, a_file_that_breaks_off_ends_with_its_last_whole_packet)
{
    begin_opus();
    size_t first = file.length;
    add_block(1, "one");
    size_t second = file.length;
    add_block(1, "two");
    for (size_t length = 0; length <= file.length; length++) {
        cr_expect_eq(read_part(length), SB_OK, "%zu", length);
        const char *given = length == file.length ? "head\none\ntwo\n"
                            : length >= second    ? "head\none\n"
                                                  : "";
        /* The head goes before the first block, the packet of which may be missing. */
        if (length > first + 1 && length < second)
            given = "head\n";
        cr_expect_str_eq(seen.text.data, given, "%zu of %zu", length, file.length);
    }
}

Test(webm, reading_ends_when_no_more_is_wanted)
{
    begin_opus();
    add_block(1, "one");
    add_block(1, "two");
    seen.left = 2;
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, "head\none\n");
}

static enum sb_error read_track(unsigned type, const char *codec, size_t head_length)
{
    file.length = 0;
    webm_begin(&file);
    webm_track(&file, 1, type, codec, "head", head_length);
    add_block(1, "packet");
    return read_file();
}

Test(webm, only_opus_is_read)
{
    cr_expect_eq(read_track(AUDIO, "A_OPUS", 4), SB_OK);
    cr_expect_eq(read_track(AUDIO, "A_VORBIS", 4), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_eq(read_track(AUDIO, "A_OPUS/EXPERIMENTAL", 4), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_eq(read_track(AUDIO, "A_OPU", 4), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_eq(read_track(AUDIO, "A_OPUS", 0), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_eq(read_track(VIDEO, "A_OPUS", 4), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_str_eq(seen.text.data, "");
}

Test(webm, names_may_end_in_nul)
{
    webm_begin(&file);
    webm_element(&file, 0xAE,
                 "\xD7\x81\x01\x83\x81\x02\x86\x88"
                 "A_OPUS\0\0\x63\xA2\x84head",
                 23);
    add_block(1, "packet");
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, "head\npacket\n");
}

Test(webm, a_track_that_is_compressed_or_encrypted_is_not_read)
{
    webm_begin(&file);
    webm_element(&file, 0xAE,
                 "\xD7\x81\x01\x83\x81\x02\x86\x86"
                 "A_OPUS\x63\xA2\x84head\x6D\x80\x80",
                 24);
    add_block(1, "packet");
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_str_eq(seen.text.data, "");
}

Test(webm, laced_and_huge_packets_are_not_read)
{
    static const char huge[SB_AUDIO_PACKET_MAX + 1] = "";
    begin_opus();
    size_t begun = file.length;
    for (unsigned char lacing = 2; lacing <= 6; lacing += 2) {
        file.length = begun;
        webm_block(&file, SIMPLE_BLOCK, 1, lacing, "packet", 6);
        cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE);
    }
    file.length = begun;
    webm_block(&file, SIMPLE_BLOCK, 1, 0x80, huge, sizeof huge);
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_str_eq(seen.text.data, "head\n");
    file.length = begun;
    webm_block(&file, SIMPLE_BLOCK, 1, 0x80, huge, sizeof huge - 1);
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_eq(seen.text.length, strlen("head\n") + sizeof huge);
}

static enum sb_error read_bytes(const char *bytes, size_t length)
{
    file.length = 0;
    begin_opus();
    add_block(1, "one");
    sb_buf_add(&file, bytes, length);
    return read_file();
}

Test(webm, what_is_no_ebml_is_refused)
{
    cr_expect_eq(read_bytes("\xEC\x80", 2), SB_OK);
    cr_expect_eq(read_bytes("\x00\x80", 2), SB_E_UNSUPPORTED_MEDIA_TYPE, "an ID of no length");
    cr_expect_eq(read_bytes("\x08\x80\x80\x80\x80\x80", 6), SB_E_UNSUPPORTED_MEDIA_TYPE,
                 "an ID of five bytes");
    cr_expect_eq(read_bytes("\xEC\x00", 2), SB_E_UNSUPPORTED_MEDIA_TYPE, "a size of nine bytes");
    cr_expect_eq(read_bytes("\xEC\xFF", 2), SB_E_UNSUPPORTED_MEDIA_TYPE,
                 "an element of unknown length that may have none");
    cr_expect_eq(read_bytes("\xA3\xFF\x81\x00\x00\x80x", 7), SB_E_UNSUPPORTED_MEDIA_TYPE,
                 "a block of unknown length");
    cr_expect_eq(read_bytes("\xA3\x83\x81\x00\x00\x80x", 7), SB_E_UNSUPPORTED_MEDIA_TYPE,
                 "a block shorter than its header");
    cr_expect_eq(read_bytes("\xD7\x89\0\0\0\0\0\0\0\0\x01", 11), SB_OK, "of no track of ours");
    cr_expect_eq(read_bytes("\xAE\x80\xD7\x89\0\0\0\0\0\0\0\0\x01", 13), SB_OK, "nor this");
    file.length = 0;
    webm_begin(&file);
    webm_element(&file, 0xAE, "\xD7\x89\0\0\0\0\0\0\0\0\x01", 11);
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE, "a number of nine bytes");
}

Test(webm, lengths_beyond_the_file_end_it)
{
    cr_expect_eq(read_bytes("\xEC\x01\xff\xff\xff\xff\xff\xff\xfe\xA3\x85\x81\0\0\x80x", 16),
                 SB_OK);
    cr_expect_str_eq(seen.text.data, "head\none\n");
}

Test(webm, a_file_that_cannot_be_read_is_told_from_a_bad_one)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_expect_eq(sb_webm_read(ends[0], see_packet, &seen), SB_E_UNAVAILABLE);
    close(ends[0]);
    close(ends[1]);
}
