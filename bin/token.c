#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/claims.h"
#include "access/jws.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "store/users.h"
#include "verb.h"

static int token(int argc, char **argv);

VERB("token",
     "token mint --sub ID [--name NAME] [--role user|staff|service] [--ttl SECONDS]\n"
     "       switchboard token inspect < TOKEN",
     "mint a development token, or verify one and say what is wrong with it", token);

enum { TTL_DEFAULT_S = 3600, TTL_MAX_S = 30 * 24 * 3600 };

struct options {
    const char *sub, *name, *role, *ttl;
};

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"sub", required_argument, NULL, 's'},
                                          {"name", required_argument, NULL, 'n'},
                                          {"role", required_argument, NULL, 'r'},
                                          {"ttl", required_argument, NULL, 't'},
                                          {NULL, 0, NULL, 0}};
    *options = (struct options){0};
    for (int option; (option = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (option) {
        case 's':
            options->sub = optarg;
            break;
        case 'n':
            options->name = optarg;
            break;
        case 'r':
            options->role = optarg;
            break;
        case 't':
            options->ttl = optarg;
            break;
        default:
            return false;
        }
    }
    return optind == argc;
}

static void key_string(struct sb_buf *out, const char *key, const char *value)
{
    if (value == NULL)
        return;
    sb_json_key(out, key);
    sb_json_string(out, value);
}

static void key_int(struct sb_buf *out, const char *key, int64_t value)
{
    sb_json_key(out, key);
    sb_json_int(out, value);
}

static char *signed_token(const struct sb_config *config, const struct options *options,
                          int64_t ttl_s)
{
    struct sb_buf claims;
    int64_t now_s = sb_clock_now_ms() / 1000;
    sb_buf_init(&claims, config->arena, SB_JWS_MAX);
    sb_json_open(&claims, '{');
    key_string(&claims, "sub", options->sub);
    key_string(&claims, "name", options->name);
    key_string(&claims, "role", options->role);
    key_string(&claims, "iss", config->jwt_issuer);
    if (config->jwt_audience.count > 0)
        key_string(&claims, "aud", config->jwt_audience.items[0]);
    if (config->jwt_authorized_parties.count > 0)
        key_string(&claims, "azp", config->jwt_authorized_parties.items[0]);
    key_int(&claims, "iat", now_s);
    key_int(&claims, "exp", now_s + ttl_s);
    sb_json_close(&claims, '}');
    return sb_buf_ok(&claims) ? sb_jws_sign_hs256(config->arena, "JWT", claims.data, claims.length,
                                                  config->jwt_secret, strlen(config->jwt_secret))
                              : NULL;
}

static int mint(const struct sb_config *config, const struct options *options)
{
    char *end = NULL;
    long ttl_s = options->ttl == NULL ? TTL_DEFAULT_S : strtol(options->ttl, &end, 10);
    if (!sb_user_id_valid(options->sub))
        return usage_error(&this_verb, "--sub must be 1 to %d bytes without control characters",
                           SB_USER_ID_MAX);
    if (options->role != NULL && index_of(options->role, sb_role_names) < 0)
        return usage_error(&this_verb, "--role must be user, staff or service");
    if (options->ttl != NULL && (end == options->ttl || *end != '\0'))
        return usage_error(&this_verb, "--ttl must be a number of seconds");
    if (ttl_s < 1 || ttl_s > TTL_MAX_S)
        return usage_error(&this_verb, "--ttl must be from 1 to %d", TTL_MAX_S);
    if (config->app_env == SB_ENV_PRODUCTION) {
        say("refused: APP_ENV is production, where tokens come from your identity provider");
        return VERB_FAILED;
    }
    char *text = signed_token(config, options, ttl_s);
    if (text == NULL) {
        say("out of memory");
        return VERB_FAILED;
    }
    puts(text);
    return VERB_OK;
}

static int refused(const char *why)
{
    say("refused: %s", why);
    return VERB_FAILED;
}

static int inspect(const struct sb_config *config)
{
    static const char *const types[] = {"", "JWT", "at+jwt", NULL};
    static char text[SB_JWS_MAX + 2];
    const struct sb_jws_key key = {.alg = SB_JWS_HS256,
                                   .secret = (const unsigned char *)config->jwt_secret,
                                   .secret_length = strlen(config->jwt_secret)};
    const char *payload;
    size_t payload_length, length = fread(text, 1, sizeof text, stdin);
    while (length > 0 && strchr("\r\n ", text[length - 1]) != NULL)
        length--;
    enum sb_jws_result result =
        sb_jws_verify(config->arena, text, length, &(struct sb_jws_rules){&key, 1, types}, &payload,
                      &payload_length);
    if (result != SB_JWS_OK)
        return refused(sb_jws_result_text(result));
    printf("%s\n", payload);
    struct sb_claims claims;
    enum sb_claims_result checked = sb_claims_check(config->arena, payload, payload_length, config,
                                                    sb_clock_now_ms() / 1000, &claims);
    return checked == SB_CLAIMS_OK ? VERB_OK : refused(sb_claims_result_text(checked));
}

static int token(int argc, char **argv)
{
    struct command command;
    struct options options;
    if (argc < 2)
        return usage_error(&this_verb, "mint or inspect is missing");
    if (!parse(argc - 1, argv + 1, &options))
        return usage_error(&this_verb, "an option is not known");
    if (!command_open(&command, SB_NEEDS_USERS))
        return VERB_FAILED;
    int status;
    if (strcmp(argv[1], "mint") == 0)
        status = mint(command.config, &options);
    else if (strcmp(argv[1], "inspect") == 0)
        status = inspect(command.config);
    else
        status = usage_error(&this_verb, "\"%s\" is neither mint nor inspect", argv[1]);
    command_close(&command);
    return status;
}
