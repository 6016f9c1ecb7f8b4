#include "http/output_encoder.h"

#include <criterion/criterion.h>

struct item {
    const char *id;
    int64_t size;
};

struct holder {
    struct item item;
    const char *label;
};

struct output {
    const char *text, *id;
    int64_t number, kind, time_ms;
    bool flag;
    struct holder holder;
    struct item *items;
    size_t item_count;
    const char **tags;
    size_t tag_count;
};

static const char *const kinds[] = {"audio", "video", NULL};
static const struct sb_field item_fields[] = {SB_ID(struct item, id, "id", SB_REQUIRED),
                                              SB_INT(struct item, size, "size", 0, 99, SB_REQUIRED),
                                              SB_FIELDS_END};
static const struct sb_field holder_fields[] = {
    SB_OBJECT(struct holder, item, "item", item_fields),
    SB_STRING(struct holder, label, "label", 0, 9, SB_NULLABLE), SB_FIELDS_END};

static struct sb_arena *arena;
static struct sb_buf out;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(output_encoder, .init = setup, .fini = teardown);

static const char *encode(const struct sb_field *fields, const struct output *value)
{
    sb_buf_init(&out, arena, 64 * 1024);
    sb_json_open(&out, '{');
    sb_output_members(&out, fields, value);
    sb_json_close(&out, '}');
    cr_assert(sb_buf_ok(&out));
    return out.data;
}

/* One field of struct output, as it is written for value. */
static void expect(struct sb_field field, const struct output *value, const char *json)
{
    const struct sb_field fields[] = {field, SB_FIELDS_END};
    cr_expect_str_eq(encode(fields, value), json, "%s, not %s", out.data, json);
}

#define FIELD(...) ((struct sb_field)__VA_ARGS__)

Test(output_encoder, writes_texts_and_ids)
{
    const struct output value = {.text = "a \"b\"\n\xC3\xA9\xFF", .id = "call_1"};
    expect(FIELD(SB_STRING(struct output, text, "text", 0, 9, SB_REQUIRED)), &value,
           "{\"text\":\"a \\\"b\\\"\\n\xC3\xA9\xEF\xBF\xBD\"}");
    expect(FIELD(SB_ID(struct output, id, "id", SB_REQUIRED)), &value, "{\"id\":\"call_1\"}");
    expect(FIELD(SB_STRING(struct output, text, "text", 0, 9, 0)), &(struct output){.text = ""},
           "{\"text\":\"\"}");
}

Test(output_encoder, leaves_out_a_text_that_is_not_there_or_writes_null)
{
    const struct output none = {.text = NULL};
    expect(FIELD(SB_STRING(struct output, text, "text", 0, 9, 0)), &none, "{}");
    expect(FIELD(SB_STRING(struct output, text, "text", 0, 9, SB_NULLABLE)), &none,
           "{\"text\":null}");
    expect(FIELD(SB_ID(struct output, id, "id", SB_REQUIRED | SB_NULLABLE)), &none,
           "{\"id\":null}");
    expect(FIELD(SB_ID(struct output, id, "id", 0)), &none, "{}");
}

Test(output_encoder, writes_numbers_and_null_for_a_negative_nullable_one)
{
    expect(FIELD(SB_INT(struct output, number, "n", 0, 9, 0)), &(struct output){.number = 0},
           "{\"n\":0}");
    expect(FIELD(SB_INT(struct output, number, "n", 0, 9, 0)),
           &(struct output){.number = INT64_MAX}, "{\"n\":9223372036854775807}");
    expect(FIELD(SB_INT(struct output, number, "n", -9, 9, 0)), &(struct output){.number = -7},
           "{\"n\":-7}");
    expect(FIELD(SB_INT(struct output, number, "n", 0, 9, SB_NULLABLE)),
           &(struct output){.number = -1}, "{\"n\":null}");
    expect(FIELD(SB_INT(struct output, number, "n", 0, 9, SB_NULLABLE)),
           &(struct output){.number = 0}, "{\"n\":0}");
}

Test(output_encoder, writes_flags)
{
    expect(FIELD(SB_BOOL(struct output, flag, "f", SB_REQUIRED)), &(struct output){.flag = true},
           "{\"f\":true}");
    expect(FIELD(SB_BOOL(struct output, flag, "f", 0)), &(struct output){.flag = false},
           "{\"f\":false}");
}

