#include "container.h"

#include <criterion/criterion.h>
#include <ogg/ogg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void add_id(struct sb_buf *out, uint32_t id)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        if (id >> shift != 0)
            sb_buf_add_char(out, (char)(id >> shift & 0xff));
    }
}

static void add_size(struct sb_buf *out, size_t size)
{
    const unsigned char bytes[4] = {(unsigned char)(0x10 | size >> 24), (unsigned char)(size >> 16),
                                    (unsigned char)(size >> 8), (unsigned char)size};
    if (size < 127)
        sb_buf_add_char(out, (char)(0x80 | size));
    else
        sb_buf_add(out, bytes, sizeof bytes);
}

void webm_element(struct sb_buf *out, uint32_t id, const void *data, size_t length)
{
    add_id(out, id);
    add_size(out, length);
    sb_buf_add(out, data, length);
}

void webm_number(struct sb_buf *out, uint32_t id, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (56 - 8 * i));
    webm_element(out, id, bytes, sizeof bytes);
}

void webm_unknown(struct sb_buf *out, uint32_t id)
{
    add_id(out, id);
    sb_buf_add(out, "\x01\xff\xff\xff\xff\xff\xff\xff", 8);
}

void webm_track(struct sb_buf *out, unsigned number, unsigned type, const char *codec,
                const void *head, size_t head_length)
{
    struct sb_buf entry, tracks;
    sb_buf_init(&entry, NULL, 4096);
    sb_buf_init(&tracks, NULL, 4096);
    webm_number(&entry, 0xD7, number);
    webm_number(&entry, 0x83, type);
    webm_element(&entry, 0x86, codec, strlen(codec));
    webm_element(&entry, 0x63A2, head, head_length);
    webm_element(&tracks, 0xAE, entry.data, entry.length);
    webm_element(out, 0x1654AE6B, tracks.data, tracks.length);
    sb_buf_free(&entry);
    sb_buf_free(&tracks);
}

void webm_block(struct sb_buf *out, uint32_t id, unsigned track, unsigned char flags,
                const void *packet, size_t length)
{
    add_id(out, id);
    add_size(out, length + 4);
    sb_buf_add_char(out, (char)(0x80 | track));
    sb_buf_add(out, "\x00\x14", 2);
    sb_buf_add_char(out, (char)flags);
    sb_buf_add(out, packet, length);
}

void webm_begin(struct sb_buf *out)
{
    webm_element(out, 0x1A45DFA3, "\x42\x82\x84webm", 7);
    webm_unknown(out, 0x18538067);
}

void ogg_add_page(struct sb_buf *out, const struct ogg_page_said *said, const void *data)
{
    unsigned char header[27 + 255] = "OggS", *lacing = header + 27;
    size_t segments = 0, length = 0;
    for (size_t i = 0; i < said->count; i++) {
        length += said->packets[i];
        for (size_t left = said->packets[i]; left >= 255; left -= 255)
            lacing[segments++] = 255;
        if (i + 1 < said->count || !said->open)
            lacing[segments++] = (unsigned char)(said->packets[i] % 255);
    }
    cr_assert_leq(segments, 255);
    header[5] = said->flags;
    for (int i = 0; i < 4; i++) {
        header[14 + i] = (unsigned char)(said->serial >> 8 * i);
        header[18 + i] = (unsigned char)(said->number >> 8 * i);
    }
    header[26] = (unsigned char)segments;
    unsigned char *body = malloc(length + 1);
    memcpy(body, data, length);
    ogg_page page = {header, (long)(27 + segments), body, (long)length};
    ogg_page_checksum_set(&page);
    sb_buf_add(out, header, 27 + segments);
    sb_buf_add(out, body, length);
    free(body);
}

void opus_head(unsigned char head[OPUS_HEAD_SIZE], unsigned char channels)
{
    memcpy(head, "OpusHead\x01-\0\0\x80\xbb\0\0\0\0\0", OPUS_HEAD_SIZE);
    head[9] = channels;
}

int file_with(const void *data, size_t length)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    cr_assert_eq(write(fd, data, length), (ssize_t)length);
    return fd;
}

bool see_packet(void *context, const unsigned char *data, size_t length)
{
    struct packets_seen *seen = context;
    sb_buf_add(&seen->text, data, length);
    sb_buf_add_char(&seen->text, '\n');
    seen->count++;
    return --seen->left != 0;
}
