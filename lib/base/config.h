/* Configuration: one table (config_table.c) drives parsing, validation, documentation and the
 * example file.
 *
 * A value comes from the real environment if it has the variable, else from the environment file
 * (its last line for the variable), else from its default. An empty value counts as absent. All
 * problems are collected, none stops at the first; a program decides by its needs which of them
 * concern it. */
#ifndef SB_BASE_CONFIG_H
#define SB_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cidr.h"

/* What an endpoint depends on; a variable is demanded only of those who need it. */
enum sb_needs {
    SB_NEEDS_CORE = 0,
    SB_NEEDS_DB = 1 << 0,
    SB_NEEDS_USERS = 1 << 1, /* verifies bearer tokens */
    SB_NEEDS_JITSI = 1 << 2,
    SB_NEEDS_TURN = 1 << 3,
    SB_NEEDS_METRICS = 1 << 4,
    SB_NEEDS_UPSTREAM = 1 << 5, /* fetches from other systems */
    SB_NEEDS_OPENAI = 1 << 6,
    SB_NEEDS_TICKETS = 1 << 7, /* signs or verifies what Switchboard issues itself */
    SB_NEEDS_MAIL = 1 << 8,    /* has mail to send */
    SB_NEEDS_HEARING = 1 << 9, /* the engines of voice and chat */
    SB_NEEDS_THINKING = 1 << 10,
    SB_NEEDS_SPEAKING = 1 << 11,
    SB_NEEDS_VOICE = SB_NEEDS_HEARING | SB_NEEDS_THINKING | SB_NEEDS_SPEAKING,
    SB_NEEDS_ALL = (1 << 12) - 1
};

/* The names of the bits of needs, lowest first, NULL at the end, as --describe prints them. */
extern const char *const sb_needs_names[];

enum { SB_REALTIME_TOKEN_TTL_MAX_S = 300 }; /* of REALTIME_TOKEN_TTL */

/* Who hears, thinks and speaks; auto: who a key is set for, else, in development, local programs.
 */
enum sb_engine { SB_ENGINE_AUTO, SB_ENGINE_OPENAI, SB_ENGINE_LOCAL, SB_ENGINE_ELEVENLABS };

enum sb_app_env { SB_ENV_DEVELOPMENT, SB_ENV_PRODUCTION };

struct sb_strings {
    char **items;
    size_t count;
};

struct sb_cidrs {
    struct sb_cidr *items;
    size_t count;
};

/* RATE_LIMIT_<NAME>: what the administrator set for one policy. */
struct sb_rate_setting {
    const char *policy; /* as endpoints name it: lower case, '-' */
    int64_t limit;      /* requests in the window; 0: off */
    int64_t window_s;
};

/* What calls to other systems cost; as a budget 0 is unlimited. */
struct sb_spend {
    int64_t turns, seconds, tokens; /* seconds of audio */
};

struct sb_config {
    int64_t app_env; /* enum sb_app_env */
    const char *state_dir, *run_dir, *log_dir;
    int64_t log_level; /* enum sb_log_level */
    const char *database_url;
    const char *database_path; /* the PATH of sqlite:PATH */
    int64_t workers;           /* 0: the endpoint's own default */
    struct sb_strings allowed_origins;
    const char *production_domain;
    bool cors_report_only, allow_no_origin, csp_report_only;
    struct sb_cidrs trust_proxy;
    const char *jwt_secret, *jwt_jwks_url, *jwt_issuer;
    struct sb_strings jwt_audience, jwt_authorized_parties;
    bool enable_visitors;
    int64_t visitor_token_ttl_s;
    const char *metrics_token;
    const char *openai_api_key, *openai_base_url; /* the URL without a slash at its end */
    const char *openai_organization, *openai_project;
    int64_t openai_timeout_s;
    const char *transcription_model;
    struct sb_strings realtime_voices; /* the first is the default */
    const char *realtime_instructions;
    int64_t realtime_token_ttl_s, realtime_token_spend_s;
    int64_t realtime_max_session_s, realtime_calls_keep_days;
    const char *realtime_model;
    bool enable_server_vad, enable_vad, enable_ws_proxy;
    const char *jitsi_jwt_secret, *jitsi_domain, *jitsi_public_host, *jitsi_app_id;
    const char *turn_host, *turn_username, *turn_password, *turn_secret;
    int64_t turn_port, turn_tls_port;
    int64_t call_token_ttl_s, call_heartbeat_s;
    const char *upstream_ca_file;
    int64_t hearing, thinking, speaking; /* enum sb_engine */
    int64_t voice_timeout_s;
    const char *chat_model, *speech_model, *speech_voice;
    int64_t reply_tokens_max;
    const char *elevenlabs_api_key, *elevenlabs_base_url, *elevenlabs_voice_id, *elevenlabs_model;
    const char *decode_command, *stt_command, *tts_command;
    const char *receptionist_file;
    struct sb_spend budget_user, budget_visitor; /* of each, a day */
    struct sb_spend budget_site;                 /* of all together; turns 0 */
    bool enable_sessions;
    int64_t sessions_keep_days, usage_keep_days, temp_audio_max_age_s;
    const char *smtp_host, *smtp_username, *smtp_password, *smtp_from, *sales_email;
    int64_t smtp_port, leads_keep_days;
    bool enable_cache;
    int64_t chat_cache_ttl_s, chat_daily_quota;
    struct sb_rate_setting *rates;
    size_t rate_count;
    struct sb_arena *arena; /* owns everything above */
};

struct sb_config_problem {
    const char *variable;
    const char *message; /* what is wrong and what to do; never the value of a secret */
    unsigned needs;      /* whom it concerns: enum sb_needs bits, 0: everyone */
    bool warning;        /* worth saying, nothing stops */
    struct sb_config_problem *next;
};

/* Loads the environment file path (NULL: $SWITCHBOARD_ENV, else /etc/switchboard/switchboard.env;
 * only the file of the default name may be absent) under the real environment. needs says whose
 * variables are demanded. Always gives a *config (values that were refused have their defaults)
 * and the list of *problems in the order of the table, both alive until sb_config_free().
 * False, with errno: out of memory, or the file cannot be read for the moment (no descriptors, an
 * I/O error). */
SB_NONNULL(3, 4)
SB_MUST_CHECK bool sb_config_load(const char *path, unsigned needs, struct sb_config **config,
                                  struct sb_config_problem **problems);

/* Wipes config and all it holds, and frees it. NULL is allowed. */
void sb_config_free(struct sb_config *config);

/* The first problem, no warning, that concerns a program with these needs; NULL: none. */
const struct sb_config_problem *sb_config_blocking(const struct sb_config_problem *problems,
                                                   unsigned needs);

/* The administrator's setting for policy, or NULL. */
SB_NONNULL_ALL const struct sb_rate_setting *sb_config_rate(const struct sb_config *config,
                                                            const char *policy);

/* The documentation of the table: docs/CONFIGURATION.md and etc/switchboard.env.example. */
SB_NONNULL_ALL void sb_config_write_markdown(struct sb_buf *out);
SB_NONNULL_ALL void sb_config_write_example(struct sb_buf *out);

#endif
