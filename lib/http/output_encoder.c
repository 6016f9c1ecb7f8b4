#include "http/output_encoder.h"

#include "base/clock.h"

static void write_object(struct sb_buf *out, const struct sb_field *fields, const void *value)
{
    sb_json_open(out, '{');
    sb_output_members(out, fields, value);
    sb_json_close(out, '}');
}

static void write_time(struct sb_buf *out, int64_t time_ms)
{
    char text[SB_CLOCK_TEXT_SIZE];
    sb_clock_format(time_ms, text);
    sb_json_string(out, text);
}

static void write_array(struct sb_buf *out, const struct sb_field *field, const char *value)
{
    const char *items = *(const char *const *)(const void *)(value + field->offset);
    size_t count = *(const size_t *)(const void *)(value + field->count_offset);
    sb_json_open(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (field->type == SB_FIELD_OBJECTS)
            write_object(out, field->fields, items + i * field->size);
        else
            sb_json_string(out, ((const char *const *)(const void *)items)[i]);
    }
    sb_json_close(out, ']');
}

/* Whether the value at `at` stands for "there is none". */
static bool absent(const struct sb_field *field, const void *at)
{
    switch (field->type) {
    case SB_FIELD_STRING:
    case SB_FIELD_ID:
        return *(const char *const *)at == NULL;
    case SB_FIELD_TIME:
        return *(const int64_t *)at == 0;
    case SB_FIELD_INT:
        return (field->flags & SB_NULLABLE) != 0 && *(const int64_t *)at < 0;
    case SB_FIELD_ENUM:
        return *(const int64_t *)at < 0;
    default:
        return false;
    }
}

static void write_value(struct sb_buf *out, const struct sb_field *field, const char *value)
{
    const void *at = value + field->offset;
    switch (field->type) {
    case SB_FIELD_STRING:
    case SB_FIELD_ID:
        sb_json_string(out, *(const char *const *)at);
        break;
    case SB_FIELD_INT:
        sb_json_int(out, *(const int64_t *)at);
        break;
    case SB_FIELD_BOOL:
        sb_json_bool(out, *(const bool *)at);
        break;
    case SB_FIELD_ENUM:
        sb_json_string(out, field->names[*(const int64_t *)at]);
        break;
    case SB_FIELD_TIME:
        write_time(out, *(const int64_t *)at);
        break;
    case SB_FIELD_OBJECT:
        write_object(out, field->fields, at);
        break;
    case SB_FIELD_OBJECTS:
    case SB_FIELD_STRINGS:
        write_array(out, field, value);
        break;
    }
}

void sb_output_members(struct sb_buf *out, const struct sb_field *fields, const void *value)
{
    for (; fields->name != NULL; fields++) {
        bool none = absent(fields, (const char *)value + fields->offset);
        if (none && (fields->flags & SB_NULLABLE) == 0)
            continue;
        sb_json_key(out, fields->name);
        if (none)
            sb_json_null(out);
        else
            write_value(out, fields, value);
    }
}
