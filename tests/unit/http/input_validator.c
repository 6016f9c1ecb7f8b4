#include "http/input_validator.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct inner {
    const char *label;
    int64_t size;
};

struct deep {
    struct inner inner;
};

struct input {
    const char *name, *id, *note;
    int64_t count, wide, kind;
    bool flag;
    struct inner inner;
    struct deep deep;
    int64_t at;
    const char **list;
    size_t list_count;
    struct item *items;
    size_t item_count;
};

struct item {
    const char *name;
    int64_t kind;
    struct inner inner;
    const char *const *tags;
    size_t tag_count;
};

static const char *const kinds[] = {"audio", "video", NULL};
static const struct sb_field inner_fields[] = {
    SB_STRING(struct inner, label, "label", 1, 5, SB_REQUIRED),
    SB_INT(struct inner, size, "size", 1, 9, 0), SB_FIELDS_END};
static const struct sb_field deep_fields[] = {SB_OBJECT(struct deep, inner, "inner", inner_fields),
                                              SB_FIELDS_END};
/* Each field alone is a table of its own in most tests. */
static const struct sb_field name_fields[] = {SB_STRING(struct input, name, "name", 2, 4, 0),
                                              SB_FIELDS_END};
static const struct sb_field id_fields[] = {SB_ID(struct input, id, "id", 0), SB_FIELDS_END};
static const struct sb_field count_fields[] = {SB_INT(struct input, count, "count", -3, 10, 0),
                                               SB_FIELDS_END};
static const struct sb_field wide_fields[] = {
    SB_INT(struct input, wide, "wide", INT64_MIN, INT64_MAX, 0), SB_FIELDS_END};
static const struct sb_field flag_fields[] = {SB_BOOL(struct input, flag, "flag", 0),
                                              SB_FIELDS_END};
static const struct sb_field kind_fields[] = {SB_ENUM(struct input, kind, "kind", kinds, 0),
                                              SB_FIELDS_END};
static const struct sb_field nested_fields[] = {
    SB_OBJECT(struct input, inner, "inner", inner_fields),
    SB_OBJECT(struct input, deep, "deep", deep_fields), SB_FIELDS_END};
static const struct sb_field required_fields[] = {
    SB_STRING(struct input, name, "name", 1, 10, SB_REQUIRED),
    SB_ID(struct input, id, "id", SB_REQUIRED),
    SB_INT(struct input, count, "count", 0, 9, SB_REQUIRED),
    SB_BOOL(struct input, flag, "flag", SB_REQUIRED),
    SB_ENUM(struct input, kind, "kind", kinds, SB_REQUIRED),
    SB_OBJECT(struct input, inner, "inner", inner_fields),
    SB_FIELDS_END};
static const struct sb_field optional_fields[] = {
    SB_STRING(struct input, name, "name", 1, 10, 0), SB_ID(struct input, id, "id", 0),
    SB_INT(struct input, count, "count", 5, 9, 0),   SB_BOOL(struct input, flag, "flag", 0),
    SB_ENUM(struct input, kind, "kind", kinds, 0),   SB_FIELDS_END};
static const struct sb_field output_only_fields[] = {
    SB_TIME(struct input, at, "at", 0), SB_STRINGS(struct input, list, list_count, "list"),
    SB_OBJECTS(struct input, list, list_count, "items", struct inner, inner_fields), SB_FIELDS_END};

static const struct sb_field item_fields[] = {
    SB_STRING(struct item, name, "name", 1, 5, SB_REQUIRED),
    SB_ENUM(struct item, kind, "kind", kinds, 0),
    SB_OBJECT_OPTIONAL(struct item, inner, "inner", inner_fields),
    SB_STRINGS_IN(struct item, tags, tag_count, "tags", 3, 0, 2, 0), SB_FIELDS_END};
static const struct sb_field items_fields[] = {
    SB_OBJECTS_IN(struct input, items, item_count, "items", struct item, item_fields, 1, 3, 0),
    SB_FIELDS_END};
static const struct sb_field list_fields[] = {
    SB_STRINGS_IN(struct input, list, list_count, "list", 4, 0, 3, SB_REQUIRED), SB_FIELDS_END};

