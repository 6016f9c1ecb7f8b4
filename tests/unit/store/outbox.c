#include "store/outbox.h"

#include <criterion/criterion.h>

#include "../support/store.h"

enum { NOW_MS = 1000000000 };

static struct store store;
static struct sb_outbox_mail mail;

static void set_up(void)
{
    store_open(&store);
}

static void tear_down(void)
{
    store_close(&store);
}

TestSuite(outbox, .init = set_up, .fini = tear_down);

struct act {
    const char *id, *problem;
    int64_t now_ms, due_by_ms, limit, changed;
    enum sb_error error;
};

static enum sb_error add_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_outbox_add(tx,
                         &(struct sb_outbox_mail){.recipient = "sales@example.com",
                                                  .reply_to = "ann@example.com",
                                                  .subject = "Lead",
                                                  .text = act->id},
                         act->now_ms);
}

static enum sb_error claim_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_outbox_claim(tx, store.arena, act->due_by_ms, act->now_ms, &mail);
}

static enum sb_error conclude_in(struct sb_db_conn *tx, void *context)
{
    const struct act *act = context;
    return sb_outbox_conclude(tx, &mail, act->now_ms, act->problem);
}

static enum sb_error retry_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_outbox_retry(tx, act->id, act->now_ms, &act->changed);
}

static enum sb_error remove_in(struct sb_db_conn *tx, void *context)
{
    struct act *act = context;
    return sb_outbox_remove(tx, act->now_ms, act->limit, &act->changed);
}

static void add(const char *text, int64_t now_ms)
{
    store_write(&store, add_in, &(struct act){.id = text, .now_ms = now_ms});
}

/* The text of the mail that is claimed; NULL: none is due. */
static const char *claim(int64_t now_ms)
{
    struct act act = {.now_ms = now_ms, .due_by_ms = now_ms};
    enum sb_error error = sb_db_write(store.db, claim_in, &act, SB_DB_WRITE_DEADLINE_MS);
    cr_assert(error == SB_OK || error == SB_E_NOT_FOUND);
    return error == SB_OK ? mail.text : NULL;
}

static void conclude(int64_t now_ms, const char *problem)
{
    store_write(&store, conclude_in, &(struct act){.now_ms = now_ms, .problem = problem});
}

static int64_t retry(const char *id, int64_t now_ms)
{
    struct act act = {.id = id, .now_ms = now_ms};
    store_write(&store, retry_in, &act);
    return act.changed;
}

static int64_t number(const char *sql)
{
    return store_number(&store, sql);
}

Test(outbox, a_mail_is_due_at_once_and_claimed_by_one)
{
    add("a", NOW_MS);
    cr_assert_null(claim(NOW_MS - 1));
    cr_assert_str_eq(claim(NOW_MS), "a");
    cr_assert_str_eq(mail.recipient, "sales@example.com");
    cr_assert_str_eq(mail.reply_to, "ann@example.com");
    cr_assert_str_eq(mail.subject, "Lead");
    cr_assert_null(mail.lead_id);
    cr_assert_eq(mail.attempts, 1);
    cr_assert_eq(mail.created_at_ms, NOW_MS);
    cr_assert_null(claim(NOW_MS));
}

Test(outbox, the_one_due_longest_goes_first)
{
    add("b", NOW_MS + 1);
    add("a", NOW_MS);
    cr_assert_str_eq(claim(NOW_MS + 2), "a");
    cr_assert_str_eq(claim(NOW_MS + 2), "b");
}

Test(outbox, what_was_sent_is_not_claimed_again)
{
    add("a", NOW_MS);
    claim(NOW_MS);
    conclude(NOW_MS + 5, NULL);
    cr_assert_null(claim(NOW_MS + 1000000000000));
    cr_assert_eq(number("SELECT sent_at FROM outbox WHERE state = 'sent' AND problem IS NULL"),
                 NOW_MS + 5);
    cr_assert_eq(retry(NULL, NOW_MS), 0);
    cr_assert_eq(retry(mail.id, NOW_MS), 0);
}

Test(outbox, a_sender_that_died_has_used_its_attempt_and_its_lease_ends)
{
    add("a", NOW_MS);
    claim(NOW_MS);
    cr_assert_null(claim(NOW_MS + SB_OUTBOX_LEASE_MS - 1));
    cr_assert_str_eq(claim(NOW_MS + SB_OUTBOX_LEASE_MS), "a");
    cr_assert_eq(mail.attempts, 2);
}

Test(outbox, a_late_conclusion_of_an_older_attempt_is_void)
{
    add("a", NOW_MS);
    claim(NOW_MS);
    struct sb_outbox_mail first = mail;
    claim(NOW_MS + SB_OUTBOX_LEASE_MS);
    mail = first;
    conclude(NOW_MS + SB_OUTBOX_LEASE_MS, "late");
    cr_assert_eq(number("SELECT count(*) FROM outbox WHERE problem IS NULL AND leased_until > 0"),
                 1);
}

