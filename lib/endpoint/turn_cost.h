/* What a turn of conversation costs, spoken or written, for endpoint/budget.h. */
#ifndef SB_ENDPOINT_TURN_COST_H
#define SB_ENDPOINT_TURN_COST_H

#include "upstream/voice.h"

/* One turn's thinking: who is asked, and what it is told. */
struct sb_turn_cost {
    const struct sb_thinking *thinking;
    const struct sb_voice_message *messages;
    size_t count;
    size_t more; /* bytes that will be told besides, such as what is yet to be heard */
};

/* A turn, and the tokens it may take at most: four bytes that are told are about one, and a reply
 * has REPLY_TOKENS_MAX. The thinking of this machine takes none. */
SB_NONNULL_ALL struct sb_spend sb_turn_cost_max(const struct sb_config *config,
                                                const struct sb_turn_cost *turn);

/* The most milliseconds from setting a turn's cost aside to knowing what its thinking took, with a
 * client that takes events slowly. */
SB_NONNULL_ALL int64_t sb_turn_cost_timeout_ms(const struct sb_config *config);

/* What it took that ended with error and the reply so far: no turn, if it failed before it had said
 * anything and its client was not gone. Tokens are what the provider tells; of one that was stopped
 * before it could, as many as there was text. */
SB_NONNULL_ALL struct sb_spend sb_turn_cost_real(const struct sb_voice *voice,
                                                 const struct sb_turn_cost *turn,
                                                 enum sb_error error, bool gone, const char *reply);

#endif
