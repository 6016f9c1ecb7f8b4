#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_table.h"

static struct sb_arena *arena;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(config_file, .init = setup, .fini = teardown);

/* text parses to exactly these pairs, written "NAME=VALUE|NAME=VALUE" with the values as they are.
 */
static const char *const accepted[][2] = {
    {"", ""},
    {"\n\n  \n\t\n", ""},
    {"# comment\n   # another\n", ""},
    {"A=1", "A=1"},
    {"A=1\n", "A=1"},
    {"A=1\r\nB=2\r\n", "A=1|B=2"},
    {"A=1\r\n\r\n# c\r\nB=2", "A=1|B=2"},
    {"A=\nB=\r\nC=", "A=|B=|C="},
    {"  A=1\n\tB=2", "A=1|B=2"},
    {"A= 1 \nB=\t2\t", "A=1|B=2"},
    {"A=b c d", "A=b c d"},
    {"A=b=c", "A=b=c"},
    {"_a9_Z=1", "_a9_Z=1"},
    {"export A=1\nexport   B=2\nexport \tC=3", "A=1|B=2|C=3"},
    {"export=1\nexported=2", "export=1|exported=2"},
    {"A=1\nA=2", "A=1|A=2"},
    {"A=1 # comment\nB=2\t# comment", "A=1|B=2"},
    {"A=1# none\nB=a#b #c #d", "A=1# none|B=a#b"},
    {"A=#none", "A=#none"},
    {"A= # comment\nB=\t#comment\nC=1", "A=|B=|C=1"},
    {"A=1 ; not a comment", "A=1 ; not a comment"},
    {"A=it's", "A=it's"},
    {"A=back\\slash", "A=back\\slash"},
    {"A=$HOME ${X} `id` $(id)", "A=$HOME ${X} `id` $(id)"},
    {"A=gr\xC3\xBC\xC3\x9F", "A=gr\xC3\xBC\xC3\x9F"},
    {"A=''\nB=\"\"", "A=|B="},
    {"A='b c'\nB=\"d e\"", "A=b c|B=d e"},
    {"A=' b '\nB=\" c \"", "A= b |B= c "},
    {"A='x' # comment\nB=\"y\"# comment\nC='z'  ", "A=x|B=y|C=z"},
    {"A='x'\r\nB=\"y\" \r\n", "A=x|B=y"},
    {"A='# not a comment'\nB=\"a # b\"", "A=# not a comment|B=a # b"},
    {"A='\"'\nB=\"'\"", "A=\"|B='"},
    {"A=\"say \\\"hi\\\"\"", "A=say \"hi\""},
    {"A=\"a\\\\b\"", "A=a\\b"},
    {"A=\"a\\\\\"", "A=a\\"},
    {"A=\"a\\nb\\$c\"", "A=a\\nb\\$c"},
    {"A='a\\b\\'", "A=a\\b\\"},
    {"A='one\ntwo\n'\nB=3", "A=one\ntwo\n|B=3"},
    {"A=\"one\ntwo\"\nB=3", "A=one\ntwo|B=3"},
    {"A=\"line\\\nline\"", "A=line\\\nline"},
    {"A = 1", NULL}, /* the shell refuses it as well */
};

static char *joined(const struct sb_config_pair *pairs)
{
    struct sb_buf out;
    sb_buf_init(&out, arena, 512 * 1024);
    sb_buf_add_text(&out, "");
    for (; pairs != NULL; pairs = pairs->next)
        sb_buf_add_format(&out, "%s=%s%s", pairs->name, pairs->value,
                          pairs->next == NULL ? "" : "|");
    cr_assert(sb_buf_ok(&out));
    return out.data;
}

Test(config_file, reads_names_and_values)
{
    for (size_t i = 0; i < SB_COUNT(accepted); i++) {
        struct sb_config_pair *pairs = NULL;
        int line = -1;
        bool fine = sb_config_parse_file(arena, accepted[i][0], &pairs, &line);
        cr_expect_eq(fine, accepted[i][1] != NULL, "%s (line %d)", accepted[i][0], line);
        if (fine)
            cr_expect_str_eq(joined(pairs), accepted[i][1], "%s gives %s", accepted[i][0],
                             joined(pairs));
    }
}

