/* A file of RUN_DIR that all processes map: the home of counters that are shared but not kept.
 *
 * The file is built whole under a temporary name and renamed into place under a lock on the
 * directory, so no process ever sees a half-made one and all that start at once map the same; it is
 * never truncated or changed in size. Its header names the layout; a file of another layout (an
 * upgrade) is replaced by a new one, and processes of the old build go on with theirs until they
 * are restarted. */
#ifndef SB_BASE_SHARED_FILE_H
#define SB_BASE_SHARED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sb_shared_header {
    char magic[8];
    uint32_t layout; /* the user's version of what follows */
    uint32_t reserved;
    uint64_t size;         /* of the whole file, in bytes */
    unsigned char key[16]; /* random, for SipHash: the same for all who map the file */
    int64_t made_ms;       /* when the file was made */
    unsigned char padding[16];
}; /* 64 bytes: what follows starts on a cache line */

/* Maps directory/name, making it (mode 0600, zeroed behind its header) if it is absent or has
 * another layout or size. size counts the header. name: at most 64 bytes. The mapping lives as long
 * as the process. NULL with errno: the file cannot be made or mapped; ELOOP: name is a symlink. */
SB_NONNULL_ALL SB_MUST_CHECK void *sb_shared_file_map(const char *directory, const char *name,
                                                      uint32_t layout, size_t size);

/* SipHash-2-4 (Aumasson and Bernstein, 2012) of data under key. */
SB_NONNULL_ALL uint64_t sb_siphash(const unsigned char key[static 16], const void *data,
                                   size_t length);

#endif
