/* An Opus stream in Ogg (RFC 3533, RFC 7845) made of packets, into a file. */
#ifndef SB_UPSTREAM_OGG_WRITER_H
#define SB_UPSTREAM_OGG_WRITER_H

#include <ogg/ogg.h>

#include "upstream/audio.h"

/* All fields are the writer's own. After begin, whatever it gave, sb_ogg_writer_end() is owed. */
struct sb_ogg_writer {
    ogg_stream_state stream;
    int fd;
    int64_t *length;
    int64_t packets;
};

/* Writes the OpusHead given, and an OpusTags without comments, at *length of fd, which grows by all
 * that is written. fd and length live as long as the writer. This and the others: false: the disk
 * is full, or out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_ogg_writer_begin(struct sb_ogg_writer *writer, int fd,
                                                      int64_t *length, const unsigned char *head,
                                                      size_t head_length);

/* Writes a packet, perhaps later; samples is where it ends: those of 48 kHz from the beginning,
 * pre-skip included. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_ogg_writer_add(struct sb_ogg_writer *writer,
                                                    const unsigned char *packet,
                                                    size_t packet_length, int64_t samples);

/* Writes what is left, as the last page of the stream. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_ogg_writer_finish(struct sb_ogg_writer *writer);

/* Frees what the writer holds; fd is not closed. */
SB_NONNULL_ALL void sb_ogg_writer_end(struct sb_ogg_writer *writer);

#endif
