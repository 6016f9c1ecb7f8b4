#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "store/idempotency.h"
#include "store/realtime_calls.h"
#include "verb.h"

enum { PORTION = 1000 }; /* rows in one transaction: requests get their turn in between */
static const int64_t day_ms = 86400000;

struct portion {
    int64_t before_ms, removed;
};

static enum sb_error expire_answers(struct sb_db_conn *tx, void *context)
{
    struct portion *portion = context;
    return sb_idempotency_expire(tx, portion->before_ms, PORTION, &portion->removed);
}

static enum sb_error remove_realtime_calls(struct sb_db_conn *tx, void *context)
{
    struct portion *portion = context;
    return sb_realtime_calls_remove(tx, portion->before_ms, PORTION, &portion->removed);
}

/* Runs closure until it has nothing left to remove, and says how much that was. */
static enum sb_error clear(const struct command *command, sb_db_closure_fn *closure,
                           int64_t before_ms, const char *what)
{
    struct portion portion = {.before_ms = before_ms};
    int64_t total = 0;
    enum sb_error error;
    do {
        error = sb_db_write(command->db, closure, &portion, SB_DB_WRITE_DEADLINE_MS);
        total += error == SB_OK ? portion.removed : 0;
    } while (error == SB_OK && portion.removed == PORTION);
    if (error == SB_OK)
        printf("%" PRId64 " %s removed\n", total, what);
    return error;
}

static int clean(int argc, char **argv)
{
    struct command command;
    (void)argc;
    (void)argv;
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    int64_t now_ms = sb_clock_now_ms();
    enum sb_error error = clear(&command, expire_answers, now_ms, "expired answers");
    if (error == SB_OK)
        error = clear(&command, remove_realtime_calls,
                      now_ms - command.config->realtime_calls_keep_days * day_ms,
                      "ended realtime calls");
    int status = outcome(error, "the database");
    command_close(&command);
    return status;
}

VERB("clean", "clean", "remove what has expired; cron runs it", clean);
