/* The English that the receptionist's own engine knows: which words of a text say what it is
 * about, and how much. */
#ifndef SB_UPSTREAM_RECEPTIONIST_WORDS_H
#define SB_UPSTREAM_RECEPTIONIST_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { SB_WORDS_MAX = 64, SB_WORD_SIZE = 24 };

/* The telling words of a text, each once, without endings, and synonyms as one: "when do you
 * close" and "what time do you open" are both "time", "open". */
struct sb_words {
    char items[SB_WORDS_MAX][SB_WORD_SIZE];
    size_t count;
};

/* Letters (all of UTF-8's beyond ASCII count as such) and digits make words. Those beyond
 * SB_WORDS_MAX are left out. */
SB_NONNULL_ALL void sb_words_split(const char *text, struct sb_words *words);

/* Weights: of words that go with any topic ("come", "tomorrow"), with many ("open"), and of those
 * that say by themselves what is talked about ("insurance"). */
#define SB_WORD_LIGHT 0.4
#define SB_WORD_COMMON 1.0
#define SB_WORD_TELLING 3.0

/* The weight of a word of sb_words_split(). */
SB_NONNULL_ALL double sb_word_weight(const char *word);

#endif
