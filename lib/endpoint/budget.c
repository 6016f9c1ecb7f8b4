#include "endpoint/budget.h"

#include "base/clock.h"
#include "base/log.h"
#include "endpoint/pipeline.h"
#include "store/budgets.h"

struct reserve {
    struct sb_reservation reservation;
    const struct sb_config *config;
    bool visitor;
    enum sb_budget exceeded;
};

static enum sb_error reserve(struct sb_db_conn *tx, void *context)
{
    struct reserve *work = context;
    const struct sb_config *config = work->config;
    return sb_budget_reserve(tx, &work->reservation,
                             work->visitor ? &config->budget_visitor : &config->budget_user,
                             config->budget_site_tokens, &work->exceeded);
}

/* RFC 9110 section 10.2.3 */
static void refuse(struct sb_request *request, enum sb_budget exceeded, int64_t now_ms)
{
    char renewal[SB_CLOCK_TEXT_SIZE];
    int64_t renewal_ms = sb_budget_renewal_ms(now_ms);
    sb_clock_format(renewal_ms, renewal);
    const char *message = sb_arena_printf(
        request->arena, "The budget of %s for today is used up; it is renewed at %s.",
        sb_budget_names[exceeded], renewal);
    if (message != NULL)
        sb_request_explain(request, message);
    sb_response_header_format(&request->pipeline->response, "Retry-After", "%lld",
                              (long long)((renewal_ms - now_ms + 999) / 1000));
}

enum sb_error sb_request_reserve(struct sb_request *request, const struct sb_spend *spend,
                                 int64_t timeout_ms, struct sb_budget_hold *hold)
{
    int64_t now_ms = sb_clock_now_ms(); /* a long request may reserve more than once */
    sb_id_make("budget", now_ms, hold->id);
    struct reserve work = {
        .reservation = {.id = hold->id,
                        .owner = sb_principal_owner(request->arena, &request->principal),
                        .spend = *spend,
                        .now_ms = now_ms,
                        .deadline_ms = now_ms + timeout_ms},
        .config = request->config,
        .visitor = request->principal.kind == SB_PRINCIPAL_VISITOR,
    };
    if (work.reservation.owner == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error =
        sb_db_write(sb_request_db(request), reserve, &work, SB_DB_WRITE_DEADLINE_MS);
    if (error == SB_E_BUDGET_EXCEEDED)
        refuse(request, work.exceeded, now_ms);
    return error;
}

struct settle {
    const char *id;
    const struct sb_spend *real;
};

static enum sb_error settle(struct sb_db_conn *tx, void *context)
{
    const struct settle *work = context;
    return sb_budget_settle(tx, work->id, work->real);
}

enum sb_error sb_request_settle(struct sb_request *request, const struct sb_budget_hold *hold,
                                const struct sb_spend *real)
{
    struct settle work = {hold->id, real};
    enum sb_error error =
        sb_db_write(sb_request_db(request), settle, &work, SB_DB_WRITE_DEADLINE_MS);
    if (error != SB_OK)
        SB_LOG(SB_LOG_ERROR, "budget.unsettled", request->trace_id,
               SB_LOG_TEXT("reservation", hold->id), SB_LOG_INT("turns", real->turns),
               SB_LOG_INT("seconds", real->seconds), SB_LOG_INT("tokens", real->tokens));
    return error;
}
