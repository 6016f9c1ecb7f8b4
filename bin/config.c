#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_table.h"
#include "verb.h"

static int config(int argc, char **argv);

VERB("config", "config [--get NAME | --markdown | --example]",
     "print the effective configuration, or its documentation", config);

enum { TEXT_MAX = 256 * 1024 };

static void write_list(struct sb_buf *out, const struct sb_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        sb_buf_add_format(out, "%s%s", i == 0 ? "" : ",", list->items[i]);
}

static void write_cidrs(struct sb_buf *out, const struct sb_cidrs *list)
{
    for (size_t i = 0; i < list->count; i++) {
        char text[46];
        bool v4 = memcmp(list->items[i].network.bytes, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF", 12) == 0 &&
                  list->items[i].prefix >= 96;
        sb_address_format(&list->items[i].network, text);
        sb_buf_add_format(out, "%s%s/%u", i == 0 ? "" : ",", text,
                          list->items[i].prefix - (v4 ? 96 : 0));
    }
}

/* The effective value of row; a secret only as "(set)". */
static void write_value(struct sb_buf *out, const struct sb_config *from,
                        const struct sb_config_row *row)
{
    const void *at = (const char *)from + row->offset;
    const char *text;
    switch (row->type) {
    case SB_CONFIG_BOOL:
        sb_buf_add_text(out, *(const bool *)at ? "true" : "false");
        return;
    case SB_CONFIG_INT:
        sb_buf_add_int(out, *(const int64_t *)at);
        return;
    case SB_CONFIG_ENUM:
        sb_buf_add_text(out, row->names[*(const int64_t *)at]);
        return;
    case SB_CONFIG_LIST:
    case SB_CONFIG_ORIGINS:
        write_list(out, at);
        return;
    case SB_CONFIG_CIDRS:
        write_cidrs(out, at);
        return;
    default:
        text = *(const char *const *)at;
        if (text != NULL)
            sb_buf_add_text(out, row->type == SB_CONFIG_SECRET ? "(set)" : text);
    }
}

static void write_all(struct sb_buf *out, const struct sb_config *from)
{
    for (size_t i = 0; i < sb_config_row_count; i++) {
        sb_buf_add_format(out, "%s=", sb_config_rows[i].name);
        write_value(out, from, &sb_config_rows[i]);
        sb_buf_add_char(out, '\n');
    }
}

static bool write_one(struct sb_buf *out, const struct sb_config *from, const char *name)
{
    for (size_t i = 0; i < sb_config_row_count; i++) {
        if (strcmp(sb_config_rows[i].name, name) != 0)
            continue;
        write_value(out, from, &sb_config_rows[i]);
        sb_buf_add_char(out, '\n');
        return true;
    }
    return false;
}

static int effective(struct sb_buf *out, const char *name)
{
    struct sb_config *loaded;
    struct sb_config_problem *problems;
    if (!sb_config_load(NULL, 0, &loaded, &problems)) {
        say("out of memory");
        return VERB_FAILED;
    }
    int status = VERB_OK;
    const struct sb_config_problem *problem = problems;
    while (problem != NULL && strcmp(problem->variable, "SWITCHBOARD_ENV") != 0)
        problem = problem->next;
    if (problem != NULL) { /* what the file says is not known: defaults would be a lie */
        say("%s %s", problem->variable, problem->message);
        status = VERB_FAILED;
    } else if (name == NULL) {
        write_all(out, loaded);
    } else if (!write_one(out, loaded, name)) {
        status = usage_error(&this_verb, "there is no variable %s", name);
    }
    sb_config_free(loaded);
    return status;
}

static int config(int argc, char **argv)
{
    static const struct option longs[] = {{"get", required_argument, NULL, 'g'},
                                          {"markdown", no_argument, NULL, 'm'},
                                          {"example", no_argument, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
    int option = getopt_long(argc, argv, "", longs, NULL);
    const char *name = optarg;
    struct sb_buf out;
    if (option == '?' || getopt_long(argc, argv, "", longs, NULL) != -1 || optind != argc)
        return usage_error(&this_verb, "one option at most");
    sb_buf_init(&out, NULL, TEXT_MAX);
    int status = VERB_OK;
    if (option == 'm')
        sb_config_write_markdown(&out);
    else if (option == 'e')
        sb_config_write_example(&out);
    else
        status = effective(&out, name);
    if (!sb_buf_ok(&out))
        status = VERB_FAILED;
    else if (out.length > 0)
        fputs(out.data, stdout);
    sb_buf_free(&out);
    return status;
}
