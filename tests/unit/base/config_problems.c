#include "base/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../support/base_config.h"
#include "base/config_table.h"

TestSuite(config_problems, .init = base_config_setup, .fini = base_config_teardown);

Test(config_problems, all_problems_are_collected_at_once_in_the_order_of_the_table)
{
    base_config_load(
        "TURN_PORT=x\nTRUST_PROXY=x,10.0.0.0/8,y\nAPP_ENV=x\nRATE_LIMIT_A=x\nLOG_LEVEL=x\n"
        "ALLOWED_ORIGINS=x,https://a.example,y\nENABLE_WS_PROXY=true\n",
        SB_NEEDS_USERS);
    static const char *const expected[] = {
        "APP_ENV",     "LOG_LEVEL",  "ALLOWED_ORIGINS", "ALLOWED_ORIGINS", "TRUST_PROXY",
        "TRUST_PROXY", "JWT_SECRET", "TURN_PORT",       "RATE_LIMIT_A",    "ENABLE_WS_PROXY"};
    const struct sb_config_problem *p = base_problems;
    for (size_t i = 0; i < SB_COUNT(expected); i++, p = p->next) {
        cr_assert_not_null(p, "%s is missing", expected[i]);
        cr_assert_str_eq(p->variable, expected[i]);
    }
    cr_assert_null(p, "%s too many", p == NULL ? "" : p->variable);
}

/* Exactly the rows that are demanded of needs are reported as not set, in order. */
static void assert_demands(bool production, unsigned needs)
{
    base_config_load(production ? "APP_ENV=production\n" : "", needs);
    const struct sb_config_problem *p = base_problems;
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        bool demanded =
            row->demand == SB_DEMANDED || (production && row->demand == SB_DEMANDED_IN_PRODUCTION);
        if (!demanded || (row->needs != 0 && (row->needs & needs) == 0))
            continue;
        cr_assert_not_null(p, "%s is not demanded of needs %x", row->name, needs);
        cr_assert_str_eq(p->variable, row->name, "needs %x: %s", needs, p->variable);
        cr_assert_not_null(strstr(p->message, "is not set"), "%s", p->message);
        cr_assert_eq(strstr(p->message, "production") != NULL,
                     row->demand == SB_DEMANDED_IN_PRODUCTION, "%s", p->message);
        cr_assert_eq(p->needs, row->needs);
        p = p->next;
    }
    cr_assert_null(p, "needs %x: %s", needs, p == NULL ? "" : p->variable);
}

Test(config_problems, a_variable_is_demanded_only_of_those_who_need_it)
{
    for (unsigned needs = 0; needs <= SB_NEEDS_ALL; needs++)
        assert_demands(false, needs);
}

Test(config_problems, production_demands_more)
{
    for (unsigned needs = 0; needs <= SB_NEEDS_ALL; needs++)
        assert_demands(true, needs);
}

Test(config_problems, production_demands_what_a_public_site_must_have)
{
    base_config_load("APP_ENV=production\n", SB_NEEDS_ALL);
    static const char *const expected[] = {"PRODUCTION_DOMAIN", "JWT_SECRET",   "METRICS_TOKEN",
                                           "JITSI_JWT_SECRET",  "JITSI_DOMAIN", "TURN_HOST"};
    for (size_t i = 0; i < SB_COUNT(expected); i++)
        cr_expect_eq(base_problem_count(expected[i]), 1, "%s", expected[i]);
}

Test(config_problems, a_star_origin_is_refused_in_production_alone)
{
    base_config_load("ALLOWED_ORIGINS=*\n", SB_NEEDS_CORE);
    cr_assert_eq(base_config->allowed_origins.count, 1);
    base_config_load("ALLOWED_ORIGINS=*\nAPP_ENV=production\nPRODUCTION_DOMAIN=a.example\n",
                     SB_NEEDS_CORE);
    cr_assert_eq(base_problem_count("ALLOWED_ORIGINS"), 1);
    cr_assert_eq(base_config->allowed_origins.count, 0, "and not used");
}

