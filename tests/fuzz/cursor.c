/* Cursors that clients make up: what is read is a key that makes the same cursor again. */
#include "http/cursor.h"

#include <string.h>

#include "support/fuzz.h"

static const char list[] = "threads";

/* The input as a cursor. */
static void check_cursor(struct sb_arena *arena, const char *text)
{
    const char *key = sb_cursor_read(arena, list, text);
    if (key == NULL)
        return;
    FUZZ_REQUIRE(*key != '\0' && strlen(key) <= SB_CURSOR_KEY_MAX);
    const char *again = sb_cursor_make(arena, list, key);
    FUZZ_REQUIRE(again != NULL && strcmp(again, text) == 0);
    FUZZ_REQUIRE(sb_cursor_read(arena, "thread", text) == NULL);
}

/* The input as a key. */
static void check_key(struct sb_arena *arena, const char *text)
{
    const char *cursor = sb_cursor_make(arena, list, text);
    if (cursor == NULL)
        return;
    FUZZ_REQUIRE(strlen(cursor) <= SB_CURSOR_MAX);
    const char *key = sb_cursor_read(arena, list, cursor);
    FUZZ_REQUIRE(key != NULL && strcmp(key, text) == 0);
    FUZZ_REQUIRE(sb_cursor_read(arena, "sessions", cursor) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sb_arena *arena;
    if (arena == NULL)
        arena = sb_arena_new(1024 * 1024);
    FUZZ_REQUIRE(arena != NULL);
    if (size > 4096)
        return 0;
    const char *text = sb_arena_strndup(arena, (const char *)data, size);
    FUZZ_REQUIRE(text != NULL);
    check_cursor(arena, text);
    check_key(arena, text);
    sb_arena_reset(arena);
    return 0;
}
