#include "upstream/ogg_writer.h"

#include "base/temp_file.h"

enum { SERIAL = 1, PAGE_SIZE = 4096 }; /* one stream a file: any number will do */

/* OpusTags (RFC 7845, section 5.2) of nobody, with no comment. */
static const unsigned char tags[] = "OpusTags\0\0\0\0\0\0\0";

static bool write_page(struct sb_ogg_writer *writer, const ogg_page *page)
{
    return sb_temp_file_append(writer->fd, writer->length, page->header,
                               (size_t)page->header_len) &&
           sb_temp_file_append(writer->fd, writer->length, page->body, (size_t)page->body_len);
}

/* All that is held, in pages. */
static bool flush(struct sb_ogg_writer *writer)
{
    ogg_page page;
    while (ogg_stream_flush(&writer->stream, &page) != 0) {
        if (!write_page(writer, &page))
            return false;
    }
    return true;
}

static bool hold(struct sb_ogg_writer *writer, const unsigned char *packet, size_t length,
                 int64_t samples)
{
    ogg_packet held = {.packet = (unsigned char *)packet, /* it is copied */
                       .bytes = (long)length,
                       .b_o_s = writer->packets == 0,
                       .granulepos = samples,
                       .packetno = writer->packets};
    writer->packets++;
    return ogg_stream_packetin(&writer->stream, &held) == 0;
}

bool sb_ogg_writer_begin(struct sb_ogg_writer *writer, int fd, int64_t *length,
                         const unsigned char *head, size_t head_length)
{
    *writer = (struct sb_ogg_writer){.fd = fd, .length = length};
    /* Each of the two has pages of its own. */
    return ogg_stream_init(&writer->stream, SERIAL) == 0 && hold(writer, head, head_length, 0) &&
           flush(writer) && hold(writer, tags, sizeof tags, 0) && flush(writer);
}

bool sb_ogg_writer_add(struct sb_ogg_writer *writer, const unsigned char *packet,
                       size_t packet_length, int64_t samples)
{
    ogg_page page;
    /* Before the packet is held and not after it: there is always one for the last page. */
    while (ogg_stream_pageout_fill(&writer->stream, &page, PAGE_SIZE) != 0) {
        if (!write_page(writer, &page))
            return false;
    }
    return hold(writer, packet, packet_length, samples);
}

bool sb_ogg_writer_finish(struct sb_ogg_writer *writer)
{
    writer->stream.e_o_s = 1;
    return flush(writer);
}

void sb_ogg_writer_end(struct sb_ogg_writer *writer)
{
    ogg_stream_clear(&writer->stream);
}
