#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "http/input_validator.h"

static struct sb_arena *arena;
static json_t *object;

static void setup(void)
{
    arena = sb_arena_new(4 * 1024 * 1024);
    object = json_object();
}

static void teardown(void)
{
    json_decref(object);
    sb_arena_free(arena);
}

TestSuite(query, .init = setup, .fini = teardown);

static enum sb_error parse(const char *query)
{
    json_object_clear(object);
    return sb_input_parse_query(arena, query, object);
}

static const char *value(const char *name)
{
    return json_string_value(json_object_get(object, name));
}

Test(query, one_parameter_in_every_spelling)
{
    static const struct {
        const char *query, *name, *value;
    } rows[] = {
        {"a=1", "a", "1"},
        {"a=", "a", ""},
        {"a", "a", ""},
        {"=1", "", "1"},
        {"a=b=c", "a", "b=c"},
        {"a=b+c", "a", "b c"},
        {"a=b%20c", "a", "b c"},
        {"a=%2B", "a", "+"},
        {"a=%26%3D%25", "a", "&=%"},
        {"%61=%62", "a", "b"},
        {"a+b=c", "a b", "c"},
        {"a=caf%C3%A9", "a", "caf\xC3\xA9"},
        {"a=caf%c3%a9", "a", "caf\xC3\xA9"},
        {"a=\xC3\xA9", "a", "\xC3\xA9"},
        {"a=%F0%9F%98%80", "a", "\xF0\x9F\x98\x80"},
        {"&&a=1&&", "a", "1"},
        {"a=;b=2", "a", ";b=2"},
        {"a=%0A", "a", "\n"},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        cr_expect_eq(parse(rows[i].query), SB_OK, "%s", rows[i].query);
        cr_expect_eq(json_object_size(object), 1, "%s", rows[i].query);
        cr_assert_not_null(value(rows[i].name), "%s", rows[i].query);
        cr_expect_str_eq(value(rows[i].name), rows[i].value, "%s", rows[i].query);
    }
}

Test(query, none_gives_none)
{
    cr_assert_eq(parse(""), SB_OK);
    cr_assert_eq(parse("&&&"), SB_OK);
    cr_assert_eq(json_object_size(object), 0);
}

Test(query, several_keep_their_own_values)
{
    cr_assert_eq(parse("threadId=t1&limit=20&cursor="), SB_OK);
    cr_assert_str_eq(value("threadId"), "t1");
    cr_assert_str_eq(value("limit"), "20");
    cr_assert_str_eq(value("cursor"), "");
    cr_assert_eq(json_object_size(object), 3);
}

Test(query, bad_ones_are_refused)
{
    static const char *const rows[] = {
        "a=%",     "a=%2",    "a=%2g", "a=%g2", "a=%%20", "%",           "a=% 20",   "a=%00",
        "%00=1",   "a=b%00c", "a=%FF", "a=%C3", "%C0%AF", "a=%ED%A0%80", "a=\x80",   "\xFF=1",
        "a=1&a=1", "a=1&a=2", "a&a",   "a&%61", "=1&=2",  "a=1&b&a=3",   "a=%u0041", "a=%C3&b=%A9"};
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect_eq(parse(rows[i]), SB_E_INVALID_REQUEST, "%s", rows[i]);
}

static void write_parameters(char *text, int count)
{
    for (int i = 0; i < count; i++)
        text += snprintf(text, 16, "%sp%d=%d", i == 0 ? "" : "&", i, i);
}

Test(query, takes_64_parameters_and_no_more)
{
    char text[1024];
    write_parameters(text, 64);
    cr_assert_eq(parse(text), SB_OK);
    cr_assert_eq(json_object_size(object), 64);
    write_parameters(text, 65);
    cr_assert_eq(parse(text), SB_E_INVALID_REQUEST);
}

Test(query, leaves_the_query_itself_alone)
{
    const char query[] = "a=%41&b=+";
    cr_assert_eq(parse(query), SB_OK);
    cr_assert_str_eq(query, "a=%41&b=+");
}

Test(query, is_added_to_what_the_object_holds_and_never_replaces_it)
{
    json_object_set_new(object, "id", json_string("path"));
    cr_assert_eq(sb_input_parse_query(arena, "id=query", object), SB_E_INVALID_REQUEST);
    cr_assert_str_eq(value("id"), "path");
}

Test(query, out_of_memory_is_unavailable)
{
    char text[64 * 1024];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sb_arena_free(arena);
    arena = sb_arena_new(16 * 1024);
    cr_assert_eq(parse(text), SB_E_UNAVAILABLE);
}
