/* RUN_DIR/jwks.json: the identity provider's keys as all processes share them. A JWK Set with one
 * member more, `source`: the URL it came from. It is replaced whole, so a reader sees one version
 * or the next; its modification time is when the keys were last fetched. */
#ifndef SB_ACCESS_KEY_FILE_H
#define SB_ACCESS_KEY_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "access/jwks.h"

enum { SB_KEY_FILE_AGE_MAX_S = 600 }; /* then the keys are asked for again */

/* Puts the keys of text (a JWK Set that sb_jwks_parse() takes) in place, mode 0600, with source.
 * False with errno: the old file still stands. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_key_file_replace(const char *run_dir, const char *text,
                                                      size_t length, const char *source);

/* The file's state; false with errno. Any other version differs in it. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_key_file_stat(const char *run_dir, struct stat *st);

/* Reads the file. NULL: one reference to *set is the caller's. Else why there is no set: the file
 * cannot be read, is no sound set, or came from another source. A file without a source was put
 * there by the administrator and is taken. *st is the state of the version that was judged, zeroed
 * if it could not be read or memory ran out, which another try may mend. */
SB_NONNULL_ALL SB_MUST_CHECK const char *sb_key_file_read(const char *run_dir, const char *source,
                                                          const struct sb_jwks **set,
                                                          struct stat *st);

#endif
