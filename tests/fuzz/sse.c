/* Event streams: the first byte says in what steps the rest is fed. */
#include <string.h>

#include "http/sse.h"
#include "support/fuzz.h"

enum { EVENT_MAX = 512 };

static bool event(void *context, const char *name, const char *data, size_t length)
{
    struct sb_buf *text = context;
    FUZZ_REQUIRE(*name != '\0' && strlen(name) < SB_SSE_NAME_MAX && length <= EVENT_MAX);
    sb_buf_add_format(text, "\n<%s>", name);
    sb_buf_add(text, data, length);
    return true;
}

static bool read_in_steps(const uint8_t *data, size_t size, size_t step, struct sb_buf *text)
{
    struct sb_sse_reader reader;
    bool good = true;
    sb_buf_init(text, NULL, 1 << 22);
    sb_sse_reader_init(&reader, EVENT_MAX, event, text);
    for (size_t at = 0; at < size; at += step)
        good = sb_sse_reader_feed(&reader, (const char *)data + at,
                                  size - at < step ? size - at : step);
    sb_sse_reader_free(&reader);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_buf whole, split;
    if (size == 0)
        return 0;
    bool good = read_in_steps(data + 1, size - 1, size, &whole);
    FUZZ_REQUIRE(read_in_steps(data + 1, size - 1, data[0] % 16 + 1u, &split) == good);
    FUZZ_REQUIRE(whole.length == split.length);
    FUZZ_REQUIRE(whole.length == 0 || memcmp(whole.data, split.data, whole.length) == 0);
    sb_buf_free(&whole);
    sb_buf_free(&split);
    return 0;
}
