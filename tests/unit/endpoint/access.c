#include "endpoint/access.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "../support/call.h"
#include "access/ticket.h"
#include "access/visitor.h"
#include "base/clock.h"
#include "store/users.h"

#define ORIGIN "https://www.example.com"
#define DAY 86400

struct input {
    const char *name;
};

struct output {
    int64_t calls;
};

static const struct sb_field input_fields[] = {SB_STRING(struct input, name, "name", 0, 20, 0),
                                               SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_INT(struct output, calls, "calls", 0, 99, SB_REQUIRED), SB_FIELDS_END};

static struct {
    int calls;
    enum sb_principal_kind kind;
    char user_id[64], origin[64];
} seen;

static enum sb_error look(struct sb_request *request, const void *in, void *out)
{
    (void)in, (void)out;
    seen.calls++;
    seen.kind = request->principal.kind;
    snprintf(seen.user_id, sizeof seen.user_id, "%s", request->principal.user_id);
    snprintf(seen.origin, sizeof seen.origin, "%s", request->origin == NULL ? "" : request->origin);
    return SB_OK;
}

static enum sb_error nothing(struct sb_db_conn *tx, void *context)
{
    (void)tx, (void)context;
    return SB_OK;
}

static enum sb_error act(struct sb_request *request, const void *in, void *out)
{
    (void)in;
    ((struct output *)out)->calls = ++seen.calls;
    return sb_request_write(request, nothing, request);
}

static const struct sb_route routes[] = {
    {.methods = SB_GET,
     .path = "/anyone",
     .access = SB_ACCESS_ANYONE,
     .handler = look,
     .limit = {"test-anyone", 4, DAY}},
    {.methods = SB_GET, .path = "/user", .access = SB_ACCESS_USER, .handler = look},
    {.methods = SB_GET, .path = "/participant", .access = SB_ACCESS_PARTICIPANT, .handler = look},
    {.methods = SB_GET, .path = "/visitor", .access = SB_ACCESS_VISITOR, .handler = look},
    {.methods = SB_GET, .path = "/staff", .access = SB_ACCESS_STAFF, .handler = look},
    {.methods = SB_GET, .path = "/service", .access = SB_ACCESS_SERVICE, .handler = look},
    {.methods = SB_GET,
     .path = "/limited",
     .access = SB_ACCESS_VISITOR,
     .handler = look,
     .limit = {"test-limited", 2, DAY}},
    {.methods = SB_POST,
     .path = "/once",
     .access = SB_ACCESS_VISITOR,
     .handler = act,
     .body = SB_BODY_JSON,
     SB_INPUT(struct input, input_fields),
     SB_OUTPUT(struct output, output_fields),
     .idempotent = true},
    {.handler = NULL}};

static const struct sb_endpoint endpoint = {.name = "test", .routes = routes, .needs = SB_NEEDS_DB};

static struct call_site site;

static void setup(void)
{
    call_site_prepare(&site);
    setenv("ENABLE_VISITORS", "true", 1);
    setenv("ALLOWED_ORIGINS", ORIGIN ",https://other.example", 1);
    call_site_open(&site, &endpoint);
    seen.calls = 0;
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(access, .init = setup, .fini = teardown);

#define SEND(...) call_send(&site, &(struct call){__VA_ARGS__})

static const char *visitor(const char *id)
{
    const struct sb_visitor made = {id, ORIGIN, sb_clock_now_ms() / 1000 + 60};
    const char *token = sb_visitor_make(site.memory, site.runtime.config, &made);
    cr_assert_not_null(token);
    return token;
}

static const char *ticket(void)
{
    const struct sb_ticket made = {"alice", "call_1", "part_1", false,
                                   sb_clock_now_ms() / 1000 + 60};
    call_member(&site, "t1", "alice", SB_MEMBER);
    const char *token = sb_ticket_make(site.memory, site.runtime.config, &made);
    cr_assert_not_null(token);
    return token;
}

static const struct call_answer *get(const char *target, const char *token)
{
    return SEND(.target = target, .token = token, .params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN));
}

static void expect_error(const struct call_answer *answer, int status, const char *code)
{
    cr_assert_eq(answer->status, status, "%d %s", answer->status, answer->body);
    cr_assert_str_eq(call_text(answer, "error.code"), code, "%s", answer->body);
}

