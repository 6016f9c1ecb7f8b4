/* The person that a verb is about: --user ID or --visitor ID, and --email ADDRESS. */
#ifndef SB_BIN_PERSON_H
#define SB_BIN_PERSON_H

#include "store/persons.h"
#include "store/users.h"
#include "verb.h"

#define PERSON_USAGE "--user ID | --visitor ID | --email ADDRESS"

struct person {
    struct sb_person person; /* points into argv and owner */
    char owner[sizeof "visitor:" + SB_USER_ID_MAX];
    bool keep_audit; /* --keep-audit */
};

/* Reads the options of verb; --keep-audit where may_keep_audit. False: said what is wrong. */
SB_NONNULL_ALL SB_MUST_CHECK bool person_parse(const struct verb *verb, int argc, char **argv,
                                               bool may_keep_audit, struct person *person);

#endif
