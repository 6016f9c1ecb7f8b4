#include "base/buf.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct sb_buf buf;
static char storage[4096];

static void setup(void)
{
    sb_buf_init(&buf, NULL, 64 * 1024);
}

static void teardown(void)
{
    sb_buf_free(&buf);
}

TestSuite(buf, .init = setup, .fini = teardown);
TestSuite(json, .init = setup, .fini = teardown);

Test(buf, is_empty_and_ok_at_first)
{
    cr_assert(sb_buf_ok(&buf));
    cr_assert_null(buf.data);
    cr_assert_eq(buf.length, 0);
}

Test(buf, an_addition_of_nothing_makes_an_empty_text)
{
    sb_buf_add(&buf, NULL, 0);
    cr_assert(sb_buf_ok(&buf));
    cr_assert_str_empty(buf.data);
}

Test(buf, keeps_its_text_over_growth_and_terminates_it_each_time)
{
    for (size_t i = 0; i < 5000; i++) {
        sb_buf_add_char(&buf, (char)('a' + i % 26));
        cr_assert(sb_buf_ok(&buf));
        cr_assert_eq(buf.length, i + 1);
        cr_assert_eq(buf.data[buf.length], '\0');
    }
    for (size_t i = 0; i < 5000; i++)
        cr_assert_eq(buf.data[i], (char)('a' + i % 26));
}

Test(buf, holds_one_byte_less_than_its_cap)
{
    static const size_t caps[] = {1, 2, 511, 512, 513, 1000, 4096};
    for (size_t i = 0; i < SB_COUNT(caps); i++) {
        struct sb_buf small;
        sb_buf_init(&small, NULL, caps[i]);
        sb_buf_add(&small, storage, caps[i] - 1);
        cr_expect(sb_buf_ok(&small), "cap %zu", caps[i]);
        cr_expect_leq(small.size, caps[i]);
        sb_buf_add_char(&small, 'x');
        cr_expect_not(sb_buf_ok(&small), "cap %zu", caps[i]);
        cr_expect_eq(small.length, caps[i] - 1);
        sb_buf_free(&small);
    }
}

Test(buf, a_cap_of_zero_takes_nothing)
{
    sb_buf_init(&buf, NULL, 0);
    sb_buf_add(&buf, "", 0);
    cr_assert_not(sb_buf_ok(&buf));
}

Test(buf, grows_under_the_largest_cap_there_is)
{
    sb_buf_init(&buf, NULL, SIZE_MAX);
    for (int i = 0; i < 10000; i++)
        sb_buf_add_text(&buf, "0123456789");
    cr_assert(sb_buf_ok(&buf));
    cr_assert_eq(buf.length, 100000);
}

Test(buf, fails_on_lengths_that_would_overflow)
{
    sb_buf_init(&buf, NULL, SIZE_MAX);
    sb_buf_add_text(&buf, "some");
    for (size_t under = 0; under < 5; under++) {
        volatile size_t length = SIZE_MAX - under;
        buf.failed = false;
        sb_buf_add(&buf, "x", length);
        cr_expect_not(sb_buf_ok(&buf), "SIZE_MAX - %zu", under);
    }
    cr_assert_str_eq(buf.data, "some");
}

static void call_everything(struct sb_buf *out)
{
    sb_buf_add(out, "x", 1);
    sb_buf_add_text(out, "x");
    sb_buf_add_char(out, 'x');
    sb_buf_add_int(out, 1);
    sb_buf_add_format(out, "%d", 1);
    sb_json_open(out, '{');
    sb_json_key(out, "x");
    sb_json_string(out, "x");
    sb_json_string(out, NULL);
    sb_json_string_n(out, "\x01\xFF", 2);
    sb_json_int(out, 1);
    sb_json_bool(out, true);
    sb_json_null(out);
    sb_json_raw(out, "{}");
    sb_json_close(out, '}');
}

