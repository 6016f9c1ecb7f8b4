#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/call.h"
#include "access/ticket.h"
#include "base/clock.h"
#include "store/calls.h"

static struct call_site site;
static struct sb_call call; /* alice's, in t1 */
static const char *body;

static enum sb_error start_call(struct sb_db_conn *tx, void *context)
{
    (void)context;
    bool created;
    const struct sb_call_start start = {"t1", "alice", SB_CALL_VIDEO};
    return sb_calls_start(tx, site.memory, &start, &call, &created);
}

static enum sb_error end(struct sb_db_conn *tx, void *context)
{
    (void)context;
    return sb_calls_end(tx, site.memory, call.id, "alice", &call);
}

static void setup(void)
{
    call_site_prepare(&site);
    setenv("JITSI_JWT_SECRET", "fedcba9876543210fedcba9876543210", 1);
    setenv("JITSI_DOMAIN", "meet.example.com", 1);
    setenv("JITSI_PUBLIC_HOST", "rooms.example.com", 1);
    setenv("TURN_HOST", "turn.example.com", 1);
    setenv("TURN_SECRET", "a-turn-secret-of-ours", 1);
}

static void teardown(void)
{
    call_site_close(&site);
}

TestSuite(calls_join, .init = setup, .fini = teardown);

static void open_call(void)
{
    call_site_open(&site, &sb_endpoint);
    call_member(&site, "t1", "alice", SB_MEMBER);
    call_member(&site, "t1", "bob", SB_MEMBER);
    call_member(&site, "t1", "mod", SB_MODERATOR);
    call_write(&site, start_call, NULL);
    body = sb_arena_printf(site.memory, "{\"callId\":\"%s\"}", call.id);
}

static const struct call_answer *join(const char *user_id, const char *text)
{
    return call_send(&site,
                     &(struct call){.target = "/api/calls/join",
                                    .token = user_id == NULL ? NULL : call_token(&site, user_id),
                                    .body = text});
}

Test(calls_join, gives_all_that_a_participant_needs)
{
    open_call();
    const struct call_answer *answer = join("bob", body);
    cr_assert_eq(answer->status, 200, "%s", answer->body);
    cr_assert_str_eq(call_text(answer, "call.id"), call.id);
    cr_assert_eq(strncmp(call_text(answer, "participant.id"), "part_", 5), 0);
    cr_assert_str_eq(call_text(answer, "participant.userId"), "bob");
    cr_assert(json_is_false(call_json(answer, "participant.moderator")));
    cr_assert_str_eq(call_text(answer, "jitsi.domain"), "meet.example.com");
    cr_assert_str_eq(call_text(answer, "jitsi.host"), "rooms.example.com");
    cr_assert_str_eq(call_text(answer, "jitsi.room"), call.room);
    cr_assert_eq(call_number(answer, "heartbeatSeconds"), 30);
    const char *url = sb_arena_printf(site.memory, "https://rooms.example.com/%s#jwt=%s", call.room,
                                      call_text(answer, "jitsi.jwt"));
    cr_assert_str_eq(call_text(answer, "jitsi.url"), url);
}

Test(calls_join, gives_a_ticket_for_this_participation)
{
    open_call();
    int64_t before_s = sb_clock_now_ms() / 1000;
    const struct call_answer *answer = join("bob", body);
    struct sb_ticket ticket;
    bool is_ticket;
    cr_assert(sb_ticket_verify(site.memory, site.runtime.config, call_text(answer, "ticket"),
                               before_s, &ticket, &is_ticket));
    cr_assert_str_eq(ticket.user_id, "bob");
    cr_assert_str_eq(ticket.call_id, call.id);
    cr_assert_str_eq(ticket.participant_id, call_text(answer, "participant.id"));
    cr_assert_not(ticket.moderator);
    cr_assert(ticket.expires_at_s >= before_s + 3600 && ticket.expires_at_s <= before_s + 3660);
}

Test(calls_join, starter_and_moderators_moderate)
{
    open_call();
    cr_assert(json_is_true(call_json(join("alice", body), "participant.moderator")));
    cr_assert(json_is_true(call_json(join("mod", body), "participant.moderator")));
}

Test(calls_join, gives_ice_servers_with_credentials)
{
    open_call();
    const struct call_answer *answer = join("bob", body);
    cr_assert_eq(json_array_size(call_json(answer, "iceServers")), 2);
    cr_assert_str_eq(call_text(answer, "iceServers.0.urls.0"), "stun:turn.example.com:3478");
    cr_assert_null(call_json(answer, "iceServers.0.username"));
    cr_assert_not_null(strstr(call_text(answer, "iceServers.1.username"), ":bob"));
    cr_assert_not_null(call_text(answer, "iceServers.1.credential"));
    cr_assert_not_null(call_text(answer, "iceExpiresAt"));
}

Test(calls_join, without_a_turn_host_there_are_no_ice_servers)
{
    unsetenv("TURN_HOST");
    open_call();
    const struct call_answer *answer = join("bob", body);
    cr_assert_eq(answer->status, 200);
    cr_assert(json_is_array(call_json(answer, "iceServers")));
    cr_assert_eq(json_array_size(call_json(answer, "iceServers")), 0);
}

Test(calls_join, joining_again_is_the_same_participation)
{
    open_call();
    const struct call_answer *first = join("bob", body), *second = join("bob", body);
    cr_assert_eq(second->status, 200);
    cr_assert_str_eq(call_text(first, "participant.id"), call_text(second, "participant.id"));
    cr_assert_str_eq(call_text(first, "participant.joinedAt"),
                     call_text(second, "participant.joinedAt"));
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM participants"), 1);
}

Test(calls_join, a_call_that_has_ended_is_gone)
{
    open_call();
    call_write(&site, end, NULL);
    const struct call_answer *answer = join("bob", body);
    cr_assert_eq(answer->status, 410);
    cr_assert_str_eq(call_text(answer, "error.code"), "gone");
    cr_assert_null(strstr(answer->body, "jwt"));
}

Test(calls_join, a_call_of_others_looks_like_none_at_all)
{
    open_call();
    const struct call_answer *foreign = join("mallory", body);
    const struct call_answer *missing = join("mallory", "{\"callId\":\"call_none\"}");
    cr_assert_eq(foreign->status, 404);
    json_object_del(foreign->json, "traceId");
    json_object_del(missing->json, "traceId");
    cr_assert(json_equal(foreign->json, missing->json), "%s", foreign->body);
    call_write(&site, end, NULL);
    cr_assert_eq(join("mallory", body)->status, 404, "an ended one too");
}

Test(calls_join, demands_a_user_and_an_id)
{
    open_call();
    cr_assert_eq(join(NULL, body)->status, 401);
    cr_assert_eq(join("bob", "{}")->status, 400);
    cr_assert_eq(join("bob", "{\"callId\":\"a b\"}")->status, 400);
}

Test(calls_join, a_ticket_joins_nothing)
{
    open_call();
    const char *ticket = call_text(join("bob", body), "ticket");
    cr_assert_eq(
        call_send(&site, &(struct call){.target = "/api/calls/join", .token = ticket, .body = body})
            ->status,
        401);
}

Test(calls_join, without_jitsis_secret_it_is_misconfigured)
{
    unsetenv("JITSI_JWT_SECRET");
    open_call();
    const struct call_answer *answer = join("bob", body);
    cr_assert_eq(answer->status, 503);
    cr_assert_str_eq(call_text(answer, "error.code"), "misconfigured");
    cr_assert_eq(call_count(&site, "SELECT count(*) FROM participants"), 0);
}
