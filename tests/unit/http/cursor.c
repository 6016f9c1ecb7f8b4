#include "http/cursor.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/crypto.h"

static struct sb_arena *arena;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(cursor, .init = setup, .fini = teardown);

static const char *encoded(const char *text)
{
    return sb_base64url(arena, text, strlen(text));
}

Test(cursor, gives_its_key_back)
{
    static const char *const keys[] = {"x", "call_01", "1800000000000.call_1", "a:b",
                                       "auth0|\xC3\xA9"};
    for (size_t i = 0; i < SB_COUNT(keys); i++) {
        const char *cursor = sb_cursor_make(arena, "threads", keys[i]);
        cr_assert_not_null(cursor, "%s", keys[i]);
        cr_assert_str_eq(sb_cursor_read(arena, "threads", cursor), keys[i]);
    }
}

Test(cursor, shows_nothing_that_would_need_an_escape_in_a_query)
{
    const char *cursor = sb_cursor_make(arena, "threads", "a b&c=d/\xC3\xA9?");
    cr_assert_eq(strspn(cursor, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                 strlen(cursor));
}

Test(cursor, fits_the_longest_key_and_no_longer)
{
    char key[SB_CURSOR_KEY_MAX + 2];
    static const char longest_list[] = "a-list-of-24-characters-";
    memset(key, 'k', sizeof key);
    key[SB_CURSOR_KEY_MAX] = '\0';
    const char *cursor = sb_cursor_make(arena, longest_list, key);
    cr_assert_not_null(cursor);
    cr_assert_leq(strlen(cursor), SB_CURSOR_MAX);
    cr_assert_str_eq(sb_cursor_read(arena, longest_list, cursor), key);
    key[SB_CURSOR_KEY_MAX] = 'k';
    key[SB_CURSOR_KEY_MAX + 1] = '\0';
    cr_assert_null(sb_cursor_make(arena, longest_list, key));
    cr_assert_null(sb_cursor_read(arena, "t", encoded(sb_arena_printf(arena, "t:%s", key))));
}

Test(cursor, is_for_its_own_list_alone)
{
    const char *cursor = sb_cursor_make(arena, "threads", "x");
    cr_assert_null(sb_cursor_read(arena, "calls", cursor));
    cr_assert_null(sb_cursor_read(arena, "thread", cursor));
    cr_assert_null(sb_cursor_read(arena, "threads:", cursor));
    cr_assert_not_null(sb_cursor_read(arena, "threads", cursor));
}

Test(cursor, refuses_what_it_did_not_make)
{
    const char *const cursors[] = {
        "",
        "x",
        "!",
        "dGhyZWFkczp4=",
        "dGhyZWFkczp4 ",
        encoded("threads"),
        encoded("threads:"),
        encoded("threads:a\nb"),
        encoded("threads:\x7f"),
        encoded("threads:\xff"),
        sb_base64url(arena, "threads:a\0b", 11),
    };
    cr_assert_str_eq(sb_cursor_read(arena, "threads", "dGhyZWFkczp4"), "x", "positive control");
    for (size_t i = 0; i < SB_COUNT(cursors); i++)
        cr_assert_null(sb_cursor_read(arena, "threads", cursors[i]), "%zu", i);
    char *endless = sb_arena_alloc(arena, 4096);
    memset(endless, 'A', 4095);
    cr_assert_null(sb_cursor_read(arena, "threads", endless));
}

Test(cursor, is_not_made_of_a_key_it_would_refuse)
{
    static const char *const keys[] = {"", "a\nb", "\x7f", "\xff"};
    for (size_t i = 0; i < SB_COUNT(keys); i++)
        cr_assert_null(sb_cursor_make(arena, "threads", keys[i]), "%zu", i);
}
