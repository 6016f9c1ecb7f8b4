/* The receptionist: one file (RECEPTIONIST_FILE, see etc/receptionist.json) that a language model
 * is told of in its prompt, and that answers by itself where there is no model.
 *
 * The engine of its own knows the file's phrases and common English (receptionist_words.h): it
 * answers the intent whose phrases share the most telling words with the question, or says that it
 * did not understand. tests/unit/upstream/receptionist.questions has how well. */
#ifndef SB_UPSTREAM_RECEPTIONIST_H
#define SB_UPSTREAM_RECEPTIONIST_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"

enum {
    SB_RECEPTIONIST_FILE_MAX = 256 * 1024, /* bytes */
    SB_RECEPTIONIST_INTENTS_MAX = 200,
    SB_RECEPTIONIST_PHRASES_MAX = 50,      /* of an intent */
    SB_RECEPTIONIST_TEXT_MAX = 1000,       /* bytes of an answer, a fact, a phrase */
    SB_RECEPTIONIST_ANSWER_MAX = 4096,     /* bytes of an answer, its placeholders filled in */
    SB_RECEPTIONIST_PROMPT_MAX = 64 * 1024 /* bytes */
};

struct sb_receptionist; /* immutable; any number of threads */

/* Reads the file path. NULL: it cannot be, and problem (size bytes) says why and on which line; or
 * out of memory. The caller frees it. */
SB_NONNULL_ALL SB_MUST_CHECK struct sb_receptionist *
sb_receptionist_load(const char *path, char *problem, size_t size);

/* NULL is allowed. */
void sb_receptionist_free(struct sb_receptionist *receptionist);

struct sb_receptionist_answer {
    const char *intent; /* its name, "handover", or NULL: not understood */
    const char *text;   /* in the arena */
    int score;          /* of the best intent, 0 to 100; SB_RECEPTIONIST_UNDERSTOOD is enough */
};
enum { SB_RECEPTIONIST_UNDERSTOOD = 55 };

/* Answers question. False: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_receptionist_answer(const struct sb_receptionist *receptionist,
                                                         struct sb_arena *arena,
                                                         const char *question,
                                                         struct sb_receptionist_answer *answer);

/* The prompt for a language model: who it is, what it knows, and how to speak. In the arena; NULL:
 * out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK const char *
sb_receptionist_prompt(const struct sb_receptionist *receptionist, struct sb_arena *arena);

#endif
