#include "access/visitor.h"

#include <criterion/criterion.h>

#include "access/ticket.h"
#include "tokens.h"

static const int64_t NOW = 1800000000;
static const char ORIGIN[] = "https://www.example.com";
static const char visitor_header[] = "{\"alg\":\"HS256\",\"typ\":\"visitor+jwt\"}";
static const char sound[] =
    "{\"sub\":\"visitor_1\",\"origin\":\"https://a.example\",\"exp\":1800000060}";

static struct sb_arena *arena;
static struct sb_config config;
static struct sb_visitor found;
static bool is_visitor;

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

TestSuite(visitor, .init = setup, .fini = teardown);

static char *make(int64_t expires_at_s)
{
    char *text =
        sb_visitor_make(arena, &config, &(struct sb_visitor){"visitor_1", ORIGIN, expires_at_s});
    cr_assert_not_null(text);
    return text;
}

static bool verify(const char *text)
{
    return sb_visitor_verify(arena, &config, text, NOW, &found, &is_visitor);
}

/* A text sealed with the visitors' key, as only this program can. */
static char *seal(const char *header, const char *payload)
{
    unsigned char secret[SB_SHA256_SIZE], mac[SB_SHA256_SIZE];
    static const char purpose[] = "switchboard visitor v1";
    cr_assert(sb_hmac_sha256(token_secret, strlen(token_secret), purpose, strlen(purpose), secret));
    char *input = sb_arena_printf(arena, "%s.%s", sb_base64url(arena, header, strlen(header)),
                                  sb_base64url(arena, payload, strlen(payload)));
    cr_assert(sb_hmac_sha256(secret, sizeof secret, input, strlen(input), mac));
    return sb_arena_printf(arena, "%s.%s", input, sb_base64url(arena, mac, sizeof mac));
}

Test(visitor, says_what_was_put_into_it)
{
    cr_assert(verify(make(NOW + 60)));
    cr_assert(is_visitor);
    cr_assert_str_eq(found.id, "visitor_1");
    cr_assert_str_eq(found.origin, ORIGIN);
    cr_assert_eq(found.expires_at_s, NOW + 60);
}

Test(visitor, expires_without_leeway)
{
    cr_assert(verify(make(NOW + 1)));
    cr_assert_not(verify(make(NOW)));
    cr_assert(is_visitor);
}

Test(visitor, is_told_from_a_users_token)
{
    cr_assert_not(verify(token_make(arena, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", sound)));
    cr_assert_not(is_visitor);
    cr_assert_not(verify("garbage"));
    cr_assert_not(is_visitor);
}

Test(visitor, is_told_from_a_call_ticket_and_cannot_pass_for_one)
{
    struct sb_ticket ticket = {"u1", "call_1", "part_1", true, NOW + 60};
    bool is_ticket;
    cr_assert_not(verify(sb_ticket_make(arena, &config, &ticket)));
    cr_assert_not(is_visitor);
    cr_assert_not(sb_ticket_verify(arena, &config, make(NOW + 60), NOW, &ticket, &is_ticket));
    cr_assert_not(is_ticket);
}

Test(visitor, refuses_its_type_under_the_key_of_a_ticket_or_a_user)
{
    static const char ticket_purpose[] = "switchboard call ticket v1";
    unsigned char secret[SB_SHA256_SIZE];
    cr_assert(sb_hmac_sha256(token_secret, strlen(token_secret), ticket_purpose,
                             strlen(ticket_purpose), secret));
    char *foreign =
        sb_jws_sign_hs256(arena, "visitor+jwt", sound, strlen(sound), secret, sizeof secret);
    cr_assert_not(verify(foreign));
    cr_assert(is_visitor);
    cr_assert_not(verify(token_make(arena, visitor_header, sound)));
    cr_assert(is_visitor);
    cr_assert(verify(seal(visitor_header, sound)), "positive control: the same under its own key");
}

Test(visitor, refuses_other_types_under_its_own_key)
{
    cr_assert_not(verify(seal("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", sound)));
    cr_assert_not(verify(seal("{\"alg\":\"HS256\"}", sound)));
    cr_assert_not(is_visitor);
}

Test(visitor, refuses_a_token_of_another_secret)
{
    char *text = make(NOW + 60);
    cr_assert(verify(text));
    config.jwt_secret = "another secret of 32 bytes or so";
    cr_assert_not(verify(text));
    cr_assert(is_visitor);
}

Test(visitor, refuses_a_changed_token)
{
    char *text = make(NOW + 60);
    strchr(text, '.')[5] ^= 1;
    cr_assert_not(verify(text));
    cr_assert(is_visitor);
}

Test(visitor, refuses_payloads_of_another_make)
{
    static const char *const payloads[] = {
        "{\"origin\":\"\",\"exp\":1800000060}",
        "{\"sub\":7,\"origin\":\"\",\"exp\":1800000060}",
        "{\"sub\":\"a|b\",\"origin\":\"\",\"exp\":1800000060}",
        "{\"sub\":\"visitor_1\",\"exp\":1800000060}",
        "{\"sub\":\"visitor_1\",\"origin\":null,\"exp\":1800000060}",
        "{\"sub\":\"visitor_1\",\"origin\":\"\"}",
        "{\"sub\":\"visitor_1\",\"origin\":\"\",\"exp\":\"1800000060\"}",
        "[]",
    };
    for (size_t i = 0; i < SB_COUNT(payloads); i++) {
        cr_assert_not(verify(seal(visitor_header, payloads[i])), "%s", payloads[i]);
        cr_assert(is_visitor);
    }
    cr_assert(verify(seal(visitor_header, sound)));
}

Test(visitor, leaves_the_result_alone_when_it_refuses)
{
    found.id = "before";
    cr_assert_not(verify(make(NOW - 1)));
    cr_assert_str_eq(found.id, "before");
}

Test(visitor, is_not_made_without_a_secret_of_32_bytes_or_for_an_endless_origin)
{
    const struct sb_visitor visitor = {"visitor_1", ORIGIN, NOW + 60};
    cr_assert_not_null(sb_visitor_make(arena, &config, &visitor));
    config.jwt_secret = NULL;
    cr_assert_null(sb_visitor_make(arena, &config, &visitor));
    config.jwt_secret = token_secret + 1;
    cr_assert_null(sb_visitor_make(arena, &config, &visitor), "31 bytes");
    config.jwt_secret = token_secret;
    char *origin = sb_arena_alloc(arena, 2001);
    memset(origin, 'x', 2000);
    const struct sb_visitor endless = {"visitor_1", origin, NOW + 60};
    cr_assert_null(sb_visitor_make(arena, &config, &endless));
}

Test(visitor, is_refused_when_memory_runs_out)
{
    struct sb_arena *small = sb_arena_new(1);
    cr_assert_not_null(small);
    char *text = make(NOW + 60);
    cr_assert(sb_visitor_verify(small, &config, text, NOW, &found, &is_visitor));
    size_t needed = sb_arena_used(small);
    for (size_t room = 0; room < needed; room += 16) {
        sb_arena_reset(small);
        cr_assert_not_null(sb_arena_alloc(small, 16 * 1024 - room));
        cr_assert_not(sb_visitor_verify(small, &config, text, NOW, &found, &is_visitor));
    }
    sb_arena_free(small);
}