Test(buf, after_a_failure_every_call_is_without_effect)
{
    sb_buf_init_fixed(&buf, storage, 4);
    sb_buf_add_text(&buf, "ab");
    sb_buf_add_text(&buf, "cd");
    cr_assert_not(sb_buf_ok(&buf));
    call_everything(&buf);
    cr_assert_str_eq(buf.data, "ab");
    cr_assert_eq(buf.length, 2);
    cr_assert_not(sb_buf_ok(&buf));
}

Test(buf, a_failure_before_anything_was_added_sticks_too)
{
    sb_buf_init(&buf, NULL, 1);
    sb_buf_add_text(&buf, "x");
    call_everything(&buf);
    cr_assert_not(sb_buf_ok(&buf));
    cr_assert_null(buf.data);
}

Test(buf, a_fixed_buffer_uses_all_its_storage_and_never_grows)
{
    sb_buf_init_fixed(&buf, storage, 6);
    sb_buf_add_text(&buf, "12345");
    cr_assert(sb_buf_ok(&buf));
    cr_assert_str_eq(storage, "12345");
    sb_buf_add_char(&buf, '6');
    cr_assert_not(sb_buf_ok(&buf));
    cr_assert_str_eq(storage, "12345");
}

Test(buf, a_fixed_buffer_is_terminated_even_when_its_first_addition_fails)
{
    memset(storage, 'x', sizeof storage);
    sb_buf_init_fixed(&buf, storage, 4);
    sb_buf_add_text(&buf, "too long");
    cr_assert_not(sb_buf_ok(&buf));
    cr_assert_str_empty(buf.data);
}

Test(buf, a_fixed_buffer_of_no_size_is_left_alone)
{
    storage[0] = '#';
    sb_buf_init_fixed(&buf, storage, 0);
    sb_buf_add(&buf, "", 0);
    cr_assert_not(sb_buf_ok(&buf));
    cr_assert_eq(storage[0], '#');
}

Test(buf, free_makes_it_usable_again)
{
    sb_buf_init(&buf, NULL, 8);
    sb_buf_add_text(&buf, "too long for it");
    sb_buf_free(&buf);
    cr_assert(sb_buf_ok(&buf));
    sb_buf_add_text(&buf, "fits");
    cr_assert_str_eq(buf.data, "fits");
}

Test(buf, free_of_a_fixed_buffer_keeps_its_storage)
{
    sb_buf_init_fixed(&buf, storage, sizeof storage);
    sb_buf_add_text(&buf, "first");
    sb_buf_free(&buf);
    sb_buf_add_text(&buf, "second");
    cr_assert_eq(buf.data, storage);
    cr_assert_str_eq(storage, "second");
}

Test(buf, grows_in_an_arena)
{
    struct sb_arena *arena = sb_arena_new(256 * 1024);
    sb_buf_init(&buf, arena, 64 * 1024);
    for (int i = 0; i < 1000; i++)
        sb_buf_add_format(&buf, "%03d", i);
    cr_assert(sb_buf_ok(&buf));
    cr_assert_eq(buf.length, 3000);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(strtol((char[]){buf.data[3 * i], buf.data[3 * i + 1], buf.data[3 * i + 2], 0},
                            NULL, 10),
                     i);
    sb_buf_free(&buf);
    sb_arena_free(arena);
}

Test(buf, fails_when_its_arena_is_full)
{
    struct sb_arena *arena = sb_arena_new(16 * 1024);
    sb_buf_init(&buf, arena, 1024 * 1024);
    for (int i = 0; i < 20 * 1024; i++)
        sb_buf_add_char(&buf, 'x');
    cr_assert_not(sb_buf_ok(&buf));
    cr_assert_eq(strlen(buf.data), buf.length);
    sb_arena_free(arena);
}

Test(buf, writes_integers_to_their_limits)
{
    static const int64_t values[] = {0, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < SB_COUNT(values); i++) {
        sb_buf_add_int(&buf, values[i]);
        sb_buf_add_char(&buf, ' ');
    }
    cr_assert_str_eq(buf.data, "0 -1 9223372036854775807 -9223372036854775808 ");
}

Test(buf, formats_text_longer_than_its_first_size)
{
    sb_buf_add_text(&buf, "<");
    sb_buf_add_format(&buf, "%0*d", 3000, 5);
    sb_buf_add_text(&buf, ">");
    cr_assert_eq(buf.length, 3002);
    cr_assert_str_eq(buf.data + 2999, "05>");
}