static struct sb_arena *arena;
static struct sb_field_errors errors;
static struct input input;

static void setup(void)
{
    arena = sb_arena_new(4 * 1024 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(input_validator, .init = setup, .fini = teardown);

static enum sb_error validate_as(const struct sb_field *fields, const char *text, bool from_text)
{
    json_t *object = json_loads(text, 0, NULL);
    cr_assert_not_null(object, "%s", text);
    memset(&input, 0, sizeof input);
    enum sb_error error = sb_input_validate(arena, object, fields, from_text, &input, &errors);
    json_decref(object);
    return error;
}

static enum sb_error validate(const struct sb_field *fields, const char *text)
{
    return validate_as(fields, text, false);
}

/* Exactly one error. */
static void expect_error(const char *text, const char *field, const char *code, const char *message)
{
    cr_assert_eq(errors.count, 1, "%s: %zu errors", text, errors.count);
    cr_expect_str_eq(errors.items[0].field, field, "%s", text);
    cr_expect_str_eq(errors.items[0].code, code, "%s: %s", text, errors.items[0].code);
    if (message != NULL)
        cr_expect_str_eq(errors.items[0].message, message, "%s: %s", text, errors.items[0].message);
}

struct bad {
    const char *json, *field, *code, *message;
};

static void check_bad(const struct sb_field *fields, bool from_text, const struct bad *rows,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_expect_eq(validate_as(fields, rows[i].json, from_text), SB_E_VALIDATION_FAILED, "%s",
                     rows[i].json);
        expect_error(rows[i].json, rows[i].field, rows[i].code, rows[i].message);
    }
}

Test(input_validator, fills_the_whole_struct)
{
    static const char json[] =
        "{\"name\":\"Zo\\u00eb\",\"id\":\"a_B-9\",\"count\":9,\"flag\":true,\"kind\":\"video\","
        "\"inner\":{\"label\":\"x\",\"size\":1}}";
    cr_assert_eq(validate(required_fields, json), SB_OK);
    cr_assert_eq(errors.count, 0);
    cr_assert_str_eq(input.name, "Zo\xC3\xAB");
    cr_assert_str_eq(input.id, "a_B-9");
    cr_assert_eq(input.count, 9);
    cr_assert(input.flag);
    cr_assert_eq(input.kind, 1);
    cr_assert_str_eq(input.inner.label, "x");
    cr_assert_eq(input.inner.size, 1);
}

Test(input_validator, texts_outlive_the_json)
{
    json_t *object = json_pack("{s:s}", "name", "abcd");
    cr_assert_eq(sb_input_validate(arena, object, name_fields, false, &input, &errors), SB_OK);
    json_decref(object);
    cr_assert_str_eq(input.name, "abcd");
}

Test(input_validator, absent_optional_fields_stay_zero_and_an_enum_minus_one)
{
    cr_assert_eq(validate(optional_fields, "{}"), SB_OK);
    cr_assert_null(input.name);
    cr_assert_null(input.id);
    cr_assert_eq(input.count, 0);
    cr_assert_not(input.flag);
    cr_assert_eq(input.kind, -1);
}

Test(input_validator, every_required_field_that_is_absent_is_reported)
{
    static const char *const names[] = {"name", "id", "count", "flag", "kind", "inner"};
    cr_assert_eq(validate(required_fields, "{}"), SB_E_VALIDATION_FAILED);
    cr_assert_eq(errors.count, SB_COUNT(names));
    for (size_t i = 0; i < SB_COUNT(names); i++) {
        cr_expect_str_eq(errors.items[i].field, names[i]);
        cr_expect_str_eq(errors.items[i].code, "required");
        cr_expect_str_eq(errors.items[i].message, "is required");
    }
}

Test(input_validator, null_is_not_the_same_as_absent)
{
    static const struct bad strings[] = {{"{\"name\":null}", "name", "type", NULL}};
    static const struct bad ints[] = {{"{\"count\":null}", "count", "type", NULL}};
    check_bad(name_fields, false, strings, 1);
    check_bad(count_fields, false, ints, 1);
}

Test(input_validator, strings_are_measured_in_characters)
{
    static const char *const fine[] = {
        "{\"name\":\"ab\"}", "{\"name\":\"abcd\"}",
        "{\"name\":\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"}",
        "{\"name\":\"\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\ude00\"}",
        "{\"name\":\"  \"}"};
    static const struct bad bad[] = {
        {"{\"name\":\"a\"}", "name", "too_short", "must have at least 2 characters"},
        {"{\"name\":\"\"}", "name", "too_short", NULL},
        {"{\"name\":\"\xC3\xA9\"}", "name", "too_short", NULL},
        {"{\"name\":\"\\ud83d\\ude00\"}", "name", "too_short", NULL},
        {"{\"name\":\"abcde\"}", "name", "too_long", "must have at most 4 characters"},
        {"{\"name\":\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"}", "name", "too_long", NULL},
        {"{\"name\":1}", "name", "type", "must be a string"},
        {"{\"name\":true}", "name", "type", NULL},
        {"{\"name\":[\"ab\"]}", "name", "type", NULL},
        {"{\"name\":{}}", "name", "type", NULL},
    };
    for (size_t i = 0; i < SB_COUNT(fine); i++)
        cr_expect_eq(validate(name_fields, fine[i]), SB_OK, "%s", fine[i]);
    check_bad(name_fields, false, bad, SB_COUNT(bad));
}

