#include "upstream/webm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    HEAD_MAX = 64, /* of an OpusHead; one of two channels has 19 */
    TRACK_AUDIO = 2,
    LACING = 0x06
};

/* The whole length was not known when it was begun: it lasts until something else does. */
static const uint64_t UNKNOWN = UINT64_MAX;

struct track {
    uint64_t number;
    bool audio, opus, encoded;
    size_t head_length;
    unsigned char head[HEAD_MAX];
};

struct webm {
    int fd;
    int64_t at; /* of what is read next */
    size_t begin, end;
    struct track track; /* the last that was seen; the first with sound is kept */
    bool chosen, begun; /* another one came behind it; its head was given */
    enum sb_error error;
    sb_audio_packets *packets;
    void *context;
    unsigned char buffer[SB_AUDIO_PACKET_MAX];
};

static bool unsupported(struct webm *webm)
{
    webm->error = SB_E_UNSUPPORTED_MEDIA_TYPE;
    return false;
}

/* --- Bytes ------------------------------------------------------------------------------------ */

/* Size bytes, at most SB_AUDIO_PACKET_MAX; NULL: the file ends before, or cannot be read. */
static const unsigned char *take(struct webm *webm, size_t size)
{
    if (webm->end - webm->begin < size) {
        memmove(webm->buffer, webm->buffer + webm->begin, webm->end - webm->begin);
        webm->end -= webm->begin;
        webm->begin = 0;
    }
    while (webm->end - webm->begin < size) {
        ssize_t got =
            pread(webm->fd, webm->buffer + webm->end, sizeof webm->buffer - webm->end, webm->at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            webm->error = SB_E_UNAVAILABLE;
        if (got <= 0)
            return NULL;
        webm->end += (size_t)got;
        webm->at += got;
    }
    webm->begin += size;
    return webm->buffer + webm->begin - size;
}

/* At most 2^56, which a file's end comes long before. */
static bool skip(struct webm *webm, uint64_t size)
{
    size_t held = webm->end - webm->begin;
    if (size <= held) {
        webm->begin += (size_t)size;
        return true;
    }
    webm->at += (int64_t)(size - held);
    webm->begin = webm->end = 0;
    return true;
}

/* A number of variable length (RFC 8794, section 4), of at most bytes_max; with its marker, as
 * element IDs are written, or without. *bytes is how many it took. */
static bool take_vint(struct webm *webm, unsigned bytes_max, bool marker, uint64_t *value,
                      unsigned *bytes)
{
    const unsigned char *first = take(webm, 1);
    if (first == NULL)
        return false;
    *bytes = 1;
    for (unsigned bit = 0x80; (*first & bit) == 0 && bit != 0; bit >>= 1)
        ++*bytes;
    if (*bytes > bytes_max)
        return unsupported(webm);
    *value = marker ? *first : *first & (0xffU >> *bytes);
    const unsigned char *rest = take(webm, *bytes - 1);
    if (rest == NULL)
        return false;
    for (unsigned i = 0; i + 1 < *bytes; i++)
        *value = *value << 8 | rest[i];
    return true;
}

static bool take_size(struct webm *webm, uint64_t *size)
{
    unsigned bytes;
    if (!take_vint(webm, 8, false, size, &bytes))
        return false;
    if (*size == (UINT64_C(1) << 7 * bytes) - 1)
        *size = UNKNOWN;
    return true;
}

/* --- Elements --------------------------------------------------------------------------------- */

/* What lies in it comes next. Where it ends need not be known: no two elements share an ID. */
static bool enter(struct webm *webm, uint64_t size)
{
    (void)webm;
    (void)size;
    return true;
}

static bool begin_track(struct webm *webm, uint64_t size)
{
    (void)size;
    webm->chosen = webm->track.audio;
    if (!webm->chosen)
        webm->track = (struct track){.number = 0};
    return true;
}

static bool take_number(struct webm *webm, uint64_t size, uint64_t *number)
{
    if (size > 8)
        return unsupported(webm);
    const unsigned char *bytes = take(webm, (size_t)size);
    *number = 0;
    for (size_t i = 0; bytes != NULL && i < size; i++)
        *number = *number << 8 | bytes[i];
    return bytes != NULL;
}

static bool track_number(struct webm *webm, uint64_t size)
{
    return webm->chosen ? skip(webm, size) : take_number(webm, size, &webm->track.number);
}

static bool track_type(struct webm *webm, uint64_t size)
{
    uint64_t type = 0;
    if (webm->chosen)
        return skip(webm, size);
    bool taken = take_number(webm, size, &type);
    webm->track.audio = type == TRACK_AUDIO;
    return taken;
}

static bool codec_id(struct webm *webm, uint64_t size)
{
    static const char opus[] = "A_OPUS";
    if (webm->chosen || size < sizeof opus - 1 || size > SB_AUDIO_PACKET_MAX)
        return skip(webm, size);
    const unsigned char *name = take(webm, (size_t)size);
    webm->track.opus = name != NULL && memcmp(name, opus, sizeof opus - 1) == 0 &&
                       (size == sizeof opus - 1 || name[sizeof opus - 1] == '\0');
    return name != NULL;
}

static bool codec_private(struct webm *webm, uint64_t size)
{
    if (webm->chosen || size > HEAD_MAX)
        return skip(webm, size);
    const unsigned char *head = take(webm, (size_t)size);
    if (head == NULL)
        return false;
    memcpy(webm->track.head, head, (size_t)size);
    webm->track.head_length = (size_t)size;
    return true;
}

static bool content_encodings(struct webm *webm, uint64_t size)
{
    if (!webm->chosen)
        webm->track.encoded = true;
    return skip(webm, size);
}

static bool begin_packets(struct webm *webm)
{
    const struct track *track = &webm->track;
    if (!track->audio || !track->opus || track->encoded || track->head_length == 0)
        return unsupported(webm);
    webm->chosen = webm->begun = true;
    return webm->packets(webm->context, track->head, track->head_length);
}

/* A Block or SimpleBlock (RFC 9559, section 10): track, time, flags, and what is ours of it. */
static bool take_block(struct webm *webm, uint64_t size)
{
    uint64_t number;
    unsigned bytes;
    if (!webm->begun && !begin_packets(webm))
        return false;
    if (!take_vint(webm, 8, false, &number, &bytes))
        return false;
    const unsigned char *time_and_flags = take(webm, 3);
    if (time_and_flags == NULL)
        return false;
    if (size < bytes + 3)
        return unsupported(webm);
    size -= bytes + 3;
    if (number != webm->track.number)
        return skip(webm, size);
    if ((time_and_flags[2] & LACING) != 0 || size > SB_AUDIO_PACKET_MAX)
        return unsupported(webm);
    const unsigned char *packet = take(webm, (size_t)size);
    return packet != NULL && webm->packets(webm->context, packet, (size_t)size);
}

static const struct {
    uint32_t id;
    bool (*take)(struct webm *webm, uint64_t size);
} elements[] = {
    {0x18538067, enter},         /* Segment */
    {0x1654AE6B, enter},         /* Tracks */
    {0xAE, begin_track},         /* TrackEntry */
    {0xD7, track_number},        /* TrackNumber */
    {0x83, track_type},          /* TrackType */
    {0x86, codec_id},            /* CodecID */
    {0x63A2, codec_private},     /* CodecPrivate */
    {0x6D80, content_encodings}, /* ContentEncodings */
    {0x1F43B675, enter},         /* Cluster */
    {0xA0, enter},               /* BlockGroup */
    {0xA1, take_block},          /* Block */
    {0xA3, take_block},          /* SimpleBlock */
};

static bool take_element(struct webm *webm)
{
    uint64_t id, size;
    unsigned bytes;
    size_t i = 0;
    if (!take_vint(webm, 4, true, &id, &bytes) || !take_size(webm, &size))
        return false;
    while (i < SB_COUNT(elements) && elements[i].id != id)
        i++;
    bool (*handle)(struct webm *, uint64_t) = i < SB_COUNT(elements) ? elements[i].take : skip;
    return size == UNKNOWN && handle != enter ? unsupported(webm) : handle(webm, size);
}

enum sb_error sb_webm_read(int fd, sb_audio_packets *packets, void *context)
{
    struct webm webm = {.fd = fd, .packets = packets, .context = context};
    while (take_element(&webm))
        continue;
    return webm.error;
}
