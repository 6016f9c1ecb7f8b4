#include "endpoint/budget.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/call.h"
#include "access/visitor.h"
#include "base/clock.h"
#include "store/budgets.h"

#define ORIGIN "https://www.example.com"

struct input {
    int64_t turns, seconds, tokens, least;
    const char *id;
    bool settle, pay, refund;
};

struct output {
    const char *id;
    int64_t seconds;
};
static const struct sb_field input_fields[] = {SB_INT(struct input, turns, "turns", 0, 1000, 0),
                                               SB_INT(struct input, seconds, "seconds", 0, 1000, 0),
                                               SB_INT(struct input, tokens, "tokens", 0, 9999, 0),
                                               SB_INT(struct input, least, "least", 0, 1000, 0),
                                               SB_ID(struct input, id, "id", 0),
                                               SB_BOOL(struct input, settle, "settle", 0),
                                               SB_BOOL(struct input, pay, "pay", 0),
                                               SB_BOOL(struct input, refund, "refund", 0),
                                               SB_FIELDS_END};

static const struct sb_field output_fields[] = {
    SB_ID(struct output, id, "id", SB_REQUIRED),
    SB_INT(struct output, seconds, "seconds", 0, 1000, SB_REQUIRED), SB_FIELDS_END};

static enum sb_error pay(struct sb_request *request, const struct input *input)
{
    struct sb_budget_payment payment = {.spend = {input->turns, input->seconds, input->tokens}};
    enum sb_error error = sb_request_pay(request, &payment);
    if (error == SB_OK && input->refund)
        sb_request_refund(request, &payment);
    return error;
}

/* Reserves what the query says, and settles for half of it; or pays it. */
static enum sb_error spend(struct sb_request *request, const void *in, void *out)
{
    const struct input *input = in;
    struct sb_budget_hold hold;
    const struct sb_budget_ask ask = {.most = {input->turns, input->seconds, input->tokens},
                                      .seconds_least = input->least,
                                      .timeout_ms = 60000,
                                      .id = input->id};
    const struct sb_spend real = {input->turns / 2, input->seconds / 2, input->tokens / 2};
    *(struct output *)out = (struct output){.id = "none"};
    if (input->pay)
        return pay(request, input);
    enum sb_error error = sb_request_reserve(request, &ask, &hold);
    if (error == SB_OK && input->settle)
        error = sb_request_settle(request, &hold, &real);
    *(struct output *)out = (struct output){sb_arena_strdup(request->arena, hold.id), hold.seconds};
    return error;
}

static const struct sb_endpoint endpoint = {
    .name = "test",
    .routes = (const struct sb_route[]){{.methods = SB_GET,
                                         .path = "",
                                         .handler = spend,
                                         .access = SB_ACCESS_ANYONE,
                                         SB_INPUT(struct input, input_fields),
                                         SB_OUTPUT(struct output, output_fields)},
                                        {.handler = NULL}},
    .needs = SB_NEEDS_DB};

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    setenv("ENABLE_VISITORS", "true", 1);
    setenv("ALLOWED_ORIGINS", ORIGIN, 1);
    setenv("BUDGET_USER_TURNS", "10", 1);
    setenv("BUDGET_USER_SECONDS", "100", 1);
    setenv("BUDGET_USER_TOKENS", "1000", 1);
    setenv("BUDGET_VISITOR_TURNS", "2", 1);
    call_site_open(&site, &endpoint);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(budget, .init = setup, .fini = teardown);

static const struct call_answer *get(const char *token, const char *query)
{
    return call_send(&site,
                     &(struct call){.target = sb_arena_printf(site.memory, "/api/test?%s", query),
                                    .token = token,
                                    .params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN)});
}

static const char *visitor(void)
{
    const struct sb_visitor made = {"v1", ORIGIN, sb_clock_now_ms() / 1000 + 60};
    const char *token = sb_visitor_make(site.memory, site.runtime.config, &made);
    cr_assert_not_null(token);
    return token;
}

Test(budget, what_is_within_it_is_set_aside)
{
    const char *ada = call_token(&site, "ada");
    cr_assert_eq(get(ada, "turns=10&seconds=100&tokens=1000")->status, 200);
    cr_assert_eq(call_count(&site, "SELECT turns * 1000000 + seconds * 10000 + tokens FROM"
                                   " reservations WHERE owner = 'user:ada'"
                                   " AND id LIKE 'budget_%'"),
                 11001000);
}

Test(budget, a_reservation_ends_with_its_time)
{
    int64_t before_ms = sb_clock_now_ms();
    cr_assert_eq(get(call_token(&site, "ada"), "turns=1")->status, 200);
    int64_t deadline_ms = call_count(&site, "SELECT deadline FROM reservations");
    cr_assert(deadline_ms >= before_ms + 60000 && deadline_ms <= sb_clock_now_ms() + 60000);
}

static enum sb_error forbid_settling(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx,
                      "CREATE TRIGGER settling BEFORE DELETE ON reservations BEGIN SELECT "
                      "RAISE(ABORT, 'not now'); END",
                      SB_DB_NO_VALUES, NULL);
}

Test(budget, what_cannot_be_settled_is_logged_and_stays_set_aside)
{
    const char *ada = call_token(&site, "ada");
    call_write(&site, forbid_settling, NULL);
    cr_assert_neq(get(ada, "turns=10&settle=true")->status, 200);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"budget.unsettled\""));
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"turns\":5"));
    cr_assert_eq(get(ada, "turns=1")->status, 429);
}

static enum sb_error drop_reservations(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx, "DROP TABLE reservations", SB_DB_NO_VALUES, NULL);
}

Test(budget, where_the_database_fails_nothing_may_be_spent)
{
    call_write(&site, drop_reservations, NULL);
    cr_assert_eq(get(call_token(&site, "ada"), "turns=1")->status, 503);
}

