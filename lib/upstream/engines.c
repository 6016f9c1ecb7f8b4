#include "upstream/engines.h"

#include "base/log.h"
#include "upstream/elevenlabs.h"
#include "upstream/local.h"
#include "upstream/openai_voice.h"

/* The engine for setting; -1: auto finds none. Local programs are good for demonstrations, so that
 * in production they must be asked for by name. */
static int64_t resolve(const struct sb_config *config, int64_t setting, bool speaks)
{
    if (setting != SB_ENGINE_AUTO)
        return setting;
    if (speaks && config->elevenlabs_api_key != NULL)
        return SB_ENGINE_ELEVENLABS;
    if (config->openai_api_key != NULL)
        return SB_ENGINE_OPENAI;
    return config->app_env == SB_ENV_DEVELOPMENT ? SB_ENGINE_LOCAL : -1;
}

static bool lacks_key(const struct sb_config *config, int64_t engine)
{
    return (engine == SB_ENGINE_OPENAI && config->openai_api_key == NULL) ||
           (engine == SB_ENGINE_ELEVENLABS && config->elevenlabs_api_key == NULL);
}

const char *sb_engines_problem(const struct sb_config *config, struct sb_engines *engines,
                               const char **reason)
{
    static const char *const variables[] = {"VOICE_HEARING", "VOICE_THINKING", "VOICE_SPEAKING"};
    const int64_t settings[] = {config->hearing, config->thinking, config->speaking};
    int64_t chosen[3];
    for (size_t i = 0; i < SB_COUNT(settings); i++) {
        chosen[i] = resolve(config, settings[i], i == 2);
        *reason = "no key is set: set OPENAI_API_KEY, or this to local to use programs of this "
                  "machine";
        if (chosen[i] < 0)
            return variables[i];
        *reason = "the key of this engine is not set: OPENAI_API_KEY or ELEVENLABS_API_KEY";
        if (lacks_key(config, chosen[i]))
            return variables[i];
    }
    bool local_speaks = chosen[2] == SB_ENGINE_LOCAL;
    *engines = (struct sb_engines){
        .hearing = chosen[0] == SB_ENGINE_LOCAL ? &sb_local_hearing : &sb_openai_hearing,
        .thinking = chosen[1] == SB_ENGINE_LOCAL ? &sb_local_thinking : &sb_openai_thinking,
        .speaking = local_speaks                        ? &sb_local_speaking
                    : chosen[2] == SB_ENGINE_ELEVENLABS ? &sb_elevenlabs_speaking
                                                        : &sb_openai_speaking,
        .fetches = chosen[0] != SB_ENGINE_LOCAL || chosen[1] != SB_ENGINE_LOCAL || !local_speaks};
    return NULL;
}

enum sb_error sb_engines_choose(const struct sb_config *config, struct sb_engines *engines)
{
    const char *reason, *variable = sb_engines_problem(config, engines, &reason);
    if (variable == NULL)
        return SB_OK;
    SB_LOG(SB_LOG_ERROR, "misconfigured", NULL, SB_LOG_TEXT("variable", variable),
           SB_LOG_TEXT("reason", reason));
    return SB_E_MISCONFIGURED;
}
