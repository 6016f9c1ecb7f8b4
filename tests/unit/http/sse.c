#include "http/sse.h"

#include <criterion/criterion.h>
#include <string.h>

struct seen {
    struct sb_buf text;
    int left; /* events until it says stop; negative: never */
};

static bool event(void *context, const char *name, const char *data, size_t length)
{
    struct seen *seen = context;
    cr_expect_eq(strlen(data), length);
    sb_buf_add_format(&seen->text, "[%s|%s]", name, data);
    return --seen->left != 0;
}

static bool read_in_steps(const char *stream, size_t step, size_t max, struct seen *seen)
{
    struct sb_sse_reader reader;
    bool good = true;
    sb_buf_init(&seen->text, NULL, 10000);
    sb_buf_add_text(&seen->text, "");
    sb_sse_reader_init(&reader, max, event, seen);
    for (size_t at = 0, length = strlen(stream); at < length; at += step)
        good = sb_sse_reader_feed(&reader, stream + at, length - at < step ? length - at : step);
    sb_sse_reader_free(&reader);
    return good;
}

static void expect(const char *stream, const char *events)
{
    for (size_t step = 1; step <= strlen(stream); step++) {
        struct seen seen = {.left = -1};
        cr_expect(read_in_steps(stream, step, 100, &seen), "step %zu", step);
        cr_expect_str_eq(seen.text.data, events, "step %zu: %s", step, seen.text.data);
        sb_buf_free(&seen.text);
    }
}

Test(sse, events_are_read_at_every_split_point)
{
    expect("event: delta\ndata: one\n\ndata:two\n\n", "[delta|one][message|two]");
}

Test(sse, all_three_line_ends_are_taken)
{
    expect("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[message|a][message|b][message|c]");
}

Test(sse, lines_of_data_are_joined)
{
    expect("data: a\ndata\ndata:  b\n\n", "[message|a\n\n b]");
}

Test(sse, comments_unknown_fields_ids_and_a_bom_are_no_events)
{
    expect("\xef\xbb\xbf: hello\nid: 1\nretry: 5\nother: x\n\nevent: only\n\ndata: a\n\n",
           "[message|a]");
    expect("\xef\xbb\xbf"
           "data: a\n\n",
           "[message|a]");
}

Test(sse, an_event_without_its_empty_line_never_happened)
{
    expect("data: a\n\ndata: b\n", "[message|a]");
}

Test(sse, empty_data_is_an_event)
{
    expect("data:\n\n", "[message|]");
}

static bool reads_data_of(size_t length, const char *name)
{
    struct sb_buf stream;
    struct seen seen = {.left = -1};
    sb_buf_init(&stream, NULL, 10000);
    sb_buf_add_text(&stream, name);
    for (size_t i = 0; i < length; i++)
        sb_buf_add_char(&stream, 'x');
    sb_buf_add_text(&stream, "\n\n");
    bool good = read_in_steps(stream.data, 3, 100, &seen);
    sb_buf_free(&stream);
    sb_buf_free(&seen.text);
    return good;
}

Test(sse, lines_and_names_are_capped)
{
    cr_expect(reads_data_of(95, "data:"));
    cr_expect_not(reads_data_of(96, "data:"));
    cr_expect(reads_data_of(SB_SSE_NAME_MAX - 1, "event:"));
    cr_expect_not(reads_data_of(SB_SSE_NAME_MAX, "event:"));
}

Test(sse, the_data_of_many_lines_is_capped)
{
    struct seen seen = {.left = -1};
    cr_expect_not(
        read_in_steps("data: 012345678901234567890123456789012345678901234567890123456789\n"
                      "data: 012345678901234567890123456789012345678901234567890123456789\n\n",
                      200, 100, &seen));
    cr_expect_str_eq(seen.text.data, "");
    sb_buf_free(&seen.text);
}

Test(sse, the_event_function_ends_the_reading)
{
    struct seen seen = {.left = 1};
    cr_expect_not(read_in_steps("data: a\n\ndata: b\n\n", 1, 100, &seen));
    cr_expect_str_eq(seen.text.data, "[message|a]");
    sb_buf_free(&seen.text);
}

Test(sse, what_is_written_is_read_back)
{
    static const char *const texts[] = {"", "{\"a\":1}", "a\nb", "a\r\nb\rc", "\n", " lead"};
    static const char *const back[] = {"", "{\"a\":1}", "a\nb", "a\nb\nc", "\n", " lead"};
    for (size_t i = 0; i < SB_COUNT(texts); i++) {
        struct seen seen = {.left = -1};
        struct sb_buf out, wanted;
        sb_buf_init(&out, NULL, 1000);
        sb_buf_init(&wanted, NULL, 1000);
        sb_sse_ping(&out);
        sb_sse_write(&out, "turn", texts[i], 7);
        sb_sse_write(&out, NULL, texts[i], 0);
        sb_buf_add_format(&wanted, "[turn|%s][message|%s]", back[i], back[i]);
        cr_expect(read_in_steps(out.data, out.length, 100, &seen));
        cr_expect_str_eq(seen.text.data, wanted.data);
        cr_expect_eq(strncmp(out.data, ": ping\n\n", 8), 0, "a comment, for who is silent");
        const char *id = strstr(out.data, "id: 7\n");
        cr_expect_not_null(id);
        cr_expect_null(strstr(id + 1, "id: "), "0 is none");
        sb_buf_free(&out);
        sb_buf_free(&wanted);
        sb_buf_free(&seen.text);
    }
}
