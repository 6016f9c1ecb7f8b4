/* The packets of an Opus track in WebM, as browsers record it: EBML (RFC 8794) and Matroska
 * (RFC 9559), segments and clusters of unknown length included. */
#ifndef SB_UPSTREAM_WEBM_H
#define SB_UPSTREAM_WEBM_H

#include "upstream/audio.h"

/* Gives packets the OpusHead (RFC 7845) of the first audio track in fd, which is read from its
 * beginning, and then each packet of that track in order, until no more are wanted. What breaks off
 * ends with its last whole packet. data lives until packets returns.
 * SB_E_UNSUPPORTED_MEDIA_TYPE: the track is not Opus, is compressed or encrypted, is laced, has a
 * packet of more than SB_AUDIO_PACKET_MAX bytes, or this is no WebM; packets were perhaps given
 * before that was seen. SB_E_UNAVAILABLE: fd cannot be read. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_webm_read(int fd, sb_audio_packets *packets,
                                                        void *context);

#endif
