#include "base/json_load.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"

static json_t *load(const char *text, bool *no_memory)
{
    json_error_t error;
    return sb_json_load(text, strlen(text), &error, no_memory);
}

Test(json_load, takes_json_and_refuses_what_is_none)
{
    bool no_memory = true;
    json_t *json = load("{\"a\":[1,\"x\"]}", &no_memory);
    cr_assert_not_null(json);
    cr_assert_not(no_memory);
    cr_assert_eq(json_array_size(json_object_get(json, "a")), 2);
    json_decref(json);
    static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "{} x", "[\"\xff\"]"};
    for (size_t i = 0; i < SB_COUNT(bad); i++) {
        no_memory = true;
        cr_assert_null(load(bad[i], &no_memory), "%s", bad[i]);
        cr_assert_not(no_memory, "%s", bad[i]);
    }
}

Test(json_load, a_text_that_is_too_long_for_any_memory_is_out_of_memory)
{
    json_error_t error;
    bool no_memory = false;
    cr_assert_null(sb_json_load("{}", (size_t)1 << 60, &error, &no_memory));
    cr_assert(no_memory);
}

#ifndef __SANITIZE_ADDRESS__ /* which needs address space of its own */

/* From now on there is room for so many bytes more. */
static void leave_room(size_t bytes)
{
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    const struct rlimit limit = {pages * 4096 + bytes, pages * 4096 + bytes};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

/* The reserve fits, but the buffer of the one long token does not grow to its end. */
Test(json_load, a_token_that_has_no_room_is_out_of_memory)
{
    enum { LONG = 4 * 1024 * 1024 };
    bool no_memory = false;
    char *text = malloc(LONG + 1);
    memset(text, 'x', LONG);
    memcpy(text, "[\"", 2);
    memcpy(text + LONG - 2, "\"]", 3);
    sb_memory_init();
    leave_room(SB_JSON_LOAD_MIN + (size_t)LONG * SB_JSON_LOAD_PER_BYTE + LONG / 4);
    cr_assert_null(load(text, &no_memory));
    cr_assert(no_memory);
    cr_assert(sb_memory_ran_out());
    free(text);
}

#endif

/* What json_loadb() asks for in all, as a reserve would have to give it. */
static size_t asked;

static void *count(size_t size)
{
    asked += 16 + (size + 15) / 16 * 16;
    return malloc(size);
}

/* [piece,piece,...] */
static void assert_bound(const char *piece, size_t times)
{
    json_error_t error;
    size_t size = times * (strlen(piece) + 1) + 3, length = 1;
    char *text = malloc(size);
    text[0] = '[';
    for (size_t i = 0; i < times; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i == 0 ? "" : ",", piece);
    text[length++] = ']';
    asked = 0;
    json_set_alloc_funcs(count, free);
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    cr_assert_not_null(json, "%s: %s", piece, error.text);
    json_decref(json);
    free(text);
    cr_assert_leq(asked, SB_JSON_LOAD_MIN + length * SB_JSON_LOAD_PER_BYTE, "%s %zu: %zu of %zu",
                  piece, times, asked, length);
}

Test(json_load, the_reserve_is_as_much_as_jansson_can_ask_for)
{
    static const char *const pieces[] = {"{}",
                                         "[]",
                                         "1",
                                         "0.5",
                                         "\"\"",
                                         "\"x\"",
                                         "null",
                                         "{\"\":{}}",
                                         "{\"a\":{},\"b\":[],\"c\":1,\"d\":\"\",\"e\":0}",
                                         "[[[[[[[[{}]]]]]]]]",
                                         "\"a text that is longer than the first buffer, twice\""};
    for (size_t i = 0; i < SB_COUNT(pieces); i++) {
        for (size_t times = 1; times <= 20000; times = times * 3 + 1)
            assert_bound(pieces[i], times);
    }
}
