#include "upstream/turn.h"

#include <criterion/criterion.h>
#include <string.h>

static const int64_t NOW_MS = 1799996400999;

static struct sb_arena *arena;
static struct sb_config config = {
    .turn_host = "turn.example",
    .turn_port = 3478,
    .turn_tls_port = 5349,
    .turn_secret = "north-and-south-0123",
    .call_token_ttl_s = 3600,
};
static struct sb_ice ice;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    cr_assert_not_null(arena);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(turn, .init = setup, .fini = teardown);

static void make(const char *user_id)
{
    cr_assert_eq(sb_turn_ice(arena, &config, user_id, NOW_MS, &ice), SB_OK);
}

/* The credential is the output of:
 * printf 1800000000:u1 | openssl dgst -sha1 -hmac north-and-south-0123 -binary | base64 */
Test(turn, signs_the_username_as_coturn_does)
{
    make("u1");
    cr_assert_eq(ice.count, 2);
    cr_assert_str_eq(ice.servers[1].username, "1800000000:u1");
    cr_assert_str_eq(ice.servers[1].credential, "Fq5mdy5vR646oHJECe5kbSBbbhI=");
    cr_assert_eq(ice.expires_at_ms, 1800000000000);
}

Test(turn, offers_stun_and_turn_over_udp_tcp_and_tls)
{
    make("u1");
    cr_assert_eq(ice.servers[0].url_count, 1);
    cr_assert_str_eq(ice.servers[0].urls[0], "stun:turn.example:3478");
    cr_assert_null(ice.servers[0].username);
    cr_assert_null(ice.servers[0].credential);
    cr_assert_eq(ice.servers[1].url_count, 3);
    cr_assert_str_eq(ice.servers[1].urls[0], "turn:turn.example:3478?transport=udp");
    cr_assert_str_eq(ice.servers[1].urls[1], "turn:turn.example:3478?transport=tcp");
    cr_assert_str_eq(ice.servers[1].urls[2], "turns:turn.example:5349?transport=tcp");
}

Test(turn, offers_no_tls_at_port_0)
{
    config.turn_tls_port = 0;
    make("u1");
    cr_assert_eq(ice.servers[1].url_count, 2);
    cr_assert_str_eq(ice.servers[1].urls[1], "turn:turn.example:3478?transport=tcp");
}

Test(turn, replaces_what_could_end_or_forge_the_username)
{
    make("a:b|c\nd \xC3\xA9%Z9_.@-");
    cr_assert_str_eq(ice.servers[1].username, "1800000000:a_b_c_d____Z9_.@-");
}

Test(turn, keeps_harmless_users_as_they_are)
{
    make("Ab9_.@-");
    cr_assert_str_eq(ice.servers[1].username, "1800000000:Ab9_.@-");
}

Test(turn, uses_the_fixed_user_where_there_is_no_secret)
{
    config.turn_secret = NULL;
    config.turn_username = "fixed";
    config.turn_password = "password";
    make("u1");
    cr_assert_eq(ice.count, 2);
    cr_assert_str_eq(ice.servers[1].username, "fixed");
    cr_assert_str_eq(ice.servers[1].credential, "password");
    cr_assert_eq(ice.expires_at_ms, 1800000000000);
}

Test(turn, prefers_the_secret)
{
    config.turn_username = "fixed";
    config.turn_password = "password";
    make("u1");
    cr_assert_str_eq(ice.servers[1].username, "1800000000:u1");
}

Test(turn, offers_stun_alone_without_credentials)
{
    config.turn_secret = NULL;
    config.turn_username = "fixed";
    make("u1");
    cr_assert_eq(ice.count, 1);
    cr_assert_str_eq(ice.servers[0].urls[0], "stun:turn.example:3478");
}

Test(turn, offers_nothing_without_a_host)
{
    config.turn_host = NULL;
    make("u1");
    cr_assert_eq(ice.count, 0);
}

Test(turn, is_unavailable_when_memory_runs_out)
{
    struct sb_arena *small = sb_arena_new(1);
    cr_assert_not_null(small);
    cr_assert_eq(sb_turn_ice(small, &config, "u1", NOW_MS, &ice), SB_OK);
    size_t needed = sb_arena_used(small);
    struct sb_ice untouched = {.count = 99};
    for (size_t left = 0; left < needed; left += 16) {
        sb_arena_reset(small);
        cr_assert_not_null(sb_arena_alloc(small, 16 * 1024 - left));
        cr_assert_eq(sb_turn_ice(small, &config, "u1", NOW_MS, &untouched), SB_E_UNAVAILABLE);
        cr_assert_eq(untouched.count, 99);
    }
    sb_arena_free(small);
}