Test(output_encoder, writes_enums_by_name)
{
    expect(FIELD(SB_ENUM(struct output, kind, "k", kinds, 0)), &(struct output){.kind = 0},
           "{\"k\":\"audio\"}");
    expect(FIELD(SB_ENUM(struct output, kind, "k", kinds, 0)), &(struct output){.kind = 1},
           "{\"k\":\"video\"}");
    expect(FIELD(SB_ENUM(struct output, kind, "k", kinds, 0)), &(struct output){.kind = -1}, "{}");
    expect(FIELD(SB_ENUM(struct output, kind, "k", kinds, SB_NULLABLE)),
           &(struct output){.kind = -1}, "{\"k\":null}");
}

Test(output_encoder, writes_times_in_utc_with_milliseconds)
{
    expect(FIELD(SB_TIME(struct output, time_ms, "t", 0)),
           &(struct output){.time_ms = 1795258800123}, "{\"t\":\"2026-11-21T11:00:00.123Z\"}");
    expect(FIELD(SB_TIME(struct output, time_ms, "t", 0)), &(struct output){.time_ms = 1},
           "{\"t\":\"1970-01-01T00:00:00.001Z\"}");
    expect(FIELD(SB_TIME(struct output, time_ms, "t", 0)), &(struct output){.time_ms = 0}, "{}");
    expect(FIELD(SB_TIME(struct output, time_ms, "t", SB_NULLABLE)), &(struct output){.time_ms = 0},
           "{\"t\":null}");
}

Test(output_encoder, writes_objects_within_objects)
{
    expect(FIELD(SB_OBJECT(struct output, holder, "h", holder_fields)),
           &(struct output){.holder = {{"x", 3}, "l"}},
           "{\"h\":{\"item\":{\"id\":\"x\",\"size\":3},\"label\":\"l\"}}");
    expect(FIELD(SB_OBJECT(struct output, holder, "h", holder_fields)), &(struct output){.flag = 1},
           "{\"h\":{\"item\":{\"size\":0},\"label\":null}}");
}

Test(output_encoder, writes_arrays_of_objects)
{
    struct item items[] = {{"a", 1}, {"b", 2}, {"c", 3}};
    static const struct sb_field field =
        SB_OBJECTS(struct output, items, item_count, "items", struct item, item_fields);
    expect(field, &(struct output){.items = items, .item_count = 3},
           "{\"items\":[{\"id\":\"a\",\"size\":1},{\"id\":\"b\",\"size\":2},"
           "{\"id\":\"c\",\"size\":3}]}");
    expect(field, &(struct output){.items = items, .item_count = 1},
           "{\"items\":[{\"id\":\"a\",\"size\":1}]}");
    expect(field, &(struct output){.items = NULL}, "{\"items\":[]}");
}

Test(output_encoder, writes_arrays_of_texts)
{
    const char *tags[] = {"a", "", "c\"", NULL};
    static const struct sb_field field = SB_STRINGS(struct output, tags, tag_count, "tags");
    expect(field, &(struct output){.tags = tags, .tag_count = 3},
           "{\"tags\":[\"a\",\"\",\"c\\\"\"]}");
    expect(field, &(struct output){.tags = tags, .tag_count = 4},
           "{\"tags\":[\"a\",\"\",\"c\\\"\",null]}");
    expect(field, &(struct output){.tags = NULL}, "{\"tags\":[]}");
}

Test(output_encoder, writes_the_fields_in_the_order_of_the_table)
{
    static const struct sb_field fields[] = {
        SB_BOOL(struct output, flag, "z", 0), SB_STRING(struct output, text, "gone", 0, 9, 0),
        SB_INT(struct output, number, "a", 0, 9, 0), SB_FIELDS_END};
    cr_assert_str_eq(encode(fields, &(struct output){.number = 5}), "{\"z\":false,\"a\":5}");
}

Test(output_encoder, an_empty_table_writes_nothing)
{
    static const struct sb_field fields[] = {SB_FIELDS_END};
    cr_assert_str_eq(encode(fields, &(struct output){.number = 5}), "{}");
}
