/* Containers of audio, made byte by byte: elements of WebM, pages of Ogg. */
#ifndef TESTS_UNIT_SUPPORT_CONTAINER_H
#define TESTS_UNIT_SUPPORT_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* A WebM file's elements (RFC 8794, RFC 9559). */
void webm_element(struct sb_buf *out, uint32_t id, const void *data, size_t length);
void webm_number(struct sb_buf *out, uint32_t id, uint64_t value);
void webm_unknown(struct sb_buf *out, uint32_t id); /* begun, of unknown length */
void webm_track(struct sb_buf *out, unsigned number, unsigned type, const char *codec,
                const void *head, size_t head_length);
/* One with its packet; id 0xA3 or, within a BlockGroup, 0xA1. */
void webm_block(struct sb_buf *out, uint32_t id, unsigned track, unsigned char flags,
                const void *packet, size_t length);
/* An EBML header, and a segment of unknown length begun. */
void webm_begin(struct sb_buf *out);

/* A page of Ogg (RFC 3533) of length bytes, the last packet of which goes on where open; flags: 1
 * it began before, 2 the first of its stream, 4 the last. */
struct ogg_page_said {
    unsigned char flags;
    uint32_t serial, number;
    const size_t *packets; /* their lengths */
    size_t count;
    int open;
};
void ogg_add_page(struct sb_buf *out, const struct ogg_page_said *said, const void *data);

/* OpusHead of that many channels, without pre-skip and gain. */
enum { OPUS_HEAD_SIZE = 19 };
void opus_head(unsigned char head[OPUS_HEAD_SIZE], unsigned char channels);

/* A file in memory with length bytes at data; the caller closes it. */
int file_with(const void *data, size_t length);

/* What a reader of packets gave, each followed by a newline; stops after left of them. */
struct packets_seen {
    struct sb_buf text;
    int count, left;
};
bool see_packet(void *context, const unsigned char *data, size_t length);

#endif
