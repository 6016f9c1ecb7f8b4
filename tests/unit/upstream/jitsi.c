#include "upstream/jitsi.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "access/jws.h"

static const int64_t NOW_MS = 1800000000999;
static const char secret[] = "0123456789abcdef0123456789abcdef";
static const struct sb_jitsi_guest guest = {.user_id = "u1", .name = "Ada \"A\" Lovelace"};
static const struct sb_jitsi_guest moderator = {.user_id = "u2", .name = "Bob", .moderator = true};

static struct sb_arena *arena;
static struct sb_config config = {
    .jitsi_jwt_secret = secret,
    .jitsi_domain = "xmpp.example",
    .jitsi_public_host = "meet.example",
    .jitsi_app_id = "app",
    .call_token_ttl_s = 600,
};
static struct sb_jitsi_room room;
static json_t *claims;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    cr_assert_not_null(arena);
}

static void teardown(void)
{
    json_decref(claims);
    sb_arena_free(arena);
}

TestSuite(jitsi, .init = setup, .fini = teardown);

static void make(const struct sb_jitsi_guest *who)
{
    static const char *const types[] = {"JWT", NULL};
    const struct sb_jws_key key = {.secret = (const unsigned char *)secret,
                                   .secret_length = strlen(secret)};
    const char *payload;
    size_t length;
    cr_assert_eq(sb_jitsi_room(arena, &config, "call-7_x", who, NOW_MS, &room), SB_OK);
    cr_assert_eq(sb_jws_verify(arena, room.jwt, strlen(room.jwt),
                               &(struct sb_jws_rules){&key, 1, types}, &payload, &length),
                 SB_JWS_OK);
    claims = json_loadb(payload, length, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(claims);
}

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static json_int_t number(const char *name)
{
    const json_t *value = json_object_get(claims, name);
    cr_assert(json_is_integer(value), "%s", name);
    return json_integer_value(value);
}

static json_t *user(void)
{
    return json_object_get(json_object_get(claims, "context"), "user");
}

Test(jitsi, signs_the_claims_that_prosody_checks)
{
    make(&guest);
    cr_assert_str_eq(text(claims, "aud"), "app");
    cr_assert_str_eq(text(claims, "iss"), "app");
    cr_assert_str_eq(text(claims, "sub"), "xmpp.example");
    cr_assert_str_eq(text(claims, "room"), "call-7_x");
}

Test(jitsi, backdates_nbf_and_ends_with_the_call_tokens_lifetime)
{
    make(&guest);
    cr_assert_eq(number("nbf"), 1800000000 - 10);
    cr_assert_eq(number("iat"), 1800000000);
    cr_assert_eq(number("exp"), 1800000000 + 600);
    cr_assert_eq(room.expires_at_ms, (int64_t)number("exp") * 1000);
}

Test(jitsi, names_a_guest_without_rights)
{
    make(&guest);
    cr_assert_str_eq(text(user(), "id"), "u1");
    cr_assert_str_eq(text(user(), "name"), "Ada \"A\" Lovelace");
    cr_assert_str_eq(text(user(), "affiliation"), "member");
    cr_assert_null(json_object_get(user(), "moderator"));
}

Test(jitsi, makes_a_moderator_the_owner)
{
    make(&moderator);
    cr_assert(json_is_true(json_object_get(user(), "moderator")));
    cr_assert_str_eq(text(user(), "affiliation"), "owner");
}

Test(jitsi, leaves_out_a_name_that_is_not_known)
{
    make(&(struct sb_jitsi_guest){.user_id = "u1"});
    cr_assert_null(json_object_get(user(), "name"));
    cr_assert_str_eq(text(user(), "id"), "u1");
}

Test(jitsi, gives_the_room_and_its_url)
{
    make(&guest);
    cr_assert_str_eq(room.domain, "xmpp.example");
    cr_assert_str_eq(room.host, "meet.example");
    cr_assert_str_eq(room.room, "call-7_x");
    cr_assert_str_eq(room.url,
                     sb_arena_printf(arena, "https://meet.example/call-7_x#jwt=%s", room.jwt));
}

Test(jitsi, refuses_room_names_that_prosody_would_not_match)
{
    static const char *const names[] = {"", "Room", "a b", "a/b", "a#b", "\xC3\xA9", "a.b"};
    for (size_t i = 0; i < SB_COUNT(names); i++)
        cr_assert_eq(sb_jitsi_room(arena, &config, names[i], &guest, NOW_MS, &room), SB_E_INTERNAL,
                     "%s", names[i]);
}

Test(jitsi, is_misconfigured_without_a_secret)
{
    struct sb_config without = config;
    without.jitsi_jwt_secret = NULL;
    cr_assert_eq(sb_jitsi_room(arena, &without, "r", &guest, NOW_MS, &room), SB_E_MISCONFIGURED);
    cr_assert_null(room.jwt);
}

Test(jitsi, is_unavailable_when_memory_runs_out)
{
    struct sb_arena *small = sb_arena_new(1);
    cr_assert_not_null(small);
    cr_assert_eq(sb_jitsi_room(small, &config, "r", &guest, NOW_MS, &room), SB_OK);
    size_t needed = sb_arena_used(small);
    struct sb_jitsi_room untouched = {.room = "before"};
    for (size_t left = 0; left < needed; left += 16) {
        sb_arena_reset(small);
        cr_assert_not_null(sb_arena_alloc(small, 16 * 1024 - left));
        cr_assert_eq(sb_jitsi_room(small, &config, "r", &guest, NOW_MS, &untouched),
                     SB_E_UNAVAILABLE, "%zu bytes", left);
        cr_assert_str_eq(untouched.room, "before");
    }
    sb_arena_free(small);
}
