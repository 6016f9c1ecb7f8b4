#include <inttypes.h>
#include <stdio.h>

#include "verb.h"

static int migrate(int argc, char **argv)
{
    struct command command;
    int64_t applied = 0;
    (void)argc;
    (void)argv;
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    enum sb_error error = sb_db_migrate(command.db, &applied);
    if (error == SB_OK)
        printf("schema %" PRId64 ", %" PRId64 " migrations applied\n", sb_db_schema_newest(),
               applied);
    int status = outcome(error, "the schema");
    command_close(&command);
    return status;
}

VERB("migrate", "migrate", "create the database or bring its schema up to date", migrate);
