#include "base/config.h"

#include <criterion/criterion.h>
#include <string.h>

#include "../support/base_config.h"
#include "base/config_table.h"
#include "base/log.h"

TestSuite(config_values, .init = base_config_setup, .fini = base_config_teardown);

/* A variable of each type with values, and whether they are taken. */
static const struct {
    const char *name, *value;
    bool taken;
} values[] = {
    {"JITSI_APP_ID", "any text, at all", true},
    {"METRICS_TOKEN", "0123456789abcde", false},
    {"METRICS_TOKEN", "0123456789abcdef", true},
    {"JWT_SECRET", "0123456789abcdef0123456789abcde", false},
    {"JWT_SECRET", "0123456789abcdef0123456789abcdef", true},
    {"TURN_PASSWORD", "x", true},
    {"STATE_DIR", "/srv/x", true},
    {"STATE_DIR", "srv/x", false},
    {"STATE_DIR", "./x", false},
    {"CORS_REPORT_ONLY", "true", true},
    {"CORS_REPORT_ONLY", "TRUE", true},
    {"CORS_REPORT_ONLY", "1", true},
    {"CORS_REPORT_ONLY", "false", true},
    {"CORS_REPORT_ONLY", "0", true},
    {"CORS_REPORT_ONLY", "yes", false},
    {"CORS_REPORT_ONLY", "2", false},
    {"CORS_REPORT_ONLY", "true ", false},
    {"TURN_PORT", "1", true},
    {"TURN_PORT", "65535", true},
    {"TURN_PORT", "0", false},
    {"TURN_PORT", "65536", false},
    {"TURN_PORT", "-1", false},
    {"TURN_PORT", "+1", false},
    {"TURN_PORT", " 1", false},
    {"TURN_PORT", "1 ", false},
    {"TURN_PORT", "\v1", false},
    {"TURN_PORT", "\r1", false},
    {"TURN_PORT", "1x", false},
    {"TURN_PORT", "0x10", false},
    {"TURN_PORT", "1.5", false},
    {"TURN_PORT", "-", false},
    {"TURN_PORT", "99999999999999999999", false},
    {"LOG_LEVEL", "debug", true},
    {"LOG_LEVEL", "error", true},
    {"LOG_LEVEL", "Debug", false},
    {"LOG_LEVEL", "verbose", false},
    {"APP_ENV", "staging", false},
    {"PRODUCTION_DOMAIN", "localhost", true},
    {"PRODUCTION_DOMAIN", "https://example.com", false},
    {"PRODUCTION_DOMAIN", "example.com:443", false},
    {"PRODUCTION_DOMAIN", "example.com/", false},
    {"PRODUCTION_DOMAIN", "exa mple.com", false},
    {"JITSI_DOMAIN", "Meet.Example.com", true},
    {"JITSI_DOMAIN", "192.0.2.1", true},
    {"OPENAI_BASE_URL", "https://api.example.com/v1", true},
    {"OPENAI_BASE_URL", "https://api.example.com", true},
    {"OPENAI_BASE_URL", "http://127.0.0.1:8080/a/b%20c", true},
    {"OPENAI_BASE_URL", "http://[::1]:8080", true},
    {"OPENAI_BASE_URL", "https://api.example.com/", false},
    {"OPENAI_BASE_URL", "https://api.example.com/v1/", false},
    {"OPENAI_BASE_URL", "https://api.example.com/v1?a=b", false},
    {"OPENAI_BASE_URL", "https://api.example.com/v1#a", false},
    {"OPENAI_BASE_URL", "https://api.example.com?a=b", false},
    {"OPENAI_BASE_URL", "https://user:pass@api.example.com", false},
    {"OPENAI_BASE_URL", "https://api.example.com:", false},
    {"OPENAI_BASE_URL", "https://api.example.com:123456", false},
    {"OPENAI_BASE_URL", "https://api.example.com:80x", false},
    {"OPENAI_BASE_URL", "https://api example.com", false},
    {"OPENAI_BASE_URL", "https://", false},
    {"OPENAI_BASE_URL", "https:///v1", false},
    {"OPENAI_BASE_URL", "https://[::1", false},
    {"OPENAI_BASE_URL", "ftp://api.example.com", false},
    {"OPENAI_BASE_URL", "HTTPS://api.example.com", false},
    {"OPENAI_BASE_URL", "api.example.com", false},
    {"OPENAI_API_KEY", "sk-x", true},
    {"OPENAI_API_KEY", "sk x", false},
    {"OPENAI_PROJECT", "proj\xC3\xA9", false},
    {"OPENAI_ORGANIZATION", "org_1", true},
    {"OPENAI_ORGANIZATION", "org\t1", false},
    {"OPENAI_REALTIME_VOICES", "marin, cedar", true},
    {"OPENAI_REALTIME_VOICES", " , ", false},
    {"REALTIME_TOKEN_TTL", "300", true},
    {"REALTIME_TOKEN_TTL", "301", false},
    {"JWT_JWKS_URL", "https://id.example/keys", true},
    {"JWT_JWKS_URL", "https://id.example:8443/a/b?c=d&e=%20", true},
    {"JWT_JWKS_URL", "https://[2001:db8::1]/", true},
    {"JWT_JWKS_URL", "https://id.example", true},
    {"JWT_JWKS_URL", "http://localhost/keys", true},
    {"JWT_JWKS_URL", "http://127.0.0.1:8080/keys", true},
    {"JWT_JWKS_URL", "http://[::1]:8080/keys", true},
    {"JWT_JWKS_URL", "http://id.example/keys", false},
    {"JWT_JWKS_URL", "http://127.0.0.1.id.example/keys", false},
    {"JWT_JWKS_URL", "http://localhost@id.example/keys", false},
    {"JWT_JWKS_URL", "http://[::1", false},
    {"JWT_JWKS_URL", "https://user:pw@id.example/keys", false},
    {"JWT_JWKS_URL", "https://id.example/keys#a", false},
    {"JWT_JWKS_URL", "https://id.example/a b", false},
    {"JWT_JWKS_URL", "https://id.example:0/", false},
    {"JWT_JWKS_URL", "https://id.example:x/", false},
    {"JWT_JWKS_URL", "https://", false},
    {"JWT_JWKS_URL", "https:///keys", false},
    {"JWT_JWKS_URL", "file:///etc/passwd", false},
    {"JWT_JWKS_URL", "HTTPS://id.example/", false},
    {"JWT_JWKS_URL", "id.example", false},
    {"DATABASE_URL", "sqlite:x.db", true},
    {"DATABASE_URL", "sqlite:/srv/x.db", true},
    {"DATABASE_URL", "sqlite:", false},
    {"DATABASE_URL", "sqlite", false},
    {"DATABASE_URL", "s", false},
    {"DATABASE_URL", "mysql://x", false},
    {"DATABASE_URL", "SQLITE:x", false},
    {"ALLOWED_ORIGINS", "https://a.example", true},
    {"ALLOWED_ORIGINS", "*", true},
    {"ALLOWED_ORIGINS", "a.example", false},
    {"ALLOWED_ORIGINS", "https://a.example/", false},
    {"ALLOWED_ORIGINS", "https://a.example,null", false},
    {"ALLOWED_ORIGINS", "https://*.example", false},
    {"TRUST_PROXY", "true", true},
    {"TRUST_PROXY", "false", true},
    {"TRUST_PROXY", "10.0.0.0/8, ::1", true},
    {"TRUST_PROXY", "1", false},
    {"TRUST_PROXY", "10.0.0.1/8", false},
    {"TRUST_PROXY", "loopback", false},
};

