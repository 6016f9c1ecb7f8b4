#include <inttypes.h>
#include <stdio.h>

#include "verb.h"

static int migrate(int argc, char **argv);

VERB("migrate", "migrate", "create the database or bring its schema up to date", migrate);

static int migrate(int argc, char **argv)
{
    struct command command;
    int64_t applied = 0, version = 0;
    (void)argv;
    if (argc > 1)
        return usage_error(&this_verb, "too many arguments");
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    enum sb_error error = sb_db_migrate(command.db, &applied);
    if (error == SB_OK)
        error = sb_db_schema_version(command.db, &version);
    if (error == SB_OK)
        printf("schema %" PRId64 ", %" PRId64 " migrations applied\n", version, applied);
    if (error == SB_OK && version > sb_db_schema_newest())
        say("a newer build made this schema; this one knows %" PRId64 " and works on it",
            sb_db_schema_newest());
    int status = outcome(error, "the schema");
    command_close(&command);
    return status;
}
