#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/temp_file.h"
#include "store/budgets.h"
#include "store/chat_cache.h"
#include "store/idempotency.h"
#include "store/leads.h"
#include "store/outbox.h"
#include "store/realtime_calls.h"
#include "store/sessions.h"
#include "verb.h"

static int clean(int argc, char **argv);

VERB("clean", "clean", "remove what has expired; cron runs it", clean);

/* Rows in one transaction; a conversation takes its items with it. */
enum { ROWS = 1000, SESSIONS = 20, MAIL_KEEP_DAYS = 30 };
static const int64_t day_ms = 86400000;

/* What is removed, and from when on it is kept: that many days, or what is not over. */
struct part {
    const char *what;
    enum sb_error (*remove)(struct sb_db_conn *tx, int64_t before_ms, int64_t limit,
                            int64_t *removed);
    int64_t keep_days;
    int64_t portion; /* in one transaction: requests get their turn in between */
};

struct portion {
    const struct part *part;
    int64_t before_ms, removed;
};

static enum sb_error remove_portion(struct sb_db_conn *tx, void *context)
{
    struct portion *portion = context;
    return portion->part->remove(tx, portion->before_ms, portion->part->portion, &portion->removed);
}

/* Removes all that there is, and says how much that was. */
static enum sb_error clear(const struct command *command, const struct part *part, int64_t now_ms)
{
    struct portion portion = {.part = part, .before_ms = now_ms - part->keep_days * day_ms};
    int64_t total = 0;
    enum sb_error error;
    do {
        error = sb_db_write(command->db, remove_portion, &portion, SB_DB_WRITE_DEADLINE_MS);
        total += error == SB_OK ? portion.removed : 0;
    } while (error == SB_OK && portion.removed == part->portion);
    if (error == SB_OK)
        printf("%" PRId64 " %s removed\n", total, part->what);
    return error;
}

/* Recordings have no name, but what a crash left on a file system where they need one for a moment.
 */
static int clear_recordings(const struct sb_config *config, int64_t now_ms)
{
    char directory[PATH_MAX];
    int64_t removed;
    snprintf(directory, sizeof directory, "%s/temp_audio", config->state_dir);
    int64_t before_ms = now_ms - config->temp_audio_max_age_s * 1000;
    if (sb_temp_files_remove(directory, before_ms, &removed) != SB_OK) {
        say("%s is not a directory that can be read: %s", directory, strerror(errno));
        return VERB_FAILED;
    }
    printf("%" PRId64 " recordings removed\n", removed);
    return VERB_OK;
}

static int clean(int argc, char **argv)
{
    struct command command;
    (void)argv;
    if (argc > 1)
        return usage_error(&this_verb, "too many arguments");
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    const struct sb_config *config = command.config;
    const struct part parts[] = {
        {"expired answers", sb_idempotency_expire, 0, ROWS},
        {"ended realtime calls", sb_realtime_calls_remove, config->realtime_calls_keep_days, ROWS},
        {"unused conversations", sb_sessions_expire, config->sessions_keep_days, SESSIONS},
        {"stale reservations", sb_budget_expire, 0, ROWS},
        {"days of usage", sb_usage_expire, config->usage_keep_days, ROWS},
        {"leads", sb_leads_remove, config->leads_keep_days, ROWS},
        {"mails", sb_outbox_remove, MAIL_KEEP_DAYS, ROWS},
        {"cached replies", sb_chat_cache_expire, 0, ROWS},
    };
    int64_t now_ms = sb_clock_now_ms();
    enum sb_error error = SB_OK;
    for (size_t i = 0; error == SB_OK && i < SB_COUNT(parts); i++)
        error = clear(&command, &parts[i], now_ms);
    int status = outcome(error, "the database");
    int recordings = clear_recordings(config, now_ms);
    status = status == VERB_OK ? recordings : status;
    command_close(&command);
    return status;
}
