#include "upstream/ogg.h"

#include <errno.h>
#include <ogg/ogg.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE = 4096,
    SEARCHES_MAX = 1000, /* for a page: each may take a checksum of 64 KiB that then is wrong */
    PAGES_MAX = 2        /* that a packet may go on over without ending */
};

struct ogg {
    int fd;
    int64_t at;
    ogg_sync_state sync;
    ogg_stream_state stream;
    bool begun;
    int searches;
    int64_t count; /* of packets: the first is the head, the second the tags */
    int open_pages;
    enum sb_error error;
    sb_audio_packets *packets;
    void *context;
};

static bool fail(struct ogg *ogg, enum sb_error error)
{
    ogg->error = error;
    return false;
}

static bool read_more(struct ogg *ogg)
{
    ssize_t got;
    char *room = ogg_sync_buffer(&ogg->sync, PIECE);
    if (room == NULL)
        return fail(ogg, SB_E_UNAVAILABLE);
    do {
        got = pread(ogg->fd, room, PIECE, ogg->at);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail(ogg, SB_E_UNAVAILABLE);
    ogg->at += got;
    return got > 0 && ogg_sync_wrote(&ogg->sync, got) == 0;
}

/* False: there is no further one. */
static bool next_page(struct ogg *ogg, ogg_page *page)
{
    for (long got; (got = ogg_sync_pageseek(&ogg->sync, page)) <= 0;) {
        if (got == 0 && !read_more(ogg))
            return false;
        if (got < 0 && ++ogg->searches > SEARCHES_MAX) /* bytes were passed over */
            return fail(ogg, SB_E_UNSUPPORTED_MEDIA_TYPE);
    }
    return true;
}

static bool take_packet(struct ogg *ogg, const ogg_packet *packet)
{
    ogg->open_pages = 0;
    ogg->count++;
    if (ogg->count == 2)
        return true;
    if (packet->bytes > SB_AUDIO_PACKET_MAX)
        return fail(ogg, SB_E_UNSUPPORTED_MEDIA_TYPE);
    return ogg->packets(ogg->context, packet->packet, (size_t)packet->bytes);
}

/* Whether the page is one of ours: streams beside it, and behind it, are not for here. */
static bool begin(struct ogg *ogg, ogg_page *page)
{
    if (!ogg_page_bos(page))
        return ogg->begun || fail(ogg, SB_E_UNSUPPORTED_MEDIA_TYPE);
    if (ogg->begun || page->body_len < 8 || memcmp(page->body, "OpusHead", 8) != 0)
        return fail(ogg, SB_E_UNSUPPORTED_MEDIA_TYPE);
    ogg->begun = ogg_stream_init(&ogg->stream, ogg_page_serialno(page)) == 0;
    return ogg->begun || fail(ogg, SB_E_UNAVAILABLE);
}

static bool take_page(struct ogg *ogg, ogg_page *page)
{
    ogg_packet packet;
    if (!begin(ogg, page))
        return false;
    if (++ogg->open_pages > PAGES_MAX)
        return fail(ogg, SB_E_UNSUPPORTED_MEDIA_TYPE);
    if (ogg_stream_pagein(&ogg->stream, page) != 0)
        return fail(ogg, ogg_stream_check(&ogg->stream) != 0 ? SB_E_UNAVAILABLE
                                                             : SB_E_UNSUPPORTED_MEDIA_TYPE);
    for (int got; (got = ogg_stream_packetout(&ogg->stream, &packet)) != 0;) {
        if (got == 1 && !take_packet(ogg, &packet)) /* -1: something is missing before it */
            return false;
    }
    return true;
}

enum sb_error sb_ogg_read(int fd, sb_audio_packets *packets, void *context)
{
    struct ogg ogg = {.fd = fd, .packets = packets, .context = context};
    ogg_page page;
    ogg_sync_init(&ogg.sync);
    while (next_page(&ogg, &page) && take_page(&ogg, &page))
        continue;
    if (ogg.begun)
        ogg_stream_clear(&ogg.stream);
    ogg_sync_clear(&ogg.sync);
    return ogg.error;
}
