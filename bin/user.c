#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/users.h"
#include "verb.h"

static int user(int argc, char **argv);

VERB("user",
     "user add --id ID --name NAME [--role user|staff|service]\n"
     "       switchboard user disable|enable --id ID\n"
     "       switchboard user list [--json]",
     "add, disable, enable and list users", user);

struct options {
    const char *id, *name, *role;
    bool json;
};

static bool parse(int argc, char **argv, struct options *options)
{
    const struct verb_option known[] = {{"id", &options->id, NULL},
                                        {"name", &options->name, NULL},
                                        {"role", &options->role, NULL},
                                        {"json", NULL, &options->json},
                                        {NULL, NULL, NULL}};
    *options = (struct options){.role = "user"};
    return parse_options(argc, argv, known);
}

static enum sb_error add_user(struct sb_db_conn *tx, void *context)
{
    return sb_users_add(tx, context);
}

static int add(struct command *command, const struct options *options)
{
    int role = index_of(options->role, sb_role_names);
    if (!sb_user_id_valid(options->id))
        return usage_error(&this_verb, "--id must be 1 to %d bytes without control characters",
                           SB_USER_ID_MAX);
    if (options->name == NULL || *options->name == '\0' || strlen(options->name) > SB_USER_NAME_MAX)
        return usage_error(&this_verb, "--name must be 1 to %d bytes", SB_USER_NAME_MAX);
    if (role < 0)
        return usage_error(&this_verb, "--role must be user, staff or service");
    struct sb_user made = {
        .id = options->id, .name = options->name, .role = role, .created_at_ms = sb_clock_now_ms()};
    return outcome(sb_db_write(command->db, add_user, &made, SB_DB_WRITE_DEADLINE_MS), "this user");
}

struct change {
    const char *id;
    bool disabled;
};

static enum sb_error change_user(struct sb_db_conn *tx, void *context)
{
    const struct change *change = context;
    return sb_users_disable(tx, change->id, change->disabled, sb_clock_now_ms());
}

static int set_disabled(struct command *command, const struct options *options, bool disabled)
{
    if (options->id == NULL)
        return usage_error(&this_verb, "--id is missing");
    struct change change = {options->id, disabled};
    return outcome(sb_db_write(command->db, change_user, &change, SB_DB_WRITE_DEADLINE_MS),
                   "this user");
}

static void print_json(struct sb_buf *out, const struct sb_user *row)
{
    char created[SB_CLOCK_TEXT_SIZE];
    sb_clock_format(row->created_at_ms, created);
    sb_json_open(out, '{');
    sb_json_key(out, "id");
    sb_json_string(out, row->id);
    sb_json_key(out, "name");
    sb_json_string(out, row->name);
    sb_json_key(out, "role");
    sb_json_string(out, sb_role_names[row->role]);
    sb_json_key(out, "disabled");
    sb_json_bool(out, row->disabled);
    sb_json_key(out, "createdAt");
    sb_json_string(out, created);
    sb_json_close(out, '}');
}

enum { ROW_MAX = 8192 };

/* One user a line, whether as text or as JSON. */
static enum sb_error print_user(const struct sb_user *row, void *context)
{
    const struct options *options = context;
    struct sb_buf line;
    if (!options->json) {
        printf("%s\t%s\t%s%s\n", row->id, sb_role_names[row->role], row->name,
               row->disabled ? "\tdisabled" : "");
        return SB_OK;
    }
    sb_buf_init(&line, NULL, ROW_MAX);
    print_json(&line, row);
    if (sb_buf_ok(&line))
        puts(line.data);
    enum sb_error error = sb_buf_ok(&line) ? SB_OK : SB_E_UNAVAILABLE;
    sb_buf_free(&line);
    return error;
}

static int dispatch(struct command *command, const char *action, struct options *options)
{
    if (strcmp(action, "add") == 0)
        return add(command, options);
    if (strcmp(action, "disable") == 0 || strcmp(action, "enable") == 0)
        return set_disabled(command, options, *action == 'd');
    if (strcmp(action, "list") == 0)
        return outcome(sb_users_each(command->reader, print_user, options), "the list");
    return usage_error(&this_verb, "\"%s\" is not add, disable, enable or list", action);
}

static int user(int argc, char **argv)
{
    struct command command;
    struct options options;
    if (argc < 2)
        return usage_error(&this_verb, "what to do is missing");
    if (!parse(argc - 1, argv + 1, &options))
        return usage_error(&this_verb, "an option is not known");
    if (!command_open(&command, SB_NEEDS_DB))
        return VERB_FAILED;
    int status = dispatch(&command, argv[1], &options);
    command_close(&command);
    return status;
}
