#include <stdio.h>

#include "verb.h"

static int version(int argc, char **argv);

VERB("version", "version", "print the version", version);

static int version(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return usage_error(&this_verb, "too many arguments");
    return puts(SB_VERSION) < 0 ? VERB_FAILED : VERB_OK;
}
