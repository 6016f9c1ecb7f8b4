/* The fixture of the tests of base/config: one configuration, loaded from a file of the test's own
 * under an environment that is empty at first. */
#ifndef TESTS_UNIT_SUPPORT_BASE_CONFIG_H
#define TESTS_UNIT_SUPPORT_BASE_CONFIG_H

#include <stddef.h>

#include "base/config.h"

extern struct sb_config *base_config;
extern struct sb_config_problem *base_problems;
extern char *base_config_path; /* of the environment file */

void base_config_setup(void);
void base_config_teardown(void);

/* Loads text as the environment file. */
void base_config_load(const char *text, unsigned needs);

/* Loads NAME='VALUE' alone, for a program without needs. */
void base_config_load_one(const char *name, const char *value);

/* How many problems there are with variable, and the message of the first. */
size_t base_problem_count(const char *variable);
const char *base_problem_message(const char *variable);

/* Ends the test, naming the problem, if there is any. */
void base_config_assert_no_problem(void);

#endif