Test(config_problems, a_set_value_that_is_wrong_is_reported_to_those_without_the_need_as_well)
{
    base_config_load("TURN_PORT=x\n", SB_NEEDS_CORE);
    cr_assert_eq(base_problem_count("TURN_PORT"), 1);
    cr_assert_null(sb_config_blocking(base_problems, SB_NEEDS_CORE), "but stops only who needs it");
    cr_assert_not_null(sb_config_blocking(base_problems, SB_NEEDS_TURN));
}

Test(config_problems, no_problem_shows_a_secret)
{
    size_t secrets = 0;
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        if (row->type != SB_CONFIG_SECRET)
            continue;
        secrets++;
        base_config_load_one(row->name, "hunter2");
        if (row->min > 7)
            cr_expect_eq(base_problem_count(row->name), 1, "%s", row->name);
        for (const struct sb_config_problem *p = base_problems; p != NULL; p = p->next)
            cr_expect_null(strstr(p->message, "hunter2"), "%s", p->message);
    }
    cr_assert_gt(secrets, 3);
}

Test(config_problems, no_problem_shows_the_password_of_a_database)
{
    base_config_load("DATABASE_URL=postgresql//user:hunter2@host/db\n", SB_NEEDS_DB);
    cr_assert_eq(base_problem_count("DATABASE_URL"), 1);
    cr_assert_null(strstr(base_problem_message("DATABASE_URL"), "hunter2"));
}

Test(config_problems, no_problem_shows_the_password_of_a_url)
{
    base_config_load("JWT_JWKS_URL=https://user:hunter2@host/\n", SB_NEEDS_USERS);
    cr_assert_eq(base_problem_count("JWT_JWKS_URL"), 1);
    cr_assert_null(strstr(base_problem_message("JWT_JWKS_URL"), "hunter2"));
}

#define KEYS                                                                                       \
    "JWT_JWKS_URL=https://id.example/keys\nJWT_ISSUER=https://id.example\nJWT_AUDIENCE=app\n"

Test(config_problems, users_need_a_secret_or_keys_and_tickets_need_the_secret)
{
    static const struct {
        const char *text;
        unsigned needs, stops; /* whom a missing JWT_SECRET stops */
    } rows[] = {
        {"", SB_NEEDS_USERS, SB_NEEDS_USERS},
        {"", SB_NEEDS_TICKETS, SB_NEEDS_TICKETS},
        {KEYS, SB_NEEDS_USERS, 0},
        {KEYS, SB_NEEDS_USERS | SB_NEEDS_TICKETS, SB_NEEDS_TICKETS},
        {KEYS "JWT_SECRET=0123456789abcdef0123456789abcdef\n", SB_NEEDS_ALL, 0},
        {"", SB_NEEDS_DB, 0},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        base_config_load(rows[i].text, rows[i].needs);
        cr_expect_eq(base_problem_count("JWT_SECRET") == 1, rows[i].stops != 0, "row %zu", i);
        cr_expect_eq(sb_config_blocking(base_problems, SB_NEEDS_USERS) != NULL,
                     rows[i].stops == SB_NEEDS_USERS ||
                         (rows[i].stops != 0 && *rows[i].text == '\0'),
                     "row %zu", i);
    }
}

Test(config_problems, a_key_url_demands_the_issuer)
{
    base_config_load("JWT_JWKS_URL=https://id.example/keys\n", SB_NEEDS_USERS);
    cr_assert_eq(base_problem_count("JWT_ISSUER"), 1);
    cr_assert_not_null(sb_config_blocking(base_problems, SB_NEEDS_USERS));
    cr_assert_null(sb_config_blocking(base_problems, SB_NEEDS_TURN));
    base_config_load(KEYS, SB_NEEDS_USERS);
    base_config_assert_no_problem();
    base_config_load("JWT_SECRET=0123456789abcdef0123456789abcdef\n", SB_NEEDS_USERS);
    base_config_assert_no_problem();
}

