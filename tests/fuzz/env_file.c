/* The environment file: what is read, written again in quotes, must be read as the same. */
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/config_table.h"
#include "support/fuzz.h"

enum { TEXT_MAX = 16 * 1024, ARENA_CAP = 8 * 1024 * 1024 };

static int count_lines(const char *text)
{
    int lines = 1;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void write_pair(struct sb_buf *out, const struct sb_config_pair *pair)
{
    sb_buf_add_text(out, pair->name);
    sb_buf_add_text(out, "=\"");
    for (const char *c = pair->value; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            sb_buf_add_char(out, '\\');
        sb_buf_add_char(out, *c);
    }
    sb_buf_add_text(out, "\"\n");
}

static void check_pair(const struct sb_config_pair *pair, int previous_line, int lines)
{
    FUZZ_REQUIRE(pair->line > previous_line && pair->line <= lines);
    FUZZ_REQUIRE(pair->name[0] != '\0' && strpbrk(pair->name, "= \t\r\n\"'#") == NULL);
    FUZZ_REQUIRE(pair->value != NULL);
}

static void check_same(const struct sb_config_pair *a, const struct sb_config_pair *b)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next)
        FUZZ_REQUIRE(strcmp(a->name, b->name) == 0 && strcmp(a->value, b->value) == 0);
    FUZZ_REQUIRE(a == NULL && b == NULL);
}

static void check(struct sb_arena *arena, const char *text)
{
    struct sb_config_pair *pairs = NULL, *again = NULL;
    int error_line = -1, previous = 0, lines = count_lines(text);
    if (!sb_config_parse_file(arena, text, &pairs, &error_line)) {
        FUZZ_REQUIRE(error_line >= 1 && error_line <= lines);
        return;
    }
    struct sb_buf out;
    sb_buf_init(&out, arena, ARENA_CAP / 2);
    for (const struct sb_config_pair *pair = pairs; pair != NULL; pair = pair->next) {
        check_pair(pair, previous, lines);
        previous = pair->line;
        write_pair(&out, pair);
    }
    sb_buf_add_text(&out, "");
    FUZZ_REQUIRE(sb_buf_ok(&out));
    FUZZ_REQUIRE(
        sb_config_parse_file(arena, out.data == NULL ? "" : out.data, &again, &error_line));
    check_same(pairs, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= TEXT_MAX)
        return 0;
    struct sb_arena *arena = sb_arena_new(ARENA_CAP);
    FUZZ_REQUIRE(arena != NULL);
    char *text = sb_arena_strndup(arena, (const char *)data, size);
    FUZZ_REQUIRE(text != NULL);
    check(arena, text);
    sb_arena_free(arena);
    return 0;
}
