/* A response under construction: status and header fields, then one body or a stream of chunks.
 * Once the head has been written no header can be added: the attempt is a bug and is refused. */
#ifndef SB_HTTP_RESPONSE_H
#define SB_HTTP_RESPONSE_H

#include <stdbool.h>

#include "base/buf.h"

enum { SB_RESPONSE_HEAD_MAX = 16 * 1024, SB_RESPONSE_BODY_MAX = 4 * 1024 * 1024 };

struct sb_response {
    int status;
    struct sb_buf head; /* "Name: value\r\n" lines */
    struct sb_buf body;
    bool head_written;
};

/* An empty 200 response whose buffers grow in arena. */
SB_NONNULL_ALL void sb_response_init(struct sb_response *response, struct sb_arena *arena);

/* Adds a header field. A value with a control character (RFC 9110 section 5.5) fails the head. */
SB_NONNULL_ALL void sb_response_header(struct sb_response *response, const char *name,
                                       const char *value);
SB_NONNULL(1, 2, 3)
SB_PRINTF(3, 4)
void sb_response_header_format(struct sb_response *response, const char *name, const char *format,
                               ...);

/* Writes "Status: ..." and the header fields as a CGI response head (RFC 3875 section 6) into out,
 * with the empty line behind them. After it the head is closed. */
SB_NONNULL_ALL void sb_response_write_head(struct sb_response *response, struct sb_buf *out);

/* The reason phrase of status (RFC 9110 section 15). */
SB_RETURNS_NONNULL const char *sb_status_phrase(int status);

#endif
