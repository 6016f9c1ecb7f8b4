#include "access/ticket.h"

#include <criterion/criterion.h>

#include "tokens.h"

static const int64_t NOW = 1800000000;
static const char sound[] = "{\"sub\":\"u1\",\"call\":\"call_1\",\"participant\":\"part_1\","
                            "\"moderator\":false,\"exp\":1800000060}";
static const char ticket_header[] = "{\"alg\":\"HS256\",\"typ\":\"ticket+jwt\"}";

static struct sb_arena *arena;
static struct sb_config config;
static struct sb_ticket found;
static bool is_ticket;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    cr_assert_not_null(arena);
    config.jwt_secret = token_secret;
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(ticket, .init = setup, .fini = teardown);

static char *make(int64_t expires_at_s)
{
    const struct sb_ticket ticket = {"auth0|u1", "call_1", "part_1", true, expires_at_s};
    char *text = sb_ticket_make(arena, &config, &ticket);
    cr_assert_not_null(text);
    return text;
}

static bool verify(const char *text)
{
    return sb_ticket_verify(arena, &config, text, NOW, &found, &is_ticket);
}

/* A text sealed with the tickets' key, as only this program can. */
static char *seal(const char *header, const char *payload)
{
    unsigned char secret[SB_SHA256_SIZE], mac[SB_SHA256_SIZE];
    static const char purpose[] = "switchboard call ticket v1";
    cr_assert(sb_hmac_sha256(token_secret, strlen(token_secret), purpose, strlen(purpose), secret));
    char *input = sb_arena_printf(arena, "%s.%s", sb_base64url(arena, header, strlen(header)),
                                  sb_base64url(arena, payload, strlen(payload)));
    cr_assert(sb_hmac_sha256(secret, sizeof secret, input, strlen(input), mac));
    return sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, sizeof mac));
}

Test(ticket, says_what_was_put_into_it)
{
    cr_assert(verify(make(NOW + 60)));
    cr_assert(is_ticket);
    cr_assert_str_eq(found.user_id, "auth0|u1");
    cr_assert_str_eq(found.call_id, "call_1");
    cr_assert_str_eq(found.participant_id, "part_1");
    cr_assert(found.moderator);
    cr_assert_eq(found.expires_at_s, NOW + 60);
}

Test(ticket, tells_a_guest_from_a_moderator)
{
    const struct sb_ticket guest = {"u1", "call_1", "part_1", false, NOW + 60};
    cr_assert(verify(sb_ticket_make(arena, &config, &guest)));
    cr_assert_not(found.moderator);
}

Test(ticket, expires_without_leeway)
{
    cr_assert(verify(make(NOW + 1)));
    cr_assert_not(verify(make(NOW)));
    cr_assert(is_ticket);
}

Test(ticket, is_told_from_a_users_token)
{
    char *token = token_make(arena, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", sound);
    cr_assert_not(verify(token));
    cr_assert_not(is_ticket);
    cr_assert_not(verify("garbage"));
    cr_assert_not(is_ticket);
}

Test(ticket, refuses_the_type_ticket_under_the_users_key)
{
    cr_assert_not(verify(token_make(arena, ticket_header, sound)));
    cr_assert(is_ticket);
    cr_assert(verify(seal(ticket_header, sound)), "positive control: the same under its own key");
}

Test(ticket, refuses_the_type_jwt_under_the_tickets_key)
{
    cr_assert_not(verify(seal("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", sound)));
    cr_assert_not(verify(seal("{\"alg\":\"HS256\"}", sound)));
    cr_assert_not(is_ticket);
}

Test(ticket, refuses_a_ticket_of_another_secret)
{
    char *text = make(NOW + 60);
    cr_assert(verify(text));
    config.jwt_secret = "another secret of 32 bytes or so";
    cr_assert_not(verify(text));
    cr_assert(is_ticket);
}

Test(ticket, refuses_a_changed_ticket)
{
    char *text = make(NOW + 60);
    strchr(text, '.')[5] ^= 1;
    cr_assert_not(verify(text));
    cr_assert(is_ticket);
}

Test(ticket, refuses_members_missing_or_of_another_type)
{
    static const char *const payloads[] = {
        "{\"call\":\"c\",\"participant\":\"p\",\"moderator\":false,\"exp\":1800000060}",
        "{\"sub\":\"u\",\"participant\":\"p\",\"moderator\":false,\"exp\":1800000060}",
        "{\"sub\":\"u\",\"call\":\"c\",\"moderator\":false,\"exp\":1800000060}",
        "{\"sub\":\"u\",\"call\":\"c\",\"participant\":\"p\",\"exp\":1800000060}",
        "{\"sub\":\"u\",\"call\":\"c\",\"participant\":\"p\",\"moderator\":false}",
        "{\"sub\":\"u\",\"call\":\"c d\",\"participant\":\"p\",\"moderator\":true,"
        "\"exp\":1800000060}",
        "{\"sub\":\"u\",\"call\":\"c\",\"participant\":\"p\",\"moderator\":1,\"exp\":1800000060}",
        "{\"sub\":\"u\",\"call\":\"c\",\"participant\":\"p\",\"moderator\":true,\"exp\":1.8e10}",
        "[]",
    };
    for (size_t i = 0; i < SB_COUNT(payloads); i++) {
        cr_assert_not(verify(seal(ticket_header, payloads[i])), "%s", payloads[i]);
        cr_assert(is_ticket);
    }
    cr_assert(verify(seal(ticket_header, sound)));
}

Test(ticket, leaves_the_result_alone_when_it_refuses)
{
    found.user_id = "before";
    cr_assert_not(verify(make(NOW - 1)));
    cr_assert_str_eq(found.user_id, "before");
}

Test(ticket, is_not_made_without_a_secret_of_32_bytes)
{
    const struct sb_ticket ticket = {"u1", "call_1", "part_1", true, NOW + 60};
    char *text = make(NOW + 60);
    config.jwt_secret = NULL;
    cr_assert_null(sb_ticket_make(arena, &config, &ticket));
    cr_assert_not(verify(text));
    cr_assert(is_ticket, "known for a ticket though it cannot be verified");
    config.jwt_secret = token_secret + 1;
    cr_assert_null(sb_ticket_make(arena, &config, &ticket), "31 bytes");
}

Test(ticket, is_refused_when_memory_runs_out)
{
    struct sb_arena *small = sb_arena_new(1);
    cr_assert_not_null(small);
    char *text = make(NOW + 60);
    cr_assert(sb_ticket_verify(small, &config, text, NOW, &found, &is_ticket));
    size_t needed = sb_arena_used(small);
    for (size_t room = 0; room < needed; room += 16) {
        sb_arena_reset(small);
        cr_assert_not_null(sb_arena_alloc(small, 16 * 1024 - room));
        cr_assert_not(sb_ticket_verify(small, &config, text, NOW, &found, &is_ticket));
    }
    sb_arena_free(small);
}
