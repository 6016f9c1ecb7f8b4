/* The budgets of who is calling (store/budgets.h), around a call to another system:
 *
 *     struct sb_budget_hold hold;
 *     const struct sb_budget_ask ask = {.most = {.turns = 1, .tokens = 2000}, .timeout_ms = 5000};
 *     error = sb_request_reserve(request, &ask, &hold);
 *     if (error != SB_OK)
 *         return error;
 *     ... the call ...
 *     error = sb_request_settle(request, &hold, &real);   // all zero where the call failed
 *
 * or, where a call costs the same whatever becomes of it, sb_request_pay() before it and
 * sb_request_refund() if it failed: one transaction where nothing goes wrong.
 */
#ifndef SB_ENDPOINT_BUDGET_H
#define SB_ENDPOINT_BUDGET_H

#include "base/ids.h"
#include "endpoint/endpoint.h"

struct sb_budget_ask {
    struct sb_spend most;  /* what the call may cost at most */
    int64_t seconds_least; /* where not all its seconds are left, so many will do; 0: only all */
    int64_t timeout_ms;    /* it must be settled in this time, at most a day, or counts no more */
    const char *id;        /* of sb_id_make(), under which the store settles it; NULL: any */
};

struct sb_budget_hold {
    char id[SB_ID_SIZE];
    int64_t seconds; /* those that were set aside */
};

/* Sets what is asked aside in the caller's budget of today; a user's budgets are BUDGET_USER_*, a
 * visitor's BUDGET_VISITOR_*, and so is that of the address of who has no token. Needs
 * SB_NEEDS_DB and SB_NEEDS_TICKETS. SB_E_BUDGET_EXCEEDED, to be returned: the answer names the
 * budget and when it is renewed, with Retry-After. SB_E_UNAVAILABLE: the database failed: do not
 * spend. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_request_reserve(struct sb_request *request,
                                                              const struct sb_budget_ask *ask,
                                                              struct sb_budget_hold *hold);

/* Gives what was set aside back and counts *real. A failure is logged; the answer need not fail for
 * it, because what was set aside then counts until its deadline. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_request_settle(struct sb_request *request,
                                                             const struct sb_budget_hold *hold,
                                                             const struct sb_spend *real);

struct sb_budget_payment {
    struct sb_spend spend; /* the caller's; the rest is set by sb_request_pay() */
    const char *owner;
    int64_t now_ms;
};

/* Counts payment->spend as spent, in the same budget and with the same errors as
 * sb_request_reserve(). */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_request_pay(struct sb_request *request,
                                                          struct sb_budget_payment *payment);

/* Takes a payment back. A failure is logged: then it stays spent. */
SB_NONNULL_ALL void sb_request_refund(struct sb_request *request,
                                      const struct sb_budget_payment *payment);

#endif
