#include <stdio.h>

#include "verb.h"

static int version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return puts(SB_VERSION) < 0 ? VERB_FAILED : VERB_OK;
}

VERB("version", "version", "print the version", version);
