#include "store/outbox.h"

#include "base/ids.h"
#include "store/row.h"

const char *const sb_outbox_state_names[] = {
    [SB_OUTBOX_QUEUED] = "queued", [SB_OUTBOX_SENT] = "sent", [SB_OUTBOX_FAILED] = "failed", NULL};

enum sb_error sb_outbox_add(struct sb_db_conn *tx, const struct sb_outbox_mail *mail,
                            int64_t now_ms)
{
    char id[SB_ID_SIZE];
    sb_id_make("mail", now_ms, id);
    return sb_db_exec(
        tx,
        "INSERT INTO outbox"
        " (id, lead_id, recipient, reply_to, subject, text, state, created_at, due_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $7)",
        SB_DB_VALUES(SB_DB_TEXT(id), SB_DB_TEXT(mail->lead_id), SB_DB_TEXT(mail->recipient),
                     SB_DB_TEXT(mail->reply_to), SB_DB_TEXT(mail->subject), SB_DB_TEXT(mail->text),
                     SB_DB_INT(now_ms)),
        NULL);
}

struct claimed {
    struct sb_arena *arena;
    struct sb_outbox_mail mail;
};

static enum sb_error take_claimed(const struct sb_db_row *row, void *context)
{
    struct claimed *claimed = context;
    struct sb_outbox_mail *mail = &claimed->mail;
    mail->attempts = sb_db_row_int(row, 6);
    mail->created_at_ms = sb_db_row_int(row, 7);
    return sb_row_dup(row, 0, claimed->arena, &mail->id) &&
                   sb_row_dup(row, 1, claimed->arena, &mail->lead_id) &&
                   sb_row_dup(row, 2, claimed->arena, &mail->recipient) &&
                   sb_row_dup(row, 3, claimed->arena, &mail->reply_to) &&
                   sb_row_dup(row, 4, claimed->arena, &mail->subject) &&
                   sb_row_dup(row, 5, claimed->arena, &mail->text)
               ? SB_OK
               : SB_E_UNAVAILABLE;
}

enum sb_error sb_outbox_claim(struct sb_db_conn *tx, struct sb_arena *arena, int64_t due_by_ms,
                              int64_t now_ms, struct sb_outbox_mail *mail)
{
    struct claimed claimed = {.arena = arena};
    /* An attempt whose sender died is over with its lease; was it the last, the mail has failed. */
    enum sb_error error =
        sb_db_exec(tx,
                   "UPDATE outbox SET state = 'failed', problem = 'the sender was stopped'"
                   " WHERE state = 'queued' AND attempts >= $1 AND leased_until <= $2",
                   SB_DB_VALUES(SB_DB_INT(SB_OUTBOX_ATTEMPTS_MAX), SB_DB_INT(now_ms)), NULL);
    if (error == SB_OK)
        error = sb_db_query(
            tx,
            "UPDATE outbox SET attempts = attempts + 1, leased_until = $3"
            " WHERE id = (SELECT id FROM outbox WHERE state = 'queued' AND due_at <= $1"
            " AND leased_until <= $2 ORDER BY due_at, id LIMIT 1)"
            " RETURNING id, lead_id, recipient, reply_to, subject, text, attempts, created_at",
            SB_DB_VALUES(SB_DB_INT(due_by_ms), SB_DB_INT(now_ms),
                         SB_DB_INT(now_ms + SB_OUTBOX_LEASE_MS)),
            take_claimed, &claimed);
    if (error != SB_OK)
        return error;
    if (claimed.mail.id == NULL)
        return SB_E_NOT_FOUND;
    *mail = claimed.mail;
    return SB_OK;
}