Test(config_values, each_type_takes_its_values_and_refuses_others)
{
    for (size_t i = 0; i < SB_COUNT(values); i++) {
        base_config_load_one(values[i].name, values[i].value);
        cr_expect_eq(base_problem_count(values[i].name) == 0, values[i].taken, "%s=%s: %s",
                     values[i].name, values[i].value, base_problem_message(values[i].name));
    }
}

Test(config_values, the_example_values_of_the_types_cover_every_type)
{
    bool covered[SB_CONFIG_DATABASE + 1] = {false};
    for (size_t i = 0; i < SB_COUNT(values); i++) {
        for (size_t row = 0; row < sb_config_row_count; row++) {
            if (strcmp(sb_config_rows[row].name, values[i].name) == 0)
                covered[sb_config_rows[row].type] = true;
        }
    }
    for (size_t type = 0; type < SB_COUNT(covered); type++)
        cr_expect(covered[type] || type == SB_CONFIG_LIST, "type %zu", type);
}

Test(config_values, refused_values_leave_the_defaults)
{
    base_config_load(
        "TURN_PORT=70000\nSTATE_DIR=x\nLOG_LEVEL=loud\nCORS_REPORT_ONLY=perhaps\n"
        "JITSI_DOMAIN=https://x\nDATABASE_URL=mysql://x\nTRUST_PROXY=10.0.0.0/8,nonsense\n"
        "ALLOWED_ORIGINS=https://a.example,nonsense\nMETRICS_TOKEN=short\nAPP_ENV=test\n",
        SB_NEEDS_CORE);
    cr_assert_eq(base_config->turn_port, 3478);
    cr_assert_str_eq(base_config->state_dir, "/var/lib/switchboard");
    cr_assert_eq(base_config->log_level, SB_LOG_INFO);
    cr_assert_not(base_config->cors_report_only);
    cr_assert_str_eq(base_config->jitsi_domain, "localhost");
    cr_assert_str_eq(base_config->database_path, "/var/lib/switchboard/switchboard.db");
    cr_assert_eq(base_config->trust_proxy.count, 0, "none rather than some");
    cr_assert_eq(base_config->allowed_origins.count, 0, "none rather than some");
    cr_assert_null(base_config->metrics_token);
    cr_assert_eq(base_config->app_env, SB_ENV_DEVELOPMENT);
}

