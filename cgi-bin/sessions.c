/* /api/sessions: conversations of users and visitors, each seen by its owner alone, and their
 * transcripts. */
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "endpoint/page.h"
#include "store/sessions.h"

static const char list_name[] = "sessions", transcript_name[] = "transcript";

static const struct sb_field session_fields[] = {
    SB_ID(struct sb_session, id, "id", SB_REQUIRED),
    SB_ENUM(struct sb_session, kind, "kind", sb_session_kind_names, SB_REQUIRED),
    SB_TIME(struct sb_session, created_at_ms, "createdAt", SB_REQUIRED),
    SB_TIME(struct sb_session, updated_at_ms, "updatedAt", SB_REQUIRED), SB_FIELDS_END};

/* Of every route with {id}. */
struct id_input {
    const char *id;
};
static const struct sb_field id_fields[] = {SB_ID(struct id_input, id, "id", SB_REQUIRED),
                                            SB_FIELDS_END};

/* NULL: out of memory. */
static const char *owner_of(const struct sb_request *request)
{
    return sb_principal_owner(request->arena, &request->principal);
}

/* POST */

struct create_input {
    const char *id;
    int64_t kind;
};
static const struct sb_field create_fields[] = {
    SB_ID(struct create_input, id, "id", 0),
    SB_ENUM(struct create_input, kind, "kind", sb_session_kind_names, SB_REQUIRED), SB_FIELDS_END};

struct create_output {
    struct sb_session session;
    bool created;
};
static const struct sb_field create_output_fields[] = {
    SB_OBJECT(struct create_output, session, "session", session_fields),
    SB_BOOL(struct create_output, created, "created", SB_REQUIRED), SB_FIELDS_END};

struct create_work {
    struct sb_request *request;
    const char *owner;
    struct sb_session asked;
    struct create_output *output;
};

static enum sb_error open_session(struct sb_db_conn *tx, void *context)
{
    struct create_work *work = context;
    work->output->session = work->asked;
    return sb_sessions_open(tx, work->request->arena, work->owner, &work->output->session,
                            &work->output->created);
}

/* What is there can be read and deleted whether anything is added to it or not. */
static bool keeps(struct sb_request *request)
{
    if (!request->config->enable_sessions)
        sb_request_explain(request, "This site keeps no conversations.");
    return request->config->enable_sessions;
}

