/* Server-sent events, text/event-stream: reading and writing, as
 * https://html.spec.whatwg.org/multipage/server-sent-events.html defines them. */
#ifndef SB_HTTP_SSE_H
#define SB_HTTP_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { SB_SSE_EVENT_MAX = 256 * 1024, SB_SSE_NAME_MAX = 64 };

/* Adds an event to out. name: NULL for "message"; no line breaks in it. data: any text; each of its
 * lines becomes a field. id: 0 for none. */
SB_NONNULL(1, 3)
void sb_sse_write(struct sb_buf *out, const char *name, const char *data, int64_t id);

/* Adds a comment, which keeps a connection alive and is no event. */
SB_NONNULL_ALL void sb_sse_ping(struct sb_buf *out);

/* Called for each event with data; the texts are alive during the call. name is "message" where
 * the stream named none. False ends the reading. */
typedef bool sb_sse_event_fn(void *context, const char *name, const char *data, size_t length);

/* All fields are the reader's own. */
struct sb_sse_reader {
    sb_sse_event_fn *event;
    void *context;
    struct sb_buf line, data;
    char name[SB_SSE_NAME_MAX];
    bool any_data, after_cr, begun, stopped;
    size_t max;
};

/* A reader that takes events of up to max bytes (a line's too); sb_sse_reader_free() gives its
 * memory back. */
SB_NONNULL(1, 3)
void sb_sse_reader_init(struct sb_sse_reader *reader, size_t max, sb_sse_event_fn *event,
                        void *context);

/* Takes the next length bytes, split anywhere. False: an event is too long, there is no memory, or
 * the event function said so; every later call is false as well. An event that the end of the
 * stream cuts off never happened. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_sse_reader_feed(struct sb_sse_reader *reader, const char *text,
                                                     size_t length);

SB_NONNULL_ALL void sb_sse_reader_free(struct sb_sse_reader *reader);

#endif