Test(budget, a_refusal_names_the_budget_and_when_it_is_renewed)
{
    static const struct {
        const char *query, *name;
    } rows[] = {{"turns=11", "turns"}, {"seconds=101", "seconds"}, {"tokens=1001", "tokens"}};
    const char *ada = call_token(&site, "ada");
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        char renewal[SB_CLOCK_TEXT_SIZE];
        int64_t before_ms = sb_clock_now_ms();
        const struct call_answer *answer = get(ada, rows[i].query);
        int64_t renewal_ms = sb_budget_renewal_ms(sb_clock_now_ms());
        sb_clock_format(renewal_ms, renewal);
        cr_assert_eq(answer->status, 429, "%s", answer->body);
        cr_assert_str_eq(call_text(answer, "error.code"), "budget_exceeded");
        cr_assert_str_eq(
            call_text(answer, "error.message"),
            sb_arena_printf(site.memory,
                            "The budget of %s for today is used up; it is renewed at %s.",
                            rows[i].name, renewal));
        int64_t retry_s = strtoll(call_header(answer, "Retry-After"), NULL, 10);
        cr_assert_geq(retry_s, (renewal_ms - sb_clock_now_ms()) / 1000);
        cr_assert_leq(retry_s, (renewal_ms - before_ms) / 1000 + 1);
    }
}

Test(budget, a_settled_call_leaves_what_it_did_not_use)
{
    const char *ada = call_token(&site, "ada");
    cr_assert_eq(get(ada, "turns=10&settle=true")->status, 200);
    cr_assert_eq(get(ada, "turns=6")->status, 429);
    cr_assert_eq(get(ada, "turns=5")->status, 200);
    cr_assert_eq(call_count(&site, "SELECT turns FROM usage WHERE owner = 'user:ada'"), 5);
    cr_assert_not(call_file_has(&site, "log/switchboard.log", "\"budget.unsettled\""));
}

Test(budget, what_is_paid_is_spent_at_once)
{
    const char *ada = call_token(&site, "ada");
    cr_assert_eq(get(ada, "pay=true&turns=10&seconds=7&tokens=9")->status, 200);
    cr_assert_eq(call_count(&site, "SELECT turns * 10000 + seconds * 100 + tokens FROM usage"
                                   " WHERE owner = 'user:ada'"),
                 100709);
    cr_assert_eq(get(ada, "pay=true&turns=1")->status, 429);
}

static enum sb_error forbid_refunds(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_db_exec(tx,
                      "CREATE TRIGGER refunds BEFORE UPDATE ON usage WHEN new.turns < old.turns "
                      "BEGIN SELECT RAISE(ABORT, 'not now'); END",
                      SB_DB_NO_VALUES, NULL);
}

Test(budget, a_refund_gives_back_what_was_paid_or_is_logged)
{
    const char *ada = call_token(&site, "ada");
    cr_assert_eq(get(ada, "pay=true&refund=true&turns=10")->status, 200);
    cr_assert_eq(call_count(&site, "SELECT sum(turns) FROM usage"), 0);
    cr_assert_not(call_file_has(&site, "log/switchboard.log", "\"budget.not_refunded\""));
    call_write(&site, forbid_refunds, NULL);
    cr_assert_eq(get(ada, "pay=true&refund=true&turns=10")->status, 200);
    cr_assert_eq(call_count(&site, "SELECT turns FROM usage WHERE owner = 'user:ada'"), 10);
    cr_assert(call_file_has(&site, "log/switchboard.log", "\"budget.not_refunded\""));
}

Test(budget, a_visitor_has_the_budget_of_visitors)
{
    cr_assert_eq(get(visitor(), "turns=3")->status, 429);
    cr_assert_eq(get(visitor(), "turns=2")->status, 200);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM reservations WHERE owner = 'visitor:v1'"),
                 1);
}

Test(budget, what_is_left_will_do_where_that_is_enough)
{
    const char *ada = call_token(&site, "ada");
    cr_assert_eq(call_number(get(ada, "seconds=70&least=30"), "seconds"), 70);
    cr_assert_eq(call_number(get(ada, "seconds=70&least=30"), "seconds"), 30);
    cr_assert_eq(get(ada, "seconds=70&least=30")->status, 429);
    cr_assert_eq(call_count(&site, "SELECT sum(seconds) FROM reservations"), 100);
}

Test(budget, a_reservation_has_the_id_it_is_given)
{
    const struct call_answer *answer = get(call_token(&site, "ada"), "turns=1&id=rtcall_1");
    cr_assert_str_eq(call_text(answer, "id"), "rtcall_1");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM reservations WHERE id = 'rtcall_1'"), 1);
}

static const struct call_answer *get_from(const char *address, const char *query)
{
    return call_send(&site,
                     &(struct call){.target = sb_arena_printf(site.memory, "/api/test?%s", query),
                                    .params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN, address)});
}

Test(budget, who_has_no_token_shares_the_budget_of_a_visitor_with_its_address)
{
    cr_assert_eq(get_from("REMOTE_ADDR=2001:db8::1", "turns=2")->status, 200);
    cr_assert_eq(get_from("REMOTE_ADDR=2001:db8::2", "turns=1")->status, 429, "the same /64");
    cr_assert_eq(get_from("REMOTE_ADDR=2001:db8:0:1::1", "turns=2")->status, 200);
}

Test(budget, an_address_is_not_stored)
{
    cr_assert_eq(get_from("REMOTE_ADDR=203.0.113.7", "turns=2&settle=true")->status, 200);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM usage WHERE owner GLOB 'address:*'"
                                   " AND length(owner) = 40 AND owner NOT LIKE '%113%'"),
                 1);
}
