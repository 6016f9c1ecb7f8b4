#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "person.h"

static int erase(int argc, char **argv);

VERB("erase", "erase " PERSON_USAGE " [--keep-audit]",
     "delete or pseudonymise all that is kept about one person", erase);

struct work {
    const struct sb_person *person;
    struct sb_erased erased;
};

static enum sb_error erase_in(struct sb_db_conn *tx, void *context)
{
    struct work *work = context;
    return sb_persons_erase(tx, work->person, sb_clock_now_ms(), &work->erased);
}

static void report(const struct work *work, const struct sb_config *config, bool keep_audit)
{
    for (size_t i = 0; i < work->erased.count; i++)
        printf("%" PRId64 " %s\n", work->erased.parts[i].count, work->erased.parts[i].what);
    if (!keep_audit)
        say("%s/audit.log, its rotated files and your backups are as they were, and hold what they "
            "held; --keep-audit says that you know",
            config->log_dir);
}

static int erase(int argc, char **argv)
{
    struct command command;
    struct person person;
    if (!person_parse(&this_verb, argc, argv, true, &person))
        return VERB_USAGE;
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    struct work work = {.person = &person.person};
    enum sb_error error = sb_db_write(command.db, erase_in, &work, SB_DB_WRITE_DEADLINE_MS);
    if (error == SB_OK)
        report(&work, command.config, person.keep_audit);
    int status = outcome(error, "the person");
    if (error == SB_OK && sb_db_purge(command.db) != SB_OK) {
        say("the database's WAL still holds what was deleted, because something reads in it: "
            "run this again");
        status = VERB_FAILED;
    }
    command_close(&command);
    return status;
}