Test(input_validator, ids_are_1_to_64_of_their_characters)
{
    static const char sixty_four[] =
        "{\"id\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}";
    static const char sixty_five[] =
        "{\"id\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0\"}";
    static const struct bad bad[] = {
        {"{\"id\":\"\"}", "id", "too_short", NULL},
        {sixty_five, "id", "too_long", "must have at most 64 characters"},
        {"{\"id\":\"a b\"}", "id", "format", "may hold letters, digits, _ and - only"},
        {"{\"id\":\"../x\"}", "id", "format", NULL},
        {"{\"id\":\"a.b\"}", "id", "format", NULL},
        {"{\"id\":\"caf\xC3\xA9\"}", "id", "format", NULL},
        {"{\"id\":\"a\\n\"}", "id", "format", NULL},
        {"{\"id\":7}", "id", "type", NULL},
    };
    cr_assert_eq(validate(id_fields, sixty_four), SB_OK);
    cr_assert_eq(strlen(input.id), 64);
    check_bad(id_fields, false, bad, SB_COUNT(bad));
    cr_assert_null(input.id, "a refused value does not reach the handler");
}

Test(input_validator, whole_numbers_keep_to_their_range)
{
    static const struct {
        const char *json;
        int64_t value;
    } fine[] = {{"{\"count\":-3}", -3}, {"{\"count\":10}", 10}, {"{\"count\":-0}", 0}};
    static const struct bad bad[] = {
        {"{\"count\":-4}", "count", "out_of_range", "must be from -3 to 10"},
        {"{\"count\":11}", "count", "out_of_range", NULL},
        {"{\"count\":9223372036854775807}", "count", "out_of_range", NULL},
        {"{\"count\":1.0}", "count", "type", "must be a whole number"},
        {"{\"count\":1e0}", "count", "type", NULL},
        {"{\"count\":\"1\"}", "count", "type", NULL},
        {"{\"count\":true}", "count", "type", NULL},
        {"{\"count\":[1]}", "count", "type", NULL},
    };
    for (size_t i = 0; i < SB_COUNT(fine); i++) {
        cr_expect_eq(validate(count_fields, fine[i].json), SB_OK, "%s", fine[i].json);
        cr_expect_eq(input.count, fine[i].value, "%s", fine[i].json);
    }
    check_bad(count_fields, false, bad, SB_COUNT(bad));
}

Test(input_validator, whole_numbers_take_all_64_bits)
{
    cr_assert_eq(validate(wide_fields, "{\"wide\":-9223372036854775808}"), SB_OK);
    cr_assert_eq(input.wide, INT64_MIN);
    cr_assert_eq(validate(wide_fields, "{\"wide\":9223372036854775807}"), SB_OK);
    cr_assert_eq(input.wide, INT64_MAX);
}

