/* The clause cutter: the first byte says in what steps the rest is fed. What is given is the
 * text's, in its order, no letter or digit of it is lost, and the steps change nothing. */
#include <ctype.h>
#include <string.h>

#include "base/clause.h"
#include "support/fuzz.h"

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool clause(void *context, const char *text, size_t length)
{
    struct sb_buf *clauses = context;
    FUZZ_REQUIRE(length > 0 && length <= SB_CLAUSE_MAX);
    FUZZ_REQUIRE(!blank((uint8_t)text[0]) && !blank((uint8_t)text[length - 1]));
    sb_buf_add(clauses, text, length);
    sb_buf_add_char(clauses, '\n');
    return true;
}

static void cut(const uint8_t *data, size_t size, size_t step, struct sb_buf *clauses)
{
    struct sb_clause_cutter cutter;
    sb_buf_init(clauses, NULL, 1 << 22);
    sb_clause_init(&cutter, clause, clauses);
    for (size_t at = 0; at < size; at += step)
        FUZZ_REQUIRE(
            sb_clause_feed(&cutter, (const char *)data + at, size - at < step ? size - at : step));
    FUZZ_REQUIRE(sb_clause_end(&cutter));
}

static void require_nothing_lost(const uint8_t *data, size_t size, const struct sb_buf *clauses)
{
    size_t at = 0;
    for (size_t i = 0; i < clauses->length; i++) {
        uint8_t c = (uint8_t)clauses->data[i];
        if (blank(c))
            continue;
        for (; at < size && data[at] != c; at++)
            FUZZ_REQUIRE(!isalnum(data[at]));
        FUZZ_REQUIRE(at < size);
        at++;
    }
    for (; at < size; at++)
        FUZZ_REQUIRE(!isalnum(data[at]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sb_buf whole, split;
    if (size == 0 || size > 16384)
        return 0;
    cut(data + 1, size - 1, size, &whole);
    cut(data + 1, size - 1, data[0] % 16 + 1u, &split);
    FUZZ_REQUIRE(whole.length == split.length);
    FUZZ_REQUIRE(whole.length == 0 || memcmp(whole.data, split.data, whole.length) == 0);
    require_nothing_lost(data + 1, size - 1, &whole);
    sb_buf_free(&whole);
    sb_buf_free(&split);
    return 0;
}
