/* Query strings, as they are split and as they are validated. */
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "http/input_validator.h"
#include "support/fuzz.h"

enum { QUERY_MAX = 8192, PARAMETERS_MAX = 64, NAME_MAX_CHARACTERS = 8, LIMIT_MAX = 100 };

struct input {
    const char *id, *name;
    int64_t limit, kind;
    bool flag;
};

static const char *const kinds[] = {"audio", "video", NULL};
static const struct sb_field fields[] = {
    SB_ID(struct input, id, "id", 0),
    SB_STRING(struct input, name, "name", 1, NAME_MAX_CHARACTERS, 0),
    SB_INT(struct input, limit, "limit", 1, LIMIT_MAX, 0),
    SB_ENUM(struct input, kind, "kind", kinds, 0),
    SB_BOOL(struct input, flag, "flag", 0),
    SB_FIELDS_END};

static void check_text(const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t step = sb_utf8_sequence(text, left);
        FUZZ_REQUIRE(step > 0);
        text += step;
        left -= step;
    }
}

static void escape(struct sb_buf *out, const char *text)
{
    for (; *text != '\0'; text++)
        sb_buf_add_format(out, "%%%02x", (unsigned)(unsigned char)*text);
}

/* Written anew with every byte escaped, the parameters are the same. */
static void check_again(struct sb_arena *arena, json_t *object)
{
    struct sb_buf text;
    const char *name;
    json_t *value, *again = json_object();
    sb_buf_init(&text, arena, 4 * QUERY_MAX);
    sb_buf_add_text(&text, "&");
    json_object_foreach(object, name, value)
    {
        check_text(name);
        check_text(json_string_value(value));
        escape(&text, name);
        sb_buf_add_char(&text, '=');
        escape(&text, json_string_value(value));
        sb_buf_add_char(&text, '&');
    }
    FUZZ_REQUIRE(sb_buf_ok(&text));
    FUZZ_REQUIRE(sb_input_parse_query(arena, text.data, again) == SB_OK);
    FUZZ_REQUIRE(json_equal(object, again));
    json_decref(again);
}

static void check_input(const struct input *input)
{
    FUZZ_REQUIRE(input->id == NULL || sb_id_valid(input->id));
    FUZZ_REQUIRE(input->limit >= 0 && input->limit <= LIMIT_MAX);
    FUZZ_REQUIRE(input->kind >= -1 && input->kind <= 1);
    FUZZ_REQUIRE(input->name == NULL ||
                 (*input->name != '\0' && strlen(input->name) <= 4 * NAME_MAX_CHARACTERS));
}

static void check_validation(struct sb_arena *arena, const json_t *object)
{
    struct sb_field_errors errors;
    struct input input = {.id = NULL};
    enum sb_error error = sb_input_validate(arena, object, fields, true, &input, &errors);
    FUZZ_REQUIRE(error == SB_OK || error == SB_E_VALIDATION_FAILED);
    FUZZ_REQUIRE((error == SB_OK) == (errors.count == 0));
    FUZZ_REQUIRE(errors.count <= SB_FIELD_ERRORS_MAX);
    for (size_t i = 0; i < errors.count; i++)
        FUZZ_REQUIRE(errors.items[i].field != NULL && errors.items[i].message != NULL);
    check_input(&input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sb_arena *arena;
    char query[QUERY_MAX];
    if (size >= sizeof query)
        return 0;
    if (arena == NULL)
        arena = sb_arena_new(1024 * 1024);
    FUZZ_REQUIRE(arena != NULL);
    memcpy(query, data, size);
    query[size] = '\0';
    json_t *object = json_object();
    enum sb_error error = sb_input_parse_query(arena, query, object);
    FUZZ_REQUIRE(error == SB_OK || error == SB_E_INVALID_REQUEST);
    FUZZ_REQUIRE(json_object_size(object) <= PARAMETERS_MAX);
    if (error == SB_OK) {
        check_again(arena, object);
        check_validation(arena, object);
    }
    json_decref(object);
    sb_arena_reset(arena);
    return 0;
}
