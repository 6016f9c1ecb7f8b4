/* The verbs of `switchboard`. A file in bin/ defines one with VERB(); nothing lists them: the
 * linker gathers their addresses in the section "verbs".
 *
 * A verb is scriptable: no prompts; results on standard output, messages on standard error; exit
 * status 0 only on success, 2 for a usage error, else 1. */
#ifndef SB_BIN_VERB_H
#define SB_BIN_VERB_H

#include <limits.h>
#include <stdbool.h>

#include "access/jwks.h"
#include "base/config.h"
#include "store/db.h"

enum { VERB_OK = 0, VERB_FAILED = 1, VERB_USAGE = 2 };

struct verb {
    const char *name, *usage, *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

#define VERB(name_, usage_, summary_, run_)                                                        \
    static const struct verb this_verb = {(name_), (usage_), (summary_), (run_)};                  \
    static const struct verb *const this_verb_entry __attribute__((used, section("verbs"))) =      \
        &this_verb

/* A message on standard error, with "switchboard: " before and a line end behind it. */
SB_PRINTF(1, 2) void say(const char *format, ...);

/* say() what is wrong with the call, and how the verb is used. Returns VERB_USAGE. */
SB_PRINTF(2, 3) int usage_error(const struct verb *verb, const char *format, ...);

/* What most verbs work with. */
struct command {
    struct sb_config *config;
    struct sb_config_problem *problems;
    struct sb_db *db;
    struct sb_db_conn *reader;
};

/* Loads the configuration for needs, says what stands in the way, becomes the owner of STATE_DIR
 * (made if it is missing), and with SB_NEEDS_DB prepares the database. False: said why. */
SB_NONNULL_ALL SB_MUST_CHECK bool command_open(struct command *command, unsigned needs);
SB_NONNULL_ALL void command_close(struct command *command);

/* From now on requests to other systems count in the metrics of RUN_DIR, as those of endpoints do,
 * if that can be. command_open() does it with SB_NEEDS_UPSTREAM. */
SB_NONNULL_ALL void command_count(const struct command *command);

/* Says what error means for a verb that changes the database; what names the thing. Returns
 * VERB_FAILED, or VERB_OK for SB_OK. */
SB_NONNULL_ALL int outcome(enum sb_error error, const char *what);

/* Says which keys of set are left out, and why. */
SB_NONNULL_ALL void say_left_out(const struct sb_jwks *set);

/* --name TEXT, or --name alone. */
struct verb_option {
    const char *name;  /* NULL ends the list */
    const char **text; /* gets the last TEXT that is given; NULL: it takes none */
    bool *flag;        /* of one without TEXT: set if it is there */
};
enum { VERB_OPTIONS_MAX = 12 };

/* Reads the options behind argv[0]. False: there is another one (said), or something else. */
SB_NONNULL_ALL SB_MUST_CHECK bool parse_options(int argc, char **argv,
                                                const struct verb_option *options);

/* The index of text in names (NULL-terminated), or -1. */
SB_NONNULL_ALL int index_of(const char *text, const char *const *names);

/* The directory of the endpoints into path: given (DIR of --cgi-bin), or where this program is
 * installed: beside it, or below lib/switchboard. False: there is none. */
SB_NONNULL(2) SB_MUST_CHECK bool find_tree(const char *given, char path[static PATH_MAX]);

#endif
