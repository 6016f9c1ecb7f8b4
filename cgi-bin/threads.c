/* /api/threads: threads and their members. A service makes threads and says who is in them; a user
 * sees those it is a member of. */
#include <string.h>

#include "base/ids.h"
#include "endpoint/page.h"
#include "store/threads.h"
#include "store/users.h"

enum { NEW_MEMBERS_MAX = 100 };
static const char list_name[] = "threads";

static const struct sb_field member_fields[] = {
    SB_STRING(struct sb_thread_member, user_id, "userId", 1, SB_USER_ID_MAX, SB_REQUIRED),
    SB_STRING(struct sb_thread_member, name, "name", 0, SB_USER_NAME_MAX, SB_REQUIRED),
    SB_ENUM(struct sb_thread_member, role, "role", sb_member_role_names, SB_REQUIRED),
    SB_FIELDS_END};
static const struct sb_field thread_fields[] = {
    SB_ID(struct sb_thread, id, "id", SB_REQUIRED),
    SB_TIME(struct sb_thread, created_at_ms, "createdAt", SB_REQUIRED),
    SB_OBJECTS(struct sb_thread, members, member_count, "members", struct sb_thread_member,
               member_fields),
    SB_FIELDS_END};

/* A thread as the answer. */
struct thread_output {
    struct sb_thread thread;
};
static const struct sb_field thread_output_fields[] = {
    SB_OBJECT(struct thread_output, thread, "thread", thread_fields), SB_FIELDS_END};

static enum sb_error refuse_user_id(struct sb_request *request, const char *field)
{
    return sb_request_invalid(request, field, "format",
                              "must be 1 to 128 bytes without control characters");
}

/* POST: a thread with its members. */

struct create_input {
    const char *id;
    struct sb_thread_member *members;
    size_t member_count;
};
static const struct sb_field new_member_fields[] = {
    SB_STRING(struct sb_thread_member, user_id, "userId", 1, SB_USER_ID_MAX, SB_REQUIRED),
    SB_ENUM(struct sb_thread_member, role, "role", sb_member_role_names, SB_REQUIRED),
    SB_FIELDS_END};
static const struct sb_field create_fields[] = {
    SB_ID(struct create_input, id, "threadId", 0),
    SB_OBJECTS_IN(struct create_input, members, member_count, "members", struct sb_thread_member,
                  new_member_fields, 1, NEW_MEMBERS_MAX, SB_REQUIRED),
    SB_FIELDS_END};

struct create_work {
    struct sb_request *request;
    const struct create_input *input;
    const char *id;
    struct thread_output *output;
};

static enum sb_error add_thread(struct sb_db_conn *tx, void *context)
{
    struct create_work *work = context;
    int64_t now_ms = work->request->now_ms;
    enum sb_error error = sb_threads_add(tx, work->id, now_ms);
    for (size_t i = 0; error == SB_OK && i < work->input->member_count; i++) {
        const struct sb_thread_member *member = &work->input->members[i];
        error = sb_threads_set_member(tx, work->id, member->user_id,
                                      (enum sb_member_role)member->role, now_ms);
    }
    if (error != SB_OK)
        return error;
    return sb_threads_find(tx, work->request->arena, work->id, &work->output->thread);
}

/* What the table cannot say of the members: their ids are users', and no two are the same. */
static enum sb_error check_members(struct sb_request *request, const struct create_input *input)
{
    enum sb_error error = SB_OK;
    for (size_t i = 0; i < input->member_count; i++) {
        const char *id = input->members[i].user_id;
        const char *field = sb_arena_printf(request->arena, "members[%zu].userId", i);
        if (!sb_user_id_valid(id)) {
            error = refuse_user_id(request, field);
            continue;
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(input->members[j].user_id, id) != 0)
                continue;
            error = sb_request_invalid(request, field, "not_allowed", "is there twice");
            break;
        }
    }
    return error;
}

