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

/* -1: it is not asked for. */
static void fill(struct sb_engines *engines, const int64_t chosen[static 3])
{
    static const struct sb_hearing *const hearing[] = {
        [SB_ENGINE_OPENAI] = &sb_openai_hearing, [SB_ENGINE_LOCAL] = &sb_local_hearing};
    static const struct sb_thinking *const thinking[] = {
        [SB_ENGINE_OPENAI] = &sb_openai_thinking, [SB_ENGINE_LOCAL] = &sb_local_thinking};
    static const struct sb_speaking *const speaking[] = {[SB_ENGINE_OPENAI] = &sb_openai_speaking,
                                                         [SB_ENGINE_LOCAL] = &sb_local_speaking,
                                                         [SB_ENGINE_ELEVENLABS] =
                                                             &sb_elevenlabs_speaking};
    *engines = (struct sb_engines){.hearing = chosen[0] < 0 ? NULL : hearing[chosen[0]],
                                   .thinking = chosen[1] < 0 ? NULL : thinking[chosen[1]],
                                   .speaking = chosen[2] < 0 ? NULL : speaking[chosen[2]]};
    for (size_t i = 0; i < 3; i++)
        engines->fetches = engines->fetches || (chosen[i] >= 0 && chosen[i] != SB_ENGINE_LOCAL);
}

const char *sb_engines_problem(const struct sb_config *config, unsigned needs,
                               struct sb_engines *engines, const char **reason)
{
    const struct {
        unsigned need;
        const char *variable;
        int64_t setting;
    } rows[3] = {{SB_NEEDS_HEARING, "VOICE_HEARING", config->hearing},
                 {SB_NEEDS_THINKING, "VOICE_THINKING", config->thinking},
                 {SB_NEEDS_SPEAKING, "VOICE_SPEAKING", config->speaking}};
    int64_t chosen[3] = {-1, -1, -1};
    for (size_t i = 0; i < SB_COUNT(rows); i++) {
        if ((needs & rows[i].need) == 0)
            continue;
        chosen[i] = resolve(config, rows[i].setting, rows[i].need == SB_NEEDS_SPEAKING);
        *reason = "no key is set: set OPENAI_API_KEY, or this to local to use programs of this "
                  "machine";
        if (chosen[i] < 0)
            return rows[i].variable;
        *reason = "the key of this engine is not set: OPENAI_API_KEY or ELEVENLABS_API_KEY";
        if (lacks_key(config, chosen[i]))
            return rows[i].variable;
    }
    fill(engines, chosen);
    return NULL;
}

enum sb_error sb_engines_choose(const struct sb_config *config, unsigned needs,
                                struct sb_engines *engines)
{
    const char *reason, *variable = sb_engines_problem(config, needs, engines, &reason);
    if (variable == NULL)
        return SB_OK;
    SB_LOG(SB_LOG_ERROR, "misconfigured", NULL, SB_LOG_TEXT("variable", variable),
           SB_LOG_TEXT("reason", reason));
    return SB_E_MISCONFIGURED;
}
