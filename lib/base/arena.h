/* Region memory: everything a request needs, given back in one stroke.
 *
 * An arena serves one thread at a time. It keeps its first chunk for ever and frees the others on
 * reset, so a worker's memory settles at what an ordinary request needs. */
#ifndef SB_BASE_ARENA_H
#define SB_BASE_ARENA_H

#include <stddef.h>

#include "base/error.h"

struct sb_arena;

/* A new arena that never holds more than cap bytes (rounded up to one chunk of 16 KiB).
 * The caller frees it with sb_arena_free(). NULL: out of memory. */
SB_MUST_CHECK struct sb_arena *sb_arena_new(size_t cap);

/* Wipes and frees arena and all that was allocated from it. NULL is allowed. */
void sb_arena_free(struct sb_arena *arena);

/* Wipes and gives back all allocations; every pointer into the arena is dead after it. */
SB_NONNULL_ALL void sb_arena_reset(struct sb_arena *arena);

/* size zeroed bytes, aligned for any type, alive until reset or free.
 * NULL: out of memory or over the cap; nothing is lost and the arena stays usable. */
SB_NONNULL_ALL SB_MUST_CHECK void *sb_arena_alloc(struct sb_arena *arena, size_t size);

/* A NUL-terminated copy of the first length bytes of text; NULL as sb_arena_alloc(). */
SB_NONNULL_ALL SB_MUST_CHECK char *sb_arena_strndup(struct sb_arena *arena, const char *text,
                                                    size_t length);
SB_NONNULL_ALL SB_MUST_CHECK char *sb_arena_strdup(struct sb_arena *arena, const char *text);

/* printf into the arena; NULL as sb_arena_alloc(). */
SB_NONNULL(1, 2)
SB_MUST_CHECK
SB_PRINTF(2, 3) char *sb_arena_printf(struct sb_arena *arena, const char *format, ...);

/* Bytes handed out since the last reset, for tests and the log. */
SB_NONNULL_ALL size_t sb_arena_used(const struct sb_arena *arena);

#endif