static enum sb_error create(struct sb_request *request, const void *in, void *out)
{
    char id[SB_ID_SIZE];
    struct create_work work = {.request = request, .input = in, .output = out};
    enum sb_error error = check_members(request, in);
    if (error != SB_OK)
        return error;
    sb_id_make("thread", request->now_ms, id);
    work.id = work.input->id != NULL ? work.input->id : id;
    error = sb_request_write(request, add_thread, &work);
    if (error == SB_E_CONFLICT)
        sb_request_explain(request, "There is a thread with this id already.");
    if (error == SB_OK && work.output->thread.id != NULL) /* not a replayed answer */
        sb_request_audit_object(request, work.output->thread.id);
    return error;
}

/* GET: the caller's threads. */

struct list_input {
    struct sb_page page;
};
static const struct sb_field list_fields[] = {SB_PAGE(struct list_input), SB_FIELDS_END};

struct list_output {
    struct sb_membership *threads;
    size_t count;
    const char *next_cursor;
};
static const struct sb_field membership_fields[] = {
    SB_ID(struct sb_membership, thread_id, "id", SB_REQUIRED),
    SB_TIME(struct sb_membership, created_at_ms, "createdAt", SB_REQUIRED),
    SB_ENUM(struct sb_membership, role, "role", sb_member_role_names, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field list_output_fields[] = {
    SB_OBJECTS(struct list_output, threads, count, "threads", struct sb_membership,
               membership_fields),
    SB_NEXT_CURSOR(struct list_output, next_cursor), SB_FIELDS_END};

static enum sb_error list(struct sb_request *request, const void *in, void *out)
{
    const struct list_input *input = in;
    struct list_output *output = out;
    size_t limit = sb_page_limit(&input->page);
    struct sb_threads_page page = {.user_id = request->principal.user_id, .max = limit + 1};
    enum sb_error error = sb_page_key(request, list_name, &input->page, sb_id_valid, &page.below);
    if (error == SB_OK)
        error = sb_threads_of_user(sb_request_reader(request), request->arena, &page,
                                   &output->threads, &output->count);
    if (error != SB_OK || output->count <= limit)
        return error;
    output->count = limit;
    return sb_page_end(request, list_name, output->threads[limit - 1].thread_id,
                       &output->next_cursor);
}

/* GET /{id}: one thread. */

struct show_input {
    const char *id;
};
static const struct sb_field show_fields[] = {SB_ID(struct show_input, id, "id", SB_REQUIRED),
                                              SB_FIELDS_END};

static enum sb_error show(struct sb_request *request, const void *in, void *out)
{
    const char *id = ((const struct show_input *)in)->id;
    struct sb_db_conn *reader = sb_request_reader(request);
    const struct sb_principal *principal = &request->principal;
    enum sb_member_role role;
    enum sb_error error = SB_OK;
    if ((principal->roles >> SB_ROLE_SERVICE & 1) == 0)
        error = sb_threads_member(reader, id, principal->user_id, &role);
    if (error != SB_OK)
        return error;
    return sb_threads_find(reader, request->arena, id, &((struct thread_output *)out)->thread);
}

/* POST and DELETE /{id}/members */

struct member_input {
    const char *thread_id, *user_id;
    int64_t role;
};
static const struct sb_field set_fields[] = {
    SB_ID(struct member_input, thread_id, "id", SB_REQUIRED),
    SB_STRING(struct member_input, user_id, "userId", 1, SB_USER_ID_MAX, SB_REQUIRED),
    SB_ENUM(struct member_input, role, "role", sb_member_role_names, SB_REQUIRED), SB_FIELDS_END};
static const struct sb_field remove_fields[] = {
    SB_ID(struct member_input, thread_id, "id", SB_REQUIRED),
    SB_STRING(struct member_input, user_id, "userId", 1, SB_USER_ID_MAX, SB_REQUIRED),
    SB_FIELDS_END};

struct member_output {
    struct sb_thread_member member;
    bool created;
};
static const struct sb_field set_output_fields[] = {
    SB_OBJECT(struct member_output, member, "member", new_member_fields),
    SB_BOOL(struct member_output, created, "created", SB_REQUIRED), SB_FIELDS_END};

struct member_work {
    const struct sb_request *request;
    const struct member_input *input;
    struct member_output *output;
};

static enum sb_error set_member(struct sb_db_conn *tx, void *context)
{
    struct member_work *work = context;
    const struct member_input *input = work->input;
    enum sb_member_role before;
    enum sb_error error = sb_threads_member(tx, input->thread_id, input->user_id, &before);
    if (error != SB_OK && error != SB_E_NOT_FOUND)
        return error;
    *work->output = (struct member_output){
        .member = {.user_id = input->user_id, .role = input->role}, .created = error != SB_OK};
    return sb_threads_set_member(tx, input->thread_id, input->user_id,
                                 (enum sb_member_role)input->role, work->request->now_ms);
}

static enum sb_error put_member(struct sb_request *request, const void *in, void *out)
{
    struct member_work work = {request, in, out};
    if (!sb_user_id_valid(work.input->user_id))
        return refuse_user_id(request, "userId");
    sb_request_audit_object(request, work.input->thread_id);
    enum sb_error error = sb_request_write(request, set_member, &work);
    if (error == SB_E_CONFLICT)
        sb_request_explain(request, "The thread has as many members as a thread can have.");
    return error;
}

static enum sb_error remove_member(struct sb_db_conn *tx, void *context)
{
    const struct member_input *input = context;
    return sb_threads_remove_member(tx, input->thread_id, input->user_id);
}

static enum sb_error drop_member(struct sb_request *request, const void *in, void *out)
{
    (void)out;
    struct member_input input = *(const struct member_input *)in;
    sb_request_audit_object(request, input.thread_id);
    return sb_request_write(request, remove_member, &input);
}

#define LIMIT .limit = {"threads", 100, 60}
#define DROP                                                                                       \
    .methods = SB_DELETE, .handler = drop_member, .access = SB_ACCESS_SERVICE,                     \
    SB_INPUT(struct member_input, remove_fields), LIMIT, .audit = "threads.remove_member",         \
    .errors = SB_ERRORS(SB_E_NOT_FOUND)

const struct sb_endpoint sb_endpoint = {
    .name = "threads",
    .routes =
        (const struct sb_route[]){
            {.methods = SB_POST,
             .path = "",
             .handler = create,
             .access = SB_ACCESS_SERVICE,
             .body = SB_BODY_JSON,
             SB_INPUT(struct create_input, create_fields),
             SB_OUTPUT(struct thread_output, thread_output_fields),
             .status = 201,
             LIMIT,
             .idempotent = true,
             .audit = "threads.create",
             .errors = SB_ERRORS(SB_E_CONFLICT),
             .summary = "Make a thread with its members"},
            {.methods = SB_GET,
             .path = "",
             .handler = list,
             .access = SB_ACCESS_USER,
             SB_INPUT(struct list_input, list_fields),
             SB_OUTPUT(struct list_output, list_output_fields),
             LIMIT,
             .summary = "List the threads you are a member of"},
            {.methods = SB_GET,
             .path = "/{id}",
             .handler = show,
             .access = SB_ACCESS_USER,
             SB_INPUT(struct show_input, show_fields),
             SB_OUTPUT(struct thread_output, thread_output_fields),
             LIMIT,
             .errors = SB_ERRORS(SB_E_NOT_FOUND),
             .summary = "Get a thread and its members"},
            {.methods = SB_POST,
             .path = "/{id}/members",
             .handler = put_member,
             .access = SB_ACCESS_SERVICE,
             .body = SB_BODY_JSON,
             SB_INPUT(struct member_input, set_fields),
             SB_OUTPUT(struct member_output, set_output_fields),
             .created = SB_CREATED(struct member_output, created),
             LIMIT,
             .audit = "threads.set_member",
             .errors = SB_ERRORS(SB_E_NOT_FOUND, SB_E_CONFLICT),
             .summary = "Add a member, or change its role"},
            /* Not every user's id can stand in a path. */
            {.path = "/{id}/members", DROP, .summary = "Remove the member ?userId="},
            {.path = "/{id}/members/{userId}", DROP, .summary = "Remove a member"},
            {.handler = NULL}},
    .needs = SB_NEEDS_DB,
};
