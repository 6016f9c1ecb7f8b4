#include "access/claims.h"

#include <criterion/criterion.h>
#include <string.h>

#include "store/users.h"

static const int64_t NOW = 1800000000;

static struct sb_arena *arena;
static struct sb_config config;
static struct sb_claims claims;

static void setup(void)
{
    arena = sb_arena_new(1024 * 1024);
    cr_assert_not_null(arena);
}

static void teardown(void)
{
    sb_arena_free(arena);
}

TestSuite(claims, .init = setup, .fini = teardown);

static enum sb_claims_result check(const char *payload)
{
    return sb_claims_check(arena, payload, strlen(payload), &config, NOW, &claims);
}

/* A payload that is good but for these members. */
static enum sb_claims_result check_with(const char *members)
{
    return check(sb_arena_printf(arena, "{\"sub\":\"u1\",\"exp\":1800000100%s}", members));
}

static enum sb_claims_result check_time(const char *name, int64_t time_s)
{
    const char *rest = strcmp(name, "exp") == 0 ? "" : ",\"exp\":1800000100";
    return check(
        sb_arena_printf(arena, "{\"sub\":\"u1\"%s,\"%s\":%lld}", rest, name, (long long)time_s));
}

static void set_list(struct sb_strings *list, char **items, size_t count)
{
    *list = (struct sb_strings){items, count};
}

Test(claims, accepts_a_subject_and_an_expiry)
{
    cr_assert_eq(check("{\"sub\":\"u1\",\"exp\":1800000100}"), SB_CLAIMS_OK);
    cr_assert_str_eq(claims.sub, "u1");
    cr_assert_eq(claims.expires_at_s, 1800000100);
    cr_assert_null(claims.name);
    cr_assert_eq(claims.roles, 0);
}

Test(claims, leaves_the_result_alone_when_it_refuses)
{
    claims.sub = "before";
    cr_assert_eq(check("{\"sub\":\"u1\"}"), SB_CLAIMS_BAD_TIME);
    cr_assert_str_eq(claims.sub, "before");
}

/* JSON. */

Test(claims, refuses_what_is_not_one_json_object)
{
    static const char *const payloads[] = {
        "",     "null", "[]",      "{",
        "{}{}", "{} x", "\"sub\"", "{\"sub\":\"u1\",\"exp\":99999999999999999999}"};
    for (size_t i = 0; i < SB_COUNT(payloads); i++)
        cr_assert_eq(check(payloads[i]), SB_CLAIMS_NOT_JSON, "%s", payloads[i]);
}

Test(claims, refuses_duplicate_keys_at_any_depth)
{
    cr_assert_eq(check_with(",\"sub\":\"u2\""), SB_CLAIMS_NOT_JSON);
    cr_assert_eq(check_with(",\"s\\u0075b\":\"u2\""), SB_CLAIMS_NOT_JSON);
    cr_assert_eq(check_with(",\"o\":{\"rol\":\"user\",\"rol\":\"staff\"}"), SB_CLAIMS_NOT_JSON);
    cr_assert_eq(check_with(",\"o\":{\"rol\":\"user\"}"), SB_CLAIMS_OK);
}

Test(claims, refuses_nul_and_invalid_utf8)
{
    static const char nul[] = "{\"sub\":\"u1\",\"exp\":1800000100}\0";
    cr_assert_eq(sb_claims_check(arena, nul, sizeof nul - 1, &config, NOW, &claims),
                 SB_CLAIMS_NOT_JSON);
    cr_assert_eq(check_with(",\"x\":\"\\u0000\""), SB_CLAIMS_NOT_JSON);
    cr_assert_eq(check_with(",\"x\":\"\xFF\""), SB_CLAIMS_NOT_JSON);
    cr_assert_eq(check_with(",\"x\":\"\xC3\xBF\""), SB_CLAIMS_OK);
}

/* Subject. */

