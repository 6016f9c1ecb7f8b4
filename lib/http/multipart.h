/* multipart/form-data (RFC 7578 over RFC 2046 section 5.1), parsed as it arrives: nothing of a
 * part's content is kept, so a recording passes through in pieces of any size.
 *
 * Strict where servers and applications could differ: a part must name its field, no
 * Content-Transfer-Encoding but the identities, and the body must end with its closing boundary. */
#ifndef SB_HTTP_MULTIPART_H
#define SB_HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    SB_MULTIPART_BOUNDARY_MAX = 70,       /* bytes, RFC 2046 section 5.1.1 */
    SB_MULTIPART_PART_HEADERS_MAX = 2048, /* bytes of one part's header fields */
    SB_MULTIPART_PARTS_MAX = 32
};

/* A part's header; the texts are alive during the call. Bytes are the client's own, but without
 * control characters. */
struct sb_multipart_part {
    const char *name;         /* of the field; never NULL */
    const char *filename;     /* NULL: not a file */
    const char *content_type; /* NULL: none was given */
};

/* Whatever a call returns but SB_OK ends the parsing with that error. data is called any number of
 * times between begin and end; end may be NULL. */
struct sb_multipart_handler {
    enum sb_error (*begin)(void *context, const struct sb_multipart_part *part);
    enum sb_error (*data)(void *context, const void *data, size_t length);
    enum sb_error (*end)(void *context);
    void *context;
};

enum sb_multipart_state {
    SB_MULTIPART_PREAMBLE,
    SB_MULTIPART_DELIMITER, /* behind a delimiter: its line goes on */
    SB_MULTIPART_HEADERS,
    SB_MULTIPART_DATA,
    SB_MULTIPART_EPILOGUE
};

/* All fields are the parser's own. */
struct sb_multipart {
    struct sb_multipart_handler handler;
    enum sb_multipart_state state;
    enum sb_error error;                           /* sticks */
    char delimiter[SB_MULTIPART_BOUNDARY_MAX + 5]; /* CR LF -- boundary */
    size_t delimiter_length, matched; /* bytes of the delimiter that the input ends with */
    bool fresh;   /* the first two of them, CR LF, are not the content's: it has just begun */
    char line[2]; /* what followed the delimiter so far */
    size_t line_length, parts, headers_length;
    char headers[SB_MULTIPART_PART_HEADERS_MAX];
};

/* Begins to parse a body of the Content-Type content_type. SB_E_UNSUPPORTED_MEDIA_TYPE: it is no
 * multipart/form-data; SB_E_INVALID_MULTIPART: it has no usable boundary. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_multipart_init(struct sb_multipart *multipart, const char *content_type,
                  const struct sb_multipart_handler *handler);

/* Takes the next length bytes. SB_E_INVALID_MULTIPART, or what the handler returned; after an error
 * every call returns the same. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_multipart_feed(struct sb_multipart *multipart,
                                                             const void *data, size_t length);

/* The body has ended. SB_E_INVALID_MULTIPART: in the middle, or without a part. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_multipart_end(struct sb_multipart *multipart);

#endif
