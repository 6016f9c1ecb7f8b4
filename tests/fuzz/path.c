/* Request targets. */
#include <stdbool.h>
#include <string.h>

#include "http/request.h"
#include "support/fuzz.h"

enum { TARGET_MAX = 4096 };

static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-._~/";

/* Whether path is one that we could own, said in other words than the code does. */
static bool sound(const char *path)
{
    static const char *const nowhere[] = {"//", "/./", "/../"};
    size_t length = strlen(path);
    if (*path != '/' || length > SB_PATH_MAX || strspn(path, allowed) != length)
        return false;
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        if (strstr(path, nowhere[i]) != NULL)
            return false;
    }
    const char *last = strrchr(path, '/') + 1;
    return strcmp(last, ".") != 0 && strcmp(last, "..") != 0;
}

/* A target without an escape is taken as it is or not at all. */
static void check_plain(struct sb_arena *arena, const char *target)
{
    char plain[TARGET_MAX + 1];
    size_t length = strcspn(target, "?#");
    memcpy(plain, target, length);
    plain[length] = '\0';
    const char *path = sb_path_normalise(arena, target);
    if (sound(plain))
        FUZZ_REQUIRE(path != NULL && strcmp(path, plain) == 0);
    else if (*plain == '/' && strchr(plain, '%') == NULL)
        FUZZ_REQUIRE(path == NULL);
}

static void check_result(struct sb_arena *arena, const char *path)
{
    FUZZ_REQUIRE(sound(path));
    const char *again = sb_path_normalise(arena, path);
    FUZZ_REQUIRE(again != NULL && strcmp(again, path) == 0);
    const char *whole = sb_arena_printf(arena, "http://host:1%s?a/../b#c", path);
    FUZZ_REQUIRE(whole != NULL);
    again = sb_path_normalise(arena, whole);
    FUZZ_REQUIRE(again != NULL && strcmp(again, path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sb_arena *arena;
    char target[TARGET_MAX + 1];
    if (size > TARGET_MAX)
        return 0;
    if (arena == NULL)
        arena = sb_arena_new(1024 * 1024);
    FUZZ_REQUIRE(arena != NULL);
    memcpy(target, data, size);
    target[size] = '\0';
    const char *path = sb_path_normalise(arena, target);
    if (path != NULL)
        check_result(arena, path);
    check_plain(arena, target);
    sb_arena_reset(arena);
    return 0;
}
