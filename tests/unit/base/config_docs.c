#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/base.h"
#include "base/config_table.h"

enum { CAP = 256 * 1024 };

static struct sb_arena *arena;
static char *example, *markdown;

static char *rendered(void (*writer)(struct sb_buf *))
{
    struct sb_buf out;
    sb_buf_init(&out, arena, CAP);
    writer(&out);
    cr_assert(sb_buf_ok(&out));
    return out.data;
}

static void setup(void)
{
    arena = sb_arena_new(8 * CAP);
    example = rendered(sb_config_write_example);
    markdown = rendered(sb_config_write_markdown);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(config_docs, .init = setup, .fini = teardown);

static struct sb_config_pair *parsed(const char *text)
{
    struct sb_config_pair *pairs = NULL;
    int line = -1;
    cr_assert(sb_config_parse_file(arena, text, &pairs, &line), "line %d", line);
    return pairs;
}

static const char *value_in(const struct sb_config_pair *pairs, const char *name)
{
    for (; pairs != NULL; pairs = pairs->next) {
        if (strcmp(pairs->name, name) == 0)
            return pairs->value;
    }
    return NULL;
}

static const char *shown_value(const struct sb_config_row *row)
{
    if (row->example != NULL)
        return row->example;
    return row->fallback != NULL ? row->fallback : "";
}

/* The example with the # taken off the lines that show defaults. */
static char *uncommented(void)
{
    char *text = sb_arena_strdup(arena, example), *out = text;
    for (const char *at = text; *at != '\0'; at++) {
        bool shown = (at == text || at[-1] == '\n') && *at == '#' && at[1] >= 'A' && at[1] <= 'Z';
        if (!shown)
            *out++ = *at;
    }
    *out = '\0';
    return text;
}

Test(config_docs, the_example_sets_exactly_what_an_administrator_is_asked_for)
{
    const struct sb_config_pair *pairs = parsed(example);
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        const char *value = value_in(pairs, row->name);
        bool asked = row->demand != SB_OPTIONAL || row->example != NULL;
        cr_expect_eq(value != NULL, asked, "%s", row->name);
        if (asked && value != NULL)
            cr_expect_str_eq(value, shown_value(row), "%s", row->name);
    }
}

Test(config_docs, the_example_shows_every_row_once_with_its_value_and_in_order)
{
    const struct sb_config_pair *pair = parsed(uncommented());
    for (size_t i = 0; i < sb_config_row_count; i++, pair = pair->next) {
        const struct sb_config_row *row = &sb_config_rows[i];
        cr_assert_not_null(pair, "%s is missing", row->name);
        cr_assert_str_eq(pair->name, row->name);
        cr_expect_str_eq(pair->value, shown_value(row), "%s", row->name);
    }
    for (; pair != NULL; pair = pair->next)
        cr_expect_eq(strncmp(pair->name, "RATE_LIMIT_", 11), 0, "%s", pair->name);
}

Test(config_docs, the_lines_of_the_example_are_short_and_end_without_blanks)
{
    for (const char *line = example; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t length = strcspn(line, "\n");
        bool comment = line[0] == '#' && line[1] == ' '; /* a value may be any length */
        cr_expect(!comment || length <= 100, "%.*s", (int)length, line);
        cr_expect(length == 0 || line[length - 1] != ' ', "%.*s", (int)length, line);
    }
    cr_assert_null(strchr(example, '`'), "backticks are for the manual");
}

Test(config_docs, the_manual_has_one_line_for_every_row)
{
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        char *start = sb_arena_printf(arena, "\n| `%s` |", row->name);
        cr_expect_eq(base_count(markdown, start), 1, "%s", row->name);
        const char *line = strstr(markdown, start);
        cr_assert_not_null(line, "%s", row->name);
        char *cells = sb_arena_strndup(arena, line + 1, strcspn(line + 1, "\n"));
        cr_expect_not_null(strstr(cells, row->doc), "%s", row->name);
        cr_expect_eq(base_count(cells, "|"), 6, "five cells: %s", cells);
        if (row->alias != NULL)
            cr_expect_not_null(strstr(cells, row->alias), "%s", row->name);
        if (row->fallback != NULL)
            cr_expect_not_null(strstr(cells, row->fallback), "%s", row->name);
        cr_expect_eq(strstr(cells, "demanded") != NULL, row->demand != SB_OPTIONAL, "%s", cells);
    }
}

Test(config_docs, the_manual_names_who_needs_a_row)
{
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        char *start = sb_arena_printf(arena, "\n| `%s` |", row->name);
        const char *line = strstr(markdown, start);
        cr_assert_not_null(line);
        const char *cell = line + 1;
        for (int bars = 0; bars < 4; cell++)
            bars += *cell == '|';
        char *text = sb_arena_strndup(arena, cell, strcspn(cell, "|"));
        for (unsigned bit = 0; sb_needs_names[bit] != NULL; bit++)
            cr_expect_eq(strstr(text, sb_needs_names[bit]) != NULL, (row->needs >> bit & 1) != 0,
                         "%s:%s", row->name, text);
        cr_expect_eq(strstr(text, "all") != NULL, row->needs == 0, "%s:%s", row->name, text);
    }
}

Test(config_docs, the_manual_has_every_section)
{
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const char *section = sb_config_rows[i].section;
        if (section != NULL)
            cr_expect_eq(base_count(markdown, sb_arena_printf(arena, "\n## %s\n", section)), 1,
                         "%s", section);
    }
    cr_assert_not_null(sb_config_rows[0].section, "the first row opens one");
    cr_assert_not_null(strstr(markdown, "RATE_LIMIT_<NAME>"));
}

Test(config_docs, the_names_of_needs_match_their_bits)
{
    size_t count = 0;
    while (sb_needs_names[count] != NULL)
        count++;
    cr_assert_eq((1u << count) - 1, SB_NEEDS_ALL);
}

Test(config_docs, names_and_aliases_are_distinct)
{
    struct sb_arena *names = sb_arena_new(CAP);
    struct sb_buf all;
    sb_buf_init(&all, names, CAP);
    for (size_t i = 0; i < sb_config_row_count; i++) {
        sb_buf_add_format(&all, " %s ", sb_config_rows[i].name);
        if (sb_config_rows[i].alias != NULL)
            sb_buf_add_format(&all, " %s ", sb_config_rows[i].alias);
    }
    for (size_t i = 0; i < sb_config_foreign_count; i++)
        sb_buf_add_format(&all, " %s ", sb_config_foreigns[i].name);
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        cr_expect_eq(base_count(all.data, sb_arena_printf(arena, " %s ", row->name)), 1, "%s",
                     row->name);
        if (row->alias != NULL)
            cr_expect_eq(base_count(all.data, sb_arena_printf(arena, " %s ", row->alias)), 1, "%s",
                         row->alias);
    }
    sb_arena_free(names);
}

Test(config_docs, an_output_over_its_cap_fails_the_buffer)
{
    struct sb_buf out;
    char storage[64];
    sb_buf_init_fixed(&out, storage, sizeof storage);
    sb_config_write_example(&out);
    cr_assert_not(sb_buf_ok(&out));
    sb_buf_init_fixed(&out, storage, sizeof storage);
    sb_config_write_markdown(&out);
    cr_assert_not(sb_buf_ok(&out));
}
