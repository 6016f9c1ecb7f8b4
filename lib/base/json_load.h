/* Jansson's parser, safe without memory. */
#ifndef SB_BASE_JSON_LOAD_H
#define SB_BASE_JSON_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* The most memory that Jansson asks for: so many bytes for each byte of text, and for the least
 * text. The most is for an array of empty objects. */
enum { SB_JSON_LOAD_PER_BYTE = 128, SB_JSON_LOAD_MIN = 4096 };

/* json_loadb() with JSON_REJECT_DUPLICATES. Where the buffer of a token cannot grow, Jansson 2.14
 * drops bytes of it, and aborts or reads on behind its end; here that is out of memory like any
 * other. Every JSON text is parsed by this. The caller json_decref()s the result. NULL: refused,
 * with *no_memory false and *error set, or out of memory, with *no_memory true. */
SB_NONNULL_ALL SB_MUST_CHECK json_t *sb_json_load(const void *text, size_t length,
                                                  json_error_t *error, bool *no_memory);

#endif
