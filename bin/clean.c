#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/idempotency.h"
#include "verb.h"

enum { PORTION = 1000 }; /* rows in one transaction: requests get their turn in between */

static enum sb_error expire(struct sb_db_conn *tx, void *context)
{
    return sb_idempotency_expire(tx, sb_clock_now_ms(), PORTION, context);
}

static int clean(int argc, char **argv)
{
    struct command command;
    int64_t removed = 0, total = 0;
    enum sb_error error = SB_OK;
    (void)argc;
    (void)argv;
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    do {
        error = sb_db_write(command.db, expire, &removed, SB_DB_WRITE_DEADLINE_MS);
        total += error == SB_OK ? removed : 0;
    } while (error == SB_OK && removed == PORTION);
    if (error == SB_OK)
        printf("%" PRId64 " expired answers removed\n", total);
    int status = outcome(error, "the database");
    command_close(&command);
    return status;
}

VERB("clean", "clean", "remove what has expired; cron runs it", clean);
