#include "http/cursor.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/crypto.h"

static bool key_valid(const char *key, size_t length)
{
    if (length == 0 || length > SB_CURSOR_KEY_MAX)
        return false;
    for (size_t at = 0; at < length;) {
        size_t step = sb_utf8_sequence(key + at, length - at);
        if (step == 0 || (unsigned char)key[at] < 0x20 || key[at] == 0x7f)
            return false;
        at += step;
    }
    return true;
}

char *sb_cursor_make(struct sb_arena *arena, const char *list, const char *key)
{
    if (!key_valid(key, strnlen(key, SB_CURSOR_KEY_MAX + 1)))
        return NULL;
    char *text = sb_arena_printf(arena, "%s:%s", list, key);
    return text == NULL ? NULL : sb_base64url(arena, text, strlen(text));
}

const char *sb_cursor_read(struct sb_arena *arena, const char *list, const char *cursor)
{
    unsigned char *data;
    size_t length, name = strlen(list), size = strnlen(cursor, SB_CURSOR_MAX + 1);
    if (size > SB_CURSOR_MAX || !sb_base64url_decode(arena, cursor, size, &data, &length))
        return NULL;
    const char *text = (const char *)data;
    if (length <= name || memcmp(text, list, name) != 0 || text[name] != ':' ||
        !key_valid(text + name + 1, length - name - 1))
        return NULL;
    return text + name + 1;
}
