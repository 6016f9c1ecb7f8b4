#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/budgets.h"
#include "verb.h"

static int usage(int argc, char **argv);

VERB("usage", "usage [--day YYYY-MM-DD] [--json]",
     "what each user and visitor spent on a day (UTC; default: today)", usage);

enum { ROW_MAX = 4096 };

struct options {
    const char *day;
    bool json;
};

/* The first millisecond of the day in text; false: it is none. */
static bool read_day(const char *text, int64_t *at_ms)
{
    struct tm date = {0};
    char again[11];
    const char *end = strptime(text, "%Y-%m-%d", &date);
    if (end == NULL || *end != '\0')
        return false;
    time_t at_s = timegm(&date);
    /* timegm() takes the 31st of February for a day in March. */
    if (at_s < 0 || strftime(again, sizeof again, "%Y-%m-%d", &date) == 0 ||
        strcmp(again, text) != 0)
        return false;
    *at_ms = (int64_t)at_s * 1000;
    return true;
}

static void add_spend(struct sb_buf *out, const char *name, const struct sb_spend *spend)
{
    sb_json_key(out, name);
    sb_json_open(out, '{');
    sb_json_key(out, "turns");
    sb_json_int(out, spend->turns);
    sb_json_key(out, "seconds");
    sb_json_int(out, spend->seconds);
    sb_json_key(out, "tokens");
    sb_json_int(out, spend->tokens);
    sb_json_close(out, '}');
}

/* One owner a line. */
static enum sb_error print_usage(const struct sb_usage *row, void *context)
{
    const struct options *options = context;
    struct sb_buf line;
    if (!options->json) {
        printf("%s\t%" PRId64 " turns\t%" PRId64 " seconds\t%" PRId64 " tokens\n", row->owner,
               row->spent.turns, row->spent.seconds, row->spent.tokens);
        return SB_OK;
    }
    sb_buf_init(&line, NULL, ROW_MAX);
    sb_json_open(&line, '{');
    sb_json_key(&line, "owner");
    sb_json_string(&line, row->owner);
    add_spend(&line, "spent", &row->spent);
    add_spend(&line, "reserved", &row->reserved);
    sb_json_close(&line, '}');
    enum sb_error error = sb_buf_ok(&line) ? SB_OK : SB_E_UNAVAILABLE;
    if (error == SB_OK)
        puts(line.data);
    sb_buf_free(&line);
    return error;
}

static int usage(int argc, char **argv)
{
    struct command command;
    struct options options = {.day = NULL};
    const struct verb_option known[] = {
        {"day", &options.day, NULL}, {"json", NULL, &options.json}, {NULL, NULL, NULL}};
    int64_t now_ms = sb_clock_now_ms(), at_ms = now_ms;
    if (!parse_options(argc, argv, known))
        return usage_error(&this_verb, "an option is not known");
    if (options.day != NULL && !read_day(options.day, &at_ms))
        return usage_error(&this_verb, "--day must be a day such as 2026-11-21");
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    int status =
        outcome(sb_usage_each(command.reader, sb_budget_day(at_ms), now_ms, print_usage, &options),
                "the usage");
    command_close(&command);
    return status;
}
