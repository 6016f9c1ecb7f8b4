/* Allocation that remembers its failures. Not every library says that memory ran out: Jansson calls
 * a text it had no room for an invalid token, and a MAC that could not be computed looks like a
 * forged one. Arenas, buffers, Jansson and OpenSSL allocate through here, so that a refusal reached
 * without memory can be told from one that is deserved. */
#ifndef SB_BASE_MEMORY_H
#define SB_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Leads Jansson and OpenSSL here. Called once, before either is used; where OpenSSL has allocated
 * already it stays as it is. */
void sb_memory_init(void);

/* As malloc() and realloc(); what they give is freed with free(). */
SB_MUST_CHECK void *sb_memory_alloc(size_t size);
SB_MUST_CHECK void *sb_memory_realloc(void *memory, size_t size);

/* Whether an allocation of this thread has failed since it last called sb_memory_forget(). */
bool sb_memory_ran_out(void);
void sb_memory_forget(void);

#endif
