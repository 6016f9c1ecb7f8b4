/* Mail that is to be sent: written in the transaction of what it tells of, sent later by
 * `switchboard outbox send`. */
#ifndef SB_STORE_OUTBOX_H
#define SB_STORE_OUTBOX_H

#include <stdint.h>

#include "base/arena.h"
#include "store/db.h"

enum {
    SB_OUTBOX_ATTEMPTS_MAX = 10,   /* within 17 hours, then the mail has failed */
    SB_OUTBOX_BACKOFF_MS = 120000, /* after the first failed attempt; doubles with each */
    SB_OUTBOX_LEASE_MS = 120000,   /* a sender has that long for one attempt */
    SB_OUTBOX_LIST_MAX = 1000      /* mails in a list */
};

enum sb_outbox_state { SB_OUTBOX_QUEUED, SB_OUTBOX_SENT, SB_OUTBOX_FAILED, SB_OUTBOX_STATE__MAX };
extern const char *const sb_outbox_state_names[SB_OUTBOX_STATE__MAX + 1]; /* NULL at the end */

struct sb_outbox_mail {
    const char *id;        /* made by sb_outbox_add() */
    const char *lead_id;   /* what it tells of, with which it is removed; NULL: nothing */
    const char *recipient; /* an address */
    const char *reply_to;  /* an address; NULL: none */
    const char *subject;   /* one line */
    const char *text;
    int64_t state; /* enum sb_outbox_state */
    int64_t attempts, created_at_ms, due_at_ms;
    int64_t sent_at_ms;  /* 0: it was not */
    const char *problem; /* of the last attempt; NULL: none */
};

/* Inside a closure: queues mail, due now. Of mail only lead_id, recipient, reply_to, subject and
 * text count. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_outbox_add(struct sb_db_conn *tx, const struct sb_outbox_mail *mail, int64_t now_ms);

/* Inside a closure: takes the mail that has been due longest and begins an attempt, which is
 * counted now, so that a sender that dies has used it. Nobody else gets the mail for
 * SB_OUTBOX_LEASE_MS. due_by_ms: one due later is left alone. SB_E_NOT_FOUND: there is
 * none; the closure had better succeed all the same, which keeps what is found to have failed. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_outbox_claim(struct sb_db_conn *tx,
                                                           struct sb_arena *arena,
                                                           int64_t due_by_ms, int64_t now_ms,
                                                           struct sb_outbox_mail *mail);

/* Inside a closure: how the attempt of a claimed mail went. problem NULL: it was sent; else it is
 * due again later, or, after SB_OUTBOX_ATTEMPTS_MAX, has failed. Nothing happens if another attempt
 * has begun since (mail->attempts). */
SB_NONNULL(1, 2)
SB_MUST_CHECK enum sb_error sb_outbox_conclude(struct sb_db_conn *tx,
                                               const struct sb_outbox_mail *mail, int64_t now_ms,
                                               const char *problem);

/* Inside a closure: makes mails that are not sent due now, with all their attempts before them: the
 * one called id, or each that has failed (NULL). *changed counts them. */
SB_NONNULL(1, 4)
SB_MUST_CHECK enum sb_error sb_outbox_retry(struct sb_db_conn *tx, const char *id, int64_t now_ms,
                                            int64_t *changed);

/* SB_OUTBOX_LIST_MAX mails at most, without reply_to and text, in arena: those that are not sent
 * before those that are, each newest first. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_outbox_list(struct sb_db_conn *conn,
                                                          struct sb_arena *arena,
                                                          struct sb_outbox_mail **mails,
                                                          size_t *count);

/* Inside a closure: deletes at most limit mails that are not queued and were made before before_ms;
 * *removed counts them. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_outbox_remove(struct sb_db_conn *tx, int64_t before_ms, int64_t limit, int64_t *removed);

#endif
