#include "upstream/ogg.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "../support/container.h"

enum { SERIAL = 7, FIRST = 2, CONTINUED = 1 };
#define HEAD "OpusHead of a test."

static struct sb_buf file;
static struct packets_seen seen;
static uint32_t pages;

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

TestSuite(ogg, .init = set_up, .fini = tear_down, .timeout = 60);

static enum sb_error read_part(size_t length)
{
    int fd = file_with(file.data, length);
    seen.text.length = 0;
    sb_buf_add_text(&seen.text, "");
    enum sb_error error = sb_ogg_read(fd, see_packet, &seen);
    close(fd);
    return error;
}

static enum sb_error read_file(void)
{
    return read_part(file.length);
}

/* A page with one packet, or a part of one. */
static void add_page(unsigned char flags, uint32_t serial, const void *data, size_t length,
                     int open)
{
    ogg_add_page(&file,
                 &(struct ogg_page_said){.flags = flags,
                                         .serial = serial,
                                         .number = pages++,
                                         .packets = &length,
                                         .count = 1,
                                         .open = open},
                 data);
}

static void add_text(unsigned char flags, const char *text)
{
    add_page(flags, SERIAL, text, strlen(text), 0);
}

static void begin_opus(void)
{
    pages = 0;
    file.length = 0;
    add_text(FIRST, HEAD);
    add_text(0, "OpusTags of a test");
}

Test(ogg, packets_come_in_order_behind_the_tags)
{
    const size_t lengths[] = {3, 0, 5};
    begin_opus();
    ogg_add_page(&file,
                 &(struct ogg_page_said){
                     .serial = SERIAL, .number = pages++, .packets = lengths, .count = 3},
                 "onethree");
    add_text(0, "four");
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, HEAD "\none\n\nthree\nfour\n");
}

Test(ogg, a_packet_may_go_over_pages)
{
    char packet[SB_AUDIO_PACKET_MAX + 1];
    memset(packet, 'x', sizeof packet);
    begin_opus();
    add_page(0, SERIAL, packet, 255 * 16, 1);
    add_page(CONTINUED, SERIAL, packet, SB_AUDIO_PACKET_MAX - 255 * 16, 0);
    add_text(0, "last");
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_eq(seen.text.length, strlen(HEAD "\n\nlast\n") + SB_AUDIO_PACKET_MAX);
    begin_opus();
    add_page(0, SERIAL, packet, sizeof packet, 0);
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE, "one byte more than may be");
    cr_expect_str_eq(seen.text.data, HEAD "\n");
}

Test(ogg, a_packet_without_end_is_not_collected)
{
    static const char part[255 * 255] = "";
    begin_opus();
    for (int i = 0; i < 8; i++)
        add_page(i > 0, SERIAL, part, sizeof part, 1);
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_str_eq(seen.text.data, HEAD "\n");
}

Test(ogg, what_is_damaged_is_left_out)
{
    begin_opus();
    add_text(0, "one");
    size_t damaged = file.length;
    add_text(0, "two");
    sb_buf_add_text(&file, "no page at all");
    add_text(0, "three");
    file.data[damaged + 28] ^= 1;
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, HEAD "\none\nthree\n");
}

Test(ogg, a_file_that_breaks_off_ends_with_its_last_whole_packet)
{
    begin_opus();
    size_t tags = file.length;
    add_text(0, "one");
    size_t one = file.length;
    add_text(0, "two");
    for (size_t length = tags; length <= file.length; length++) {
        cr_expect_eq(read_part(length), SB_OK, "%zu", length);
        cr_expect_str_eq(seen.text.data, length == file.length ? HEAD "\none\ntwo\n"
                                         : length >= one       ? HEAD "\none\n"
                                                               : HEAD "\n");
    }
}

Test(ogg, only_one_stream_of_opus_is_read)
{
    pages = 0;
    add_text(FIRST, "\x01vorbis of a test");
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE);
    file.length = 0;
    add_text(FIRST, "Opus");
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE, "too short a head");
    file.length = 0;
    add_text(0, HEAD);
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE, "not begun");
    cr_expect_str_eq(seen.text.data, "");
    begin_opus();
    add_text(0, "one");
    add_page(FIRST, SERIAL + 1, HEAD, strlen(HEAD), 0);
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE, "another behind it");
    begin_opus();
    add_page(0, SERIAL + 1, "another", 7, 0);
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE, "pages of none that was begun");
}

Test(ogg, reading_ends_when_no_more_is_wanted)
{
    begin_opus();
    add_text(0, "one");
    add_text(0, "two");
    seen.left = 2;
    cr_expect_eq(read_file(), SB_OK);
    cr_expect_str_eq(seen.text.data, HEAD "\none\n");
}

Test(ogg, a_file_that_cannot_be_read_is_told_from_a_bad_one)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_expect_eq(sb_ogg_read(ends[0], see_packet, &seen), SB_E_UNAVAILABLE);
    close(ends[0]);
    close(ends[1]);
}

Test(ogg, a_file_that_is_all_beginnings_of_pages_is_given_up)
{
    begin_opus();
    while (file.length < 300000) /* each says that 255 segments follow */
        sb_buf_add_text(&file, "OggS\xff\xff\xff\xff\xff");
    cr_assert(sb_buf_ok(&file));
    cr_expect_eq(read_file(), SB_E_UNSUPPORTED_MEDIA_TYPE);
}