Test(input_validator, numbers_from_text_are_decimal_and_nothing_else)
{
    static const struct {
        const char *json;
        int64_t value;
    } fine[] = {{"{\"wide\":\"0\"}", 0},
                {"{\"wide\":\"-17\"}", -17},
                {"{\"wide\":\"007\"}", 7},
                {"{\"wide\":\"9223372036854775807\"}", INT64_MAX},
                {"{\"wide\":\"-9223372036854775808\"}", INT64_MIN},
                {"{\"wide\":5}", 5}};
    static const struct bad bad[] = {
        {"{\"wide\":\"\"}", "wide", "type", NULL},
        {"{\"wide\":\" 1\"}", "wide", "type", NULL},
        {"{\"wide\":\"1 \"}", "wide", "type", NULL},
        {"{\"wide\":\"+1\"}", "wide", "type", NULL},
        {"{\"wide\":\"\\t1\"}", "wide", "type", NULL},
        {"{\"wide\":\"-\"}", "wide", "type", NULL},
        {"{\"wide\":\"- 1\"}", "wide", "type", NULL},
        {"{\"wide\":\"--1\"}", "wide", "type", NULL},
        {"{\"wide\":\"1.0\"}", "wide", "type", NULL},
        {"{\"wide\":\"1e3\"}", "wide", "type", NULL},
        {"{\"wide\":\"0x10\"}", "wide", "type", NULL},
        {"{\"wide\":\"9223372036854775808\"}", "wide", "type", NULL},
        {"{\"wide\":\"-9223372036854775809\"}", "wide", "type", NULL},
        {"{\"wide\":\"\xD9\xA1\"}", "wide", "type", NULL}, /* an Arabic digit */
    };
    for (size_t i = 0; i < SB_COUNT(fine); i++) {
        cr_expect_eq(validate_as(wide_fields, fine[i].json, true), SB_OK, "%s", fine[i].json);
        cr_expect_eq(input.wide, fine[i].value, "%s", fine[i].json);
    }
    check_bad(wide_fields, true, bad, SB_COUNT(bad));
}

Test(input_validator, flags_are_true_or_false)
{
    static const struct bad bad[] = {
        {"{\"flag\":1}", "flag", "type", "must be true or false"},
        {"{\"flag\":\"true\"}", "flag", "type", NULL},
        {"{\"flag\":null}", "flag", "type", NULL},
        {"{\"flag\":[]}", "flag", "type", NULL},
    };
    cr_assert_eq(validate(flag_fields, "{\"flag\":true}"), SB_OK);
    cr_assert(input.flag);
    cr_assert_eq(validate(flag_fields, "{\"flag\":false}"), SB_OK);
    cr_assert_not(input.flag);
    check_bad(flag_fields, false, bad, SB_COUNT(bad));
}

Test(input_validator, flags_from_text_are_the_two_words)
{
    static const struct bad bad[] = {
        {"{\"flag\":\"\"}", "flag", "type", NULL},
        {"{\"flag\":\"1\"}", "flag", "type", NULL},
        {"{\"flag\":\"True\"}", "flag", "type", NULL},
        {"{\"flag\":\"true \"}", "flag", "type", NULL},
        {"{\"flag\":\"t\"}", "flag", "type", NULL},
    };
    cr_assert_eq(validate_as(flag_fields, "{\"flag\":\"true\"}", true), SB_OK);
    cr_assert(input.flag);
    cr_assert_eq(validate_as(flag_fields, "{\"flag\":\"false\"}", true), SB_OK);
    cr_assert_not(input.flag);
    check_bad(flag_fields, true, bad, SB_COUNT(bad));
}

