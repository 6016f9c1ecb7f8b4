#include "endpoint/turn_cost.h"

#include <criterion/criterion.h>

#include "upstream/local.h"
#include "upstream/openai_voice.h"

static const struct sb_config config = {.reply_tokens_max = 400};
static const struct sb_voice_message messages[] = {{SB_VOICE_SYSTEM, "12345678"},
                                                   {SB_VOICE_USER, "12345"}};

static struct sb_turn_cost turn_of(const struct sb_thinking *thinking)
{
    return (struct sb_turn_cost){
        .thinking = thinking, .messages = messages, .count = SB_COUNT(messages)};
}

static void expect(struct sb_spend spend, int64_t turns, int64_t tokens)
{
    cr_expect_eq(spend.turns, turns, "%lld turns", (long long)spend.turns);
    cr_expect_eq(spend.seconds, 0);
    cr_expect_eq(spend.tokens, tokens, "%lld tokens", (long long)spend.tokens);
}

Test(turn_cost, at_most_it_is_what_is_told_and_the_longest_reply)
{
    struct sb_turn_cost turn = turn_of(&sb_openai_thinking);
    expect(sb_turn_cost_max(&config, &turn), 1, 4 + 400);
    turn.more = 3; /* 16 bytes in all */
    expect(sb_turn_cost_max(&config, &turn), 1, 4 + 400);
    turn.more = 4;
    expect(sb_turn_cost_max(&config, &turn), 1, 5 + 400);
}

Test(turn_cost, it_is_set_aside_for_longer_than_a_slow_client_can_hold_it_up)
{
    const struct sb_config patient = {.voice_timeout_s = 20};
    const int64_t hearing_and_thinking_ms = 40000, waits_ms = 150000;
    cr_expect_gt(sb_turn_cost_timeout_ms(&patient), hearing_and_thinking_ms + waits_ms);
}

Test(turn_cost, this_machine_thinks_without_tokens)
{
    const struct sb_turn_cost turn = turn_of(&sb_local_thinking);
    const struct sb_voice voice = {.tokens = 0};
    expect(sb_turn_cost_max(&config, &turn), 1, 0);
    expect(sb_turn_cost_real(&voice, &turn, SB_OK, false, "Good day."), 1, 0);
}

Test(turn_cost, in_the_end_it_is_what_the_provider_tells)
{
    const struct sb_turn_cost turn = turn_of(&sb_openai_thinking);
    const struct sb_voice voice = {.tokens = 17};
    expect(sb_turn_cost_real(&voice, &turn, SB_OK, false, "Good day."), 1, 17);
}

Test(turn_cost, of_a_reply_that_broke_off_it_is_as_much_as_there_was_text)
{
    const struct sb_turn_cost turn = turn_of(&sb_openai_thinking);
    const struct sb_voice voice = {.tokens = 0};
    expect(sb_turn_cost_real(&voice, &turn, SB_E_UPSTREAM_ERROR, false, "1234"), 1, 5);
}

Test(turn_cost, a_turn_that_failed_before_its_reply_costs_nothing)
{
    const struct sb_turn_cost turn = turn_of(&sb_openai_thinking);
    const struct sb_voice voice = {.tokens = 0};
    expect(sb_turn_cost_real(&voice, &turn, SB_E_UPSTREAM_TIMEOUT, false, ""), 0, 0);
}

Test(turn_cost, a_turn_whose_client_went_before_its_reply_costs_what_was_told)
{
    const struct sb_turn_cost turn = turn_of(&sb_openai_thinking);
    const struct sb_voice voice = {.tokens = 0};
    expect(sb_turn_cost_real(&voice, &turn, SB_E_UNAVAILABLE, true, ""), 1, 4);
}
