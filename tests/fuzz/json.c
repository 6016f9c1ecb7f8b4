/* Request bodies. What is accepted is measured by other means: bytes, depth, a second writing. */
#include "http/json.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "support/fuzz.h"

static bool is_utf8(const char *text, size_t size)
{
    while (size > 0) {
        size_t step = sb_utf8_sequence(text, size);
        if (step == 0 || *text == '\0')
            return false;
        text += step;
        size -= step;
    }
    return true;
}

static void check_text(const char *text, size_t length)
{
    FUZZ_REQUIRE(strlen(text) == length);
    FUZZ_REQUIRE(is_utf8(text, length));
}

/* The levels below and with value; keys and texts are looked at on the way. */
static int depth_of(json_t *value)
{
    int deepest = 0;
    const char *key;
    size_t i;
    json_t *item;
    if (json_is_string(value))
        check_text(json_string_value(value), json_string_length(value));
    json_object_foreach(value, key, item)
    {
        int depth = depth_of(item);
        check_text(key, strlen(key));
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(value, i, item)
    {
        int depth = depth_of(item);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + (json_is_object(value) || json_is_array(value));
}

/* What was accepted is accepted again as we would write it, and refused with more behind it. */
static void check_again(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17));
    FUZZ_REQUIRE(text != NULL);
    size_t length = strlen(text);
    json_t *again = sb_json_parse_object(text, length);
    FUZZ_REQUIRE(again != NULL && json_equal(object, again));
    json_decref(again);
    FUZZ_REQUIRE(sb_json_parse_object(text, length + 1) == NULL); /* the NUL */
    FUZZ_REQUIRE(sb_json_parse_object(text, length - 1) == NULL);
    text[length] = '}';
    FUZZ_REQUIRE(sb_json_parse_object(text, length + 1) == NULL);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *object = sb_json_parse_object((const char *)data, size);
    if (object == NULL)
        return 0;
    FUZZ_REQUIRE(json_is_object(object));
    FUZZ_REQUIRE(is_utf8((const char *)data, size));
    FUZZ_REQUIRE(depth_of(object) <= SB_JSON_DEPTH_MAX);
    check_again(object);
    json_decref(object);
    return 0;
}
