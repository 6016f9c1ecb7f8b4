/* Which providers hear, think and speak, by VOICE_HEARING, VOICE_THINKING and VOICE_SPEAKING. */
#ifndef SB_UPSTREAM_ENGINES_H
#define SB_UPSTREAM_ENGINES_H

#include "upstream/voice.h"

struct sb_engines {
    const struct sb_hearing *hearing;
    const struct sb_thinking *thinking;
    const struct sb_speaking *speaking;
    bool fetches; /* one of them needs voice->session */
};

/* What stands in the way of the choice: the variable, and what to do; NULL: nothing, and *engines
 * is set. */
SB_NONNULL_ALL const char *sb_engines_problem(const struct sb_config *config,
                                              struct sb_engines *engines, const char **reason);

/* The same, logged. SB_E_MISCONFIGURED: something stands in the way. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_engines_choose(const struct sb_config *config,
                                                             struct sb_engines *engines);

#endif