Test(config_file, refuses_other_lines_with_their_number)
{
    static const struct {
        const char *text;
        int line;
    } rows[] = {
        {"word", 1},
        {"A=1\nword\nB=2", 2},
        {"\n\n# c\n=1", 4},
        {"A=1\r\nB\r\n", 2},
        {"1A=1", 1},
        {"A-B=1", 1},
        {"A.B=1", 1},
        {"A\xC3\xA4=1", 1},
        {"A =1", 1},
        {"A: 1", 1},
        {"[section]", 1},
        {"; comment", 1},
        {"export", 1},
        {"export A", 1},
        {"unset A", 1},
        {"A='x", 1},
        {"A=\"x", 1},
        {"A=\"x\\\"", 1},
        {"A=\"x\\", 1},
        {"A='x'y", 1},
        {"A=\"x\"\"y\"", 1},
        {"A='x' y", 1},
        {"\nA='x\ny\nz", 2}, /* where the value begins */
        {"A='one\ntwo\nthree'\nB=1\nword", 5},
        {"A=\"one\r\ntwo\"\r\nword", 3},
        {"A='one\ntwo' rest", 1},
        {"\xEF\xBB\xBF"
         "A=1",
         1},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        struct sb_config_pair *pairs = (struct sb_config_pair *)&arena;
        int line = -1;
        cr_expect_not(sb_config_parse_file(arena, rows[i].text, &pairs, &line), "%s", rows[i].text);
        cr_expect_eq(line, rows[i].line, "%s: %d", rows[i].text, line);
        cr_expect_eq(pairs, (struct sb_config_pair *)&arena, "%s", rows[i].text);
    }
}

Test(config_file, tells_the_line_of_each_pair)
{
    struct sb_config_pair *pairs;
    int line;
    cr_assert(sb_config_parse_file(arena, "A=1\n\n# c\nB='x\ny'\nC=3\n", &pairs, &line));
    cr_assert_eq(pairs->line, 1);
    cr_assert_eq(pairs->next->line, 4);
    cr_assert_eq(pairs->next->next->line, 6);
    cr_assert_null(pairs->next->next->next);
}

Test(config_file, long_lines_stay_whole)
{
    static const size_t lengths[] = {199, 200, 201, 255, 256, 1000, 4096, 100000};
    static const char *const quotes[] = {"", "'", "\""};
    for (size_t i = 0; i < SB_COUNT(lengths); i++) {
        for (size_t q = 0; q < SB_COUNT(quotes); q++) {
            sb_arena_reset(arena);
            char *text = sb_arena_printf(arena, "A=%s%0*d%s\nB=2\n", quotes[q], (int)lengths[i], 7,
                                         quotes[q]);
            struct sb_config_pair *pairs;
            int line;
            cr_assert(sb_config_parse_file(arena, text, &pairs, &line));
            cr_expect_eq(strlen(pairs->value), lengths[i]);
            cr_expect_str_eq(pairs->next->name, "B");
            cr_expect_null(pairs->next->next);
        }
    }
}

/* Whether so little memory as one chunk ends parsing with line 0, as it should. */
static bool runs_out(const char *text)
{
    struct sb_arena *small = sb_arena_new(1);
    struct sb_config_pair *pairs = NULL;
    int line = -1;
    bool fine = sb_config_parse_file(small, text, &pairs, &line);
    sb_arena_free(small);
    return !fine && line == 0 && pairs == NULL;
}

Test(config_file, out_of_memory_is_told_apart_by_line_0)
{
    struct sb_buf many;
    sb_buf_init(&many, arena, 64 * 1024);
    for (int i = 0; i < 2000; i++)
        sb_buf_add_text(&many, "A=1\n");
    cr_expect(runs_out(many.data), "many pairs");
    cr_expect(runs_out(sb_arena_printf(arena, "A=%0*d", 20000, 1)), "a long bare value");
    cr_expect(runs_out(sb_arena_printf(arena, "A='%0*d'", 20000, 1)), "a long quoted value");
    cr_expect(runs_out(sb_arena_printf(arena, "A%0*d=1", 20000, 1)), "a long name");
    cr_expect_not(runs_out("A=1"), "a file that fits");
}
