/* switchboard jwks: the identity provider's keys, fetched for all endpoints. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/key_file.h"
#include "access/key_refresh.h"
#include "base/clock.h"
#include "base/log.h"
#include "upstream/fetch.h"
#include "verb.h"

static int jwks(int argc, char **argv);

VERB("jwks", "jwks refresh | jwks show",
     "fetch the identity provider's keys (cron and endpoints run it), or list them", jwks);

enum { DEADLINE_MS = 5000 };

/* For the log too: an endpoint or cron that starts this reads no standard error. */
static int failed(const char *reason)
{
    SB_LOG(SB_LOG_ERROR, "jwks.refresh_failed", NULL, SB_LOG_TEXT("reason", reason));
    say("the keys were not refreshed, those at hand stay: %s", reason);
    return VERB_FAILED;
}

void say_left_out(const struct sb_jwks *set)
{
    for (size_t i = 0; i < set->member_count; i++) {
        const struct sb_jwks_member *member = &set->members[i];
        if (member->flaw != NULL)
            say("key %s is left out: %s", member->kid == NULL ? "without kid" : member->kid,
                member->flaw);
    }
}

static int replace(const struct sb_config *config, const struct sb_fetch_result *fetched)
{
    const struct sb_jwks *set;
    enum sb_jwks_result result = sb_jwks_parse(fetched->body, fetched->body_length, &set);
    if (result != SB_JWKS_OK)
        return failed(sb_jwks_result_text(result));
    say_left_out(set);
    int64_t count = (int64_t)set->count, left_out = (int64_t)(set->member_count - set->count);
    sb_jwks_release(set);
    if (count == 0)
        return failed("the key set has no key that verifies RS256 or ES256");
    if (!sb_key_file_replace(config->run_dir, fetched->body, fetched->body_length,
                             config->jwt_jwks_url)) {
        say("RUN_DIR %s: %s", config->run_dir, strerror(errno));
        return failed("the file of keys cannot be written");
    }
    SB_LOG(SB_LOG_INFO, "jwks.refreshed", NULL, SB_LOG_INT("keys", count),
           SB_LOG_INT("leftOut", left_out));
    return VERB_OK;
}

static int fetch_and_replace(const struct sb_config *config)
{
    static const struct sb_fetch_header headers[] = {
        {"Accept", "application/jwk-set+json, application/json"}};
    bool production = config->app_env == SB_ENV_PRODUCTION;
    const struct sb_fetch_request request = {.upstream = "jwks",
                                             .url = config->jwt_jwks_url,
                                             .peers = production ? SB_FETCH_CONFIGURED_TLS
                                                                 : SB_FETCH_CONFIGURED_LOOPBACK,
                                             .headers = headers,
                                             .header_count = SB_COUNT(headers),
                                             .total_ms = DEADLINE_MS,
                                             .response_max = SB_JWKS_BYTES_MAX,
                                             .arena = config->arena};
    struct sb_fetch_result result;
    if (sb_fetch(config, &request, &result) == SB_OK)
        return replace(config, &result);
    char reason[128];
    if (result.outcome == SB_FETCH_STATUS)
        snprintf(reason, sizeof reason, "JWT_JWKS_URL was answered with status %d", result.status);
    else
        snprintf(reason, sizeof reason, "the request to JWT_JWKS_URL failed (%s)",
                 sb_fetch_outcome_name(result.outcome));
    return failed(reason);
}

/* Whether somebody has refreshed the keys since then, who had the lock that was waited for. */
static bool newer_than(const struct sb_config *config, const struct stat *before, bool was_there)
{
    struct stat now;
    return sb_key_file_stat(config->run_dir, &now) &&
           (!was_there || now.st_ino != before->st_ino ||
            now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != before->st_mtim.tv_nsec);
}

static int refresh(const struct sb_config *config)
{
    struct stat before;
    sb_log_open(config->log_dir, "switchboard", (enum sb_log_level)config->log_level);
    bool was_there = sb_key_file_stat(config->run_dir, &before);
    if (sb_key_refresh_lock(config->run_dir) < 0) {
        say("RUN_DIR %s: %s", config->run_dir, strerror(errno));
        return failed("the lock file cannot be opened");
    }
    return newer_than(config, &before, was_there) ? VERB_OK : fetch_and_replace(config);
}

static int show(const struct sb_config *config)
{
    const struct sb_jwks *set;
    struct stat st;
    const char *problem = sb_key_file_read(config->run_dir, config->jwt_jwks_url, &set, &st);
    if (problem != NULL) {
        say("%s/jwks.json: %s; run: switchboard jwks refresh", config->run_dir, problem);
        return VERB_FAILED;
    }
    for (size_t i = 0; i < set->member_count; i++) {
        const struct sb_jwks_member *member = &set->members[i];
        printf("%s\t%s\t%s\n", member->kid == NULL ? "-" : member->kid,
               member->alg == NULL ? "-" : member->alg, member->flaw == NULL ? "" : member->flaw);
    }
    say("%zu of %zu keys verify; fetched %" PRId64 " s ago", set->count, set->member_count,
        sb_clock_now_ms() / 1000 - (int64_t)st.st_mtim.tv_sec);
    sb_jwks_release(set);
    return VERB_OK;
}

static int jwks(int argc, char **argv)
{
    struct command command;
    if (argc != 2)
        return usage_error(&this_verb, "refresh or show is wanted");
    bool wants_refresh = strcmp(argv[1], "refresh") == 0;
    if (!wants_refresh && strcmp(argv[1], "show") != 0)
        return usage_error(&this_verb, "\"%s\" is neither refresh nor show", argv[1]);
    if (!command_open(&command, SB_NEEDS_USERS | SB_NEEDS_UPSTREAM))
        return VERB_FAILED;
    int status = VERB_FAILED;
    if (command.config->jwt_jwks_url == NULL)
        say("JWT_JWKS_URL is not set; there are no keys to be fetched");
    else
        status = wants_refresh ? refresh(command.config) : show(command.config);
    command_close(&command);
    return status;
}