Test(config_values, each_type_is_stored_as_it_was_meant)
{
    base_config_load(
        "APP_ENV=production\nLOG_LEVEL=error\nCORS_REPORT_ONLY=1\nALLOW_NO_ORIGIN=True\n"
        "ENABLE_VAD=0\nTURN_PORT=0443\nSTATE_DIR=/srv/state\nDATABASE_URL=sqlite:/srv/a.db\n"
        "JWT_AUDIENCE=' a ,b,, c d ,'\n",
        SB_NEEDS_CORE);
    cr_assert_eq(base_config->app_env, SB_ENV_PRODUCTION);
    cr_assert_eq(base_config->log_level, SB_LOG_ERROR);
    cr_assert(base_config->cors_report_only);
    cr_assert(base_config->allow_no_origin);
    cr_assert_not(base_config->enable_vad);
    cr_assert_eq(base_config->turn_port, 443);
    cr_assert_str_eq(base_config->database_url, "sqlite:/srv/a.db");
    cr_assert_str_eq(base_config->database_path, "/srv/a.db");
    cr_assert_eq(base_config->jwt_audience.count, 3);
    cr_assert_str_eq(base_config->jwt_audience.items[0], "a");
    cr_assert_str_eq(base_config->jwt_audience.items[1], "b");
    cr_assert_str_eq(base_config->jwt_audience.items[2], "c d");
}

Test(config_values, a_relative_database_lies_below_the_state_directory)
{
    base_config_load("STATE_DIR=/srv/state\nDATABASE_URL=sqlite:sub/a.db\n", SB_NEEDS_CORE);
    cr_assert_str_eq(base_config->database_path, "/srv/state/sub/a.db");
}

Test(config_values, a_list_of_nothing_but_commas_is_empty)
{
    base_config_load("JWT_AUDIENCE=' , ,, '\n", SB_NEEDS_CORE);
    base_config_assert_no_problem();
    cr_assert_eq(base_config->jwt_audience.count, 0);
}

static bool trusted(const char *text)
{
    struct sb_address address;
    cr_assert(sb_address_parse(text, strlen(text), &address));
    for (size_t i = 0; i < base_config->trust_proxy.count; i++) {
        if (sb_cidr_contains(&base_config->trust_proxy.items[i], &address))
            return true;
    }
    return false;
}

Test(config_values, trust_proxy_true_means_loopback_and_private_ranges)
{
    base_config_load("TRUST_PROXY=true\n", SB_NEEDS_CORE);
    static const char *const inside[] = {"127.0.0.1",   "::1",     "10.1.2.3", "172.31.0.1",
                                         "192.168.9.9", "fd00::1", "fe80::1"};
    static const char *const outside[] = {"128.0.0.1",  "::2",         "11.0.0.1",
                                          "172.32.0.1", "192.169.0.1", "2001:db8::1"};
    for (size_t i = 0; i < SB_COUNT(inside); i++)
        cr_expect(trusted(inside[i]), "%s", inside[i]);
    for (size_t i = 0; i < SB_COUNT(outside); i++)
        cr_expect_not(trusted(outside[i]), "%s", outside[i]);
}

Test(config_values, trust_proxy_lists_networks)
{
    base_config_load("TRUST_PROXY='192.0.2.0/24, 2001:db8::/32'\n", SB_NEEDS_CORE);
    cr_assert_eq(base_config->trust_proxy.count, 2);
    cr_assert(trusted("192.0.2.255"));
    cr_assert(trusted("2001:db8::1"));
    cr_assert_not(trusted("127.0.0.1"));
}