Test(input_validator, enums_are_one_of_their_names)
{
    static const struct bad bad[] = {
        {"{\"kind\":\"Audio\"}", "kind", "not_allowed", "must be one of: audio video"},
        {"{\"kind\":\"\"}", "kind", "not_allowed", NULL},
        {"{\"kind\":\"audio \"}", "kind", "not_allowed", NULL},
        {"{\"kind\":0}", "kind", "type", "must be a string"},
        {"{\"kind\":null}", "kind", "type", NULL},
    };
    cr_assert_eq(validate(kind_fields, "{\"kind\":\"audio\"}"), SB_OK);
    cr_assert_eq(input.kind, 0);
    cr_assert_eq(validate(kind_fields, "{\"kind\":\"video\"}"), SB_OK);
    cr_assert_eq(input.kind, 1);
    check_bad(kind_fields, false, bad, SB_COUNT(bad));
    cr_assert_eq(input.kind, -1);
}

Test(input_validator, nested_fields_are_named_by_their_way)
{
    static const struct bad bad[] = {
        {"{\"inner\":{},\"deep\":{\"inner\":{\"label\":\"x\"}}}", "inner.label", "required", NULL},
        {"{\"inner\":{\"label\":\"x\",\"size\":0},\"deep\":{\"inner\":{\"label\":\"x\"}}}",
         "inner.size", "out_of_range", NULL},
        {"{\"inner\":{\"label\":\"x\",\"more\":0},\"deep\":{\"inner\":{\"label\":\"x\"}}}",
         "inner.more", "unknown", "is not a field of this request"},
        {"{\"inner\":[],\"deep\":{\"inner\":{\"label\":\"x\"}}}", "inner", "type",
         "must be an object"},
        {"{\"inner\":{\"label\":\"x\"},\"deep\":{}}", "deep.inner", "required", NULL},
        {"{\"inner\":{\"label\":\"x\"},\"deep\":{\"inner\":7}}", "deep.inner", "type", NULL},
        {"{\"inner\":{\"label\":\"x\"},\"deep\":{\"inner\":{\"label\":7}}}", "deep.inner.label",
         "type", NULL},
        {"{\"inner\":{\"label\":\"x\"},\"deep\":{\"inner\":{\"label\":\"x\",\"y\":1}}}",
         "deep.inner.y", "unknown", NULL},
        /* what follows an object is not named by it */
        {"{\"inner\":{\"label\":\"x\"},\"deep\":{\"inner\":{\"label\":\"x\"}},\"z\":1}", "z",
         "unknown", NULL},
    };
    check_bad(nested_fields, false, bad, SB_COUNT(bad));
    cr_assert_eq(
        validate(nested_fields,
                 "{\"inner\":{\"label\":\"a\",\"size\":3},\"deep\":{\"inner\":{\"label\":\"b\"}}}"),
        SB_OK);
    cr_assert_str_eq(input.inner.label, "a");
    cr_assert_eq(input.inner.size, 3);
    cr_assert_str_eq(input.deep.inner.label, "b");
}

Test(input_validator, takes_an_array_of_objects)
{
    cr_assert_eq(validate(items_fields,
                          "{\"items\":[{\"name\":\"a\",\"kind\":\"video\",\"tags\":[\"x\",\"yz\"],"
                          "\"inner\":{\"label\":\"l\",\"size\":2}},{\"name\":\"b\"}]}"),
                 SB_OK);
    cr_assert_eq(input.item_count, 2);
    const struct item *first = &input.items[0], *second = &input.items[1];
    cr_assert_str_eq(first->name, "a");
    cr_assert_eq(first->kind, 1);
    cr_assert_str_eq(first->inner.label, "l");
    cr_assert_eq(first->inner.size, 2);
    cr_assert_eq(first->tag_count, 2);
    cr_assert_str_eq(first->tags[1], "yz");
    cr_assert_str_eq(second->name, "b");
    cr_assert_eq(second->kind, -1);
    cr_assert_null(second->inner.label);
    cr_assert_eq(second->tag_count, 0);
    cr_assert_null(second->tags);
}

Test(input_validator, an_array_that_is_left_out_has_no_items)
{
    cr_assert_eq(validate(items_fields, "{}"), SB_OK);
    cr_assert_eq(input.item_count, 0);
    cr_assert_null(input.items);
    cr_assert_eq(validate(list_fields, "{\"list\":[]}"), SB_OK);
    cr_assert_eq(input.list_count, 0);
}