Test(config_problems, keys_without_audience_and_party_are_a_warning)
{
    static const char *const pins[] = {"", "JWT_AUDIENCE=app\n", "JWT_AUTHORIZED_PARTIES=app\n"};
    for (size_t i = 0; i < SB_COUNT(pins); i++) {
        char text[256];
        snprintf(text, sizeof text, "JWT_JWKS_URL=https://id.example/\nJWT_ISSUER=x\n%s", pins[i]);
        base_config_load(text, SB_NEEDS_USERS);
        cr_expect_eq(base_problem_count("JWT_AUDIENCE") == 1, i == 0, "%s", pins[i]);
        cr_expect_null(sb_config_blocking(base_problems, SB_NEEDS_ALL), "%s", pins[i]);
    }
}

Test(config_problems, keys_are_fetched_without_tls_in_development_alone)
{
    base_config_load("JWT_JWKS_URL=http://127.0.0.1/\nJWT_ISSUER=x\nJWT_AUDIENCE=x\n",
                     SB_NEEDS_USERS);
    base_config_assert_no_problem();
    base_config_load("JWT_JWKS_URL=http://127.0.0.1/\nJWT_ISSUER=x\nAPP_ENV=production\n",
                     SB_NEEDS_USERS);
    cr_assert_eq(base_problem_count("JWT_JWKS_URL"), 1);
    cr_assert_null(base_config->jwt_jwks_url);
}

#define TURN "TURN_HOST=turn.example\n"
#define LONG_SECRET "0123456789abcdef0123456789abcdef"

Test(config_problems, turn_takes_a_secret_or_a_user_with_a_password)
{
    static const struct {
        const char *text;
        bool fine;
    } rows[] = {
        {TURN, false},
        {TURN "TURN_USERNAME=u\n", false},
        {TURN "TURN_PASSWORD=p\n", false},
        {TURN "TURN_USERNAME=u\nTURN_PASSWORD=p\n", true},
        {TURN "TURN_SECRET=" LONG_SECRET "\n", true},
        {"TURN_USERNAME=u\n", true},
        {"", true},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        base_config_load(rows[i].text, SB_NEEDS_TURN);
        cr_expect_eq(base_problem_count("TURN_SECRET") == 0, rows[i].fine, "%s", rows[i].text);
    }
}

Test(config_problems, a_short_turn_secret_is_not_called_unset)
{
    base_config_load(TURN "TURN_SECRET=short\n", SB_NEEDS_TURN);
    cr_assert_eq(base_problem_count("TURN_SECRET"), 1);
    cr_assert_not_null(strstr(base_problem_message("TURN_SECRET"), "shorter"));
}

Test(config_problems, a_turn_user_holds_no_colon)
{
    base_config_load("TURN_USERNAME=a:b\n", SB_NEEDS_TURN);
    cr_assert_eq(base_problem_count("TURN_USERNAME"), 1);
}

Test(config_problems, a_websocket_proxy_cannot_be_had)
{
    base_config_load("ENABLE_WS_PROXY=true\n", SB_NEEDS_CORE);
    cr_assert_eq(base_problem_count("ENABLE_WS_PROXY"), 1);
    cr_assert_not_null(sb_config_blocking(base_problems, SB_NEEDS_CORE));
    base_config_load("ENABLE_WS_PROXY=false\n", SB_NEEDS_CORE);
    base_config_assert_no_problem();
}

Test(config_problems, names_of_other_software_are_answered_with_a_hint)
{
    for (size_t i = 0; i < sb_config_foreign_count; i++) {
        base_config_load_one(sb_config_foreigns[i].name, "true");
        cr_expect_eq(base_problem_count(sb_config_foreigns[i].name), 1);
        cr_expect_str_eq(base_problem_message(sb_config_foreigns[i].name),
                         sb_config_foreigns[i].hint);
    }
}

Test(config_problems, a_public_domain_in_development_is_a_warning_that_stops_nothing)
{
    base_config_load("PRODUCTION_DOMAIN=www.example.com\n", SB_NEEDS_CORE);
    cr_assert_eq(base_problem_count("APP_ENV"), 1);
    cr_assert(base_problems->warning);
    cr_assert_null(sb_config_blocking(base_problems, SB_NEEDS_ALL));
    base_config_load("PRODUCTION_DOMAIN=localhost\n", SB_NEEDS_CORE);
    base_config_assert_no_problem();
}

