#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/call.h"
#include "access/ticket.h"
#include "base/clock.h"
#include "store/calls.h"

static struct call_site site;
static struct sb_call call; /* alice's, in t1 */
static struct sb_participant participant;
static const char *body;

static enum sb_error start_call(struct sb_db_conn *tx, void *context)
{
    (void)context;
    bool created;
    const struct sb_call_start start = {"t1", "alice", SB_CALL_AUDIO};
    return sb_calls_start(tx, site.memory, &start, &call, &created);
}

static enum sb_error join(struct sb_db_conn *tx, void *context)
{
    struct sb_call joined;
    return sb_calls_join(tx, site.memory, call.id, context, &joined, &participant);
}

static void setup(void)
{
    call_site_prepare(&site);
    call_site_open(&site, &sb_endpoint);
    call_member(&site, "t1", "alice", SB_MEMBER);
    call_member(&site, "t1", "bob", SB_MEMBER);
    call_member(&site, "t1", "mod", SB_MODERATOR);
    call_write(&site, start_call, NULL);
    body = sb_arena_printf(site.memory, "{\"callId\":\"%s\"}", call.id);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(calls_end, .init = setup, .fini = teardown);

static const struct call_answer *end_with(const char *token)
{
    return call_send(&site,
                     &(struct call){.target = "/api/calls/end", .token = token, .body = body});
}

static const struct call_answer *end(const char *user_id)
{
    return end_with(call_token(&site, user_id));
}

static const char *ticket_of(char *user_id, const char *call_id)
{
    call_write(&site, join, user_id);
    const char *ticket =
        sb_ticket_make(site.memory, site.runtime.config,
                       &(struct sb_ticket){.user_id = user_id,
                                           .call_id = call_id,
                                           .participant_id = participant.id,
                                           .moderator = participant.moderator,
                                           .expires_at_s = sb_clock_now_ms() / 1000 + 60});
    cr_assert_not_null(ticket);
    return ticket;
}

static int64_t open_calls(void)
{
    return call_count(&site, "SELECT count(*) FROM calls WHERE ended_at IS NULL");
}

static char alice[] = "alice", bob[] = "bob";

Test(calls_end, the_starter_ends_it_for_everyone)
{
    call_write(&site, join, bob);
    const struct call_answer *answer = end("alice");
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_not_null(call_text(answer, "endedAt"));
    cr_assert_geq(call_number(answer, "durationSeconds"), 0);
    cr_assert_str_eq(call_text(answer, "endReason"), "ended");
    cr_assert_eq(open_calls(), 0);
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM participants WHERE left_at IS NULL"), 0);
}

Test(calls_end, a_moderator_of_the_thread_may_end_it)
{
    cr_assert_eq(end("mod")->status, 200);
    cr_assert_eq(open_calls(), 0);
}

Test(calls_end, the_answer_is_the_same_every_time)
{
    const struct call_answer *first = end("alice"), *second = end("mod");
    cr_assert_eq(second->status, 200);
    json_object_del(first->json, "traceId");
    json_object_del(second->json, "traceId");
    cr_assert(json_equal(first->json, second->json), "%s", second->body);
}

Test(calls_end, another_member_is_forbidden)
{
    const struct call_answer *answer = end("bob");
    cr_assert_eq(answer->status, 403);
    cr_assert_str_eq(call_text(answer, "error.code"), "forbidden");
    cr_assert_eq(open_calls(), 1);
}

Test(calls_end, a_call_of_others_looks_like_none_at_all)
{
    const struct call_answer *foreign = end("mallory");
    body = "{\"callId\":\"call_none\"}";
    const struct call_answer *missing = end("mallory");
    cr_assert_eq(foreign->status, 404);
    json_object_del(foreign->json, "traceId");
    json_object_del(missing->json, "traceId");
    cr_assert(json_equal(foreign->json, missing->json), "%s", foreign->body);
    cr_assert_eq(open_calls(), 1);
}

Test(calls_end, the_starters_ticket_ends_it)
{
    cr_assert_eq(end_with(ticket_of(alice, call.id))->status, 200);
    cr_assert_eq(open_calls(), 0);
}

Test(calls_end, a_participants_ticket_gives_no_more_rights_than_it_has)
{
    cr_assert_eq(end_with(ticket_of(bob, call.id))->status, 403);
    cr_assert_eq(open_calls(), 1);
}

Test(calls_end, a_ticket_is_good_for_its_own_call_alone)
{
    const struct call_answer *answer = end_with(ticket_of(alice, "call_other"));
    cr_assert_eq(answer->status, 404);
    cr_assert_eq(open_calls(), 1);
}

Test(calls_end, demands_a_credential_and_an_id)
{
    cr_assert_eq(end_with(NULL)->status, 401);
    body = "{}";
    cr_assert_eq(end("alice")->status, 400);
    body = "{\"callId\":\"../x\"}";
    cr_assert_eq(end("alice")->status, 400);
}

Test(calls_end, is_audited_with_its_call_when_it_is_refused_too)
{
    end("bob");
    cr_assert(call_file_has(&site, "log/audit.log", "\"event\":\"calls.end\""));
    cr_assert(call_file_has(&site, "log/audit.log", "\"outcome\":\"forbidden\""));
    cr_assert(call_file_has(&site, "log/audit.log",
                            sb_arena_printf(site.memory, "\"object\":\"%s\"", call.id)));
}