Test(claims, refuses_a_subject_that_is_no_user_id)
{
    static const char *const subjects[] = {"",
                                           "\"sub\":\"\",",
                                           "\"sub\":1,",
                                           "\"sub\":null,",
                                           "\"sub\":[\"u1\"],",
                                           "\"sub\":\"a\\nb\","};
    for (size_t i = 0; i < SB_COUNT(subjects); i++) {
        const char *payload = sb_arena_printf(arena, "{%s\"exp\":1800000100}", subjects[i]);
        cr_assert_eq(check(payload), SB_CLAIMS_BAD_SUB, "%s", payload);
    }
    cr_assert_eq(check("{\"sub\":\"auth0|5f\",\"exp\":1800000100}"), SB_CLAIMS_OK);
}

Test(claims, accepts_128_bytes_of_subject_and_refuses_129)
{
    char sub[SB_USER_ID_MAX + 2];
    memset(sub, 'a', sizeof sub);
    sub[SB_USER_ID_MAX + 1] = '\0';
    cr_assert_eq(check(sb_arena_printf(arena, "{\"sub\":\"%s\",\"exp\":1800000100}", sub)),
                 SB_CLAIMS_BAD_SUB);
    sub[SB_USER_ID_MAX] = '\0';
    cr_assert_eq(check(sb_arena_printf(arena, "{\"sub\":\"%s\",\"exp\":1800000100}", sub)),
                 SB_CLAIMS_OK);
}

/* Times. */

Test(claims, expires_five_seconds_after_exp)
{
    cr_assert_eq(check_time("exp", NOW + 1), SB_CLAIMS_OK);
    cr_assert_eq(check_time("exp", NOW), SB_CLAIMS_OK);
    cr_assert_eq(check_time("exp", NOW - 4), SB_CLAIMS_OK);
    cr_assert_eq(check_time("exp", NOW - 5), SB_CLAIMS_EXPIRED);
    cr_assert_eq(check_time("exp", 0), SB_CLAIMS_EXPIRED);
}

Test(claims, begins_five_seconds_before_nbf)
{
    cr_assert_eq(check_time("nbf", NOW), SB_CLAIMS_OK);
    cr_assert_eq(check_time("nbf", NOW + 5), SB_CLAIMS_OK);
    cr_assert_eq(check_time("nbf", NOW + 6), SB_CLAIMS_NOT_YET);
}

Test(claims, begins_five_seconds_before_iat)
{
    cr_assert_eq(check_time("iat", NOW), SB_CLAIMS_OK);
    cr_assert_eq(check_time("iat", NOW + 5), SB_CLAIMS_OK);
    cr_assert_eq(check_time("iat", NOW + 6), SB_CLAIMS_NOT_YET);
}

Test(claims, survives_the_extremes_of_time)
{
    cr_assert_eq(check_time("exp", INT64_MAX), SB_CLAIMS_OK);
    cr_assert_eq(check_time("exp", INT64_MIN), SB_CLAIMS_EXPIRED);
    cr_assert_eq(check_time("nbf", INT64_MAX), SB_CLAIMS_NOT_YET);
    cr_assert_eq(check_time("nbf", INT64_MIN), SB_CLAIMS_OK);
}

Test(claims, refuses_times_that_are_no_integers)
{
    static const char *const values[] = {"1800000100.0", "1.8e9", "\"1800000100\"", "null", "true",
                                         "[]",           "{}"};
    for (size_t i = 0; i < SB_COUNT(values); i++) {
        cr_assert_eq(check(sb_arena_printf(arena, "{\"sub\":\"u1\",\"exp\":%s}", values[i])),
                     SB_CLAIMS_BAD_TIME, "exp %s", values[i]);
        cr_assert_eq(check_with(sb_arena_printf(arena, ",\"nbf\":%s", values[i])),
                     SB_CLAIMS_BAD_TIME, "nbf %s", values[i]);
        cr_assert_eq(check_with(sb_arena_printf(arena, ",\"iat\":%s", values[i])),
                     SB_CLAIMS_BAD_TIME, "iat %s", values[i]);
    }
}

