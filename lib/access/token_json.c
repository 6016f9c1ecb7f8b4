#include "access/token_json.h"

#include <string.h>

#include "base/json_load.h"

json_t *sb_token_object(const void *text, size_t length, bool *no_memory)
{
    json_error_t error;
    *no_memory = false;
    if (memchr(text, '\0', length) != NULL) /* Jansson passes over one behind a number */
        return NULL;
    json_t *json = sb_json_load(text, length, &error, no_memory);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

const char *sb_token_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool sb_token_time(const json_t *object, const char *name, int64_t *time_s)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value))
        return false;
    *time_s = json_integer_value(value);
    return true;
}
