#include "base/arena.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16 * 1024 };

static struct sb_arena *arena;

static void teardown(void)
{
    sb_arena_free(arena);
}

static void open_arena(size_t cap)
{
    arena = sb_arena_new(cap);
    cr_assert_not_null(arena);
}

static size_t used_after(size_t cap, size_t size, int times)
{
    open_arena(cap);
    for (int i = 0; i < times; i++)
        cr_assert_not_null(sb_arena_alloc(arena, size));
    return sb_arena_used(arena);
}

TestSuite(arena, .fini = teardown);

Test(arena, aligns_every_allocation_for_any_type)
{
    open_arena(10 * CHUNK);
    for (size_t size = 1; size <= 200; size++) {
        void *memory = sb_arena_alloc(arena, size);
        cr_assert_not_null(memory);
        cr_assert_eq((uintptr_t)memory % alignof(max_align_t), 0, "size %zu", size);
    }
}

Test(arena, gives_zeroed_memory_again_after_a_reset)
{
    open_arena(CHUNK);
    char *before = sb_arena_alloc(arena, 1000);
    memset(before, 'x', 1000);
    sb_arena_reset(arena);
    char *after = sb_arena_alloc(arena, 1000);
    cr_assert_eq(after, before, "the first chunk is kept");
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(after[i], 0, "byte %zu", i);
}

Test(arena, keeps_nothing_of_what_it_held_after_a_reset)
{
    open_arena(CHUNK);
    const char *before = sb_arena_strdup(arena, "Bearer secret");
    cr_assert_not_null(before);
    sb_arena_reset(arena);
    for (size_t i = 0; i < sizeof "Bearer secret"; i++) /* the first chunk is still there */
        cr_assert_eq(before[i], 0, "byte %zu", i);
}

Test(arena, allocations_do_not_overlap)
{
    enum { COUNT = 3000 };
    static unsigned char *blocks[COUNT];
    open_arena(1024 * 1024);
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = sb_arena_alloc(arena, i % 97 + 1);
        cr_assert_not_null(blocks[i]);
        memset(blocks[i], (int)(i % 251), i % 97 + 1);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i % 97 + 1; j++)
            cr_assert_eq(blocks[i][j], i % 251, "block %zu", i);
}

Test(arena, refuses_what_is_over_the_cap_and_stays_usable)
{
    open_arena(3 * CHUNK);
    cr_assert_null(sb_arena_alloc(arena, 2 * CHUNK + 1), "one chunk is taken already");
    cr_assert_not_null(sb_arena_alloc(arena, 2 * CHUNK));
    cr_assert_null(sb_arena_alloc(arena, 1));
    cr_assert_eq(sb_arena_used(arena), 2 * CHUNK);
}

Test(arena, what_fits_the_current_chunk_succeeds_after_a_refusal)
{
    open_arena(CHUNK);
    cr_assert_not_null(sb_arena_alloc(arena, CHUNK - 64));
    cr_assert_null(sb_arena_alloc(arena, 65));
    cr_assert_not_null(sb_arena_alloc(arena, 64));
    cr_assert_null(sb_arena_alloc(arena, 1));
}

Test(arena, rounds_a_small_cap_up_to_one_chunk)
{
    open_arena(1);
    cr_assert_not_null(sb_arena_alloc(arena, CHUNK));
    cr_assert_null(sb_arena_alloc(arena, 1));
}

Test(arena, reset_gives_the_cap_back)
{
    open_arena(2 * CHUNK);
    for (int round = 0; round < 5; round++) {
        cr_assert_not_null(sb_arena_alloc(arena, CHUNK), "round %d", round);
        cr_assert_not_null(sb_arena_alloc(arena, CHUNK), "round %d", round);
        cr_assert_null(sb_arena_alloc(arena, CHUNK), "round %d", round);
        sb_arena_reset(arena);
        cr_assert_eq(sb_arena_used(arena), 0);
    }
}

Test(arena, refuses_sizes_near_the_largest_there_is)
{
    open_arena(SIZE_MAX);
    for (size_t under = 0; under < 64; under++) {
        volatile size_t size = SIZE_MAX - under; /* else the compiler warns, and rightly */
        cr_assert_null(sb_arena_alloc(arena, size), "SIZE_MAX - %zu", under);
    }
    cr_assert_eq(sb_arena_used(arena), 0);
}

/* Lets malloc() fail in the sanitizer's builds as it does in the others. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

Test(arena, stays_usable_when_malloc_fails)
{
    open_arena(SIZE_MAX);
    volatile size_t size = (size_t)1 << 46;
    cr_assert_null(sb_arena_alloc(arena, size));
    cr_assert_eq(sb_arena_used(arena), 0);
    cr_assert_not_null(sb_arena_alloc(arena, CHUNK));
    cr_assert_not_null(sb_arena_alloc(arena, 1));
}

Test(arena, strndup_of_the_longest_length_is_refused)
{
    open_arena(SIZE_MAX);
    volatile size_t length = SIZE_MAX;
    cr_assert_null(sb_arena_strndup(arena, "x", length));
}

Test(arena, used_counts_the_rounded_sizes)
{
    cr_assert_eq(used_after(CHUNK, 1, 3), 3 * alignof(max_align_t));
}

Test(arena, used_counts_over_chunks)
{
    cr_assert_eq(used_after(100 * CHUNK, 5008, 50), 50 * 5008);
}

Test(arena, an_allocation_of_nothing_is_not_a_failure)
{
    open_arena(CHUNK);
    cr_assert_not_null(sb_arena_alloc(arena, 0));
    cr_assert_eq(sb_arena_used(arena), 0);
}

Test(arena, strndup_copies_only_so_many_bytes_and_terminates)
{
    open_arena(CHUNK);
    char source[] = "conversation";
    char *copy = sb_arena_strndup(arena, source, 7);
    source[0] = 'X';
    cr_assert_str_eq(copy, "convers");
}

Test(arena, strdup_copies_the_whole_text)
{
    open_arena(CHUNK);
    cr_assert_str_eq(sb_arena_strdup(arena, "conversation"), "conversation");
    cr_assert_str_eq(sb_arena_strdup(arena, ""), "");
}

Test(arena, printf_formats_texts_longer_than_a_chunk)
{
    open_arena(10 * CHUNK);
    char *text = sb_arena_printf(arena, "%0*d|%s", 2 * CHUNK, 7, "end");
    cr_assert_not_null(text);
    cr_assert_eq(strlen(text), 2 * CHUNK + 4);
    cr_assert_str_eq(text + 2 * CHUNK - 1, "7|end");
}

Test(arena, printf_over_the_cap_gives_null)
{
    open_arena(CHUNK);
    cr_assert_null(sb_arena_printf(arena, "%0*d", CHUNK, 7));
    cr_assert_str_eq(sb_arena_printf(arena, "%d", 7), "7");
}

Test(arena, free_of_null_is_allowed)
{
    sb_arena_free(NULL);
    cr_assert_null(arena, "nothing was opened");
}