Test(claims, demands_an_expiry)
{
    cr_assert_eq(check("{\"sub\":\"u1\"}"), SB_CLAIMS_BAD_TIME);
}

/* What the configuration pins. */

Test(claims, takes_any_issuer_audience_and_party_where_none_is_configured)
{
    cr_assert_eq(check_with(",\"iss\":\"x\",\"aud\":\"y\",\"azp\":\"z\""), SB_CLAIMS_OK);
}

Test(claims, demands_the_configured_issuer_exactly)
{
    config.jwt_issuer = "https://id.example";
    cr_assert_eq(check_with(",\"iss\":\"https://id.example\""), SB_CLAIMS_OK);
    cr_assert_eq(check_with(""), SB_CLAIMS_BAD_ISSUER);
    cr_assert_eq(check_with(",\"iss\":\"https://id.example/\""), SB_CLAIMS_BAD_ISSUER);
    cr_assert_eq(check_with(",\"iss\":\"HTTPS://id.example\""), SB_CLAIMS_BAD_ISSUER);
    cr_assert_eq(check_with(",\"iss\":[\"https://id.example\"]"), SB_CLAIMS_BAD_ISSUER);
}

Test(claims, demands_one_of_the_configured_audiences)
{
    set_list(&config.jwt_audience, (char *[]){(char[]){"api"}, (char[]){"web"}}, 2);
    cr_assert_eq(check_with(",\"aud\":\"web\""), SB_CLAIMS_OK);
    cr_assert_eq(check_with(",\"aud\":[\"other\",\"api\"]"), SB_CLAIMS_OK);
    cr_assert_eq(check_with(",\"aud\":[1,null,\"api\"]"), SB_CLAIMS_OK);
    cr_assert_eq(check_with(""), SB_CLAIMS_BAD_AUDIENCE);
    cr_assert_eq(check_with(",\"aud\":\"other\""), SB_CLAIMS_BAD_AUDIENCE);
    cr_assert_eq(check_with(",\"aud\":[]"), SB_CLAIMS_BAD_AUDIENCE);
    cr_assert_eq(check_with(",\"aud\":[[\"api\"]]"), SB_CLAIMS_BAD_AUDIENCE);
    cr_assert_eq(check_with(",\"aud\":{\"api\":\"api\"}"), SB_CLAIMS_BAD_AUDIENCE);
}

Test(claims, demands_one_of_the_configured_parties)
{
    set_list(&config.jwt_authorized_parties, (char *[]){(char[]){"https://a"}}, 1);
    cr_assert_eq(check_with(",\"azp\":\"https://a\""), SB_CLAIMS_OK);
    cr_assert_eq(check_with(",\"azp\":\"https://b\""), SB_CLAIMS_BAD_PARTY);
    cr_assert_eq(check_with(",\"azp\":[\"https://a\"]"), SB_CLAIMS_BAD_PARTY);
    cr_assert_eq(check_with(""), SB_CLAIMS_BAD_PARTY);
}

Test(claims, refuses_a_pending_session)
{
    cr_assert_eq(check_with(",\"sts\":\"pending\""), SB_CLAIMS_PENDING);
    cr_assert_eq(check_with(",\"sts\":\"active\""), SB_CLAIMS_OK);
}

/* Roles and names. */

Test(claims, reads_roles_from_every_place_they_are_kept)
{
    static const char *const members[] = {
        ",\"role\":\"staff\"",         ",\"roles\":[\"x\",\"staff\"]", ",\"roles\":\"staff\"",
        ",\"org_role\":\"org:staff\"", ",\"o\":{\"rol\":\"staff\"}",
    };
    for (size_t i = 0; i < SB_COUNT(members); i++) {
        cr_assert_eq(check_with(members[i]), SB_CLAIMS_OK);
        cr_assert_eq(claims.roles, 1u << SB_ROLE_STAFF, "%s", members[i]);
    }
}

