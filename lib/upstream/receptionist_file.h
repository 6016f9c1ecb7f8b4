/* The receptionist's file: its form, and on which line it breaks it. Internal to receptionist*. */
#ifndef SB_UPSTREAM_RECEPTIONIST_FILE_H
#define SB_UPSTREAM_RECEPTIONIST_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Reads and checks the file. NULL: problem says why; the caller owns the object. */
SB_NONNULL_ALL SB_MUST_CHECK json_t *sb_receptionist_file_read(const char *path, char *problem,
                                                               size_t size);

extern const char *const sb_weekdays[8]; /* "monday" first, NULL at the end */

#endif