Test(input_validator, an_error_within_an_array_names_the_item)
{
    static const struct bad bad[] = {
        {"{\"items\":{}}", "items", "type", "must be an array"},
        {"{\"items\":null}", "items", "type", NULL},
        {"{\"items\":[]}", "items", "too_short", "must have at least 1 items"},
        {"{\"items\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"},{}]}", "items", "too_long",
         "must have at most 3 items"},
        {"{\"items\":[7]}", "items[0]", "type", "must be an object"},
        {"{\"items\":[{\"name\":\"a\"},null]}", "items[1]", "type", NULL},
        {"{\"items\":[{\"name\":\"a\"},{}]}", "items[1].name", "required", NULL},
        {"{\"items\":[{\"name\":\"a\",\"x\":1}]}", "items[0].x", "unknown", NULL},
        {"{\"items\":[{\"name\":\"a\",\"inner\":{}}]}", "items[0].inner.label", "required", NULL},
        {"{\"items\":[{\"name\":\"a\",\"tags\":[\"b\",\"\"]}]}", "items[0].tags[1]", "too_short",
         NULL},
        {"{\"items\":[{\"name\":\"a\",\"tags\":[{}]}]}", "items[0].tags[0]", "type",
         "must be a string"},
        /* what follows an array is not named by it */
        {"{\"items\":[{\"name\":\"a\"}],\"z\":1}", "z", "unknown", NULL},
    };
    check_bad(items_fields, false, bad, SB_COUNT(bad));
}

Test(input_validator, takes_an_array_of_texts_of_the_length_it_says)
{
    static const struct bad bad[] = {
        {"{}", "list", "required", NULL},
        {"{\"list\":\"a\"}", "list", "type", "must be an array"},
        {"{\"list\":[\"abcde\"]}", "list[0]", "too_long", "must have at most 4 characters"},
        {"{\"list\":[\"a\",1]}", "list[1]", "type", NULL},
        {"{\"list\":[\"a\",\"b\",\"c\",\"d\"]}", "list", "too_long", NULL},
    };
    check_bad(list_fields, false, bad, SB_COUNT(bad));
    cr_assert_eq(validate(list_fields, "{\"list\":[\"abcd\",\"\u00e9\u00e9\u00e9\u00e9\"]}"),
                 SB_OK);
    cr_assert_eq(input.list_count, 2);
    cr_assert_str_eq(input.list[0], "abcd");
    cr_assert_str_eq(input.list[1], "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9");
}

Test(input_validator, a_query_has_no_arrays)
{
    static const struct bad bad[] = {{"{\"list\":\"a\"}", "list", "type", "must be an array"}};
    check_bad(list_fields, true, bad, SB_COUNT(bad));
}

Test(input_validator, an_optional_object_that_is_left_out_is_empty)
{
    static const struct sb_field kind_only[] = {SB_ENUM(struct item, kind, "kind", kinds, 0),
                                                SB_FIELDS_END};
    struct outer {
        struct item item;
    };
    static const struct sb_field fields[] = {
        SB_OBJECT_OPTIONAL(struct outer, item, "item", kind_only), SB_FIELDS_END};
    struct outer outer = {0};
    json_t *object = json_object();
    cr_assert_eq(sb_input_validate(arena, object, fields, false, &outer, &errors), SB_OK);
    json_decref(object);
    cr_assert_eq(outer.item.kind, -1, "absent as in an object that is there");
}

Test(input_validator, an_array_reports_no_more_errors_than_an_answer_holds)
{
    static const struct sb_field many[] = {
        SB_STRINGS_IN(struct input, list, list_count, "list", 4, 0, 100, 0), SB_FIELDS_END};
    struct sb_buf json;
    sb_buf_init(&json, arena, 1024);
    sb_buf_add_text(&json, "{\"list\":[1");
    for (int i = 1; i < 100; i++)
        sb_buf_add_text(&json, ",1");
    sb_buf_add_text(&json, "]}");
    cr_assert_eq(validate(many, json.data), SB_E_VALIDATION_FAILED);
    cr_assert_eq(errors.count, SB_FIELD_ERRORS_MAX);
    cr_assert_str_eq(errors.items[SB_FIELD_ERRORS_MAX - 1].field, "list[19]");
}

