#include "base/memory.h"

#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"

enum { HEAPS_MAX = 4, SPARE_MAX = 4, MMAP_THRESHOLD = 128 * 1024 };
enum { HEADER = 16 }; /* in front of each piece of the reserve: its size */

static _Thread_local bool ran_out;

/* Who keeps something only to be faster. */
static struct {
    pthread_mutex_t lock;
    size_t count;
    void (*give_back[SPARE_MAX])(void);
} spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct {
    unsigned char *memory; /* NULL: there is none */
    size_t size, used;
} reserve;

void sb_memory_init(void)
{
    mallopt(M_ARENA_MAX, HEAPS_MAX); /* each keeps what its busiest moment took */
    /* Its default, which glibc would raise at the first large block that is freed, and from then on
     * cut such blocks out of the heaps, where holes of their size stay. */
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    json_set_alloc_funcs(sb_memory_library_alloc, sb_memory_library_free);
    sb_crypto_init_memory();
}

void *sb_memory_alloc(size_t size)
{
    void *memory = malloc(size);
    ran_out |= memory == NULL && size > 0;
    return memory;
}

void *sb_memory_realloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size);
    ran_out |= moved == NULL && size > 0;
    return moved;
}

bool sb_memory_ran_out(void)
{
    return ran_out;
}

void sb_memory_forget(void)
{
    ran_out = false;
}

bool sb_memory_reserve(size_t size)
{
    reserve.memory = sb_memory_alloc(size);
    reserve.size = size;
    reserve.used = 0;
    return reserve.memory != NULL;
}

bool sb_memory_reserve_used(void)
{
    return reserve.used > 0;
}

void sb_memory_unreserve(void)
{
    free(reserve.memory);
    reserve.memory = NULL;
    reserve.used = 0;
}

void sb_memory_add_spare(void (*give_back)(void))
{
    pthread_mutex_lock(&spare.lock);
    if (spare.count < SPARE_MAX)
        spare.give_back[spare.count++] = give_back;
    pthread_mutex_unlock(&spare.lock);
}

void sb_memory_give_back(void)
{
    pthread_mutex_lock(&spare.lock);
    for (size_t i = 0; i < spare.count; i++)
        spare.give_back[i]();
    pthread_mutex_unlock(&spare.lock);
    malloc_trim(0);
}

static bool reserved(const void *memory)
{
    const unsigned char *at = memory;
    return reserve.memory != NULL && at >= reserve.memory && at < reserve.memory + reserve.size;
}

static size_t size_of(void *memory)
{
    size_t size;
    if (!reserved(memory))
        return malloc_usable_size(memory);
    memcpy(&size, (unsigned char *)memory - HEADER, sizeof size);
    return size;
}

static void *from_reserve(size_t size)
{
    if (reserve.memory == NULL || size > reserve.size)
        return NULL;
    size_t whole = HEADER + (size + HEADER - 1) / HEADER * HEADER;
    if (whole > reserve.size - reserve.used)
        return NULL;
    unsigned char *piece = reserve.memory + reserve.used;
    reserve.used += whole;
    memcpy(piece, &size, sizeof size);
    return piece + HEADER;
}

void *sb_memory_library_alloc(size_t size)
{
    void *memory = sb_memory_alloc(size);
    return memory != NULL ? memory : from_reserve(size);
}

void *sb_memory_library_realloc(void *memory, size_t size)
{
    void *moved = reserved(memory) ? NULL : sb_memory_realloc(memory, size);
    if (moved != NULL || size == 0)
        return moved;
    moved = from_reserve(size);
    if (moved != NULL && memory != NULL) {
        size_t old = size_of(memory);
        memcpy(moved, memory, old < size ? old : size);
        sb_memory_library_free(memory);
    }
    return moved;
}

void sb_memory_library_free(void *memory)
{
    if (!reserved(memory))
        free(memory);
}
