#include <stdio.h>

#include "base/clock.h"
#include "person.h"

static int export_person(int argc, char **argv);

VERB("export", "export " PERSON_USAGE,
     "all that is kept about one person, as JSON on standard output", export_person);

struct output {
    bool part, item; /* one has begun */
};

static bool begin(const char *name, void *context)
{
    struct output *output = context;
    printf("%s,\n\"%s\":[", output->part ? "]" : "", name);
    *output = (struct output){.part = true};
    return ferror(stdout) == 0;
}

static bool item(const char *json, void *context)
{
    struct output *output = context;
    printf("%s\n%s", output->item ? "," : "", json);
    output->item = true;
    return ferror(stdout) == 0;
}

static enum sb_error print(struct command *command, const struct sb_person *person)
{
    enum { HEAD_MAX = 4096 };
    char now[SB_CLOCK_TEXT_SIZE];
    struct sb_buf head;
    struct output output = {.part = false};
    const struct sb_person_writer writer = {begin, item, &output};
    sb_clock_format(sb_clock_now_ms(), now);
    sb_buf_init(&head, NULL, HEAD_MAX);
    sb_json_open(&head, '{');
    sb_json_key(&head, "person");
    sb_json_string(&head, person->owner);
    sb_json_key(&head, "email");
    sb_json_string(&head, person->email);
    sb_json_key(&head, "exportedAt");
    sb_json_string(&head, now);
    enum sb_error error = sb_buf_ok(&head) ? SB_OK : SB_E_UNAVAILABLE;
    if (error == SB_OK) {
        fputs(head.data, stdout);
        error = sb_persons_export(command->reader, person, &writer);
    }
    sb_buf_free(&head);
    if (error == SB_OK)
        puts("]}");
    return error;
}

static int export_person(int argc, char **argv)
{
    struct command command;
    struct person person;
    if (!person_parse(&this_verb, argc, argv, false, &person))
        return VERB_USAGE;
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    int status = outcome(print(&command, &person.person), "the person");
    command_close(&command);
    return status;
}
