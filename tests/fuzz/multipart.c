/* multipart/form-data: the first byte says in what steps the rest is fed. Where its highest bit is
 * set, the first line of the rest is the Content-Type; else the boundary is "b". */
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "http/multipart.h"
#include "support/fuzz.h"

enum { BODY_MAX = 16384, TYPE_MAX = 512 };

struct seen {
    struct sb_buf text;
    bool in_part;
};

static enum sb_error begin(void *context, const struct sb_multipart_part *part)
{
    struct seen *seen = context;
    FUZZ_REQUIRE(!seen->in_part && part->name != NULL && *part->name != '\0');
    seen->in_part = true;
    sb_buf_add_format(&seen->text, "\n<%s|%s|%s>", part->name,
                      part->filename == NULL ? "" : part->filename,
                      part->content_type == NULL ? "" : part->content_type);
    return SB_OK;
}

static enum sb_error content(void *context, const void *data, size_t length)
{
    struct seen *seen = context;
    FUZZ_REQUIRE(seen->in_part && length > 0);
    sb_buf_add(&seen->text, data, length);
    return SB_OK;
}

static enum sb_error end(void *context)
{
    struct seen *seen = context;
    FUZZ_REQUIRE(seen->in_part);
    seen->in_part = false;
    return SB_OK;
}

static enum sb_error parse(const char *type, const uint8_t *data, size_t size, size_t step,
                           struct seen *seen)
{
    struct sb_multipart multipart;
    const struct sb_multipart_handler handler = {begin, content, end, seen};
    *seen = (struct seen){.in_part = false};
    sb_buf_init(&seen->text, NULL, 8 * BODY_MAX);
    enum sb_error error = sb_multipart_init(&multipart, type, &handler);
    if (error != SB_OK)
        return error;
    for (size_t at = 0; at < size && error == SB_OK; at += step)
        error = sb_multipart_feed(&multipart, data + at, size - at < step ? size - at : step);
    error = sb_multipart_end(&multipart);
    FUZZ_REQUIRE(error == SB_OK || error == SB_E_INVALID_MULTIPART);
    FUZZ_REQUIRE(error != SB_OK || !seen->in_part);
    return error;
}

/* The Content-Type that an input begins with, in text; the number of bytes that it takes. */
static size_t take_type(const uint8_t *data, size_t size, char text[static TYPE_MAX])
{
    const uint8_t *end = memchr(data, '\n', size < TYPE_MAX ? size : TYPE_MAX);
    if (end == NULL)
        return 0;
    memcpy(text, data, (size_t)(end - data));
    text[end - data] = '\0';
    return (size_t)(end - data) + 1;
}

/* However it is split, a body gives the same parts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, split;
    char type[TYPE_MAX] = "multipart/form-data; boundary=b";
    if (size == 0 || size > BODY_MAX)
        return 0;
    size_t step = data[0] % 16 + 1u, skip = 1;
    if (data[0] >= 0x80)
        skip += take_type(data + 1, size - 1, type);
    enum sb_error error = parse(type, data + skip, size - skip, BODY_MAX, &whole);
    FUZZ_REQUIRE(parse(type, data + skip, size - skip, step, &split) == error);
    FUZZ_REQUIRE(whole.text.length == split.text.length);
    FUZZ_REQUIRE(whole.text.length == 0 ||
                 memcmp(whole.text.data, split.text.data, whole.text.length) == 0);
    sb_buf_free(&whole.text);
    sb_buf_free(&split.text);
    return 0;
}
