/* Strict JSON in (RFC 8259, I-JSON RFC 7493): the request side. Output is written by base/buf. */
#ifndef SB_HTTP_JSON_H
#define SB_HTTP_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

enum { SB_JSON_DEPTH_MAX = 32 };

/* Parses text, which must be one JSON object. Refused: duplicate keys, NUL (raw or \u0000), invalid
 * UTF-8, nesting deeper than SB_JSON_DEPTH_MAX, bytes behind the value. The caller owns the result
 * (json_decref). NULL: refused, or out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK json_t *sb_json_parse_object(const char *text, size_t length);

#endif
