/* The JSON inside tokens, read strictly. For the files of access/ alone. */
#ifndef SB_ACCESS_TOKEN_JSON_H
#define SB_ACCESS_TOKEN_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Parses one JSON object. Duplicate keys, U+0000 in any spelling, invalid UTF-8 and trailing bytes
 * are refused. The caller json_decref()s the result. NULL: refused, with *no_memory false, or out
 * of memory, with *no_memory true. */
SB_NONNULL_ALL SB_MUST_CHECK json_t *sb_token_object(const void *text, size_t length,
                                                     bool *no_memory);

/* The text of a member, alive as long as object; NULL if it is absent or no string. */
SB_NONNULL_ALL const char *sb_token_text(const json_t *object, const char *name);

/* Reads a NumericDate (RFC 7519 section 2) that must be an integer, as our own always are. False:
 * it is absent or something else. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_token_time(const json_t *object, const char *name,
                                                int64_t *time_s);

#endif
