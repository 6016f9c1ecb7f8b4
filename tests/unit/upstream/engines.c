#include "upstream/engines.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/base.h"
#include "base/log.h"
#include "upstream/elevenlabs.h"
#include "upstream/local.h"
#include "upstream/openai_voice.h"

static struct sb_engines engines;
static const char *reason;

static const char *choose(const struct sb_config *config)
{
    return sb_engines_problem(config, SB_NEEDS_VOICE, &engines, &reason);
}

Test(engines, without_a_key_development_uses_the_programs_of_the_machine)
{
    const struct sb_config config = {.app_env = SB_ENV_DEVELOPMENT};
    cr_expect_null(choose(&config));
    cr_expect_eq(engines.hearing, &sb_local_hearing);
    cr_expect_eq(engines.thinking, &sb_local_thinking);
    cr_expect_eq(engines.speaking, &sb_local_speaking);
    cr_expect_not(engines.fetches);
}

Test(engines, production_uses_them_only_where_it_says_so)
{
    struct sb_config config = {.app_env = SB_ENV_PRODUCTION};
    cr_expect_str_eq(choose(&config), "VOICE_HEARING");
    config.hearing = SB_ENGINE_LOCAL;
    cr_expect_str_eq(choose(&config), "VOICE_THINKING");
    config.thinking = SB_ENGINE_LOCAL;
    cr_expect_str_eq(choose(&config), "VOICE_SPEAKING");
    config.speaking = SB_ENGINE_LOCAL;
    cr_expect_null(choose(&config));
}

Test(engines, a_key_decides)
{
    struct sb_config config = {.app_env = SB_ENV_PRODUCTION, .openai_api_key = "k"};
    cr_expect_null(choose(&config));
    cr_expect_eq(engines.hearing, &sb_openai_hearing);
    cr_expect_eq(engines.thinking, &sb_openai_thinking);
    cr_expect_eq(engines.speaking, &sb_openai_speaking);
    cr_expect(engines.fetches);
    config.elevenlabs_api_key = "k";
    cr_expect_null(choose(&config));
    cr_expect_eq(engines.speaking, &sb_elevenlabs_speaking);
    cr_expect_eq(engines.thinking, &sb_openai_thinking);
}

Test(engines, a_name_wins_over_keys)
{
    const struct sb_config config = {.openai_api_key = "k",
                                     .elevenlabs_api_key = "k",
                                     .hearing = SB_ENGINE_LOCAL,
                                     .speaking = SB_ENGINE_OPENAI};
    cr_expect_null(choose(&config));
    cr_expect_eq(engines.hearing, &sb_local_hearing);
    cr_expect_eq(engines.speaking, &sb_openai_speaking);
}

Test(engines, an_engine_without_its_key_is_named)
{
    struct sb_config config = {.hearing = SB_ENGINE_OPENAI};
    cr_expect_str_eq(choose(&config), "VOICE_HEARING");
    config = (struct sb_config){.speaking = SB_ENGINE_ELEVENLABS};
    cr_expect_str_eq(choose(&config), "VOICE_SPEAKING");
    cr_expect_not_null(reason);
    config = (struct sb_config){.app_env = SB_ENV_PRODUCTION, .elevenlabs_api_key = "k"};
    cr_expect_str_eq(choose(&config), "VOICE_HEARING", "ElevenLabs speaks and does no more");
}

Test(engines, the_choice_is_logged_where_something_stands_in_its_way)
{
    char dir[BASE_DIR_SIZE];
    struct sb_config config = {.app_env = SB_ENV_PRODUCTION};
    base_dir_make(dir);
    sb_log_open(dir, "test", SB_LOG_INFO);
    cr_expect_eq(sb_engines_choose(&config, SB_NEEDS_VOICE, &engines), SB_E_MISCONFIGURED);
    char *path = base_path(dir, "switchboard.log"), *log = base_file_read(path);
    cr_assert_not_null(log);
    cr_expect_not_null(strstr(log, "\"variable\":\"VOICE_HEARING\""), "%s", log);
    cr_expect_not_null(strstr(log, "set OPENAI_API_KEY"), "%s", log);
    config.openai_api_key = "k";
    config.speaking = SB_ENGINE_ELEVENLABS;
    cr_expect_eq(sb_engines_choose(&config, SB_NEEDS_VOICE, &engines), SB_E_MISCONFIGURED);
    config.elevenlabs_api_key = "k";
    cr_expect_eq(sb_engines_choose(&config, SB_NEEDS_VOICE, &engines), SB_OK);
    cr_expect_eq(engines.speaking, &sb_elevenlabs_speaking);
    free(log);
    free(path);
    sb_log_open(NULL, NULL, SB_LOG_INFO);
    base_dir_remove(dir);
}

Test(engines, each_of_the_three_is_the_one_that_is_named)
{
    const int64_t names[] = {SB_ENGINE_LOCAL, SB_ENGINE_OPENAI, SB_ENGINE_ELEVENLABS};
    for (size_t i = 0; i < 12; i++) {
        bool hears = i % 2, thinks = i / 2 % 2;
        size_t speaks = i / 4;
        const struct sb_config config = {.openai_api_key = "k",
                                         .elevenlabs_api_key = "k",
                                         .hearing = names[hears],
                                         .thinking = names[thinks],
                                         .speaking = names[speaks]};
        cr_expect_null(choose(&config));
        cr_expect_eq(engines.hearing, hears ? &sb_openai_hearing : &sb_local_hearing);
        cr_expect_eq(engines.thinking, thinks ? &sb_openai_thinking : &sb_local_thinking);
        const struct sb_speaking *const speakings[] = {&sb_local_speaking, &sb_openai_speaking,
                                                       &sb_elevenlabs_speaking};
        cr_expect_eq(engines.speaking, speakings[speaks]);
        cr_expect_eq(engines.fetches, i > 0, "%zu", i);
    }
}

Test(engines, what_is_not_asked_for_need_not_be_configured)
{
    const struct sb_config config = {.app_env = SB_ENV_PRODUCTION,
                                     .hearing = SB_ENGINE_OPENAI,
                                     .thinking = SB_ENGINE_LOCAL,
                                     .speaking = SB_ENGINE_ELEVENLABS};
    cr_expect_null(sb_engines_problem(&config, SB_NEEDS_THINKING, &engines, &reason));
    cr_expect_eq(engines.thinking, &sb_local_thinking);
    cr_expect_null(engines.hearing);
    cr_expect_null(engines.speaking);
    cr_expect_not(engines.fetches);
    cr_expect_str_eq(sb_engines_problem(&config, SB_NEEDS_SPEAKING, &engines, &reason),
                     "VOICE_SPEAKING");
}

Test(engines, one_that_is_asked_for_alone_says_whether_it_fetches)
{
    const struct sb_config config = {.openai_api_key = "k", .hearing = SB_ENGINE_LOCAL};
    cr_expect_null(sb_engines_problem(&config, SB_NEEDS_HEARING, &engines, &reason));
    cr_expect_not(engines.fetches);
    cr_expect_null(sb_engines_problem(&config, SB_NEEDS_THINKING, &engines, &reason));
    cr_expect_eq(engines.thinking, &sb_openai_thinking);
    cr_expect(engines.fetches);
}
