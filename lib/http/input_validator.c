#include "http/input_validator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { PARAMETERS_MAX = 64 };

struct validation {
    struct sb_arena *arena;
    struct sb_field_errors *errors;
    const char *prefix; /* "" or "options." */
    bool from_text, no_memory;
};

static void report(struct validation *v, const char *name, const char *code, const char *message)
{
    if (v->errors->count == SB_FIELD_ERRORS_MAX)
        return;
    char *field = sb_arena_printf(v->arena, "%s%.64s", v->prefix, name);
    if (field == NULL || message == NULL) {
        v->no_memory = true;
        return;
    }
    v->errors->items[v->errors->count++] = (struct sb_field_error){field, code, message};
}

static int64_t characters(const char *text)
{
    int64_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

/* A copy in the arena if value is text of a length the field allows. */
static const char *text_value(struct validation *v, const struct sb_field *field,
                              const json_t *value)
{
    if (!json_is_string(value)) {
        report(v, field->name, "type", "must be a string");
        return NULL;
    }
    const char *text = json_string_value(value);
    int64_t length = characters(text);
    if (length < field->min) {
        report(
            v, field->name, "too_short",
            sb_arena_printf(v->arena, "must have at least %lld characters", (long long)field->min));
        return NULL;
    }
    if (length > field->max) {
        report(
            v, field->name, "too_long",
            sb_arena_printf(v->arena, "must have at most %lld characters", (long long)field->max));
        return NULL;
    }
    char *copy = sb_arena_strdup(v->arena, text);
    v->no_memory |= copy == NULL;
    return copy;
}

static void set_string(struct validation *v, const struct sb_field *field, const json_t *value,
                       const char **at)
{
    const char *text = text_value(v, field, value);
    if (text != NULL && field->type == SB_FIELD_ID && !sb_id_valid(text))
        report(v, field->name, "format", "may hold letters, digits, _ and - only");
    else if (text != NULL)
        *at = text;
}

static bool int_value(const struct validation *v, const json_t *value, int64_t *number)
{
    if (json_is_integer(value)) {
        *number = json_integer_value(value);
        return true;
    }
    if (!v->from_text || !json_is_string(value))
        return false;
    const char *text = json_string_value(value);
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && strchr("-0123456789", *text) != NULL;
}

static void set_int(struct validation *v, const struct sb_field *field, const json_t *value,
                    int64_t *at)
{
    int64_t number;
    if (!int_value(v, value, &number))
        report(v, field->name, "type", "must be a whole number");
    else if (number < field->min || number > field->max)
        report(v, field->name, "out_of_range",
               sb_arena_printf(v->arena, "must be from %lld to %lld", (long long)field->min,
                               (long long)field->max));
    else
        *at = number;
}

static void set_bool(struct validation *v, const struct sb_field *field, const json_t *value,
                     bool *at)
{
    const char *text = v->from_text ? json_string_value(value) : NULL;
    if (json_is_boolean(value))
        *at = json_is_true(value);
    else if (text != NULL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        *at = *text == 't';
    else
        report(v, field->name, "type", "must be true or false");
}

static void set_enum(struct validation *v, const struct sb_field *field, const json_t *value,
                     int64_t *at)
{
    if (!json_is_string(value)) {
        report(v, field->name, "type", "must be a string");
        return;
    }
    struct sb_buf message;
    sb_buf_init(&message, v->arena, 1024);
    sb_buf_add_text(&message, "must be one of:");
    for (int64_t i = 0; field->names[i] != NULL; i++) {
        if (strcmp(field->names[i], json_string_value(value)) == 0) {
            *at = i;
            return;
        }
        sb_buf_add_format(&message, " %s", field->names[i]);
    }
    report(v, field->name, "not_allowed", message.data);
}

static void validate_object(struct validation *v, const json_t *object,
                            const struct sb_field *fields, char *result);

static void set_object(struct validation *v, const struct sb_field *field, const json_t *value,
                       char *at)
{
    if (!json_is_object(value)) {
        report(v, field->name, "type", "must be an object");
        return;
    }
    const char *outer = v->prefix;
    char *prefix = sb_arena_printf(v->arena, "%s%s.", outer, field->name);
    if (prefix == NULL) {
        v->no_memory = true;
        return;
    }
    v->prefix = prefix;
    validate_object(v, value, field->fields, at);
    v->prefix = outer;
}

static void set_string_item(struct validation *v, const struct sb_field *field, const json_t *value,
                            const char **at)
{
    const struct sb_field item = {.name = "", .min = 1, .max = (int64_t)field->size};
    *at = text_value(v, &item, value);
}

static void set_object_item(struct validation *v, const struct sb_field *field, const json_t *value,
                            void *at)
{
    const struct sb_field item = {.name = "", .fields = field->fields};
    set_object(v, &item, value, at);
}

static void set_items(struct validation *v, const struct sb_field *field, const json_t *value,
                      char *items, size_t size)
{
    const char *outer = v->prefix;
    size_t count = json_array_size(value);
    for (size_t i = 0; i < count && !v->no_memory; i++) {
        char *prefix = sb_arena_printf(v->arena, "%s%s[%zu]", outer, field->name, i);
        void *at = items + i * size;
        v->prefix = prefix;
        if (prefix == NULL)
            v->no_memory = true;
        else if (field->type == SB_FIELD_OBJECTS)
            set_object_item(v, field, json_array_get(value, i), at);
        else
            set_string_item(v, field, json_array_get(value, i), at);
    }
    v->prefix = outer;
}

/* Whether value is an array of a length the field allows. */
static bool array_fits(struct validation *v, const struct sb_field *field, const json_t *value)
{
    if (!json_is_array(value)) {
        report(v, field->name, "type", "must be an array");
        return false;
    }
    int64_t count = (int64_t)json_array_size(value);
    if (count < field->min)
        report(v, field->name, "too_short",
               sb_arena_printf(v->arena, "must have at least %lld items", (long long)field->min));
    else if (count > field->max)
        report(v, field->name, "too_long",
               sb_arena_printf(v->arena, "must have at most %lld items", (long long)field->max));
    return count >= field->min && count <= field->max;
}

static void set_array(struct validation *v, const struct sb_field *field, const json_t *value,
                      char *result)
{
    size_t size = field->type == SB_FIELD_OBJECTS ? field->size : sizeof(const char *);
    if (field->max == 0) {
        report(v, field->name, "unknown", "is not taken as input");
        return;
    }
    if (!array_fits(v, field, value) || json_array_size(value) == 0)
        return;
    char *items = sb_arena_alloc(v->arena, json_array_size(value) * size);
    if (items == NULL) {
        v->no_memory = true;
        return;
    }
    set_items(v, field, value, items, size);
    *(void **)(void *)(result + field->offset) = items;
    *(size_t *)(void *)(result + field->count_offset) = json_array_size(value);
}

static void set_field(struct validation *v, const struct sb_field *field, const json_t *value,
                      char *result)
{
    void *at = result + field->offset;
    switch (field->type) {
    case SB_FIELD_STRING:
    case SB_FIELD_ID:
        set_string(v, field, value, at);
        break;
    case SB_FIELD_INT:
        set_int(v, field, value, at);
        break;
    case SB_FIELD_BOOL:
        set_bool(v, field, value, at);
        break;
    case SB_FIELD_ENUM:
        set_enum(v, field, value, at);
        break;
    case SB_FIELD_OBJECT:
        set_object(v, field, value, at);
        break;
    case SB_FIELD_OBJECTS:
    case SB_FIELD_STRINGS:
        set_array(v, field, value, result);
        break;
    case SB_FIELD_TIME:
        report(v, field->name, "unknown", "is not taken as input");
        break;
    }
}

static bool known(const struct sb_field *fields, const char *name)
{
    for (; fields->name != NULL; fields++) {
        if (strcmp(fields->name, name) == 0)
            return true;
    }
    return false;
}

/* What stands for "absent" where zero does not. */
static void clear(const struct sb_field *fields, char *result)
{
    for (; fields->name != NULL; fields++) {
        if (fields->type == SB_FIELD_ENUM)
            *(int64_t *)(void *)(result + fields->offset) = -1;
        else if (fields->type == SB_FIELD_OBJECT)
            clear(fields->fields, result + fields->offset);
    }
}

static void validate_object(struct validation *v, const json_t *object,
                            const struct sb_field *fields, char *result)
{
    clear(fields, result);
    for (const struct sb_field *field = fields; field->name != NULL; field++) {
        const json_t *value = json_object_get(object, field->name);
        if (value != NULL)
            set_field(v, field, value, result);
        else if ((field->flags & SB_REQUIRED) != 0)
            report(v, field->name, "required", "is required");
    }
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (!known(fields, name))
            report(v, name, "unknown", "is not a field of this request");
    }
}

enum sb_error sb_input_validate(struct sb_arena *arena, const json_t *object,
                                const struct sb_field *fields, bool from_text, void *result,
                                struct sb_field_errors *errors)
{
    struct validation v = {arena, errors, "", from_text, false};
    errors->count = 0;
    validate_object(&v, object, fields, result);
    if (v.no_memory)
        return SB_E_UNAVAILABLE;
    return errors->count == 0 ? SB_OK : SB_E_VALIDATION_FAILED;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place. False: a bad escape, or NUL. */
static bool form_decode(char *text)
{
    char *out = text;
    for (; *text != '\0'; text++) {
        char c = *text == '+' ? ' ' : *text;
        if (c == '%') {
            int high = hex_value(text[1]);
            int low = high < 0 ? -1 : hex_value(text[2]);
            if (low < 0 || (high == 0 && low == 0))
                return false;
            c = (char)(high << 4 | low);
            text += 2;
        }
        *out++ = c;
    }
    *out = '\0';
    return true;
}

static enum sb_error add_parameter(char *pair, json_t *object)
{
    char *value = strchr(pair, '=');
    if (value != NULL)
        *value++ = '\0';
    else
        value = pair + strlen(pair);
    if (!form_decode(pair) || !form_decode(value) || json_object_get(object, pair) != NULL ||
        json_object_size(object) == PARAMETERS_MAX)
        return SB_E_INVALID_REQUEST;
    /* Fails on invalid UTF-8 in either. */
    return json_object_set_new(object, pair, json_string(value)) == 0 ? SB_OK
                                                                      : SB_E_INVALID_REQUEST;
}

enum sb_error sb_input_parse_query(struct sb_arena *arena, const char *query, json_t *object)
{
    char *copy = sb_arena_strdup(arena, query);
    if (copy == NULL)
        return SB_E_UNAVAILABLE;
    char *rest = copy, *pair;
    while ((pair = strsep(&rest, "&")) != NULL) {
        enum sb_error error = *pair == '\0' ? SB_OK : add_parameter(pair, object);
        if (error != SB_OK)
            return error;
    }
    return SB_OK;
}
