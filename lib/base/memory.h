/* Allocation that remembers its failures. Not every library says that memory ran out: Jansson calls
 * a text it had no room for an invalid token, and a MAC that could not be computed looks like a
 * forged one. Arenas, buffers, Jansson and OpenSSL allocate through here, so that a refusal reached
 * without memory can be told from one that is deserved.
 *
 * And not every library bears it: some of what Jansson and OpenSSL do ends in a crash where an
 * allocation fails. That is done with a reserve behind it. */
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

/* From now on the libraries' failing allocations in this thread, which has no reserve yet, are
 * served out of size bytes (with 16 of them spent on each). They are touched only then. False:
 * there is no memory for it. */
SB_MUST_CHECK bool sb_memory_reserve(size_t size);

/* Whether the reserve was needed. What was made with it is then to be given back to its library
 * before sb_memory_unreserve(), and not to be used. */
bool sb_memory_reserve_used(void);

/* Ends and frees this thread's reserve. */
void sb_memory_unreserve(void);

/* give_back frees what its module keeps only to be faster. Called once by each such module (there
 * is room for four), it is called from any thread at moments of rest. */
SB_NONNULL_ALL void sb_memory_add_spare(void (*give_back)(void));

/* Has all spare memory freed, and hands what is free back to the system. Takes some 0.1 ms. */
void sb_memory_give_back(void);

/* For the libraries: as malloc(), realloc() and free(), with the reserve. */
void *sb_memory_library_alloc(size_t size);
void *sb_memory_library_realloc(void *memory, size_t size);
void sb_memory_library_free(void *memory);

#endif
