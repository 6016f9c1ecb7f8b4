/* A growing byte buffer with a cap, and the JSON writer on top of it.
 *
 * Errors stick: after the first one every call is a no-op and sb_buf_ok() is false, so a writer
 * checks once, at its end. data, where it is not NULL, is NUL-terminated at all times; what a
 * failed buffer holds is cut anywhere, so it is not to be used. */
#ifndef SB_BASE_BUF_H
#define SB_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct sb_buf {
    char *data; /* NULL until something was added */
    size_t length, size, cap;
    struct sb_arena *arena; /* NULL: data is malloc'd, or the caller's for a fixed buffer */
    bool fixed, failed;
};

/* An empty buffer that grows in arena (NULL: on the heap; sb_buf_free() it) up to cap bytes,
 * one of them for the NUL. */
SB_NONNULL(1) void sb_buf_init(struct sb_buf *buf, struct sb_arena *arena, size_t cap);

/* An empty buffer over the caller's size bytes of storage, one of them for the NUL. It never
 * grows. */
SB_NONNULL_ALL void sb_buf_init_fixed(struct sb_buf *buf, char *storage, size_t size);

/* Frees a heap buffer's data; the buffer is empty and usable after it. */
SB_NONNULL_ALL void sb_buf_free(struct sb_buf *buf);

/* True while nothing has failed: no memory, no cap was hit. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_buf_ok(const struct sb_buf *buf);

SB_NONNULL(1) void sb_buf_add(struct sb_buf *buf, const void *data, size_t length);
SB_NONNULL_ALL void sb_buf_add_text(struct sb_buf *buf, const char *text);
SB_NONNULL_ALL void sb_buf_add_char(struct sb_buf *buf, char c);
SB_NONNULL_ALL void sb_buf_add_int(struct sb_buf *buf, int64_t value);
SB_NONNULL(1, 2)
SB_PRINTF(2, 3) void sb_buf_add_format(struct sb_buf *buf, const char *format, ...);

/* JSON (RFC 8259). Commas are put where the text so far demands one: before any value or key that
 * does not follow '{', '[', ':' or the beginning. Strings come out as valid UTF-8: bytes that are
 * none become U+FFFD, control characters are escaped. */
SB_NONNULL_ALL void sb_json_open(struct sb_buf *buf, char bracket);
SB_NONNULL_ALL void sb_json_close(struct sb_buf *buf, char bracket);
SB_NONNULL_ALL void sb_json_key(struct sb_buf *buf, const char *key);
SB_NONNULL(1) void sb_json_string(struct sb_buf *buf, const char *text); /* NULL gives null */
SB_NONNULL_ALL void sb_json_string_n(struct sb_buf *buf, const char *text, size_t length);
SB_NONNULL_ALL void sb_json_int(struct sb_buf *buf, int64_t value);
SB_NONNULL_ALL void sb_json_bool(struct sb_buf *buf, bool value);
SB_NONNULL_ALL void sb_json_null(struct sb_buf *buf);
/* json is finished JSON text, added as the next value. */
SB_NONNULL_ALL void sb_json_raw(struct sb_buf *buf, const char *json);

/* The length in bytes (1 to 4) of the well-formed UTF-8 sequence at text (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF), or 0. */
SB_NONNULL_ALL size_t sb_utf8_sequence(const char *text, size_t length);

#endif
