#include "person.h"

#include <getopt.h>
#include <stdio.h>

bool person_parse(const struct verb *verb, int argc, char **argv, bool may_keep_audit,
                  struct person *person)
{
    static const struct option longs[] = {{"user", required_argument, NULL, 'u'},
                                          {"visitor", required_argument, NULL, 'v'},
                                          {"email", required_argument, NULL, 'e'},
                                          {"keep-audit", no_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    const char *user = NULL, *visitor = NULL;
    bool known = true;
    *person = (struct person){.keep_audit = false};
    for (int option; (option = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (option == 'u')
            user = optarg;
        else if (option == 'v')
            visitor = optarg;
        else if (option == 'e')
            person->person.email = optarg;
        else if (option == 'k' && may_keep_audit)
            person->keep_audit = true;
        else
            known = false;
    }
    const char *id = user != NULL ? user : visitor;
    if (!known || optind != argc) {
        usage_error(verb, "an option is not known");
        return false;
    }
    if ((user != NULL && visitor != NULL) || (id == NULL && person->person.email == NULL)) {
        usage_error(verb, "one of --user and --visitor, or --email, must say who");
        return false;
    }
    if ((id != NULL && !sb_user_id_valid(id)) ||
        (person->person.email != NULL && *person->person.email == '\0')) {
        usage_error(verb,
                    "an id is 1 to %d bytes without control characters, an address is not empty",
                    SB_USER_ID_MAX);
        return false;
    }
    person->person.user_id = user;
    if (id == NULL)
        return true;
    snprintf(person->owner, sizeof person->owner, "%s:%s", user != NULL ? "user" : "visitor", id);
    person->person.owner = person->owner;
    return true;
}
