#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/claims.h"
#include "access/jws.h"
#include "access/key_file.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "store/users.h"
#include "verb.h"

static int token(int argc, char **argv);

VERB("token",
     "token mint --sub ID [--name NAME] [--role user|staff|service] [--ttl SECONDS]\n"
     "       switchboard token inspect [--jwks FILE] [--raw] < TOKEN",
     "mint a development token, or verify one and say what is wrong with it", token);

enum { TTL_DEFAULT_S = 3600, TTL_MAX_S = 30 * 24 * 3600 };

struct options {
    const char *sub, *name, *role, *ttl; /* of mint */
    const char *jwks;                    /* of inspect */
    bool raw;
};

static bool parse(int argc, char **argv, struct options *options)
{
    const struct verb_option known[] = {{"sub", &options->sub, NULL},
                                        {"name", &options->name, NULL},
                                        {"role", &options->role, NULL},
                                        {"ttl", &options->ttl, NULL},
                                        {"jwks", &options->jwks, NULL},
                                        {"raw", NULL, &options->raw},
                                        {NULL, NULL, NULL}};
    *options = (struct options){0};
    return parse_options(argc, argv, known);
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
    char none[] = "", *end = none;
    long ttl_s = options->ttl == NULL ? TTL_DEFAULT_S : strtol(options->ttl, &end, 10);
    if (!sb_user_id_valid(options->sub))
        return usage_error(&this_verb, "--sub must be 1 to %d bytes without control characters",
                           SB_USER_ID_MAX);
    if (options->role != NULL && index_of(options->role, sb_role_names) < 0)
        return usage_error(&this_verb, "--role must be user, staff or service");
    if (end == options->ttl || *end != '\0')
        return usage_error(&this_verb, "--ttl must be a number of seconds");
    if (ttl_s < 1 || ttl_s > TTL_MAX_S)
        return usage_error(&this_verb, "--ttl must be from 1 to %d", TTL_MAX_S);
    if (config->app_env == SB_ENV_PRODUCTION) {
        say("refused: APP_ENV is production, where tokens come from your identity provider");
        return VERB_FAILED;
    }
    if (config->jwt_jwks_url != NULL) {
        say("refused: JWT_JWKS_URL is set, so tokens come from your identity provider");
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

/* What a token is verified with. */
struct keys {
    const struct sb_jwks *set; /* NULL: by secret */
    struct sb_jws_key secret;
};

static bool read_set(const char *path, const struct sb_jwks **set)
{
    static char text[SB_JWKS_BYTES_MAX + 1]; /* a byte to tell what is longer */
    FILE *file = fopen(path, "re");
    size_t length = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    bool readable = file != NULL && !ferror(file);
    if (!readable)
        say("%s: %s", path, strerror(errno));
    if (file != NULL)
        fclose(file);
    if (!readable)
        return false;
    enum sb_jwks_result result = sb_jwks_parse(text, length, set);
    if (result != SB_JWKS_OK)
        say("%s: %s", path, sb_jwks_result_text(result));
    return result == SB_JWKS_OK;
}

/* Those of --jwks, else those the endpoints would take. False: said why there are none. */
static bool find_keys(const struct sb_config *config, const char *path, struct keys *keys)
{
    struct stat st;
    *keys = (struct keys){0};
    if (path != NULL)
        return read_set(path, &keys->set);
    if (config->jwt_jwks_url != NULL) {
        const char *problem =
            sb_key_file_read(config->run_dir, config->jwt_jwks_url, &keys->set, &st);
        if (problem != NULL)
            say("%s/jwks.json: %s; run: switchboard jwks refresh", config->run_dir, problem);
        return problem == NULL;
    }
    keys->secret = (struct sb_jws_key){.alg = SB_JWS_HS256,
                                       .secret = (const unsigned char *)config->jwt_secret,
                                       .secret_length = strlen(config->jwt_secret)};
    return true;
}

static int refused(const char *why)
{
    say("refused: %s", why);
    return VERB_FAILED;
}

static int verify(const struct sb_config *config, const struct keys *keys, bool raw)
{
    static const char *const types[] = {"", "JWT", "at+jwt", NULL};
    static char text[SB_JWS_MAX + 2];
    const struct sb_jws_rules rules = {keys->set == NULL ? &keys->secret : keys->set->keys,
                                       keys->set == NULL ? 1 : keys->set->count,
                                       raw ? NULL : types};
    const char *payload;
    size_t payload_length, length = fread(text, 1, sizeof text, stdin);
    while (length > 0 && text[length - 1] != '\0' && strchr("\r\n ", text[length - 1]))
        length--;
    enum sb_jws_result result =
        sb_jws_verify(config->arena, text, length, &rules, &payload, &payload_length);
    if (result != SB_JWS_OK) {
        /* A key that was left out of its set may be the one that was wanted. */
        if (keys->set != NULL && (result == SB_JWS_NO_KEY || result == SB_JWS_BAD_ALG))
            say_left_out(keys->set);
        return refused(sb_jws_result_text(result));
    }
    fwrite(payload, 1, payload_length, stdout);
    if (raw)
        return VERB_OK;
    putchar('\n');
    struct sb_claims claims;
    enum sb_claims_result checked = sb_claims_check(config->arena, payload, payload_length, config,
                                                    sb_clock_now_ms() / 1000, &claims);
    return checked == SB_CLAIMS_OK ? VERB_OK : refused(sb_claims_result_text(checked));
}

static int inspect(const struct sb_config *config, const struct options *options)
{
    struct keys keys;
    if (!find_keys(config, options->jwks, &keys))
        return VERB_FAILED;
    int status = verify(config, &keys, options->raw);
    sb_jwks_release(keys.set);
    return status;
}

/* With a file of keys there is nothing an installation must provide: what it has is the issuer,
 * audience and parties to hold the claims against. */
static int inspect_alone(const struct options *options)
{
    struct sb_config *config;
    struct sb_config_problem *problems;
    if (!sb_config_load(NULL, SB_NEEDS_CORE, &config, &problems)) {
        say("out of memory");
        return VERB_FAILED;
    }
    const struct sb_config_problem *problem = sb_config_blocking(problems, SB_NEEDS_CORE);
    int status = VERB_FAILED;
    if (problem == NULL || options->raw)
        status = inspect(config, options);
    else
        say("%s %s", problem->variable, problem->message);
    sb_config_free(config);
    return status;
}

static bool options_fit(bool minting, const struct options *options)
{
    bool of_mint = options->sub != NULL || options->name != NULL || options->role != NULL ||
                   options->ttl != NULL;
    bool of_inspect = options->jwks != NULL || options->raw;
    return minting ? !of_inspect : !of_mint;
}

static int token(int argc, char **argv)
{
    struct command command;
    struct options options;
    if (argc < 2)
        return usage_error(&this_verb, "mint or inspect is missing");
    bool minting = strcmp(argv[1], "mint") == 0;
    if (!minting && strcmp(argv[1], "inspect") != 0)
        return usage_error(&this_verb, "\"%s\" is neither mint nor inspect", argv[1]);
    if (!parse(argc - 1, argv + 1, &options) || !options_fit(minting, &options))
        return usage_error(&this_verb, "an option is not known");
    if (options.jwks != NULL)
        return inspect_alone(&options);
    if (!command_open(&command, SB_NEEDS_USERS))
        return VERB_FAILED;
    int status = minting ? mint(command.config, &options) : inspect(command.config, &options);
    command_close(&command);
    return status;
}
