#include "http/multipart.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/buf.h"

static const char form[] = "multipart/form-data; boundary=XX";

/* What came, as text: {name|filename|type}content; for each part. */
struct seen {
    struct sb_buf text;
    enum sb_error refuse;
};

static enum sb_error begin(void *context, const struct sb_multipart_part *part)
{
    struct seen *seen = context;
    sb_buf_add_format(&seen->text, "{%s|%s|%s}", part->name,
                      part->filename == NULL ? "-" : part->filename,
                      part->content_type == NULL ? "-" : part->content_type);
    return SB_OK;
}

static enum sb_error data(void *context, const void *bytes, size_t length)
{
    struct seen *seen = context;
    cr_expect_gt(length, 0);
    sb_buf_add(&seen->text, bytes, length);
    return seen->refuse;
}

static enum sb_error end(void *context)
{
    struct seen *seen = context;
    sb_buf_add_char(&seen->text, ';');
    return SB_OK;
}

/* Feeds body in pieces of step bytes. */
static enum sb_error parse(const char *type, const char *body, size_t length, size_t step,
                           struct seen *seen)
{
    struct sb_multipart multipart;
    const struct sb_multipart_handler handler = {begin, data, end, seen};
    sb_buf_init(&seen->text, NULL, 100000);
    sb_buf_add_text(&seen->text, "");
    enum sb_error error = sb_multipart_init(&multipart, type, &handler);
    for (size_t at = 0; error == SB_OK && at < length; at += step) {
        /* A copy of its own size, so that a sanitizer sees reads beyond it. */
        size_t size = length - at < step ? length - at : step;
        char *piece = malloc(size);
        memcpy(piece, body + at, size);
        error = sb_multipart_feed(&multipart, piece, size);
        free(piece);
    }
    if (error == SB_OK)
        error = sb_multipart_end(&multipart);
    return error;
}

/* However it is split, body gives the same. */
static void expect_as(const char *type, const char *body, enum sb_error error, const char *parts)
{
    for (size_t step = 1; step <= strlen(body); step++) {
        struct seen seen = {.refuse = SB_OK};
        cr_expect_eq(parse(type, body, strlen(body), step, &seen), error, "step %zu of: %s", step,
                     body);
        if (error == SB_OK)
            cr_expect_str_eq(seen.text.data, parts, "step %zu: %s", step, seen.text.data);
        sb_buf_free(&seen.text);
    }
}

static void expect(const char *body, const char *parts)
{
    expect_as(form, body, SB_OK, parts);
}

static void refused(const char *body)
{
    expect_as(form, body, SB_E_INVALID_MULTIPART, NULL);
}

#define PART(header, content) "--XX\r\nContent-Disposition: form-data; " header "\r\n\r\n" content
#define END "\r\n--XX--\r\n"

Test(multipart, gives_fields_and_files_at_every_split_point)
{
    expect(PART("name=\"a\"", "one\r\n")
               PART("name=\"b\"; filename=\"x y.wav\"\r\nContent-Type: audio/wav", "RIFF") END,
           "{a|-|-}one;{b|x y.wav|audio/wav}RIFF;");
}

Test(multipart, content_may_look_like_a_delimiter)
{
    expect(PART("name=a", "\r\n--X\r\n-\r--XX\n--XX\r\r\n--XY\r\n\r\n") END,
           "{a|-|-}\r\n--X\r\n-\r--XX\n--XX\r\r\n--XY\r\n\r\n;");
}

Test(multipart, a_part_may_be_empty)
{
    expect(PART("name=a", END), "{a|-|-};");
    expect(PART("name=a", "--XX--"), "{a|-|-};");
}

Test(multipart, preamble_padding_and_epilogue_are_skipped)
{
    expect("hello\r\n--XX \t\r\nContent-Disposition: form-data; "
           "name=a\r\n\r\n1\r\n--XX--\r\nrest\r\n--XX",
           "{a|-|-}1;");
}

Test(multipart, an_assumed_line_break_is_not_content)
{
    expect(PART("name=a", "--X--XX") END, "{a|-|-}--X--XX;");
    expect(PART("name=a", "-") END, "{a|-|-}-;");
}

Test(multipart, quoted_names_keep_backslashes_and_take_escaped_quotes)
{
    expect(PART("name=\"a\\\"b\"; filename=\"C:\\dir\\f.wav\"", "1") END,
           "{a\"b|C:\\dir\\f.wav|-}1;");
}

Test(multipart, header_names_are_taken_in_any_case)
{
    expect("--XX\r\nCONTENT-TYPE: text/plain\r\ncontent-disposition: FORM-DATA;NAME=a\r\n"
           "content-transfer-encoding: Binary\r\nX-Other: y\r\n\r\n1" END,
           "{a|-|text/plain}1;");
}

Test(multipart, breaks_of_the_form_are_refused)
{
    static const char *const bodies[] = {
        "",
        "--XX--\r\n",
        "--XX",
        "--XX\r\n",
        "hello",
        PART("name=a", "1"),                    /* breaks off */
        PART("name=a", "1\r\n--XX"),            /* in the closing delimiter */
        PART("name=a", "1\r\n--XX-\r\n"),       /* half of its dashes */
        PART("name=a", "1\r\n--XXY\r\n--XX--"), /* goes on behind the boundary */
        PART("filename=x", "1") END,            /* no name */
        PART("name=\"\"", "1") END,
        PART("name=a; name=b", "1") END,
        PART("name=\"a", "1") END,
        PART("name=a x", "1") END,
        PART("name", "1") END,
        "--XX\r\n\r\n1" END,
        "--XX\r\nContent-Type: a/b\r\n\r\n1" END,
        "--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n1" END,
        "--XX\r\nContent-Disposition form-data; name=a\r\n\r\n1" END,
        "--XX\r\nContent-Disposition : form-data; name=a\r\n\r\n1" END,
        PART("name=a\r\nContent-Disposition: form-data; name=b", "1") END,
        PART("name=a\r\nContent-Transfer-Encoding: base64", "1") END,
        PART("name=a\r\nContent-Type: a/b\r\nContent-Type: a/b", "1") END,
        PART("name=a\x01", "1") END,
        PART("name=\"a\nb\"", "1") END, /* a line feed or return by itself */
        PART("name=\"a\rb\"", "1") END,
        PART("name=a\r\nX-Other: y\nz", "1") END,
        PART("name=a\r\n folded", "1") END,
        "--XX\nContent-Disposition: form-data; name=a\n\n1\n--XX--\n",
    };
    for (size_t i = 0; i < SB_COUNT(bodies); i++)
        refused(bodies[i]);
}

