/* Speaking by ElevenLabs: POST /v1/text-to-speech/{voice}/stream. */
#ifndef SB_UPSTREAM_ELEVENLABS_H
#define SB_UPSTREAM_ELEVENLABS_H

#include "upstream/voice.h"

extern const struct sb_speaking sb_elevenlabs_speaking; /* MP3 */

#endif