Test(input_validator, fields_of_output_alone_are_unknown_as_input)
{
    static const struct bad bad[] = {
        {"{\"at\":\"2026-01-01T00:00:00.000Z\"}", "at", "unknown", "is not taken as input"},
        {"{\"list\":[]}", "list", "unknown", NULL},
        {"{\"items\":[]}", "items", "unknown", NULL},
    };
    /* Two of the three are marked as required: only the one given is looked at here. */
    for (size_t i = 0; i < SB_COUNT(bad); i++) {
        cr_expect_eq(validate(output_only_fields, bad[i].json), SB_E_VALIDATION_FAILED);
        bool found = false;
        for (size_t j = 0; j < errors.count; j++)
            found |= strcmp(errors.items[j].field, bad[i].field) == 0 &&
                     strcmp(errors.items[j].code, bad[i].code) == 0;
        cr_expect(found, "%s", bad[i].json);
    }
}

Test(input_validator, unknown_fields_are_reported_beside_the_other_problems)
{
    cr_assert_eq(validate(required_fields, "{\"name\":\"\",\"id\":\"x\",\"count\":1,\"flag\":true,"
                                           "\"kind\":\"audio\",\"inner\":{\"label\":\"x\"},"
                                           "\"Name\":1,\"nam\":2}"),
                 SB_E_VALIDATION_FAILED);
    cr_assert_eq(errors.count, 3);
    cr_assert_str_eq(errors.items[0].field, "name");
    for (size_t i = 1; i < 3; i++)
        cr_assert_str_eq(errors.items[i].code, "unknown");
}

Test(input_validator, a_clients_field_name_is_cut_at_64_bytes)
{
    char json[256], name[101];
    memset(name, 'n', 100);
    name[100] = '\0';
    snprintf(json, sizeof json, "{\"%s\":1}", name);
    cr_assert_eq(validate(name_fields, json), SB_E_VALIDATION_FAILED);
    cr_assert_eq(strlen(errors.items[0].field), 64);
}

Test(input_validator, reports_20_errors_and_stops)
{
    struct sb_buf json;
    sb_buf_init(&json, arena, 1024);
    sb_json_open(&json, '{');
    for (int i = 0; i < 30; i++) {
        sb_json_key(&json, sb_arena_printf(arena, "f%d", i));
        sb_json_int(&json, i);
    }
    sb_json_close(&json, '}');
    cr_assert_eq(validate(name_fields, json.data), SB_E_VALIDATION_FAILED);
    cr_assert_eq(errors.count, SB_FIELD_ERRORS_MAX);
    for (size_t i = 0; i < errors.count; i++)
        cr_expect_str_eq(errors.items[i].code, "unknown");
}

Test(input_validator, starts_with_no_errors_each_time)
{
    cr_assert_eq(validate(name_fields, "{\"name\":1}"), SB_E_VALIDATION_FAILED);
    cr_assert_eq(validate(name_fields, "{\"name\":\"abc\"}"), SB_OK);
    cr_assert_eq(errors.count, 0);
}

/* Leaves less than a line's memory in the arena. */
static void exhaust(struct sb_arena *small)
{
    for (size_t size = 16 * 1024; size >= 1; size /= 2) {
        while (sb_arena_alloc(small, size) != NULL)
            ;
    }
}

Test(input_validator, out_of_memory_is_told_from_a_bad_value)
{
    static const struct {
        const struct sb_field *fields;
        const char *json;
    } rows[] = {
        {name_fields, "{\"name\":\"abc\"}"},
        {name_fields, "{\"name\":1}"},
        {name_fields, "{\"name\":\"a\"}"},
        {kind_fields, "{\"kind\":\"x\"}"},
        {nested_fields, "{\"inner\":{\"label\":\"x\"}}"},
        {name_fields, "{\"other\":1}"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        sb_arena_free(arena);
        arena = sb_arena_new(16 * 1024);
        exhaust(arena);
        cr_expect_eq(validate(rows[i].fields, rows[i].json), SB_E_UNAVAILABLE, "%s", rows[i].json);
    }
}
