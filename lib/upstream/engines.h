/* Which providers hear, think and speak, by VOICE_HEARING, VOICE_THINKING and VOICE_SPEAKING. needs
 * says which of the three are asked for: SB_NEEDS_HEARING, SB_NEEDS_THINKING, SB_NEEDS_SPEAKING;
 * other bits are ignored. */
#ifndef SB_UPSTREAM_ENGINES_H
#define SB_UPSTREAM_ENGINES_H

#include "upstream/voice.h"

/* Those that are not asked for are NULL. */
struct sb_engines {
    const struct sb_hearing *hearing;
    const struct sb_thinking *thinking;
    const struct sb_speaking *speaking;
    bool fetches; /* one of them needs voice->session */
};

/* What stands in the way of the choice: the variable, and what to do; NULL: nothing, and *engines
 * is set. */
SB_NONNULL_ALL const char *sb_engines_problem(const struct sb_config *config, unsigned needs,
                                              struct sb_engines *engines, const char **reason);

/* The same, logged. SB_E_MISCONFIGURED: something stands in the way. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_engines_choose(const struct sb_config *config, unsigned needs, struct sb_engines *engines);

#endif
