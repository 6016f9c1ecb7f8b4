/* switchboard outbox: sends what is to be mailed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/ids.h"
#include "store/outbox.h"
#include "upstream/mail.h"
#include "verb.h"

static int outbox(int argc, char **argv);

VERB("outbox", "outbox send | list [--json] | retry [ID]",
     "send the mail that is due (cron runs it), list mail, or try again what has failed", outbox);

enum { ARENA_MAX = 8 * 1024 * 1024 };
static const int64_t run_us = 50000000; /* cron comes every minute */

/* --- send --- */

struct sending {
    struct command *command;
    struct sb_arena *arena;
    struct sb_outbox_mail mail;
    const char *problem;
    const char *trace_id;
    bool claimed;
    int64_t began_ms, sent, failed;
};

static enum sb_error claim(struct sb_db_conn *tx, void *context)
{
    struct sending *sending = context;
    enum sb_error error =
        sb_outbox_claim(tx, sending->arena, sending->began_ms, sb_clock_now_ms(), &sending->mail);
    sending->claimed = error == SB_OK;
    return error == SB_E_NOT_FOUND ? SB_OK : error;
}

static enum sb_error conclude(struct sb_db_conn *tx, void *context)
{
    const struct sending *sending = context;
    return sb_outbox_conclude(tx, &sending->mail, sb_clock_now_ms(), sending->problem);
}

/* One attempt for the mail that has been due longest. */
static enum sb_error send_one(struct sending *sending)
{
    struct sb_db *db = sending->command->db;
    const struct sb_config *config = sending->command->config;
    enum sb_error error = sb_db_write(db, claim, sending, SB_DB_WRITE_DEADLINE_MS);
    if (error != SB_OK || !sending->claimed)
        return error;
    const struct sb_outbox_mail *mail = &sending->mail;
    const struct sb_mail message = {.id = mail->id,
                                    .from = config->smtp_from,
                                    .to = mail->recipient,
                                    .reply_to = mail->reply_to,
                                    .subject = mail->subject,
                                    .text = mail->text,
                                    .date_ms = mail->created_at_ms};
    if (sb_mail_send(config, sending->arena, &message, &sending->problem, sending->trace_id) ==
        SB_OK) {
        sending->sent++;
    } else {
        sending->failed++;
        say("%s was not sent (attempt %" PRId64 " of %d): %s", mail->id, mail->attempts,
            SB_OUTBOX_ATTEMPTS_MAX, sending->problem);
    }
    return sb_db_write(db, conclude, sending, SB_DB_WRITE_DEADLINE_MS);
}

static int send_due(struct command *command, struct sb_arena *arena)
{
    char trace_id[SB_TRACE_ID_SIZE];
    if (!sb_mail_configured(command->config)) {
        puts("0 mails sent, 0 failed: no mail server is set");
        return VERB_OK;
    }
    sb_trace_id(NULL, trace_id);
    struct sending sending = {
        .command = command, .arena = arena, .trace_id = trace_id, .began_ms = sb_clock_now_ms()};
    int64_t deadline_us = sb_clock_mono_us() + run_us;
    enum sb_error error = SB_OK;
    sending.claimed = true;
    while (error == SB_OK && sending.claimed && sb_clock_mono_us() < deadline_us) {
        sb_arena_reset(arena);
        error = send_one(&sending);
    }
    int status = outcome(error, "the database");
    printf("%" PRId64 " mails sent, %" PRId64 " failed\n", sending.sent, sending.failed);
    return sending.failed > 0 ? VERB_FAILED : status;
}

/* --- list --- */

static void print_text(const struct sb_outbox_mail *mail)
{
    char created[SB_CLOCK_TEXT_SIZE];
    sb_clock_format(mail->created_at_ms, created);
    printf("%s %s %-6s %2" PRId64 " %s%s%s\n", mail->id, created,
           sb_outbox_state_names[mail->state], mail->attempts, mail->recipient,
           mail->problem == NULL ? "" : ": ", mail->problem == NULL ? "" : mail->problem);
}

