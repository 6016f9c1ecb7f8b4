/* What an owner (sb_principal_owner(): a user or a visitor) may spend a day, UTC: turns, seconds of
 * audio, tokens; and what was spent. Reserve before each call to another system what it may cost at
 * most, settle after it what it did cost, nothing if it failed. A reservation that is not settled
 * by its deadline, of a process that died, counts no more. */
#ifndef SB_STORE_BUDGETS_H
#define SB_STORE_BUDGETS_H

#include <stdint.h>

#include "base/config.h"
#include "store/db.h"

#define SB_BUDGET_SITE "site" /* the owner under whom everybody's usage is summed up */

enum sb_budget {
    SB_BUDGET_TURNS,
    SB_BUDGET_SECONDS,
    SB_BUDGET_TOKENS,
    SB_BUDGET_SITE_SECONDS, /* of all owners together */
    SB_BUDGET_SITE_TOKENS,
    SB_BUDGET__MAX
};
/* "turns", "seconds", "tokens", "seconds of the whole site" and so on; NULL at the end. */
extern const char *const sb_budget_names[SB_BUDGET__MAX + 1];

struct sb_reservation {
    const char *id; /* fresh, of sb_id_make() */
    const char *owner;
    struct sb_spend spend; /* what the call may cost at most */
    int64_t seconds_least; /* where not all its seconds are left, so many will do; 0: only all */
    int64_t now_ms;
    int64_t deadline_ms; /* point in time, behind the call's own */
};

/* Days since 1970, UTC, and when the budgets of the day of now_ms are renewed. */
int64_t sb_budget_day(int64_t now_ms);
int64_t sb_budget_renewal_ms(int64_t now_ms);

struct sb_reserved {
    int64_t seconds;         /* SB_OK: those that were set aside */
    enum sb_budget exceeded; /* SB_E_BUDGET_EXCEEDED: the budget that does not suffice */
};

/* Inside a closure: sets aside reservation->spend, if with what was spent today and what is set
 * aside it is within *limit, and with that of all owners within *site_limit (its turns are not
 * looked at); 0: unlimited. SB_E_BUDGET_EXCEEDED: it is not. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_budget_reserve(struct sb_db_conn *tx, const struct sb_reservation *reservation,
                  const struct sb_spend *limit, const struct sb_spend *site_limit,
                  struct sb_reserved *reserved);

/* Inside a closure: gives the reservation back and counts *real as spent on its day, for the owner
 * and for the site; once, also if called again. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_budget_settle(struct sb_db_conn *tx, const char *reservation_id, const struct sb_spend *real);

/* Inside a closure: counts reservation->spend as spent at once, under the same conditions; its id
 * and deadline are not used, and seconds_least is 0. For what costs the same whatever becomes of
 * it. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_budget_pay(struct sb_db_conn *tx,
                                                         const struct sb_reservation *reservation,
                                                         const struct sb_spend *limit,
                                                         const struct sb_spend *site_limit,
                                                         struct sb_reserved *reserved);

/* Inside a closure: takes a payment back. What erasure has removed stays so. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_budget_refund(struct sb_db_conn *tx, const struct sb_reservation *reservation);

/* An owner's day. */
struct sb_usage {
    const char *owner;
    int64_t day;
    struct sb_spend spent, reserved; /* reserved: what is set aside at the time of asking */
};

/* Calls each for every owner that spent or set aside something on day (sb_budget_day()), by owner;
 * each's usage is alive during the call. */
SB_NONNULL(1, 4)
SB_MUST_CHECK enum sb_error
sb_usage_each(struct sb_db_conn *conn, int64_t day, int64_t now_ms,
              enum sb_error (*each)(const struct sb_usage *usage, void *context), void *context);

/* Inside a closure: deletes at most limit days of usage before the day of before_ms. *removed
 * counts them. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_usage_expire(struct sb_db_conn *tx, int64_t before_ms,
                                                           int64_t limit, int64_t *removed);

/* Inside a closure: deletes at most limit reservations that were due a day before now_ms. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_budget_expire(struct sb_db_conn *tx, int64_t now_ms,
                                                            int64_t limit, int64_t *removed);

#endif