Test(access, every_kind_has_a_rule_and_one_of_them_takes_the_anonymous)
{
    for (int access = SB_ACCESS__UNSET + 1; access < SB_ACCESS__MAX; access++) {
        const struct sb_access_rule *rule = sb_access_rule((enum sb_access)access);
        cr_assert_not_null(rule->security, "%d", access);
        cr_assert_eq((rule->principals & 1u << SB_PRINCIPAL_ANONYMOUS) != 0,
                     access == SB_ACCESS_ANYONE, "%d", access);
        cr_assert_eq(rule->roles != 0, rule->refusal != NULL, "%d", access);
    }
}

Test(access, openapi_names_the_schemes_and_roles)
{
    static const struct {
        enum sb_access access;
        const char *security;
    } rows[] = {{SB_ACCESS_ANYONE, "[{},{\"bearer\":[]},{\"visitor\":[]}]"},
                {SB_ACCESS_VISITOR, "[{\"bearer\":[]},{\"visitor\":[]}]"},
                {SB_ACCESS_STAFF, "[{\"bearer\":[\"staff\"]}]"},
                {SB_ACCESS_SERVICE, "[{\"bearer\":[\"service\"]}]"}};
    for (size_t i = 0; i < SB_COUNT(rows); i++)
        cr_assert_str_eq(sb_access_rule(rows[i].access)->security, rows[i].security);
}

Test(access, each_route_takes_its_own_kinds_of_token_alone)
{
    static const struct {
        const char *target;
        int nobody, user, staff, service, ticket, visitor;
    } rows[] = {
        {"/api/test/anyone", 200, 200, 200, 200, 401, 200},
        {"/api/test/user", 401, 200, 200, 200, 401, 401},
        {"/api/test/participant", 401, 200, 200, 200, 200, 401},
        {"/api/test/visitor", 401, 200, 200, 200, 401, 200},
        {"/api/test/staff", 401, 403, 200, 403, 401, 401},
        {"/api/test/service", 401, 403, 403, 200, 401, 401},
    };
    const char *tickets = ticket(), *guest = visitor("visitor_1");
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        const char *target = rows[i].target;
        cr_assert_eq(get(target, NULL)->status, rows[i].nobody, "%s", target);
        cr_assert_eq(get(target, call_token(&site, "ann"))->status, rows[i].user, "%s", target);
        cr_assert_eq(get(target, call_token_as(&site, "sam", "staff"))->status, rows[i].staff, "%s",
                     target);
        cr_assert_eq(get(target, call_token_as(&site, "bot", "service"))->status, rows[i].service,
                     "%s", target);
        cr_assert_eq(get(target, tickets)->status, rows[i].ticket, "%s", target);
        cr_assert_eq(get(target, guest)->status, rows[i].visitor, "%s", target);
    }
}

Test(access, a_missing_role_is_named)
{
    const struct call_answer *answer = get("/api/test/staff", call_token(&site, "ann"));
    expect_error(answer, 403, "forbidden");
    cr_assert_str_eq(call_text(answer, "error.message"), "This is for users with the role staff.");
    cr_assert_null(call_header(answer, "WWW-Authenticate"));
    answer = get("/api/test/service", call_token(&site, "ann"));
    cr_assert_str_eq(call_text(answer, "error.message"),
                     "This is for users with the role service.");
    cr_assert(call_file_has(&site, "log/audit.log", "\"reason\":\"a role is missing\""));
    cr_assert_eq(seen.calls, 0);
}

static enum sb_error promote(struct sb_db_conn *tx, void *context)
{
    return sb_users_add(
        tx,
        &(struct sb_user){.id = context, .name = "x", .role = SB_ROLE_STAFF, .created_at_ms = 1});
}

Test(access, a_role_of_the_users_row_counts)
{
    static char ann[] = "ann";
    call_write(&site, promote, ann);
    cr_assert_eq(get("/api/test/staff", call_token(&site, "ann"))->status, 200);
    cr_assert_eq(get("/api/test/service", call_token(&site, "ann"))->status, 403);
}

Test(access, the_handler_sees_the_visitor_and_its_origin)
{
    cr_assert_eq(get("/api/test/visitor", visitor("visitor_1"))->status, 200);
    cr_assert_eq(seen.kind, SB_PRINCIPAL_VISITOR);
    cr_assert_str_eq(seen.user_id, "visitor_1");
    cr_assert_str_eq(seen.origin, ORIGIN);
}

