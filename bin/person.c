#include "person.h"

#include <stdio.h>

bool person_parse(const struct verb *verb, int argc, char **argv, bool may_keep_audit,
                  struct person *person)
{
    const char *user = NULL, *visitor = NULL;
    const struct verb_option known[] = {{"keep-audit", NULL, &person->keep_audit},
                                        {"user", &user, NULL},
                                        {"visitor", &visitor, NULL},
                                        {"email", &person->person.email, NULL},
                                        {NULL, NULL, NULL}};
    *person = (struct person){.keep_audit = false};
    if (!parse_options(argc, argv, known + !may_keep_audit)) {
        usage_error(verb, "an option is not known");
        return false;
    }
    const char *id = user != NULL ? user : visitor;
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
