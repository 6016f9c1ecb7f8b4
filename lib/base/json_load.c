#include "base/json_load.h"

#include <stdint.h>

#include "base/memory.h"

json_t *sb_json_load(const void *text, size_t length, json_error_t *error, bool *no_memory)
{
    *no_memory = length > SIZE_MAX / 2 / SB_JSON_LOAD_PER_BYTE ||
                 !sb_memory_reserve(SB_JSON_LOAD_MIN + length * SB_JSON_LOAD_PER_BYTE);
    if (*no_memory)
        return NULL;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, error);
    *no_memory = sb_memory_reserve_used();
    if (*no_memory) {
        json_decref(json);
        json = NULL;
    }
    sb_memory_unreserve();
    return json;
}