Test(access, a_visitor_from_another_origin_is_refused)
{
    const struct call_answer *answer =
        SEND(.target = "/api/test/visitor", .token = visitor("visitor_1"),
             .params = CALL_PARAMS("HTTP_ORIGIN=https://other.example"));
    expect_error(answer, 401, "unauthenticated");
    cr_assert_eq(seen.calls, 0);
}

Test(access, a_visitor_that_names_no_origin_may_read_and_no_more)
{
    expect_error(SEND(.target = "/api/test/once", .token = visitor("visitor_1"), .body = "{}"), 401,
                 "unauthenticated");
    cr_assert_eq(seen.calls, 0);
    cr_assert_eq(SEND(.target = "/api/test/visitor", .token = visitor("visitor_1"))->status, 200);
    cr_assert_eq(seen.calls, 1);
}

Test(access, whoever_may_come_without_a_token_may_not_with_a_bad_one)
{
    expect_error(get("/api/test/anyone", "not.a.token"), 401, "unauthenticated");
    cr_assert_eq(seen.calls, 0);
    cr_assert_eq(get("/api/test/anyone", NULL)->status, 200);
    cr_assert_eq(seen.kind, SB_PRINCIPAL_ANONYMOUS);
    cr_assert_eq(get("/api/test/anyone", call_token(&site, "ann"))->status, 200);
    cr_assert_str_eq(seen.user_id, "ann");
}

/* Limits */

Test(access, who_has_no_token_is_charged_by_address_and_once)
{
    for (int i = 0; i < 4; i++)
        cr_assert_eq(get("/api/test/anyone", NULL)->status, 200);
    expect_error(get("/api/test/anyone", NULL), 429, "rate_limited");
    cr_assert_eq(get("/api/test/anyone", call_token(&site, "ann"))->status, 200);
}

static const struct call_answer *limited(const char *token, const char *address)
{
    return SEND(.target = "/api/test/limited", .token = token,
                .params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN, address));
}

#define HERE "REMOTE_ADDR=203.0.113.7"
#define THERE "REMOTE_ADDR=203.0.113.8"
#define YONDER "REMOTE_ADDR=203.0.113.9"

Test(access, more_visitors_do_not_give_an_address_more_calls)
{
    cr_assert_eq(limited(visitor("visitor_1"), HERE)->status, 200);
    cr_assert_eq(limited(visitor("visitor_2"), HERE)->status, 200);
    expect_error(limited(visitor("visitor_3"), HERE), 429, "rate_limited");
    cr_assert_eq(limited(visitor("visitor_3"), THERE)->status, 200);
}

Test(access, more_addresses_do_not_give_a_visitor_more_calls)
{
    const char *guest = visitor("visitor_1");
    cr_assert_eq(limited(guest, HERE)->status, 200);
    const struct call_answer *answer = limited(guest, THERE);
    cr_assert_eq(answer->status, 200);
    cr_assert_eq(strncmp(call_header(answer, "RateLimit"), "\"test-limited\";r=0;", 19), 0,
                 "the visitor has less left than its address");
    expect_error(limited(guest, YONDER), 429, "rate_limited");
}

Test(access, a_user_is_not_charged_by_address)
{
    for (int i = 0; i < 2; i++)
        cr_assert_eq(limited(visitor("visitor_1"), HERE)->status, 200);
    cr_assert_eq(limited(visitor("visitor_1"), HERE)->status, 429);
    cr_assert_eq(limited(call_token(&site, "ann"), HERE)->status, 200);
}

/* Idempotency */

static const struct call_answer *once(const char *token)
{
    return SEND(.target = "/api/test/once", .token = token, .body = "{}",
                .params = CALL_PARAMS("HTTP_ORIGIN=" ORIGIN, "HTTP_IDEMPOTENCY_KEY=k"));
}

Test(access, the_idempotency_keys_of_visitors_and_users_are_their_own)
{
    cr_assert_eq(call_number(once(visitor("visitor_1")), "calls"), 1);
    cr_assert_not_null(call_header(once(visitor("visitor_1")), "Idempotent-Replayed"));
    cr_assert_null(call_header(once(visitor("visitor_2")), "Idempotent-Replayed"));
    cr_assert_null(call_header(once(call_token(&site, "visitor_1")), "Idempotent-Replayed"),
                   "a user of the same id");
}
