#include <string.h>

#include "base/config_table.h"

static const char *type_text(const struct sb_config_row *row)
{
    static const char *const texts[] = {[SB_CONFIG_TEXT] = "text",
                                        [SB_CONFIG_SECRET] = "secret",
                                        [SB_CONFIG_PATH] = "absolute path",
                                        [SB_CONFIG_BOOL] = "true or false",
                                        [SB_CONFIG_INT] = "number",
                                        [SB_CONFIG_ENUM] = "name",
                                        [SB_CONFIG_LIST] = "list",
                                        [SB_CONFIG_ORIGINS] = "list of origins",
                                        [SB_CONFIG_CIDRS] = "list of networks",
                                        [SB_CONFIG_HOST] = "host name",
                                        [SB_CONFIG_URL] = "URL",
                                        [SB_CONFIG_HTTPS] = "URL",
                                        [SB_CONFIG_DATABASE] = "URL"};
    return texts[row->type];
}

static const char *demand_text(const struct sb_config_row *row)
{
    static const char *const texts[] = {[SB_OPTIONAL] = "",
                                        [SB_DEMANDED] = "demanded",
                                        [SB_DEMANDED_IN_PRODUCTION] = "demanded in production"};
    return texts[row->demand];
}

static void write_needs(struct sb_buf *out, unsigned needs)
{
    if (needs == 0)
        sb_buf_add_text(out, "all");
    for (unsigned i = 0, first = 1; sb_needs_names[i] != NULL; i++) {
        if ((needs >> i & 1) == 0)
            continue;
        sb_buf_add_format(out, "%s%s", first ? "" : ", ", sb_needs_names[i]);
        first = 0;
    }
}

static void write_range(struct sb_buf *out, const struct sb_config_row *row)
{
    if (row->type == SB_CONFIG_INT)
        sb_buf_add_format(out, ", %lld to %lld", (long long)row->min, (long long)row->max);
    for (int i = 0; row->type == SB_CONFIG_ENUM && row->names[i] != NULL; i++)
        sb_buf_add_format(out, "%s`%s`", i == 0 ? ": " : ", ", row->names[i]);
}

void sb_config_write_markdown(struct sb_buf *out)
{
    sb_buf_add_text(
        out, "# Configuration\n\n"
             "Generated from `lib/base/config_table.c` by `make docs`; do not edit.\n\n"
             "All programs read the environment file named by `SWITCHBOARD_ENV` (default\n"
             "`/etc/switchboard/switchboard.env`). A variable of the real environment wins over\n"
             "the file; an empty value counts as absent. `switchboard check` lists everything\n"
             "that is wrong at once. An endpoint whose variables are wrong answers 503\n"
             "`misconfigured` and logs the variable's name; \"needed by\" below names the needs\n"
             "an endpoint declares, which `ENDPOINT --describe` prints.\n");
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        if (row->section != NULL)
            sb_buf_add_format(out,
                              "\n## %s\n\n| variable | value | default | needed by | |\n"
                              "|---|---|---|---|---|\n",
                              row->section);
        sb_buf_add_format(out, "| `%s` | %s", row->name, type_text(row));
        write_range(out, row);
        sb_buf_add_text(out, " | ");
        if (row->fallback != NULL)
            sb_buf_add_format(out, "`%s`", row->fallback);
        sb_buf_add_text(out, " | ");
        write_needs(out, row->needs);
        if (row->demand != SB_OPTIONAL)
            sb_buf_add_format(out, "; %s", demand_text(row));
        if (row->instead != NULL) {
            sb_buf_add_text(out, ", of ");
            write_needs(out, row->instead_needs);
            sb_buf_add_format(out, " unless `%s` is set", row->instead);
        }
        sb_buf_add_format(out, " | %s", row->doc);
        if (row->alias != NULL)
            sb_buf_add_format(out, " Also accepted as `%s`.", row->alias);
        sb_buf_add_text(out, " |\n");
    }
    sb_buf_add_text(
        out, "\n## Rate limits\n\n"
             "`RATE_LIMIT_<NAME>=N/SECONDS` sets a policy, `RATE_LIMIT_<NAME>=off` switches it\n"
             "off. The name is the policy's in upper case with `_` for `-`: `calls-start` is\n"
             "`RATE_LIMIT_CALLS_START`. N is at most 16383. The policies and their defaults are\n"
             "in [API.md](API.md); `switchboard check` reports a name that no installed endpoint\n"
             "uses.\n");
}

/* Wraps doc, without its backticks, into comment lines of at most 90 columns. */
static void write_comment(struct sb_buf *out, const char *doc)
{
    size_t column = 0;
    for (const char *word = doc; *word != '\0';) {
        size_t length = strcspn(word, " ");
        if (column > 0 && column + 1 + length > 90) {
            sb_buf_add_char(out, '\n');
            column = 0;
        }
        sb_buf_add_text(out, column == 0 ? "# " : " ");
        column += column == 0 ? 2 : 1;
        for (size_t i = 0; i < length; i++) {
            if (word[i] != '`')
                sb_buf_add_char(out, word[i]);
        }
        column += length;
        word += length;
        word += *word == ' ';
    }
    sb_buf_add_char(out, '\n');
}

void sb_config_write_example(struct sb_buf *out)
{
    sb_buf_add_text(
        out, "# Switchboard's environment file, generated from lib/base/config_table.c.\n"
             "# Lines that begin with #NAME show defaults; see docs/CONFIGURATION.md.\n"
             "# It holds secrets: let it belong to root and the group of the web server, 0640.\n");
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        if (row->section != NULL)
            sb_buf_add_format(out, "\n# --- %s\n", row->section);
        sb_buf_add_char(out, '\n');
        write_comment(out, row->doc);
        bool asked = row->demand != SB_OPTIONAL || row->example != NULL;
        const char *value = row->example != NULL    ? row->example
                            : row->fallback != NULL ? row->fallback
                                                    : "";
        sb_buf_add_format(out, "%s%s=%s\n", asked ? "" : "#", row->name, value);
    }
    sb_buf_add_text(out, "\n# --- Rate limits\n\n#RATE_LIMIT_CALLS_START=10/60\n");
}