enum sb_error sb_outbox_conclude(struct sb_db_conn *tx, const struct sb_outbox_mail *mail,
                                 int64_t now_ms, const char *problem)
{
    bool last = mail->attempts >= SB_OUTBOX_ATTEMPTS_MAX;
    enum sb_outbox_state state = problem == NULL ? SB_OUTBOX_SENT
                                 : last          ? SB_OUTBOX_FAILED
                                                 : SB_OUTBOX_QUEUED;
    int64_t backoff_ms = last ? 0 : (int64_t)SB_OUTBOX_BACKOFF_MS << (mail->attempts - 1);
    return sb_db_exec(tx,
                      "UPDATE outbox SET state = $3, due_at = $4, problem = $5, leased_until = 0,"
                      " sent_at = CASE WHEN $3 = 'sent' THEN $6 END"
                      " WHERE id = $1 AND attempts = $2 AND state = 'queued'",
                      SB_DB_VALUES(SB_DB_TEXT(mail->id), SB_DB_INT(mail->attempts),
                                   SB_DB_TEXT(sb_outbox_state_names[state]),
                                   SB_DB_INT(now_ms + backoff_ms), SB_DB_TEXT(problem),
                                   SB_DB_INT(now_ms)),
                      NULL);
}

enum sb_error sb_outbox_retry(struct sb_db_conn *tx, const char *id, int64_t now_ms,
                              int64_t *changed)
{
    return sb_db_exec(tx,
                      "UPDATE outbox SET state = 'queued', attempts = 0, due_at = $2"
                      " WHERE leased_until <= $2 AND"
                      " CASE WHEN $1 IS NULL THEN state = 'failed'"
                      " ELSE id = $1 AND state <> 'sent' END",
                      SB_DB_VALUES(SB_DB_TEXT(id), SB_DB_INT(now_ms)), changed);
}

struct listed {
    struct sb_arena *arena;
    struct sb_outbox_mail *mails;
    size_t count;
};

static enum sb_error take_listed(const struct sb_db_row *row, void *context)
{
    struct listed *listed = context;
    struct sb_outbox_mail *mail = &listed->mails[listed->count++];
    int state = sb_row_name(row, 4, sb_outbox_state_names);
    mail->state = state;
    mail->attempts = sb_db_row_int(row, 5);
    mail->created_at_ms = sb_db_row_int(row, 6);
    mail->due_at_ms = sb_db_row_int(row, 7);
    mail->sent_at_ms = sb_db_row_int(row, 8);
    if (state < 0)
        return SB_E_INTERNAL;
    return sb_row_dup(row, 0, listed->arena, &mail->id) &&
                   sb_row_dup(row, 1, listed->arena, &mail->lead_id) &&
                   sb_row_dup(row, 2, listed->arena, &mail->recipient) &&
                   sb_row_dup(row, 3, listed->arena, &mail->subject) &&
                   sb_row_dup(row, 9, listed->arena, &mail->problem)
               ? SB_OK
               : SB_E_UNAVAILABLE;
}

enum sb_error sb_outbox_list(struct sb_db_conn *conn, struct sb_arena *arena,
                             struct sb_outbox_mail **mails, size_t *count)
{
    struct listed listed = {.arena = arena};
    listed.mails = sb_arena_alloc(arena, SB_OUTBOX_LIST_MAX * sizeof *listed.mails);
    if (listed.mails == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error =
        sb_db_query(conn,
                    "SELECT id, lead_id, recipient, subject, state, attempts, created_at, due_at,"
                    " sent_at, problem FROM outbox ORDER BY state = 'sent', id DESC LIMIT $1",
                    SB_DB_VALUES(SB_DB_INT(SB_OUTBOX_LIST_MAX)), take_listed, &listed);
    if (error != SB_OK)
        return error;
    *mails = listed.mails;
    *count = listed.count;
    return SB_OK;
}

enum sb_error sb_outbox_remove(struct sb_db_conn *tx, int64_t before_ms, int64_t limit,
                               int64_t *removed)
{
    return sb_db_exec(tx,
                      "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox"
                      " WHERE state <> 'queued' AND created_at < $1 ORDER BY id LIMIT $2)",
                      SB_DB_VALUES(SB_DB_INT(before_ms), SB_DB_INT(limit)), removed);
}
