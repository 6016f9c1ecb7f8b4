#include "base/memory.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "base/crypto.h"

/* More than there is address space for, and opaque to the compiler. */
static volatile size_t too_much = (size_t)1 << 62;

TestSuite(memory, .init = sb_memory_init);

static void fail(void)
{
    cr_assert_null(sb_memory_alloc(too_much));
}

Test(memory, what_is_given_has_not_run_out)
{
    char *memory = sb_memory_alloc(10);
    cr_assert_not_null(memory);
    memory = sb_memory_realloc(memory, 100);
    cr_assert_not_null(memory);
    free(memory);
    cr_assert_not(sb_memory_ran_out());
}

Test(memory, a_failure_is_remembered_until_it_is_forgotten)
{
    fail();
    cr_assert(sb_memory_ran_out());
    free(sb_memory_alloc(10));
    cr_assert(sb_memory_ran_out());
    sb_memory_forget();
    cr_assert_not(sb_memory_ran_out());
}

Test(memory, a_failed_realloc_is_remembered_and_keeps_the_block)
{
    char *memory = sb_memory_alloc(10);
    cr_assert_not_null(memory);
    memory[0] = 'x';
    cr_assert_null(sb_memory_realloc(memory, too_much));
    cr_assert_eq(memory[0], 'x');
    cr_assert(sb_memory_ran_out());
    free(memory);
}

static size_t given_back;

static void give_back(void)
{
    given_back++;
}

Test(memory, who_keeps_spare_memory_is_asked_for_it_at_rest)
{
    sb_memory_add_spare(give_back);
    cr_assert_eq(given_back, 0);
    sb_memory_give_back();
    sb_memory_give_back();
    cr_assert_eq(given_back, 2);
}

#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
static long resident_pages(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident;
}

Test(memory, what_was_freed_goes_back_to_the_system)
{
    enum { BLOCKS = 2000, BLOCK_SIZE = 4000 };
    static char *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = sb_memory_alloc(BLOCK_SIZE);
        cr_assert_not_null(blocks[i]);
        memset(blocks[i], 1, BLOCK_SIZE);
    }
    char *above = sb_memory_alloc(BLOCK_SIZE); /* so that the top of the heap stays in use */
    cr_assert_not_null(above);
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    long before = resident_pages();
    sb_memory_give_back();
    cr_assert_lt(resident_pages(), before - 1000);
    free(above);
}
#endif

static void *ran_out_here(void *context)
{
    *(bool *)context = sb_memory_ran_out();
    return NULL;
}

Test(memory, a_failure_is_that_of_its_thread_alone)
{
    pthread_t thread;
    bool elsewhere = true;
    fail();
    cr_assert_eq(pthread_create(&thread, NULL, ran_out_here, &elsewhere), 0);
    pthread_join(thread, NULL);
    cr_assert_not(elsewhere);
    cr_assert(sb_memory_ran_out());
}

Test(memory, an_arena_tells_of_its_failures)
{
    struct sb_arena *arena = sb_arena_new(SIZE_MAX);
    cr_assert_not_null(arena);
    cr_assert_null(sb_arena_alloc(arena, too_much));
    cr_assert(sb_memory_ran_out());
    sb_arena_free(arena);
}

#ifndef __SANITIZE_ADDRESS__ /* which needs address space of its own */

Test(memory, a_library_is_served_by_the_reserve_once_memory_has_run_out)
{
    enum { SIZE = 4 * 1024 * 1024 };
    const struct rlimit none = {0, 0};
    cr_assert(sb_memory_reserve(SIZE));
    cr_assert_eq(setrlimit(RLIMIT_AS, &none), 0);
    cr_assert_not(sb_memory_reserve_used());
    char *memory = sb_memory_library_alloc(SIZE / 4);
    cr_assert_not_null(memory);
    cr_assert(sb_memory_reserve_used());
    cr_assert(sb_memory_ran_out());
    memset(memory, 'x', SIZE / 4);
    char *moved = sb_memory_library_realloc(memory, SIZE / 2);
    cr_assert_not_null(moved);
    cr_assert(moved[0] == 'x' && moved[SIZE / 4 - 1] == 'x');
    cr_assert_null(sb_memory_library_alloc(SIZE / 2));
    sb_memory_library_free(moved);
    sb_memory_unreserve();
    cr_assert_not(sb_memory_reserve_used());
    cr_assert_null(sb_memory_library_alloc(SIZE / 4));
}

#endif

Test(memory, jansson_allocates_here)
{
    cr_assert_null(json_stringn_nocheck("", too_much));
    cr_assert(sb_memory_ran_out());
}

Test(memory, openssl_initialises_and_works_behind_its_reserve)
{
    unsigned char mac[SB_SHA256_SIZE];
    char text[2 * sizeof mac + 1];
    cr_assert(sb_crypto_init());
    cr_assert_not(sb_memory_ran_out());
    /* RFC 4231 section 4.3 */
    cr_assert(sb_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac));
    sb_hex(mac, sizeof mac, text);
    cr_assert_str_eq(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