Test(buf, a_format_over_the_cap_fails_and_adds_nothing)
{
    sb_buf_init_fixed(&buf, storage, 8);
    sb_buf_add_text(&buf, "abc");
    sb_buf_add_format(&buf, "%d", 12345);
    cr_assert_not(sb_buf_ok(&buf));
    cr_assert_str_eq(storage, "abc");
}

Test(buf, a_format_fits_to_the_last_byte)
{
    sb_buf_init_fixed(&buf, storage, 8);
    sb_buf_add_format(&buf, "%s", "1234567");
    cr_assert(sb_buf_ok(&buf));
    cr_assert_str_eq(storage, "1234567");
}

Test(json, puts_commas_where_they_belong)
{
    sb_json_open(&buf, '{');
    sb_json_key(&buf, "a");
    sb_json_int(&buf, -5);
    sb_json_key(&buf, "b");
    sb_json_open(&buf, '[');
    sb_json_bool(&buf, true);
    sb_json_bool(&buf, false);
    sb_json_null(&buf);
    sb_json_open(&buf, '{');
    sb_json_close(&buf, '}');
    sb_json_open(&buf, '[');
    sb_json_close(&buf, ']');
    sb_json_string(&buf, "x");
    sb_json_string(&buf, NULL);
    sb_json_close(&buf, ']');
    sb_json_key(&buf, "c");
    sb_json_raw(&buf, "[1,2]");
    sb_json_key(&buf, "d");
    sb_json_string(&buf, "");
    sb_json_close(&buf, '}');
    cr_assert(sb_buf_ok(&buf));
    cr_assert_str_eq(buf.data, "{\"a\":-5,\"b\":[true,false,null,{},[],\"x\",null],\"c\":[1,2],"
                               "\"d\":\"\"}");
}

Test(json, a_text_that_ends_like_structure_still_gets_its_comma)
{
    static const char *const texts[] = {"{", "[", ":", ","};
    sb_json_open(&buf, '[');
    for (size_t i = 0; i < SB_COUNT(texts); i++)
        sb_json_string(&buf, texts[i]);
    sb_json_close(&buf, ']');
    cr_assert_str_eq(buf.data, "[\"{\",\"[\",\":\",\",\"]");
}

Test(json, a_single_value_has_no_comma)
{
    sb_json_int(&buf, 1);
    cr_assert_str_eq(buf.data, "1");
}

#define BAD "\xEF\xBF\xBD" /* U+FFFD */