static enum sb_error create(struct sb_request *request, const void *in, void *out)
{
    char id[SB_ID_SIZE];
    const struct create_input *input = in;
    struct create_work work = {
        .request = request,
        .owner = owner_of(request),
        .asked = {.id = input->id, .kind = input->kind, .created_at_ms = request->now_ms},
        .output = out};
    if (!keeps(request))
        return SB_E_FORBIDDEN;
    if (input->id == NULL) {
        sb_id_make("sess", request->now_ms, id);
        work.asked.id = sb_arena_strdup(request->arena, id);
    }
    if (work.owner == NULL || work.asked.id == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_request_write(request, open_session, &work);
    if (error == SB_E_CONFLICT)
        sb_request_explain(request, "You have a session of another kind with this id.");
    return error;
}

/* GET: the caller's sessions. */

struct list_input {
    struct sb_page page;
};
static const struct sb_field list_fields[] = {SB_PAGE(struct list_input), SB_FIELDS_END};

struct list_output {
    struct sb_session *sessions;
    size_t count;
    const char *next_cursor;
};
static const struct sb_field list_output_fields[] = {
    SB_OBJECTS(struct list_output, sessions, count, "sessions", struct sb_session, session_fields),
    SB_NEXT_CURSOR(struct list_output, next_cursor), SB_FIELDS_END};

/* A key is "TIME.ID" of the last session shown. */
static bool key_valid(const char *key)
{
    const char *dot = key + strspn(key, "0123456789");
    return dot > key && *dot == '.' && sb_id_valid(dot + 1);
}

static enum sb_error list(struct sb_request *request, const void *in, void *out)
{
    const struct list_input *input = in;
    struct list_output *output = out;
    const char *key;
    size_t limit = sb_page_limit(&input->page);
    struct sb_sessions_page page = {.owner = owner_of(request), .max = limit + 1};
    if (page.owner == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_page_key(request, list_name, &input->page, key_valid, &key);
    if (error == SB_OK && key != NULL) {
        page.before_ms = strtoll(key, NULL, 10);
        page.before_id = strchr(key, '.') + 1;
    }
    if (error == SB_OK)
        error = sb_sessions_of_owner(sb_request_reader(request), request->arena, &page,
                                     &output->sessions, &output->count);
    if (error != SB_OK || output->count <= limit)
        return error;
    output->count = limit;
    const struct sb_session *last = &output->sessions[limit - 1];
    key = sb_arena_printf(request->arena, "%lld.%s", (long long)last->created_at_ms, last->id);
    return sb_page_end(request, list_name, key, &output->next_cursor);
}

/* GET and DELETE /{id} */

struct show_output {
    struct sb_session session;
};
static const struct sb_field show_output_fields[] = {
    SB_OBJECT(struct show_output, session, "session", session_fields), SB_FIELDS_END};

static enum sb_error show(struct sb_request *request, const void *in, void *out)
{
    const char *owner = owner_of(request);
    if (owner == NULL)
        return SB_E_UNAVAILABLE;
    return sb_sessions_find(sb_request_reader(request), request->arena, owner,
                            ((const struct id_input *)in)->id,
                            &((struct show_output *)out)->session);
}

struct drop_work {
    const char *owner, *id;
};

static enum sb_error remove_session(struct sb_db_conn *tx, void *context)
{
    const struct drop_work *work = context;
    return sb_sessions_remove(tx, work->owner, work->id);
}

static enum sb_error drop(struct sb_request *request, const void *in, void *out)
{
    (void)out;
    struct drop_work work = {owner_of(request), ((const struct id_input *)in)->id};
    if (work.owner == NULL)
        return SB_E_UNAVAILABLE;
    sb_request_audit_object(request, work.id);
    return sb_request_write(request, remove_session, &work);
}

/* GET /{id}/transcript */

struct read_input {
    const char *id;
    struct sb_page page;
};
static const struct sb_field read_fields[] = {SB_ID(struct read_input, id, "id", SB_REQUIRED),
                                              SB_PAGE(struct read_input), SB_FIELDS_END};

struct read_output {
    struct sb_items items;
    const char *next_cursor;
};
static const struct sb_field item_fields[] = {
    SB_ID(struct sb_item, id, "id", SB_REQUIRED),
    SB_ENUM(struct sb_item, role, "role", sb_item_role_names, SB_REQUIRED),
    SB_STRING(struct sb_item, text, "text", 0, SB_ITEM_TEXT_MAX, SB_REQUIRED),
    SB_BOOL(struct sb_item, interrupted, "interrupted", SB_REQUIRED),
    SB_TIME(struct sb_item, created_at_ms, "createdAt", SB_REQUIRED),
    SB_FIELDS_END};
static const struct sb_field read_output_fields[] = {
    SB_OBJECTS(struct read_output, items.list, items.count, "items", struct sb_item, item_fields),
    SB_NEXT_CURSOR(struct read_output, next_cursor), SB_FIELDS_END};

static enum sb_error read_items(struct sb_request *request, const void *in, void *out)
{
    const struct read_input *input = in;
    struct read_output *output = out;
    struct sb_items *items = &output->items;
    struct sb_items_page page = {
        .owner = owner_of(request),
        .session_id = input->id,
        .max = sb_page_limit(&input->page),
    };
    if (page.owner == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error =
        sb_page_key(request, transcript_name, &input->page, sb_id_valid, &page.after_id);
    if (error == SB_OK)
        error = sb_sessions_items(sb_request_reader(request), request->arena, &page, items);
    if (error != SB_OK || !items->more)
        return error;
    return sb_page_end(request, transcript_name, items->list[items->count - 1].id,
                       &output->next_cursor);
}

/* POST /{id}/transcript */

struct put_input {
    const char *id;
    struct sb_item *items;
    size_t count;
};
static const struct sb_field new_item_fields[] = {
    SB_ID(struct sb_item, id, "id", 0),
    SB_ENUM(struct sb_item, role, "role", sb_item_role_names, SB_REQUIRED),
    SB_STRING(struct sb_item, text, "text", 0, SB_ITEM_TEXT_MAX, SB_REQUIRED),
    SB_BOOL(struct sb_item, interrupted, "interrupted", 0),
    SB_ID(struct sb_item, previous_id, "previousItemId", 0),
    SB_FIELDS_END};
static const struct sb_field put_fields[] = {SB_ID(struct put_input, id, "id", SB_REQUIRED),
                                             SB_OBJECTS_IN(struct put_input, items, count, "items",
                                                           struct sb_item, new_item_fields, 1,
                                                           SB_SESSION_BATCH_MAX, SB_REQUIRED),
                                             SB_FIELDS_END};

struct put_output {
    const char **ids;
    size_t count;
};
static const struct sb_field put_output_fields[] = {
    SB_STRINGS(struct put_output, ids, count, "itemIds"), SB_FIELDS_END};

static enum sb_error put_items(struct sb_db_conn *tx, void *context)
{
    return sb_sessions_put(tx, context);
}

/* The items as they are to be stored: each with an id. */
static enum sb_error name_items(struct sb_request *request, const struct put_input *input,
                                struct sb_item *items, struct put_output *output)
{
    for (size_t i = 0; i < input->count; i++) {
        items[i] = input->items[i];
        if (items[i].id == NULL) {
            char id[SB_ID_SIZE];
            sb_id_make("item", request->now_ms, id);
            items[i].id = sb_arena_strdup(request->arena, id);
        }
        if (items[i].id == NULL)
            return SB_E_UNAVAILABLE;
        output->ids[i] = items[i].id;
    }
    output->count = input->count;
    return SB_OK;
}

static enum sb_error put(struct sb_request *request, const void *in, void *out)
{
    const struct put_input *input = in;
    struct put_output *output = out;
    struct sb_item *items = sb_arena_alloc(request->arena, input->count * sizeof *items);
    output->ids = sb_arena_alloc(request->arena, input->count * sizeof *output->ids);
    struct sb_items_batch batch = {.owner = owner_of(request),
                                   .session_id = input->id,
                                   .items = items,
                                   .count = input->count,
                                   .now_ms = request->now_ms};
    if (!keeps(request))
        return SB_E_FORBIDDEN;
    if (items == NULL || output->ids == NULL || batch.owner == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error = name_items(request, input, items, output);
    if (error == SB_OK)
        error = sb_request_write(request, put_items, &batch);
    if (error == SB_E_CONFLICT)
        sb_request_explain(request, "The session is full: another one can be made.");
    return error;
}

#define SESSIONS .access = SB_ACCESS_VISITOR, .limit = {"sessions", 10, 300}
#define TRANSCRIPT .access = SB_ACCESS_VISITOR, .limit = {"transcript", 120, 60}

const struct sb_endpoint sb_endpoint = {
    .name = "sessions",
    .routes = (const struct sb_route[]){{.methods = SB_POST,
                                         .path = "",
                                         .handler = create,
                                         SESSIONS,
                                         .body = SB_BODY_JSON,
                                         SB_INPUT(struct create_input, create_fields),
                                         SB_OUTPUT(struct create_output, create_output_fields),
                                         .created = SB_CREATED(struct create_output, created),
                                         .idempotent = true,
                                         .errors = SB_ERRORS(SB_E_CONFLICT),
                                         .summary = "Make a session, or find it"},
                                        {.methods = SB_GET,
                                         .path = "",
                                         .handler = list,
                                         TRANSCRIPT,
                                         SB_INPUT(struct list_input, list_fields),
                                         SB_OUTPUT(struct list_output, list_output_fields),
                                         .summary = "List your sessions"},
                                        {.methods = SB_GET,
                                         .path = "/{id}",
                                         .handler = show,
                                         TRANSCRIPT,
                                         SB_INPUT(struct id_input, id_fields),
                                         SB_OUTPUT(struct show_output, show_output_fields),
                                         .errors = SB_ERRORS(SB_E_NOT_FOUND),
                                         .summary = "Get a session"},
                                        {.methods = SB_DELETE,
                                         .path = "/{id}",
                                         .handler = drop,
                                         TRANSCRIPT,
                                         SB_INPUT(struct id_input, id_fields),
                                         .audit = "sessions.delete",
                                         .errors = SB_ERRORS(SB_E_NOT_FOUND),
                                         .summary = "Delete a session with its transcript"},
                                        {.methods = SB_GET,
                                         .path = "/{id}/transcript",
                                         .handler = read_items,
                                         TRANSCRIPT,
                                         SB_INPUT(struct read_input, read_fields),
                                         SB_OUTPUT(struct read_output, read_output_fields),
                                         .errors = SB_ERRORS(SB_E_NOT_FOUND),
                                         .summary = "Read the items of a session in their order"},
                                        {.methods = SB_POST,
                                         .path = "/{id}/transcript",
                                         .handler = put,
                                         TRANSCRIPT,
                                         .body = SB_BODY_JSON,
                                         SB_INPUT(struct put_input, put_fields),
                                         SB_OUTPUT(struct put_output, put_output_fields),
                                         .idempotent = true,
                                         .errors = SB_ERRORS(SB_E_NOT_FOUND, SB_E_CONFLICT),
                                         .summary = "Add items to a session, or change them"},
                                        {.handler = NULL}},
    .needs = SB_NEEDS_DB,
};