static void add_text(struct sb_buf *out, const char *key, const char *text)
{
    sb_json_key(out, key);
    sb_json_string(out, text);
}

static void add_time(struct sb_buf *out, const char *key, int64_t time_ms)
{
    char text[SB_CLOCK_TEXT_SIZE];
    sb_clock_format(time_ms, text);
    add_text(out, key, time_ms == 0 ? NULL : text);
}

static void add_mail(struct sb_buf *out, const struct sb_outbox_mail *mail)
{
    sb_json_open(out, '{');
    add_text(out, "id", mail->id);
    add_text(out, "leadId", mail->lead_id);
    add_text(out, "recipient", mail->recipient);
    add_text(out, "state", sb_outbox_state_names[mail->state]);
    sb_json_key(out, "attempts");
    sb_json_int(out, mail->attempts);
    add_time(out, "createdAt", mail->created_at_ms);
    add_time(out, "dueAt", mail->state == SB_OUTBOX_QUEUED ? mail->due_at_ms : 0);
    add_time(out, "sentAt", mail->sent_at_ms);
    add_text(out, "problem", mail->problem);
    sb_json_close(out, '}');
}

static int list(struct command *command, struct sb_arena *arena, bool as_json)
{
    struct sb_outbox_mail *mails = NULL;
    size_t count = 0;
    struct sb_buf json;
    enum sb_error error = sb_outbox_list(command->reader, arena, &mails, &count);
    if (error != SB_OK)
        return outcome(error, "the database");
    sb_buf_init(&json, arena, ARENA_MAX);
    sb_json_open(&json, '[');
    for (size_t i = 0; i < count; i++) {
        if (as_json)
            add_mail(&json, &mails[i]);
        else
            print_text(&mails[i]);
    }
    sb_json_close(&json, ']');
    if (!sb_buf_ok(&json)) {
        say("out of memory");
        return VERB_FAILED;
    }
    if (as_json)
        puts(json.data);
    return VERB_OK;
}

/* --- retry --- */

struct retrying {
    const char *id;
    int64_t changed;
};

static enum sb_error make_due(struct sb_db_conn *tx, void *context)
{
    struct retrying *retrying = context;
    return sb_outbox_retry(tx, retrying->id, sb_clock_now_ms(), &retrying->changed);
}

static int retry(struct command *command, const char *id)
{
    struct retrying retrying = {.id = id};
    enum sb_error error = sb_db_write(command->db, make_due, &retrying, SB_DB_WRITE_DEADLINE_MS);
    if (error != SB_OK)
        return outcome(error, "the database");
    if (id != NULL && retrying.changed == 0) {
        say("there is no mail %s that is not sent and not being sent", id);
        return VERB_FAILED;
    }
    printf("%" PRId64 " mails are due\n", retrying.changed);
    return VERB_OK;
}

static int outbox(int argc, char **argv)
{
    static const char *const actions[] = {"send", "list", "retry", NULL};
    enum { SEND, LIST, RETRY };
    int action = argc < 2 ? -1 : index_of(argv[1], actions);
    bool as_json = action == LIST && argc == 3 && strcmp(argv[2], "--json") == 0;
    if (action < 0 || (argc > 2 && !as_json && (action != RETRY || argc > 3)))
        return usage_error(&this_verb, "what to do is missing, or not known");
    struct command command;
    unsigned needs = SB_NEEDS_DB | (action == SEND ? SB_NEEDS_MAIL | SB_NEEDS_UPSTREAM : 0);
    if (!command_open(&command, needs))
        return VERB_FAILED;
    struct sb_arena *arena = sb_arena_new(ARENA_MAX);
    int status = VERB_FAILED;
    if (arena == NULL)
        say("out of memory");
    else if (action == SEND)
        status = send_due(&command, arena);
    else
        status = action == LIST ? list(&command, arena, as_json)
                                : retry(&command, argc == 3 ? argv[2] : NULL);
    sb_arena_free(arena);
    command_close(&command);
    return status;
}
