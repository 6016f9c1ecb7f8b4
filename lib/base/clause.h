/* Cuts a text that arrives in pieces into clauses to be spoken: the first one early, so that speech
 * begins soon, the later ones at the ends of sentences, so that it sounds well. */
#ifndef SB_BASE_CLAUSE_H
#define SB_BASE_CLAUSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum {
    SB_CLAUSE_FIRST_MIN = 12, /* bytes before a comma may end the first clause */
    SB_CLAUSE_MIN = 24,       /* bytes a later clause has at least, if the text has as many */
    SB_CLAUSE_SOFT_MAX = 160, /* from here a comma is enough */
    SB_CLAUSE_MAX = 400       /* no clause is longer; it is cut at a blank if it has one */
};

/* Takes a clause: length bytes of UTF-8, trimmed, never empty, alive during the call. Only the
 * first may have nothing to be spoken (punctuation and symbols alone); later such ones are left
 * out. False ends the cutting. */
typedef bool sb_clause_fn(void *context, const char *clause, size_t length);

/* All fields are the cutter's own. */
struct sb_clause_cutter {
    sb_clause_fn *clause;
    void *context;
    char text[SB_CLAUSE_MAX + 1];
    size_t length, looked; /* bytes held, and of them those in which no cut was found */
    bool any;              /* a clause has been given */
};

SB_NONNULL(1, 2)
void sb_clause_init(struct sb_clause_cutter *cutter, sb_clause_fn *clause, void *context);

/* Takes the next length bytes of the text, split anywhere, in the middle of a character too. Gives
 * each clause as soon as what follows shows that it is over. False: the clause function said so. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_clause_feed(struct sb_clause_cutter *cutter, const char *text,
                                                 size_t length);

/* The text has ended: gives what is left, if anything. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_clause_end(struct sb_clause_cutter *cutter);

#endif
