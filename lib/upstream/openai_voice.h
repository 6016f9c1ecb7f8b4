/* Hearing, thinking and speaking by the OpenAI API, or any server that speaks it. */
#ifndef SB_UPSTREAM_OPENAI_VOICE_H
#define SB_UPSTREAM_OPENAI_VOICE_H

#include "upstream/voice.h"

extern const struct sb_hearing sb_openai_hearing;   /* POST /audio/transcriptions */
extern const struct sb_thinking sb_openai_thinking; /* POST /chat/completions, streamed */
extern const struct sb_speaking sb_openai_speaking; /* POST /audio/speech; MP3 */

#endif