Test(config_problems, a_file_that_cannot_be_read_for_the_moment_is_no_problem_of_the_configuration)
{
    const struct rlimit none = {3, 3};
    struct sb_config *config = NULL;
    struct sb_config_problem *problems = NULL;
    base_config_load("LOG_LEVEL=warn\n", 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    cr_assert_not(sb_config_load(base_config_path, 0, &config, &problems));
    cr_assert_eq(errno, EMFILE);
    cr_assert_null(config);
    cr_assert_null(problems);
}

Test(config_problems, blocking_gives_the_first_error_that_concerns)
{
    struct sb_config_problem third = {"THIRD", "", 0, false, NULL};
    struct sb_config_problem second = {"SECOND", "", SB_NEEDS_DB | SB_NEEDS_TURN, false, &third};
    struct sb_config_problem first = {"FIRST", "", 0, true, &second};
    cr_assert_eq(sb_config_blocking(&first, SB_NEEDS_DB), &second);
    cr_assert_eq(sb_config_blocking(&first, SB_NEEDS_TURN | SB_NEEDS_JITSI), &second);
    cr_assert_eq(sb_config_blocking(&first, SB_NEEDS_JITSI), &third);
    cr_assert_eq(sb_config_blocking(&first, SB_NEEDS_CORE), &third);
    cr_assert_null(sb_config_blocking(NULL, SB_NEEDS_ALL));
}

Test(config_problems, an_unknown_variable_of_the_file_is_a_warning_that_names_it)
{
    setenv("SOMETHING_OF_SOMEBODY", "1", 1); /* the environment is anybody's */
    base_config_load("ALLOWED_ORIGN=https://a.example\nRATE_LIMIT_ANY=1/1\n", SB_NEEDS_CORE);
    cr_assert_not_null(base_problems);
    cr_expect_str_eq(base_problems->variable, "ALLOWED_ORIGN");
    cr_expect(base_problems->warning);
    cr_expect_null(base_problems->next);
    cr_expect_null(sb_config_blocking(base_problems, SB_NEEDS_ALL));
}

Test(config_problems, mail_needs_addresses_an_account_whole_or_none_and_all_it_is_made_of)
{
    static const struct {
        const char *file, *variable;
        bool warning;
    } rows[] = {
        {"SALES_EMAIL=sales\nSMTP_HOST=m.b.c\nSMTP_FROM=f@b.c\n", "SALES_EMAIL", false},
        {"SALES_EMAIL=s@b.c\nSMTP_HOST=m.b.c\nSMTP_FROM=\"F <f@b.c>\"\n", "SMTP_FROM", false},
        {"SALES_EMAIL=s@b.c\nSMTP_HOST=m.b.c\nSMTP_FROM=f@b.c\nSMTP_USERNAME=u\n", "SMTP_PASSWORD",
         false},
        {"SALES_EMAIL=s@b.c\nSMTP_HOST=m.b.c\nSMTP_FROM=f@b.c\nSMTP_PASSWORD=p\n", "SMTP_USERNAME",
         false},
        {"SALES_EMAIL=s@b.c\nSMTP_FROM=f@b.c\n", "SMTP_HOST", true},
        {"SMTP_HOST=m.b.c\nSMTP_FROM=f@b.c\n", "SALES_EMAIL", true},
        {"SALES_EMAIL=s@b.c\nSMTP_HOST=m.b.c\n", "SMTP_FROM", true},
    };
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        base_config_load(rows[i].file, SB_NEEDS_MAIL);
        cr_assert_not_null(base_problems, "%s", rows[i].file);
        cr_expect_str_eq(base_problems->variable, rows[i].variable, "%s", rows[i].file);
        cr_expect_eq(base_problems->warning, rows[i].warning, "%s", rows[i].file);
        cr_expect_null(base_problems->next, "%s", rows[i].file);
    }
    base_config_load("SALES_EMAIL=s@b.c\nSMTP_HOST=m.b.c\nSMTP_FROM=f@b.c\n", SB_NEEDS_MAIL);
    cr_expect_null(base_problems);
    base_config_load("", SB_NEEDS_MAIL);
    cr_expect_null(base_problems);
}
