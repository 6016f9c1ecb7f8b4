#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ids.h"
#include "store/threads.h"
#include "store/users.h"
#include "verb.h"

static int thread(int argc, char **argv);

VERB("thread",
     "thread add --id ID --member USER:member|moderator ...\n"
     "       switchboard thread list [--json]",
     "add threads with their members, and list them", thread);

struct member {
    char *user_id;
    int role;
};

struct options {
    const char *id;
    struct member members[SB_THREAD_MEMBERS_MAX];
    size_t member_count;
    bool json;
};

/* USER:ROLE; the last colon parts them, for a user id may hold one. */
static bool parse_member(struct options *options, char *text)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL || options->member_count == SB_THREAD_MEMBERS_MAX)
        return false;
    *colon = '\0';
    struct member member = {text, index_of(colon + 1, sb_member_role_names)};
    options->members[options->member_count++] = member;
    return member.role >= 0 && sb_user_id_valid(text);
}

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"id", required_argument, NULL, 'i'},
                                          {"member", required_argument, NULL, 'm'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        if (option == 'i')
            options->id = optarg;
        else if (option == 'j')
            options->json = true;
        else if (option != 'm' || !parse_member(options, optarg))
            return false;
    }
    return optind == argc;
}

static enum sb_error add_thread(struct sb_db_conn *tx, void *context)
{
    const struct options *options = context;
    int64_t now_ms = sb_clock_now_ms();
    enum sb_error error = sb_threads_add(tx, options->id, now_ms);
    for (size_t i = 0; error == SB_OK && i < options->member_count; i++)
        error = sb_threads_set_member(tx, options->id, options->members[i].user_id,
                                      (enum sb_member_role)options->members[i].role, now_ms);
    return error;
}

static int add(struct command *command, struct options *options)
{
    if (!sb_id_valid(options->id))
        return usage_error(&this_verb, "--id must be 1 to %d of A-Z a-z 0-9 _ -", SB_ID_MAX);
    if (options->member_count == 0)
        return usage_error(&this_verb, "--member is missing: a thread nobody is in can be used by "
                                       "nobody");
    return outcome(sb_db_write(command->db, add_thread, options, SB_DB_WRITE_DEADLINE_MS),
                   "this thread");
}

enum { ROW_MAX = 8192 };

/* One membership a line. */
static enum sb_error print_member(const char *thread_id, const char *user_id,
                                  enum sb_member_role role, void *context)
{
    const struct options *options = context;
    struct sb_buf line;
    const char *role_name = user_id == NULL ? NULL : sb_member_role_names[role];
    if (!options->json) {
        printf("%s\t%s\t%s\n", thread_id, user_id == NULL ? "-" : user_id,
               role_name == NULL ? "-" : role_name);
        return SB_OK;
    }
    sb_buf_init(&line, NULL, ROW_MAX);
    sb_json_open(&line, '{');
    sb_json_key(&line, "threadId");
    sb_json_string(&line, thread_id);
    sb_json_key(&line, "userId");
    sb_json_string(&line, user_id);
    sb_json_key(&line, "role");
    sb_json_string(&line, role_name);
    sb_json_close(&line, '}');
    enum sb_error error = sb_buf_ok(&line) ? SB_OK : SB_E_UNAVAILABLE;
    if (error == SB_OK)
        puts(line.data);
    sb_buf_free(&line);
    return error;
}

static int dispatch(struct command *command, const char *action, struct options *options)
{
    if (strcmp(action, "add") == 0)
        return add(command, options);
    if (strcmp(action, "list") == 0)
        return outcome(sb_threads_each(command->reader, print_member, options), "the list");
    return usage_error(&this_verb, "\"%s\" is neither add nor list", action);
}

static int thread(int argc, char **argv)
{
    static struct options options;
    struct command command;
    if (argc < 2)
        return usage_error(&this_verb, "what to do is missing");
    if (!parse(argc - 1, argv + 1, &options))
        return usage_error(&this_verb, "an option is not known, or a member is not USER:member or "
                                       "USER:moderator");
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    int status = dispatch(&command, argv[1], &options);
    command_close(&command);
    return status;
}