Test(outbox, waits_twice_as_long_after_each_failure_and_fails_after_the_last)
{
    int64_t now_ms = NOW_MS, wait_ms = SB_OUTBOX_BACKOFF_MS;
    add("a", now_ms);
    for (int attempt = 1; attempt < SB_OUTBOX_ATTEMPTS_MAX; attempt++) {
        cr_assert_str_eq(claim(now_ms), "a", "attempt %d", attempt);
        conclude(now_ms, "down");
        cr_assert_null(claim(now_ms + wait_ms - 1), "attempt %d", attempt);
        now_ms += wait_ms;
        wait_ms *= 2;
    }
    cr_assert_leq(now_ms - NOW_MS, 24 * 3600 * 1000);
    cr_assert_eq(number("SELECT count(*) FROM outbox WHERE state = 'queued'"), 1);
    cr_assert_str_eq(claim(now_ms), "a");
    conclude(now_ms, "down for good");
    cr_assert_eq(number("SELECT count(*) FROM outbox WHERE state = 'failed' AND attempts = 10 AND "
                        "problem = 'down for good'"),
                 1);
    cr_assert_null(claim(now_ms + 1000000000000));
}

Test(outbox, a_sender_that_dies_in_the_last_attempt_leaves_a_failed_mail)
{
    add("a", NOW_MS);
    store_sql(&store, "UPDATE outbox SET attempts = 9");
    claim(NOW_MS);
    cr_assert_null(claim(NOW_MS + SB_OUTBOX_LEASE_MS - 1));
    cr_assert_eq(number("SELECT count(*) FROM outbox WHERE state = 'queued'"), 1);
    struct act act = {.now_ms = NOW_MS + SB_OUTBOX_LEASE_MS, .due_by_ms = NOW_MS};
    add("b", NOW_MS); /* a claim that succeeds: one that does not is undone */
    store_write(&store, claim_in, &act);
    cr_assert_str_eq(mail.text, "b");
    cr_assert_eq(number("SELECT count(*) FROM outbox WHERE state = 'failed'"), 1);
}

Test(outbox, what_failed_can_be_tried_again_from_the_beginning)
{
    add("a", NOW_MS);
    add("b", NOW_MS);
    store_sql(&store, "UPDATE outbox SET state = 'failed', attempts = 10 WHERE text = 'a'");
    cr_assert_eq(retry(NULL, NOW_MS + 7), 1);
    cr_assert_eq(number("SELECT count(*) FROM outbox WHERE state = 'queued' AND attempts = 0 AND "
                        "text = 'a' AND due_at = 1000000007"),
                 1);
    cr_assert_eq(retry("none", NOW_MS), 0);
}

Test(outbox, one_that_waits_can_be_made_due_but_not_one_being_sent)
{
    add("a", NOW_MS);
    claim(NOW_MS);
    cr_assert_eq(retry(mail.id, NOW_MS + 1), 0);
    conclude(NOW_MS, "down");
    cr_assert_eq(retry(mail.id, NOW_MS + 1), 1);
    cr_assert_str_eq(claim(NOW_MS + 1), "a");
}

Test(outbox, is_listed_with_how_it_went)
{
    struct sb_outbox_mail *mails;
    size_t count;
    add("a", NOW_MS);
    claim(NOW_MS);
    conclude(NOW_MS, "down");
    cr_assert_eq(sb_outbox_list(store.reader, store.arena, &mails, &count), SB_OK);
    cr_assert_eq(count, 1);
    cr_assert_str_eq(mails[0].id, mail.id);
    cr_assert_eq(mails[0].state, SB_OUTBOX_QUEUED);
    cr_assert_eq(mails[0].attempts, 1);
    cr_assert_eq(mails[0].due_at_ms, NOW_MS + SB_OUTBOX_BACKOFF_MS);
    cr_assert_eq(mails[0].sent_at_ms, 0);
    cr_assert_str_eq(mails[0].problem, "down");
}

Test(outbox, what_was_sent_hides_nothing_that_was_not)
{
    struct sb_outbox_mail *mails;
    size_t count;
    add("failed", NOW_MS);
    add("queued", NOW_MS + 1);
    store_sql(&store,
              "UPDATE outbox SET state = 'failed' WHERE text = 'failed';"
              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
              " INSERT INTO outbox (id, recipient, subject, text, state, created_at, due_at,"
              " sent_at) SELECT 'x' || i, 's', 's', 't', 'sent', 1, 1, 1 FROM n");
    cr_assert_eq(sb_outbox_list(store.reader, store.arena, &mails, &count), SB_OK);
    cr_assert_eq(count, SB_OUTBOX_LIST_MAX);
    cr_assert_eq(mails[0].state, SB_OUTBOX_QUEUED);
    cr_assert_eq(mails[1].state, SB_OUTBOX_FAILED);
    cr_assert_eq(mails[2].state, SB_OUTBOX_SENT);
}

Test(outbox, old_mail_goes_unless_it_is_queued)
{
    add("a", NOW_MS);
    add("b", NOW_MS);
    add("c", NOW_MS + 1);
    store_sql(&store, "UPDATE outbox SET state = 'failed' WHERE text <> 'b'");
    struct act act = {.now_ms = NOW_MS + 1, .limit = 10};
    store_write(&store, remove_in, &act);
    cr_assert_eq(act.changed, 1);
    cr_assert_eq(number("SELECT count(*) FROM outbox WHERE text IN ('b', 'c')"), 2);
}
