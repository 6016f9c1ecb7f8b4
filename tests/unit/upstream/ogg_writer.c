#include "upstream/ogg_writer.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../support/container.h"
#include "upstream/ogg.h"

#define HEAD "OpusHead of a test."

static struct sb_ogg_writer writer;
static struct packets_seen seen;
static int64_t length;
static int fd;

static void set_up(void)
{
    length = 0;
    fd = memfd_create("ogg", MFD_CLOEXEC);
    sb_buf_init(&seen.text, NULL, 1 << 20);
    sb_buf_add_text(&seen.text, "");
    seen.count = seen.left = 0;
}

static void tear_down(void)
{
    sb_ogg_writer_end(&writer);
    sb_buf_free(&seen.text);
    close(fd);
}

TestSuite(ogg_writer, .init = set_up, .fini = tear_down, .timeout = 60);

static void begin(void)
{
    cr_assert(sb_ogg_writer_begin(&writer, fd, &length, (const unsigned char *)HEAD, strlen(HEAD)));
}

static void add(const char *packet, int64_t samples)
{
    cr_assert(sb_ogg_writer_add(&writer, (const unsigned char *)packet, strlen(packet), samples));
}

/* The pages of the file, told by libogg; returns how many. */
static int pages_of(ogg_page pages[], int max, ogg_sync_state *sync)
{
    int count = 0;
    ogg_sync_init(sync);
    char *room = ogg_sync_buffer(sync, (long)length);
    cr_assert_eq(pread(fd, room, (size_t)length, 0), length);
    cr_assert_eq(ogg_sync_wrote(sync, (long)length), 0);
    while (count < max && ogg_sync_pageout(sync, &pages[count]) == 1)
        count++;
    return count;
}

Test(ogg_writer, packets_are_read_again)
{
    begin();
    add("one", 960);
    add("two", 1920);
    cr_assert(sb_ogg_writer_finish(&writer));
    cr_expect_eq(length, lseek(fd, 0, SEEK_END));
    cr_expect_eq(sb_ogg_read(fd, see_packet, &seen), SB_OK);
    cr_expect_str_eq(seen.text.data, HEAD "\none\ntwo\n");
}

Test(ogg_writer, pages_are_as_rfc_7845_wants_them)
{
    ogg_page pages[8];
    ogg_sync_state sync;
    begin();
    add("one", 960);
    add("two", 1920);
    cr_assert(sb_ogg_writer_finish(&writer));
    cr_assert_eq(pages_of(pages, 8, &sync), 3);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(ogg_page_pageno(&pages[i]), i);
        cr_expect_eq(ogg_page_bos(&pages[i]) != 0, i == 0);
        cr_expect_eq(ogg_page_eos(&pages[i]) != 0, i == 2);
        cr_expect_eq(ogg_page_granulepos(&pages[i]), i == 2 ? 1920 : 0);
    }
    cr_expect_eq(pages[1].body_len, 16);
    cr_expect_arr_eq(pages[1].body, "OpusTags\0\0\0\0\0\0\0\0", 16);
    ogg_sync_clear(&sync);
}

Test(ogg_writer, the_last_of_many_pages_is_marked)
{
    ogg_page pages[64];
    ogg_sync_state sync;
    char packet[1025];
    memset(packet, 'x', sizeof packet - 1);
    packet[sizeof packet - 1] = '\0';
    begin();
    for (int i = 1; i <= 100; i++)
        add(packet, i * 960);
    cr_assert(sb_ogg_writer_finish(&writer));
    int count = pages_of(pages, 64, &sync);
    cr_expect_gt(count, 10, "what has been said is not held until the end");
    cr_expect_lt(count, 40);
    cr_expect_eq(ogg_page_granulepos(&pages[count - 1]), 96000);
    for (int i = 0; i < count; i++)
        cr_expect_eq(ogg_page_eos(&pages[i]) != 0, i == count - 1);
    ogg_sync_clear(&sync);
}

Test(ogg_writer, the_longest_packet_is_read_again)
{
    static char packet[SB_AUDIO_PACKET_MAX + 1];
    memset(packet, 'x', SB_AUDIO_PACKET_MAX);
    begin();
    add("before", 960);
    add(packet, 1920);
    add(packet, 2880);
    cr_assert(sb_ogg_writer_finish(&writer));
    cr_expect_eq(sb_ogg_read(fd, see_packet, &seen), SB_OK);
    cr_expect_eq(seen.text.length, strlen(HEAD "\nbefore\n\n\n") + 2 * SB_AUDIO_PACKET_MAX);
}

Test(ogg_writer, a_full_disk_is_told)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    begin();
    add("one", 960);
    limit.rlim_cur = (rlim_t)length;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_not(sb_ogg_writer_finish(&writer));
    limit.rlim_cur = 10;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    sb_ogg_writer_end(&writer);
    length = 0;
    cr_expect_not(
        sb_ogg_writer_begin(&writer, fd, &length, (const unsigned char *)HEAD, strlen(HEAD)));
}
