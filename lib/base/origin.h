/* Web origins (RFC 6454 section 6.2, WHATWG URL). */
#ifndef SB_BASE_ORIGIN_H
#define SB_BASE_ORIGIN_H

#include <stdbool.h>

#include "base/error.h"

/* Whether text is a serialised http or https origin: scheme "://" host [":" port], lower case, no
 * default port, at most 267 bytes. "null" is none. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_origin_valid(const char *text);

#endif
