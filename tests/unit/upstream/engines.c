#include "upstream/engines.h"

#include <criterion/criterion.h>

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