Test(claims, joins_the_roles)
{
    cr_assert_eq(check_with(",\"role\":\"service\",\"roles\":[\"user\",\"staff\"]"), SB_CLAIMS_OK);
    cr_assert_eq(claims.roles, 1u << SB_ROLE_SERVICE | 1u << SB_ROLE_STAFF | 1u << SB_ROLE_USER);
}

Test(claims, ignores_roles_that_are_none_of_ours)
{
    static const char *const members[] = {
        ",\"role\":\"admin\"", ",\"role\":\"Staff\"",      ",\"role\":\"staff \"",
        ",\"role\":1",         ",\"role\":[\"staff\"]",    ",\"o\":\"staff\"",
        ",\"rol\":\"staff\"",  ",\"roles\":{\"staff\":1}", ",\"roles\":[[\"staff\"]]",
    };
    for (size_t i = 0; i < SB_COUNT(members); i++) {
        cr_assert_eq(check_with(members[i]), SB_CLAIMS_OK);
        cr_assert_eq(claims.roles, 0, "%s", members[i]);
    }
}

Test(claims, gives_the_name)
{
    cr_assert_eq(check_with(",\"name\":\"Ada Lovelace\""), SB_CLAIMS_OK);
    cr_assert_str_eq(claims.name, "Ada Lovelace");
}

Test(claims, takes_an_empty_or_odd_name_for_none)
{
    cr_assert_eq(check_with(",\"name\":\"\""), SB_CLAIMS_OK);
    cr_assert_null(claims.name);
    cr_assert_eq(check_with(",\"name\":7"), SB_CLAIMS_OK);
    cr_assert_null(claims.name);
}

Test(claims, makes_blanks_of_control_characters_in_a_name)
{
    cr_assert_eq(check_with(",\"name\":\"a\\nb\\u001b\\u007fc\\u009b\\u00e9\""), SB_CLAIMS_OK);
    cr_assert_str_eq(claims.name, "a b  c  \xC3\xA9");
}

Test(claims, cuts_a_long_name_at_the_end_of_a_character)
{
    char name[SB_USER_NAME_MAX + 8];
    memset(name, 'a', sizeof name);
    memcpy(name + SB_USER_NAME_MAX - 1, "\xC3\xA9zz", 5);
    cr_assert_eq(check_with(sb_arena_printf(arena, ",\"name\":\"%s\"", name)), SB_CLAIMS_OK);
    cr_assert_eq(strlen(claims.name), SB_USER_NAME_MAX - 1);
    memcpy(name + SB_USER_NAME_MAX - 2, "\xC3\xA9zz", 5);
    cr_assert_eq(check_with(sb_arena_printf(arena, ",\"name\":\"%s\"", name)), SB_CLAIMS_OK);
    cr_assert_eq(strlen(claims.name), SB_USER_NAME_MAX);
}

Test(claims, says_when_memory_ran_out)
{
    struct sb_arena *small = sb_arena_new(1);
    cr_assert_not_null(small);
    static const char payload[] = "{\"sub\":\"u1\",\"exp\":1800000100}";
    cr_assert_not_null(sb_arena_alloc(small, 16 * 1024 - 16));
    cr_assert_eq(sb_claims_check(small, payload, strlen(payload), &config, NOW, &claims),
                 SB_CLAIMS_OK);
    cr_assert_eq(sb_claims_check(small, payload, strlen(payload), &config, NOW, &claims),
                 SB_CLAIMS_NO_MEMORY);
    sb_arena_free(small);
}

Test(claims, has_words_for_every_result)
{
    for (int result = 0; result < SB_CLAIMS__MAX; result++)
        cr_assert_gt(strlen(sb_claims_result_text((enum sb_claims_result)result)), 8, "%d", result);
}
