#include "base/memory.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/crypto.h"

static _Thread_local bool ran_out;

void sb_memory_init(void)
{
    json_set_alloc_funcs(sb_memory_alloc, free);
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