static const struct {
    const char *what, *text;
    size_t length;
    const char *json;
} strings[] = {
#define ROW(what, text, json)                                                                      \
    {                                                                                              \
        what, text, sizeof(text) - 1, "\"" json "\""                                               \
    }
    ROW("empty", "", ""),
    ROW("plain", "plain text/<>&'", "plain text/<>&'"),
    ROW("quote and backslash", "a\"b\\c", "a\\\"b\\\\c"),
    ROW("short escapes", "\b\t\n\f\r", "\\b\\t\\n\\f\\r"),
    ROW("NUL", "a\0b", "a\\u0000b"),
    ROW("other controls", "\x01\x0b\x1f", "\\u0001\\u000b\\u001f"),
    ROW("C1 controls", "\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0", "\\u0080\\u009b\\u009f\xC2\xA0"),
    ROW("DEL", "\x7f", "\\u007f"),
    ROW("space is the first that is plain", " ", " "),
    ROW("two bytes", "\xC2\xA0\xDF\xBF", "\xC2\xA0\xDF\xBF"),
    ROW("three bytes", "\xE0\xA0\x80\xE2\x82\xAC\xEF\xBF\xBF",
        "\xE0\xA0\x80\xE2\x82\xAC\xEF\xBF\xBF"),
    ROW("four bytes", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"),
    ROW("around the surrogates", "\xED\x9F\xBF\xEE\x80\x80", "\xED\x9F\xBF\xEE\x80\x80"),
    ROW("lone continuation", "a\x80z", "a" BAD "z"),
    ROW("overlong slash", "\xC0\xAF", BAD BAD),
    ROW("overlong two bytes", "\xC1\xBF", BAD BAD),
    ROW("overlong three bytes", "\xE0\x9F\xBF", BAD BAD BAD),
    ROW("overlong four bytes", "\xF0\x8F\xBF\xBF", BAD BAD BAD BAD),
    ROW("first surrogate", "\xED\xA0\x80", BAD BAD BAD),
    ROW("last surrogate", "\xED\xBF\xBF", BAD BAD BAD),
    ROW("above U+10FFFF", "\xF4\x90\x80\x80", BAD BAD BAD BAD),
    ROW("leads that are none", "\xF5\xFE\xFF", BAD BAD BAD),
    ROW("cut at the end, two bytes", "z\xC3", "z" BAD),
    ROW("cut at the end, three bytes", "z\xE2\x82", "z" BAD BAD),
    ROW("cut at the end, four bytes", "z\xF0\x9F\x98", "z" BAD BAD BAD),
    ROW("cut by a quote", "\xE2\x82\"", BAD BAD "\\\""),
    ROW("cut by a control character", "\xC3\n", BAD "\\n"),
    ROW("cut by another sequence", "\xE2\x82\xC3\xA4", BAD BAD "\xC3\xA4"),
#undef ROW
};

Test(json, strings_come_out_escaped_and_as_valid_utf8)
{
    for (size_t i = 0; i < SB_COUNT(strings); i++) {
        buf.length = 0;
        sb_json_string_n(&buf, strings[i].text, strings[i].length);
        cr_assert(sb_buf_ok(&buf));
        cr_expect_str_eq(buf.data, strings[i].json, "%s: %s", strings[i].what, buf.data);
        json_t *parsed = json_loads(buf.data, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        cr_expect_not_null(parsed, "%s: %s", strings[i].what, buf.data);
        json_decref(parsed);
    }
}

Test(json, keys_are_escaped_like_strings)
{
    sb_json_open(&buf, '{');
    sb_json_key(&buf, "a\"\n\xFF");
    sb_json_int(&buf, 1);
    sb_json_close(&buf, '}');
    cr_assert_str_eq(buf.data, "{\"a\\\"\\n" BAD "\":1}");
}

static size_t encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(leads[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3F));
    return more + 1;
}

Test(json, every_code_point_survives_a_round_trip)
{
    char *all = malloc(5 * 1024 * 1024);
    size_t length = 0;
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        if (code < 0xD800 || code > 0xDFFF)
            length += encode(code, all + length);
    }
    sb_buf_init(&buf, NULL, 6 * 1024 * 1024);
    sb_json_string_n(&buf, all, length);
    cr_assert(sb_buf_ok(&buf));
    json_t *parsed = json_loadb(buf.data, buf.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    cr_assert_not_null(parsed);
    cr_assert_eq(json_string_length(parsed), length);
    cr_assert_eq(memcmp(json_string_value(parsed), all, length), 0);
    json_decref(parsed);
    free(all);
}

Test(utf8, every_code_point_has_the_length_of_its_encoding)
{
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        char bytes[4];
        size_t length = encode(code, bytes);
        bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        cr_assert_eq(sb_utf8_sequence(bytes, length), surrogate ? 0 : length, "U+%04" PRIX32, code);
        for (size_t cut = 0; cut < length; cut++)
            cr_assert_eq(sb_utf8_sequence(bytes, cut), 0, "U+%04" PRIX32 " cut", code);
    }
}

Test(utf8, no_other_two_bytes_are_a_sequence)
{
    for (unsigned pair = 0x8000; pair <= 0xFFFF; pair++) {
        char bytes[2] = {(char)(pair >> 8), (char)(pair & 0xFF)};
        unsigned lead = pair >> 8, second = pair & 0xFF;
        bool valid = lead >= 0xC2 && lead <= 0xDF && second >= 0x80 && second <= 0xBF;
        cr_assert_eq(sb_utf8_sequence(bytes, 2), valid ? 2 : 0, "%04x", pair);
    }
}
