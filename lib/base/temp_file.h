/* Files that are gone with the last descriptor on them: a crash leaves none behind.
 *
 * They never have a name where the file system can do without (O_TMPFILE, open(2)). On others they
 * have one until they are unlinked, just after they are made; a process that is killed in between
 * leaves an empty file, which sb_temp_files_remove() finds. */
#ifndef SB_BASE_TEMP_FILE_H
#define SB_BASE_TEMP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* An empty file in directory, which is made (mode 0700) where it is missing, but not what it lies
 * in. Mode 0600, open for reading and writing, close-on-exec; the caller closes it. -1 with errno:
 * it cannot be made. */
SB_NONNULL_ALL SB_MUST_CHECK int sb_temp_file_open(const char *directory);

/* Writes size bytes of data at *length, which grows by what was written. False with errno: not all
 * of them could be. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_temp_file_append(int fd, int64_t *length, const void *data,
                                                      size_t size);

/* Unlinks the regular files in directory that were last written before before_ms (in ms since the
 * epoch) and belong to this process's user; sets *removed to how many. Links are neither followed
 * nor removed, be it directory itself or what is in it, nor are directories, nor a file that a
 * process holds a lock on (flock(2)), as sb_temp_file_open() does. What is not there is nothing to
 * remove. SB_E_UNAVAILABLE with errno: directory cannot be read; ELOOP or ENOTDIR: it is none. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_temp_files_remove(const char *directory, int64_t before_ms, int64_t *removed);

#endif
