/* switchboard realtime: keeps realtime calls to their length. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/ids.h"
#include "store/realtime_calls.h"
#include "upstream/openai.h"
#include "verb.h"

static int realtime(int argc, char **argv);

VERB("realtime", "realtime reap",
     "hang up the realtime calls that are as long as they may be; cron runs it", realtime);

enum { ARENA_MAX = 1024 * 1024 };
static const int64_t run_us = 50000000; /* cron comes every minute */

struct reaping {
    struct command *command;
    struct sb_openai openai;
    struct sb_realtime_call call;
    enum sb_realtime_end reason;
    int64_t hung_up, gone, failed;
};

static enum sb_error end_call(struct sb_db_conn *tx, void *context)
{
    struct reaping *reaping = context;
    return sb_realtime_calls_end(tx, reaping->openai.arena, reaping->reason, sb_clock_now_ms(),
                                 &reaping->call);
}

static enum sb_error note_failure(struct sb_db_conn *tx, void *context)
{
    const struct reaping *reaping = context;
    return sb_realtime_calls_tried(tx, reaping->call.id, sb_clock_now_ms());
}

/* The variable without which nothing can be hung up, or NULL. */
static const char *obstacle(const struct command *command)
{
    const struct sb_config_problem *problem =
        sb_config_blocking(command->problems, SB_NEEDS_UPSTREAM | SB_NEEDS_OPENAI);
    if (problem != NULL)
        return problem->variable;
    return command->config->openai_api_key == NULL ? "OPENAI_API_KEY" : NULL;
}

/* Hangs up the call that is due; its row says how that went. */
static enum sb_error reap_one(struct reaping *reaping)
{
    enum sb_error error = sb_openai_call_hangup(&reaping->openai, reaping->call.upstream_id);
    bool over = error == SB_OK || error == SB_E_NOT_FOUND;
    reaping->reason = error == SB_OK ? SB_REALTIME_EXPIRED : SB_REALTIME_GONE;
    *(error == SB_OK ? &reaping->hung_up : over ? &reaping->gone : &reaping->failed) += 1;
    if (!over)
        say("call %s could not be hung up; the next run tries again", reaping->call.id);
    return sb_db_write(reaping->command->db, over ? end_call : note_failure, reaping,
                       SB_DB_WRITE_DEADLINE_MS);
}

/* Each due call once, in the time until the next run. */
static enum sb_error reap_all(struct reaping *reaping)
{
    int64_t began_ms = sb_clock_now_ms(), deadline_us = sb_clock_mono_us() + run_us;
    const char *variable = obstacle(reaping->command);
    enum sb_error error = SB_OK;
    while (error == SB_OK && sb_clock_mono_us() < deadline_us) {
        sb_arena_reset(reaping->openai.arena);
        error = sb_realtime_calls_next_due(reaping->command->reader, reaping->openai.arena,
                                           sb_clock_now_ms(), began_ms, &reaping->call);
        if (error == SB_OK && variable != NULL) {
            say("calls are over, but %s is missing or wrong; see: switchboard check", variable);
            reaping->failed++;
            return SB_OK;
        }
        if (error == SB_OK)
            error = reap_one(reaping);
    }
    return error == SB_E_NOT_FOUND ? SB_OK : error;
}

static int reap(struct command *command)
{
    char trace_id[SB_TRACE_ID_SIZE];
    sb_trace_id(NULL, trace_id);
    struct sb_arena *arena = sb_arena_new(ARENA_MAX);
    if (arena == NULL) {
        say("out of memory");
        return VERB_FAILED;
    }
    struct reaping reaping = {.command = command, .openai = {arena, command->config, trace_id}};
    enum sb_error error = reap_all(&reaping);
    int status = outcome(error, "the database");
    printf("%" PRId64 " calls hung up, %" PRId64 " had ended, %" PRId64 " are left\n",
           reaping.hung_up, reaping.gone, reaping.failed);
    sb_arena_free(arena);
    return reaping.failed > 0 ? VERB_FAILED : status;
}

static int realtime(int argc, char **argv)
{
    struct command command;
    if (argc != 2 || strcmp(argv[1], "reap") != 0)
        return usage_error(&this_verb, "what to do is missing, or not known");
    /* Not SB_NEEDS_OPENAI: a site without realtime calls runs this, too. */
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    command_count(&command);
    int status = reap(&command);
    command_close(&command);
    return status;
}
