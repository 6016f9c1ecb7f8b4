#include "http/json.h"

#include <stdbool.h>
#include <string.h>

#include "base/json_load.h"

/* Jansson allows 2,048 levels; brackets are counted outside of strings before it sees the text. */
static bool depth_ok(const char *text, size_t length)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
        if (depth > SB_JSON_DEPTH_MAX)
            return false;
    }
    return true;
}

json_t *sb_json_parse_object(const char *text, size_t length)
{
    /* Jansson passes over a NUL behind a number. */
    if (!depth_ok(text, length) || memchr(text, '\0', length) != NULL)
        return NULL;
    json_error_t error;
    bool no_memory;
    json_t *value = sb_json_load(text, length, &error, &no_memory);
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}
