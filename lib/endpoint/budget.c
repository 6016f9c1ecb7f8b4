#include "endpoint/budget.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "endpoint/pipeline.h"
#include "store/budgets.h"

typedef enum sb_error budget_fn(struct sb_db_conn *tx, const struct sb_reservation *reservation,
                                const struct sb_spend *limit, const struct sb_spend *site_limit,
                                struct sb_reserved *reserved);

struct taking {
    budget_fn *take; /* sb_budget_reserve, sb_budget_pay */
    struct sb_reservation reservation;
    struct sb_request *request;
    struct sb_reserved reserved;
};

static enum sb_error take(struct sb_db_conn *tx, void *context)
{
    struct taking *taking = context;
    const struct sb_config *config = taking->request->config;
    bool user = taking->request->principal.kind == SB_PRINCIPAL_USER;
    return taking->take(tx, &taking->reservation,
                        user ? &config->budget_user : &config->budget_visitor, &config->budget_site,
                        &taking->reserved);
}

/* Who has no token is its address. What is stored is a keyed hash of it, another one each day, for
 * usage is kept long. NULL: out of memory. */
static const char *owner_of(struct sb_request *request, int64_t now_ms)
{
    enum { HEX_LENGTH = 32 };
    const char *key = request->config->jwt_secret;
    unsigned char mac[SB_SHA256_SIZE];
    char address[46], hex[SB_SHA256_HEX_SIZE];
    if (request->principal.kind != SB_PRINCIPAL_ANONYMOUS)
        return sb_principal_owner(request->arena, &request->principal);
    struct sb_address subscriber = sb_address_subscriber(&request->pipeline->address);
    sb_address_format(&subscriber, address);
    const char *text = sb_arena_printf(request->arena, "budget of an address:%lld:%s",
                                       (long long)sb_budget_day(now_ms), address);
    if (key == NULL || text == NULL || !sb_hmac_sha256(key, strlen(key), text, strlen(text), mac))
        return NULL;
    sb_hex(mac, sizeof mac, hex);
    return sb_arena_printf(request->arena, "address:%.*s", HEX_LENGTH, hex);
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

static enum sb_error take_now(struct taking *taking)
{
    struct sb_request *request = taking->request;
    if (taking->reservation.owner == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error =
        sb_db_write(sb_request_db(request), take, taking, SB_DB_WRITE_DEADLINE_MS);
    if (error == SB_E_BUDGET_EXCEEDED)
        refuse(request, taking->reserved.exceeded, taking->reservation.now_ms);
    return error;
}

enum sb_error sb_request_reserve(struct sb_request *request, const struct sb_budget_ask *ask,
                                 struct sb_budget_hold *hold)
{
    int64_t now_ms = sb_clock_now_ms(); /* a long request may reserve more than once */
    if (ask->id != NULL)
        snprintf(hold->id, sizeof hold->id, "%s", ask->id);
    else
        sb_id_make("budget", now_ms, hold->id);
    struct taking taking = {.take = sb_budget_reserve,
                            .reservation = {.id = hold->id,
                                            .owner = owner_of(request, now_ms),
                                            .spend = ask->most,
                                            .seconds_least = ask->seconds_least,
                                            .now_ms = now_ms,
                                            .deadline_ms = now_ms + ask->timeout_ms},
                            .request = request};
    enum sb_error error = take_now(&taking);
    hold->seconds = taking.reserved.seconds;
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

enum sb_error sb_request_pay(struct sb_request *request, struct sb_budget_payment *payment)
{
    payment->now_ms = sb_clock_now_ms();
    payment->owner = owner_of(request, payment->now_ms);
    struct taking taking = {.take = sb_budget_pay,
                            .reservation = {.owner = payment->owner,
                                            .spend = payment->spend,
                                            .now_ms = payment->now_ms},
                            .request = request};
    return take_now(&taking);
}

static enum sb_error refund(struct sb_db_conn *tx, void *context)
{
    return sb_budget_refund(tx, context);
}

void sb_request_refund(struct sb_request *request, const struct sb_budget_payment *payment)
{
    struct sb_reservation taken = {
        .owner = payment->owner, .spend = payment->spend, .now_ms = payment->now_ms};
    if (sb_db_write(sb_request_db(request), refund, &taken, SB_DB_WRITE_DEADLINE_MS) != SB_OK)
        SB_LOG(SB_LOG_ERROR, "budget.not_refunded", request->trace_id,
               SB_LOG_INT("turns", payment->spend.turns),
               SB_LOG_INT("seconds", payment->spend.seconds),
               SB_LOG_INT("tokens", payment->spend.tokens));
}
