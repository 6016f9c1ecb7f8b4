#include "base_config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

struct sb_config *base_config;
struct sb_config_problem *base_problems;
char *base_config_path;

static char directory[BASE_DIR_SIZE];

void base_config_setup(void)
{
    base_dir_make(directory);
    base_config_path = base_path(directory, "switchboard.env");
    clearenv();
}

void base_config_teardown(void)
{
    sb_config_free(base_config);
    free(base_config_path);
    base_dir_remove(directory);
}

void base_config_load(const char *text, unsigned needs)
{
    base_file_write(base_config_path, text);
    sb_config_free(base_config);
    cr_assert(sb_config_load(base_config_path, needs, &base_config, &base_problems));
}

void base_config_load_one(const char *name, const char *value)
{
    char *text;
    cr_assert_gt(asprintf(&text, "%s='%s'\n", name, value), 0);
    base_config_load(text, SB_NEEDS_CORE);
    free(text);
}

size_t base_problem_count(const char *variable)
{
    size_t count = 0;
    for (const struct sb_config_problem *p = base_problems; p != NULL; p = p->next)
        count += strcmp(p->variable, variable) == 0;
    return count;
}

const char *base_problem_message(const char *variable)
{
    for (const struct sb_config_problem *p = base_problems; p != NULL; p = p->next) {
        if (strcmp(p->variable, variable) == 0)
            return p->message;
    }
    return "(no problem)";
}

void base_config_assert_no_problem(void)
{
    cr_assert_null(base_problems, "%s %s", base_problems->variable, base_problems->message);
}