Test(multipart, a_content_type_of_another_kind_is_unsupported)
{
    static const char *const types[] = {"", "application/json", "multipart/mixed; boundary=XX",
                                        "multipart/form-dataX; boundary=XX",
                                        "multipart/form-date; boundary=XX"};
    for (size_t i = 0; i < SB_COUNT(types); i++)
        expect_as(types[i], "x", SB_E_UNSUPPORTED_MEDIA_TYPE, NULL);
}

Test(multipart, a_boundary_must_be_one_and_good)
{
    static const char *const types[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=XX; boundary=XX",
        "multipart/form-data; boundary=\"X\\\"\"",
        "multipart/form-data; boundary=\"X \"",
        "multipart/form-data; boundary=XX junk",
        "multipart/form-data; junk; boundary=XX",
        "multipart/form-data; boundary="
        "12345678901234567890123456789012345678901234567890123456789012345678901"};
    const struct sb_multipart_handler handler = {begin, data, end, NULL};
    struct sb_multipart multipart;
    for (size_t i = 0; i < SB_COUNT(types); i++) /* the body would be refused all the same */
        cr_expect_eq(sb_multipart_init(&multipart, types[i], &handler), SB_E_INVALID_MULTIPART,
                     "%s", types[i]);
}

Test(multipart, blanks_behind_a_boundary_are_none_of_it)
{
    expect_as("multipart/form-data ; boundary=XX \t",
              "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XX--", SB_OK,
              "{a|-|-}1;");
}

Test(multipart, a_quoted_boundary_of_70_characters_is_taken)
{
    expect_as("Multipart/Form-Data; charset=utf-8; "
              "BOUNDARY=\"12345678901234567890123456789012345678901234567890"
              "1234567890123456789?\"",
              "--123456789012345678901234567890123456789012345678901234567890123456789?\r\n"
              "Content-Disposition: form-data; name=a\r\n\r\n1\r\n"
              "--123456789012345678901234567890123456789012345678901234567890123456789?--",
              SB_OK, "{a|-|-}1;");
}

static enum sb_error many_parts(int count)
{
    struct seen seen = {.refuse = SB_OK};
    struct sb_buf body;
    sb_buf_init(&body, NULL, 100000);
    for (int i = 0; i < count; i++)
        sb_buf_add_text(&body, PART("name=a", "1\r\n"));
    sb_buf_add_text(&body, "--XX--");
    enum sb_error error = parse(form, body.data, body.length, body.length, &seen);
    sb_buf_free(&body);
    sb_buf_free(&seen.text);
    return error;
}

Test(multipart, parts_are_capped)
{
    cr_expect_eq(many_parts(SB_MULTIPART_PARTS_MAX), SB_OK);
    cr_expect_eq(many_parts(SB_MULTIPART_PARTS_MAX + 1), SB_E_INVALID_MULTIPART);
}

static enum sb_error long_header(int length)
{
    struct seen seen = {.refuse = SB_OK};
    struct sb_buf body;
    sb_buf_init(&body, NULL, 100000);
    sb_buf_add_text(&body, "--XX\r\n");
    size_t before = body.length;
    sb_buf_add_text(&body, "Content-Disposition: form-data; name=a\r\nX-Long: ");
    while (body.length - before < (size_t)length - 4)
        sb_buf_add_char(&body, 'x');
    sb_buf_add_text(&body, "\r\n\r\n1" END);
    enum sb_error error = parse(form, body.data, body.length, 7, &seen);
    sb_buf_free(&body);
    sb_buf_free(&seen.text);
    return error;
}

Test(multipart, a_header_is_capped)
{
    cr_expect_eq(long_header(SB_MULTIPART_PART_HEADERS_MAX), SB_OK);
    cr_expect_eq(long_header(SB_MULTIPART_PART_HEADERS_MAX + 1), SB_E_INVALID_MULTIPART);
}

Test(multipart, an_error_of_the_handler_ends_it_and_sticks)
{
    struct sb_multipart multipart;
    struct seen seen = {.refuse = SB_E_BODY_TOO_LARGE};
    const struct sb_multipart_handler handler = {begin, data, end, &seen};
    static const char body[] = PART("name=a", "1") END;
    sb_buf_init(&seen.text, NULL, 1000);
    cr_assert_eq(sb_multipart_init(&multipart, form, &handler), SB_OK);
    cr_expect_eq(sb_multipart_feed(&multipart, body, sizeof body - 1), SB_E_BODY_TOO_LARGE);
    seen.refuse = SB_OK;
    cr_expect_eq(sb_multipart_feed(&multipart, "x", 1), SB_E_BODY_TOO_LARGE);
    cr_expect_eq(sb_multipart_end(&multipart), SB_E_BODY_TOO_LARGE);
    cr_expect_str_eq(seen.text.data, "{a|-|-}1");
    sb_buf_free(&seen.text);
}
