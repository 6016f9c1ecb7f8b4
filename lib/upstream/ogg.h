/* The packets of an Opus stream in Ogg (RFC 3533, RFC 7845), as Firefox and messengers record it.
 */
#ifndef SB_UPSTREAM_OGG_H
#define SB_UPSTREAM_OGG_H

#include "upstream/audio.h"

/* Gives packets the OpusHead of the stream in fd, which is read from its beginning, and then each
 * packet behind its OpusTags in order, until no more are wanted. Pages that are damaged are left
 * out; what breaks off ends with its last whole packet. data lives until packets returns.
 * SB_E_UNSUPPORTED_MEDIA_TYPE: the first stream is not Opus, another follows it, or a packet has
 * more than SB_AUDIO_PACKET_MAX bytes; packets were perhaps given before that was seen.
 * SB_E_UNAVAILABLE: fd cannot be read, or out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_ogg_read(int fd, sb_audio_packets *packets,
                                                       void *context);

#endif
