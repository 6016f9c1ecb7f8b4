#include "endpoint/turn_cost.h"

#include <string.h>

#include "endpoint/gateway.h"
#include "upstream/local.h"

enum { TOKEN_BYTES = 4 };

static int64_t tokens_of(const struct sb_turn_cost *turn, size_t more)
{
    size_t bytes = more;
    for (size_t i = 0; i < turn->count; i++)
        bytes += strlen(turn->messages[i].text);
    return (int64_t)((bytes + TOKEN_BYTES - 1) / TOKEN_BYTES);
}

struct sb_spend sb_turn_cost_max(const struct sb_config *config, const struct sb_turn_cost *turn)
{
    struct sb_spend most = {.turns = 1};
    if (turn->thinking != &sb_local_thinking)
        most.tokens = tokens_of(turn, turn->more) + config->reply_tokens_max;
    return most;
}

int64_t sb_turn_cost_timeout_ms(const struct sb_config *config)
{
    enum { STAGES = 3 }; /* hearing, thinking, and what lies between */
    return STAGES * config->voice_timeout_s * 1000 + SB_GATEWAY_WAIT_MAX_MS;
}

struct sb_spend sb_turn_cost_real(const struct sb_voice *voice, const struct sb_turn_cost *turn,
                                  enum sb_error error, bool gone, const char *reply)
{
    if (error != SB_OK && *reply == '\0' && !gone)
        return (struct sb_spend){.tokens = voice->tokens};
    struct sb_spend real = {.turns = 1, .tokens = voice->tokens};
    if (real.tokens == 0 && turn->thinking != &sb_local_thinking)
        real.tokens = tokens_of(turn, strlen(reply));
    return real;
}
