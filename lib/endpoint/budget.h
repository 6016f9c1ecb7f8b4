/* The budgets of who is calling (store/budgets.h), around a call to another system:
 *
 *     struct sb_budget_hold hold;
 *     error = sb_request_reserve(request, &(struct sb_spend){.turns = 1, .tokens = 2000},
 *                                timeout_ms, &hold);
 *     if (error != SB_OK)
 *         return error;
 *     ... the call ...
 *     error = sb_request_settle(request, &hold, &real);   // all zero where the call failed
 */
#ifndef SB_ENDPOINT_BUDGET_H
#define SB_ENDPOINT_BUDGET_H

#include "base/ids.h"
#include "endpoint/endpoint.h"

struct sb_budget_hold {
    char id[SB_ID_SIZE];
};

/* Sets spend aside in the caller's budget of today; a user's budgets are BUDGET_USER_*, a visitor's
 * BUDGET_VISITOR_*. It must be settled within timeout_ms (at most a day) or counts no more. Needs
 * SB_NEEDS_DB and a principal. SB_E_BUDGET_EXCEEDED, to be returned: the answer names the budget
 * and when it is renewed, with Retry-After. SB_E_UNAVAILABLE: the database failed: do not spend. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_request_reserve(struct sb_request *request,
                                                              const struct sb_spend *spend,
                                                              int64_t timeout_ms,
                                                              struct sb_budget_hold *hold);

/* Gives what was set aside back and counts *real. A failure is logged; the answer need not fail for
 * it, because what was set aside then counts until its deadline. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_request_settle(struct sb_request *request,
                                                             const struct sb_budget_hold *hold,
                                                             const struct sb_spend *real);

#endif
