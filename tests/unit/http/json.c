#include "http/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool accepted(const char *text, size_t length)
{
    json_t *object = sb_json_parse_object(text, length);
    bool fine = object != NULL;
    json_decref(object);
    return fine;
}

/* {"a":{"a":...{}...}} or {"a":[[...[]...]]} of depth levels in all. */
static char *nested(int depth, char open, char close)
{
    char *text = calloc(1, (size_t)depth * 8 + 16), *end = text;
    end = stpcpy(end, "{\"a\":");
    for (int i = 1; i < depth; i++) {
        *end++ = open;
        if (open == '{' && i < depth - 1)
            end = stpcpy(end, "\"a\":");
    }
    for (int i = 1; i < depth; i++)
        *end++ = close;
    *end++ = '}';
    return text;
}

Test(json, takes_objects_as_rfc_8259_writes_them)
{
    static const char *const rows[] = {
        "{}",
        " \t\r\n{ \"a\" : 1 } \r\n",
        "{\"a\":null,\"b\":true,\"c\":false,\"d\":-0,\"e\":1.5e-3,\"f\":\"\",\"g\":[],\"h\":{}}",
        "{\"\":1}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}",
        "{\"a\":\"\\ud83d\\ude00\"}",
        "{\"a\":\"\xF0\x9F\x98\x80\"}",
        "{\"a\":\"{[{[\\\"{[\"}",
        "{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
        "{\"a\":9223372036854775807,\"b\":-9223372036854775808}",
        "{\"a\":{\"a\":1},\"b\":{\"a\":1}}",
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_expect(accepted(rows[i], strlen(rows[i])), "%s", rows[i]);
}

#define ROW(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct {
    const char *text;
    size_t length;
} refused[] = {
    /* no object */
    ROW(""),
    ROW(" "),
    ROW("null"),
    ROW("true"),
    ROW("1"),
    ROW("\"a\""),
    ROW("[]"),
    ROW("[{}]"),
    /* duplicate keys, however they are spelled */
    ROW("{\"a\":1,\"a\":1}"),
    ROW("{\"a\":1,\"\\u0061\":2}"),
    ROW("{\"x\":{\"a\":1,\"b\":2,\"a\":3}}"),
    ROW("{\"x\":[{\"a\":1,\"a\":1}]}"),
    ROW("{\"\":1,\"\":2}"),
    /* NUL */
    ROW("{\"a\":\"\\u0000\"}"),
    ROW("{\"a\\u0000b\":1}"),
    ROW("{\"a\":\"\0\"}"),
    ROW("{}\0"),
    ROW("\0{}"),
    ROW("{\0}"),
    ROW("{\"a\0\":1}"),
    ROW("{\"a\":1\0}"),
    ROW("{\"a\":[1\0,2]}"),
    ROW("{\"a\":1\0 ,\"b\":2}"),
    /* invalid UTF-8: lone bytes, overlong forms, surrogates, beyond U+10FFFF, cut short */
    ROW("{\"a\":\"\x80\"}"),
    ROW("{\"a\":\"\xFF\"}"),
    ROW("{\"a\":\"\xC0\xAF\"}"),
    ROW("{\"a\":\"\xE0\x80\xAF\"}"),
    ROW("{\"a\":\"\xED\xA0\x80\"}"),
    ROW("{\"a\":\"\xF4\x90\x80\x80\"}"),
    ROW("{\"a\":\"\xC3\"}"),
    ROW("{\"\xFF\":1}"),
    ROW("{\"a\":\"\xE2\x82\"}"),
    ROW("\xEF\xBB\xBF{}"),
    /* escaped surrogates that are no pair */
    ROW("{\"a\":\"\\ud800\"}"),
    ROW("{\"a\":\"\\udc00\"}"),
    ROW("{\"a\":\"\\ud800\\ud800\"}"),
    /* trailing bytes */
    ROW("{}{}"),
    ROW("{}x"),
    ROW("{},"),
    ROW("{}]"),
    ROW("{} null"),
    /* broken off, or no JSON at all */
    ROW("{"),
    ROW("{\"a\""),
    ROW("{\"a\":"),
    ROW("{\"a\":1"),
    ROW("{\"a\":1,"),
    ROW("{\"a"),
    ROW("{\"a\":1,}"),
    ROW("{a:1}"),
    ROW("{'a':1}"),
    ROW("{\"a\":'b'}"),
    ROW("{\"a\":01}"),
    ROW("{\"a\":+1}"),
    ROW("{\"a\":.5}"),
    ROW("{\"a\":1.}"),
    ROW("{\"a\":0x10}"),
    ROW("{\"a\":NaN}"),
    ROW("{\"a\":Infinity}"),
    ROW("{\"a\":TRUE}"),
    ROW("{\"a\":\"\t\"}"),
    ROW("{\"a\":\"\n\"}"),
    ROW("{\"a\":\"\\x41\"}"),
    ROW("{\"a\":\"\\u12\"}"),
    ROW("{\"a\":1 \"b\":2}"),
    ROW("{\"a\" 1}"),
    ROW("{/**/}"),
    ROW("{} // x"),
    ROW("{\"a\":[1,]}"),
    ROW("{\"a\":[}"),
    ROW("}"),
    ROW("]"),
    /* numbers nobody can hold */
    ROW("{\"a\":9223372036854775808}"),
    ROW("{\"a\":1e999}"),
};

Test(json, refuses_everything_else)
{
    for (size_t i = 0; i < SB_COUNT(refused); i++)
        cr_expect_not(accepted(refused[i].text, refused[i].length), "row %zu: %s", i,
                      refused[i].text);
}

Test(json, nests_32_levels_and_no_more)
{
    static const struct {
        int depth;
        bool fine;
    } rows[] = {{2, true}, {31, true}, {32, true}, {33, false}, {100, false}, {2000, false}};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        for (int kind = 0; kind < 2; kind++) {
            char *text = nested(rows[i].depth, "{["[kind], "}]"[kind]);
            cr_expect_eq(accepted(text, strlen(text)), rows[i].fine, "%d of %c", rows[i].depth,
                         "{["[kind]);
            free(text);
        }
    }
    cr_assert(accepted("{}", 2));
}

Test(json, siblings_do_not_add_to_the_depth)
{
    char *text = calloc(1, 16 * 1024), *end = stpcpy(text, "{\"a\":[");
    for (int i = 0; i < 1000; i++)
        end = stpcpy(end, i == 0 ? "{\"b\":[]}" : ",{\"b\":[]}");
    stpcpy(end, "]}");
    cr_assert(accepted(text, strlen(text)));
    free(text);
}

Test(json, a_million_open_brackets_are_refused_without_recursion)
{
    enum { COUNT = 1000000 };
    char *text = malloc(COUNT);
    memset(text, '[', COUNT);
    cr_assert_not(accepted(text, COUNT));
    memset(text, '{', COUNT);
    cr_assert_not(accepted(text, COUNT));
    free(text);
}

Test(json, reads_no_further_than_the_length)
{
    cr_assert(accepted("{}garbage", 2));
    cr_assert_not(accepted("{\"a\":1}", 6));
}

Test(json, gives_the_values_to_the_caller)
{
    json_t *object = sb_json_parse_object("{\"a\":[1,\"\\u00e9\"]}", 18);
    cr_assert_not_null(object);
    const json_t *a = json_object_get(object, "a");
    cr_assert_eq(json_integer_value(json_array_get(a, 0)), 1);
    cr_assert_str_eq(json_string_value(json_array_get(a, 1)), "\xC3\xA9");
    json_decref(object);
}
