#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { CHUNK_SIZE = 16 * 1024 };

struct chunk {
    struct chunk *next;
    size_t size, used;
    alignas(max_align_t) unsigned char data[];
};

struct sb_arena {
    struct chunk *first, *current;
    size_t cap, reserved, used;
};

static struct chunk *chunk_new(size_t size)
{
    struct chunk *chunk = sb_memory_alloc(sizeof *chunk + size);
    if (chunk == NULL)
        return NULL;
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;
    return chunk;
}

struct sb_arena *sb_arena_new(size_t cap)
{
    struct sb_arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL)
        return NULL;
    arena->first = chunk_new(CHUNK_SIZE);
    if (arena->first == NULL) {
        free(arena);
        return NULL;
    }
    arena->current = arena->first;
    arena->cap = cap;
    arena->reserved = CHUNK_SIZE;
    return arena;
}

/* Neither the heap nor an idle worker keeps tokens and secrets. */
static void wipe(struct chunk *chunk)
{
    explicit_bzero(chunk->data, chunk->used);
}

static void free_chunks(struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;
        wipe(chunk);
        free(chunk);
        chunk = next;
    }
}

void sb_arena_free(struct sb_arena *arena)
{
    if (arena == NULL)
        return;
    free_chunks(arena->first);
    free(arena);
}

void sb_arena_reset(struct sb_arena *arena)
{
    free_chunks(arena->first->next);
    wipe(arena->first);
    arena->first->next = NULL;
    arena->first->used = 0;
    arena->current = arena->first;
    arena->reserved = CHUNK_SIZE;
    arena->used = 0;
}

/* A chunk that can hold size more bytes becomes the current one. */
static bool reserve(struct sb_arena *arena, size_t size)
{
    size_t chunk_size = size > CHUNK_SIZE ? size : CHUNK_SIZE;
    if (chunk_size > arena->cap || arena->reserved > arena->cap - chunk_size)
        return false;
    struct chunk *chunk = chunk_new(chunk_size);
    if (chunk == NULL)
        return false;
    arena->current->next = chunk;
    arena->current = chunk;
    arena->reserved += chunk_size;
    return true;
}

void *sb_arena_alloc(struct sb_arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX - align)
        return NULL;
    size = (size + align - 1) & ~(align - 1);
    if (size > arena->current->size - arena->current->used && !reserve(arena, size))
        return NULL;
    void *memory = arena->current->data + arena->current->used;
    arena->current->used += size;
    arena->used += size;
    return memset(memory, 0, size);
}

char *sb_arena_strndup(struct sb_arena *arena, const char *text, size_t length)
{
    char *copy = length == SIZE_MAX ? NULL : sb_arena_alloc(arena, length + 1);
    if (copy != NULL)
        memcpy(copy, text, length);
    return copy;
}

char *sb_arena_strdup(struct sb_arena *arena, const char *text)
{
    return sb_arena_strndup(arena, text, strlen(text));
}

char *sb_arena_printf(struct sb_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : sb_arena_alloc(arena, (size_t)length + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

size_t sb_arena_used(const struct sb_arena *arena)
{
    return arena->used;
}
