#include "base/ids.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(id, is_the_prefix_and_26_base_32_characters)
{
    for (int i = 0; i < 1000; i++) {
        char id[SB_ID_SIZE];
        sb_id_make("call", 1798761599999, id);
        cr_assert_eq(strlen(id), strlen("call_") + 26, "%s", id);
        cr_assert_eq(strncmp(id, "call_", 5), 0, "%s", id);
        cr_assert_eq(strspn(id + 5, "0123456789abcdefghjkmnpqrstvwxyz"), 26, "%s", id);
        cr_assert(sb_id_valid(id), "%s", id);
    }
}

Test(id, writes_its_time_in_the_first_ten_characters)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "0000000000"},
        {31, "000000000z"},
        {32, "0000000010"},
        {1469918176385, "01aryz6s41"},
        {281474976710655, "7zzzzzzzzz"}, /* 48 bits */
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        char id[SB_ID_SIZE];
        sb_id_make("x", rows[i].ms, id);
        cr_expect_eq(strncmp(id + 2, rows[i].text, 10), 0, "%lld: %s", (long long)rows[i].ms, id);
    }
}

Test(id, ids_sort_by_their_time)
{
    char previous[SB_ID_SIZE], id[SB_ID_SIZE];
    sb_id_make("call", 1, previous);
    for (int64_t ms = 2; ms < 1LL << 47; ms += ms / 100 + 1) {
        sb_id_make("call", ms, id);
        cr_assert_gt(strcmp(id, previous), 0, "%s after %s", id, previous);
        memcpy(previous, id, sizeof id);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

Test(id, ids_of_one_millisecond_are_distinct)
{
    enum { COUNT = 20000 };
    static char ids[COUNT][SB_ID_SIZE];
    for (size_t i = 0; i < COUNT; i++)
        sb_id_make("t", 1798761599999, ids[i]);
    qsort(ids, COUNT, sizeof ids[0], compare);
    for (size_t i = 1; i < COUNT; i++)
        cr_assert_str_neq(ids[i], ids[i - 1]);
}

Test(id, every_random_character_takes_every_value)
{
    static bool seen[16][256];
    for (int i = 0; i < 4000; i++) {
        char id[SB_ID_SIZE];
        sb_id_make("t", 0, id);
        for (size_t at = 0; at < 16; at++)
            seen[at][(unsigned char)id[12 + at]] = true;
    }
    for (size_t at = 0; at < 16; at++) {
        int values = 0;
        for (size_t c = 0; c < 256; c++)
            values += seen[at][c];
        cr_expect_eq(values, 32, "character %zu: %d", at, values);
    }
}

Test(id, the_longest_prefix_fills_the_buffer_and_a_longer_one_is_cut)
{
    char memory[SB_ID_SIZE + 8];
    memset(memory, '#', sizeof memory);
    sb_id_make("conversation", 1, memory);
    cr_assert_eq(strlen(memory), SB_ID_SIZE - 1);
    sb_id_make("conversations", 1, memory);
    cr_assert_eq(strncmp(memory, "conversation_0", 14), 0);
    cr_assert_eq(strlen(memory), SB_ID_SIZE - 1);
    for (size_t i = SB_ID_SIZE; i < sizeof memory; i++)
        cr_assert_eq(memory[i], '#');
}

Test(id, validity_is_1_to_64_of_the_charset)
{
    char text[SB_ID_MAX + 3];
    memset(text, 'a', sizeof text);
    for (size_t length = 0; length < sizeof text; length++) {
        text[length] = '\0';
        cr_expect_eq(sb_id_valid(text), length >= 1 && length <= SB_ID_MAX, "%zu", length);
        text[length] = 'a';
    }
    cr_expect_not(sb_id_valid(NULL));
}

Test(id, validity_of_each_character)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    for (int c = 1; c < 256; c++) {
        char text[] = {'a', (char)c, 'b', '\0'};
        cr_expect_eq(sb_id_valid(text), strchr(good, c) != NULL, "character %d", c);
    }
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

Test(trace_id, continues_a_valid_traceparent)
{
    static const char *const rows[] = {
        "00-" TRACE "-" PARENT "-01",  "00-" TRACE "-" PARENT "-00",
        "00-" TRACE "-" PARENT "-ff",  "01-" TRACE "-" PARENT "-01",
        "fe-" TRACE "-" PARENT "-01",  "cc-" TRACE "-" PARENT "-01-what-the-future-brings",
        "10-" TRACE "-" PARENT "-01-",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        char id[SB_TRACE_ID_SIZE];
        sb_trace_id(rows[i], id);
        cr_expect_str_eq(id, TRACE, "%s", rows[i]);
    }
}

Test(trace_id, makes_a_new_one_for_any_other)
{
    static const char *const rows[] = {
        NULL,
        "",
        "00",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-",
        "00-" TRACE "-" PARENT "-011",
        "00-" TRACE "-" PARENT "-01 ",
        "01-" TRACE "-" PARENT "-011",
        "01-" TRACE "-" PARENT "-01.x",
        "ff-" TRACE "-" PARENT "-01",
        "0-" TRACE "-" PARENT "-01x",
        "0g-" TRACE "-" PARENT "-01",
        "0A-" TRACE "-" PARENT "-01",
        " 00-" TRACE "-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00-0af7651916cd43dd8448eb211c80319g-" PARENT "-01",
        "00-0af7651916cd43dd8448eb211c80319-" PARENT "-01x",
        "00-" TRACE "-B7AD6B7169203331-01",
        "00-" TRACE "-b7ad6b716920333z-01",
        "00-" TRACE "-" PARENT "-0G",
        "00-" TRACE "-" PARENT "-0A",
        "00-" TRACE "-" PARENT "-\n1",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        char id[SB_TRACE_ID_SIZE];
        sb_trace_id(rows[i], id);
        cr_expect_str_neq(id, TRACE, "%s", rows[i]);
        cr_expect_eq(strlen(id), 32);
        cr_expect_eq(strspn(id, "0123456789abcdef"), 32, "%s", id);
    }
}

Test(trace_id, new_ones_are_distinct)
{
    char a[SB_TRACE_ID_SIZE], b[SB_TRACE_ID_SIZE];
    sb_trace_id(NULL, a);
    sb_trace_id(NULL, b);
    cr_assert_str_neq(a, b);
}
