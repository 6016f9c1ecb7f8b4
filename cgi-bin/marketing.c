/* /api/marketing: what a site's visitors ask (chat) and leave (leads), and what staff do about it
 * (inbox). */
#include <string.h>

#include "base/mail_address.h"
#include "endpoint/chat.h"
#include "endpoint/page.h"
#include "store/leads.h"
#include "store/outbox.h"
#include "store/users.h"
#include "upstream/mail.h"

enum {
    CHAT_MESSAGES_MAX = 20,
    CHAT_CONTENT_MAX = 2000,
    CHAT_REPEATS_MAX = 3,
    DAY_S = 86400,
    SHORT_MAX = 200,
    PHONE_MAX = 40,
    MESSAGE_MAX = 4000,
    NOTE_MAX = 1000,
    SEARCH_MAX = 100,
    MAIL_TEXT_MAX = 64 * 1024
};
static const char list_name[] = "inbox";

/* C0, DEL and C1; allowed: of them, what may be there all the same. */
static bool has_control(const char *text, const char *allowed)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        bool control = *at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0);
        if (control && strchr(allowed, *at) == NULL)
            return true;
    }
    return false;
}

/* Refuses value if it has a control character. NULL is fine. */
static enum sb_error check_text(struct sb_request *request, const char *field, const char *value,
                                const char *allowed)
{
    if (value == NULL || !has_control(value, allowed))
        return SB_OK;
    return sb_request_invalid(request, field, "format", "may not hold control characters");
}

/* Refuses value if there is nothing in it to read. NULL is fine. */
static enum sb_error check_blank(struct sb_request *request, const char *field, const char *value)
{
    if (value == NULL || value[strspn(value, " \t\r\n")] != '\0')
        return SB_OK;
    return sb_request_invalid(request, field, "format", "says nothing");
}

/* POST /chat */

enum chat_role { CHAT_USER, CHAT_ASSISTANT };
static const char *const chat_role_names[] = {
    [CHAT_USER] = "user", [CHAT_ASSISTANT] = "assistant", NULL};

struct chat_message {
    int64_t role; /* enum chat_role */
    const char *content;
};
static const struct sb_field chat_message_fields[] = {
    SB_ENUM(struct chat_message, role, "role", chat_role_names, SB_REQUIRED),
    SB_STRING(struct chat_message, content, "content", 1, CHAT_CONTENT_MAX, SB_REQUIRED),
    SB_FIELDS_END};

struct chat_input {
    struct chat_message *messages;
    size_t count;
    const char *session_id;
};
static const struct sb_field chat_fields[] = {
    SB_OBJECTS_IN(struct chat_input, messages, count, "messages", struct chat_message,
                  chat_message_fields, 1, CHAT_MESSAGES_MAX, SB_REQUIRED),
    SB_ID(struct chat_input, session_id, "sessionId", 0), SB_FIELDS_END};

/* For the documentation: sb_chat_answer() writes it. */
struct chat_output {
    const char *reply, *engine, *session_id;
    bool cached;
};
static const struct sb_field chat_output_fields[] = {
    SB_STRING(struct chat_output, reply, "reply", 1, SB_VOICE_REPLY_MAX, SB_REQUIRED),
    SB_STRING(struct chat_output, engine, "engine", 1, 16, SB_REQUIRED),
    SB_BOOL(struct chat_output, cached, "cached", SB_REQUIRED),
    SB_ID(struct chat_output, session_id, "sessionId", 0), SB_FIELDS_END};

/* Who says one thing over and over is no one to be answered again at our expense. */
static enum sb_error check_repetition(struct sb_request *request, const struct chat_input *input)
{
    const char *before = NULL;
    size_t times = 0;
    for (size_t i = 0; i < input->count; i++) {
        const struct chat_message *message = &input->messages[i];
        if (message->role != CHAT_USER)
            continue;
        times = before != NULL && strcmp(before, message->content) == 0 ? times + 1 : 1;
        before = message->content;
        if (times > CHAT_REPEATS_MAX)
            return sb_request_invalid(request, "messages", "not_allowed",
                                      "says the same more than 3 times in a row");
    }
    return SB_OK;
}

static enum sb_error check_chat(struct sb_request *request, const struct chat_input *input)
{
    enum sb_error error = SB_OK;
    if (input->messages[input->count - 1].role != CHAT_USER)
        error = sb_request_invalid(request, "messages", "not_allowed",
                                   "must end with a message of the user");
    for (size_t i = 0; i < input->count; i++) {
        const char *field = sb_arena_printf(request->arena, "messages[%zu].content", i);
        enum sb_error wrong = check_text(request, field, input->messages[i].content, "\n\r\t");
        if (wrong == SB_OK && i + 1 == input->count)
            wrong = check_blank(request, field, input->messages[i].content);
        error = wrong == SB_OK ? error : wrong;
    }
    return error == SB_OK ? check_repetition(request, input) : error;
}

static enum sb_error chat(struct sb_request *request, const void *in, void *out)
{
    const struct chat_input *input = in;
    const struct sb_rate_policy daily = {"marketing-chat-daily", request->config->chat_daily_quota,
                                         DAY_S};
    struct sb_voice_message messages[CHAT_MESSAGES_MAX];
    (void)out;
    enum sb_error error = check_chat(request, input);
    /* Users have their budgets; an office of them behind one address is not to share a quota. */
    if (error == SB_OK && request->principal.kind != SB_PRINCIPAL_USER)
        error = sb_request_charge(request, &daily);
    if (error != SB_OK)
        return error;
    for (size_t i = 0; i < input->count; i++)
        messages[i] = (struct sb_voice_message){
            input->messages[i].role == CHAT_USER ? SB_VOICE_USER : SB_VOICE_ASSISTANT,
            input->messages[i].content};
    return sb_chat_answer(request, messages, input->count, input->session_id);
}

static const char *const chat_other_types[] = {"text/event-stream", NULL};

/* POST /leads */

struct lead_input {
    const char *name, *email, *company, *phone, *message, *source;
    const char *website; /* people do not see the field; programs fill it in */
};
static const struct sb_field lead_fields[] = {
    SB_STRING(struct lead_input, name, "name", 1, SHORT_MAX, SB_REQUIRED),
    SB_STRING(struct lead_input, email, "email", 3, SB_MAIL_ADDRESS_MAX, SB_REQUIRED),
    SB_STRING(struct lead_input, company, "company", 0, SHORT_MAX, 0),
    SB_STRING(struct lead_input, phone, "phone", 0, PHONE_MAX, 0),
    SB_STRING(struct lead_input, message, "message", 1, MESSAGE_MAX, SB_REQUIRED),
    SB_STRING(struct lead_input, source, "source", 0, SHORT_MAX, 0),
    SB_STRING(struct lead_input, website, "website", 0, 0, 0),
    SB_FIELDS_END};

/* What a stranger is told of a lead. */
static const struct sb_field made_fields[] = {
    SB_ID(struct sb_lead, id, "id", SB_REQUIRED),
    SB_TIME(struct sb_lead, created_at_ms, "createdAt", SB_REQUIRED), SB_FIELDS_END};

struct lead_output {
    struct sb_lead lead;
};
static const struct sb_field lead_output_fields[] = {
    SB_OBJECT(struct lead_output, lead, "lead", made_fields), SB_FIELDS_END};

/* All that is wrong, not the first thing only. */
static enum sb_error check_lead(struct sb_request *request, const struct lead_input *input)
{
    static const char phone_chars[] = "+0123456789 ()./-x";
    const enum sb_error errors[] = {
        check_text(request, "name", input->name, ""),
        check_text(request, "company", input->company, ""),
        check_text(request, "source", input->source, ""),
        check_text(request, "message", input->message, "\n\r\t"),
        check_blank(request, "name", input->name),
        check_blank(request, "message", input->message),
        sb_mail_address_valid(input->email)
            ? SB_OK
            : sb_request_invalid(request, "email", "format", "is no e-mail address"),
        input->phone == NULL || input->phone[strspn(input->phone, phone_chars)] == '\0'
            ? SB_OK
            : sb_request_invalid(request, "phone", "format", "is no telephone number"),
    };
    for (size_t i = 0; i < SB_COUNT(errors); i++) {
        if (errors[i] != SB_OK)
            return errors[i];
    }
    return SB_OK;
}

static void add_line(struct sb_buf *out, const char *name, const char *value)
{
    if (value != NULL && *value != '\0')
        sb_buf_add_format(out, "%s: %s\n", name, value);
}

/* The text of the mail to sales; NULL: out of memory. */
static const char *lead_text(struct sb_arena *arena, const struct sb_lead *lead)
{
    struct sb_buf out;
    sb_buf_init(&out, arena, MAIL_TEXT_MAX);
    add_line(&out, "Name", lead->name);
    add_line(&out, "E-mail", lead->email);
    add_line(&out, "Company", lead->company);
    add_line(&out, "Phone", lead->phone);
    add_line(&out, "Source", lead->source);
    add_line(&out, "Lead", lead->id);
    sb_buf_add_format(&out, "\n%s", lead->message);
    return sb_buf_ok(&out) ? out.data : NULL;
}

struct lead_work {
    struct lead_output *output;
    const struct sb_lead *lead;
    const struct sb_outbox_mail *mail; /* NULL: nobody is to be mailed */
};

static enum sb_error add_lead(struct sb_db_conn *tx, void *context)
{
    const struct lead_work *work = context;
    enum sb_error error = sb_leads_add(tx, work->lead);
    if (error == SB_OK && work->mail != NULL)
        error = sb_outbox_add(tx, work->mail, work->lead->created_at_ms);
    work->output->lead = *work->lead;
    return error;
}

static enum sb_error leave(struct sb_request *request, const void *in, void *out)
{
    const struct lead_input *input = in;
    const struct sb_config *config = request->config;
    char id[SB_ID_SIZE];
    enum sb_error error = check_lead(request, input);
    if (error != SB_OK)
        return error;
    sb_id_make("lead", request->now_ms, id);
    const struct sb_lead lead = {.id = sb_arena_strdup(request->arena, id),
                                 .name = input->name,
                                 .email = input->email,
                                 .company = input->company,
                                 .phone = input->phone,
                                 .message = input->message,
                                 .source = input->source,
                                 .created_at_ms = request->now_ms};
    const struct sb_outbox_mail mail = {
        .lead_id = lead.id,
        .recipient = config->sales_email,
        .reply_to = lead.email,
        .subject = sb_arena_printf(request->arena, "New lead: %s", lead.name),
        .text = lead_text(request->arena, &lead)};
    if (lead.id == NULL || mail.subject == NULL || mail.text == NULL)
        return SB_E_UNAVAILABLE;
    struct lead_work work = {out, &lead, sb_mail_configured(config) ? &mail : NULL};
    error = sb_request_write(request, add_lead, &work);
    if (error == SB_OK && work.output->lead.id != NULL) /* not a replayed answer */
        sb_request_audit_object(request, work.output->lead.id);
    return error;
}

/* The inbox: leads as staff see them. */

static const struct sb_field full_fields[] = {
    SB_ID(struct sb_lead, id, "id", SB_REQUIRED),
    SB_TIME(struct sb_lead, created_at_ms, "createdAt", SB_REQUIRED),
    SB_TIME(struct sb_lead, updated_at_ms, "updatedAt", SB_REQUIRED),
    SB_INT(struct sb_lead, version, "version", 1, INT32_MAX, SB_REQUIRED),
    SB_ENUM(struct sb_lead, status, "status", sb_lead_status_names, SB_REQUIRED),
    SB_STRING(struct sb_lead, assignee, "assignee", 1, SB_USER_ID_MAX, SB_REQUIRED | SB_NULLABLE),
    SB_STRING(struct sb_lead, name, "name", 1, SHORT_MAX, SB_REQUIRED),
    SB_STRING(struct sb_lead, email, "email", 3, SB_MAIL_ADDRESS_MAX, SB_REQUIRED),
    SB_STRING(struct sb_lead, company, "company", 0, SHORT_MAX, SB_REQUIRED | SB_NULLABLE),
    SB_STRING(struct sb_lead, phone, "phone", 0, PHONE_MAX, SB_REQUIRED | SB_NULLABLE),
    SB_STRING(struct sb_lead, source, "source", 0, SHORT_MAX, SB_REQUIRED | SB_NULLABLE),
    SB_STRING(struct sb_lead, message, "message", 1, MESSAGE_MAX, SB_REQUIRED),
    SB_FIELDS_END};

/* GET /inbox */

struct list_input {
    int64_t status;
    const char *assignee, *search;
    struct sb_page page;
};
static const struct sb_field list_fields[] = {
    SB_ENUM(struct list_input, status, "status", sb_lead_status_names, 0),
    SB_STRING(struct list_input, assignee, "assignee", 1, SB_USER_ID_MAX, 0),
    SB_STRING(struct list_input, search, "q", 1, SEARCH_MAX, 0), SB_PAGE(struct list_input),
    SB_FIELDS_END};

struct list_output {
    struct sb_lead *leads;
    size_t count;
    const char *next_cursor;
};
static const struct sb_field list_output_fields[] = {
    SB_OBJECTS(struct list_output, leads, count, "leads", struct sb_lead, full_fields),
    SB_NEXT_CURSOR(struct list_output, next_cursor), SB_FIELDS_END};

static enum sb_error list(struct sb_request *request, const void *in, void *out)
{
    const struct list_input *input = in;
    struct list_output *output = out;
    size_t limit = sb_page_limit(&input->page);
    struct sb_leads_page page = {.status = (int)input->status,
                                 .assignee = input->assignee,
                                 .search = input->search,
                                 .max = limit + 1};
    enum sb_error error = sb_page_key(request, list_name, &input->page, sb_id_valid, &page.below);
    if (error == SB_OK)
        error = sb_leads_list(sb_request_reader(request), request->arena, &page, &output->leads,
                              &output->count);
    if (error != SB_OK || output->count <= limit)
        return error;
    output->count = limit;
    return sb_page_end(request, list_name, output->leads[limit - 1].id, &output->next_cursor);
}

/* GET /inbox/{id} */

struct show_input {
    const char *id;
};
static const struct sb_field show_fields[] = {SB_ID(struct show_input, id, "id", SB_REQUIRED),
                                              SB_FIELDS_END};

struct show_output {
    struct sb_lead lead;
    struct sb_lead_event *events;
    size_t event_count;
};
static const struct sb_field event_fields[] = {
    SB_TIME(struct sb_lead_event, at_ms, "at", SB_REQUIRED),
    SB_STRING(struct sb_lead_event, user_id, "by", 1, SB_USER_ID_MAX, SB_REQUIRED),
    SB_ENUM(struct sb_lead_event, type, "type", sb_lead_event_names, SB_REQUIRED),
    SB_STRING(struct sb_lead_event, before, "from", 1, SB_USER_ID_MAX, SB_REQUIRED | SB_NULLABLE),
    SB_STRING(struct sb_lead_event, after, "to", 1, NOTE_MAX, SB_REQUIRED | SB_NULLABLE),
    SB_FIELDS_END};
static const struct sb_field show_output_fields[] = {
    SB_OBJECT(struct show_output, lead, "lead", full_fields),
    SB_OBJECTS(struct show_output, events, event_count, "history", struct sb_lead_event,
               event_fields),
    SB_FIELDS_END};

static enum sb_error show(struct sb_request *request, const void *in, void *out)
{
    const char *id = ((const struct show_input *)in)->id;
    struct show_output *output = out;
    struct sb_db_conn *reader = sb_request_reader(request);
    enum sb_error error = sb_leads_find(reader, request->arena, id, &output->lead);
    if (error != SB_OK)
        return error;
    return sb_leads_events(reader, request->arena, id, &output->events, &output->event_count);
}

/* PATCH /inbox/{id} */

struct change_input {
    const char *id, *assignee, *note;
    int64_t status, version;
};
static const struct sb_field change_fields[] = {
    SB_ID(struct change_input, id, "id", SB_REQUIRED),
    SB_ENUM(struct change_input, status, "status", sb_lead_status_names, 0),
    SB_STRING(struct change_input, assignee, "assignee", 0, SB_USER_ID_MAX, 0),
    SB_STRING(struct change_input, note, "note", 1, NOTE_MAX, 0),
    SB_INT(struct change_input, version, "version", 1, INT32_MAX, 0),
    SB_FIELDS_END};

struct change_output {
    struct sb_lead lead;
};
static const struct sb_field change_output_fields[] = {
    SB_OBJECT(struct change_output, lead, "lead", full_fields), SB_FIELDS_END};

struct change_work {
    struct sb_arena *arena;
    struct sb_lead_change change;
    struct change_output *output;
};

static enum sb_error change_lead(struct sb_db_conn *tx, void *context)
{
    struct change_work *work = context;
    return sb_leads_change(tx, work->arena, &work->change, &work->output->lead);
}

static enum sb_error check_change(struct sb_request *request, const struct change_input *input)
{
    if (input->status < 0 && input->assignee == NULL && input->note == NULL)
        return sb_request_invalid(request, "status", "required",
                                  "or assignee, or note: something is to be changed");
    if (input->assignee != NULL && *input->assignee != '\0' && !sb_user_id_valid(input->assignee))
        return sb_request_invalid(request, "assignee", "format",
                                  "must be a user's id, or empty for nobody");
    enum sb_error error = check_blank(request, "note", input->note);
    return error == SB_OK ? check_text(request, "note", input->note, "\n\r\t") : error;
}

static enum sb_error change(struct sb_request *request, const void *in, void *out)
{
    const struct change_input *input = in;
    enum sb_error error = check_change(request, input);
    if (error != SB_OK)
        return error;
    struct change_work work = {.arena = request->arena,
                               .change = {.id = input->id,
                                          .user_id = request->principal.user_id,
                                          .now_ms = request->now_ms,
                                          .version = input->version,
                                          .status = (int)input->status,
                                          .assignee = input->assignee,
                                          .note = input->note},
                               .output = out};
    sb_request_audit_object(request, input->id);
    error = sb_request_write(request, change_lead, &work);
    if (error == SB_E_CONFLICT)
        sb_request_explain(request, "The lead has been changed since; read it again.");
    if (error != SB_E_GONE)
        return error;
    sb_request_explain(request, "The lead has as many notes and changes as a lead can have.");
    return SB_E_CONFLICT;
}

#define INBOX_LIMIT .limit = {"inbox", 100, 60}

const struct sb_endpoint sb_endpoint = {
    .name = "marketing",
    .routes =
        (const struct sb_route[]){{.methods = SB_POST,
                                   .path = "/chat",
                                   .handler = chat,
                                   .access = SB_ACCESS_ANYONE,
                                   .origin_required = true,
                                   .body = SB_BODY_JSON,
                                   SB_INPUT(struct chat_input, chat_fields),
                                   .reply = SB_REPLY_STREAM,
                                   .content_type = "application/json",
                                   .other_types = chat_other_types,
                                   SB_OUTPUT(struct chat_output, chat_output_fields),
                                   .limit = {"marketing-chat", 20, 60},
                                   .errors = SB_ERRORS(SB_E_CONFLICT, SB_E_BUDGET_EXCEEDED,
                                                       SB_E_UPSTREAM_ERROR, SB_E_UPSTREAM_TIMEOUT),
                                   .summary = "Ask the receptionist"},
                                  {.methods = SB_POST,
                                   .path = "/leads",
                                   .handler = leave,
                                   .access = SB_ACCESS_PUBLIC,
                                   .origin_required = true,
                                   .body = SB_BODY_JSON,
                                   SB_INPUT(struct lead_input, lead_fields),
                                   SB_OUTPUT(struct lead_output, lead_output_fields),
                                   .status = 201,
                                   .limit = {"leads", 5, 60},
                                   .idempotent = true,
                                   .audit = "leads.create",
                                   .summary = "Leave a message for sales"},
                                  {.methods = SB_GET,
                                   .path = "/inbox",
                                   .handler = list,
                                   .access = SB_ACCESS_STAFF,
                                   SB_INPUT(struct list_input, list_fields),
                                   SB_OUTPUT(struct list_output, list_output_fields),
                                   INBOX_LIMIT,
                                   .audit = "leads.list",
                                   .summary = "List leads, newest first"},
                                  {.methods = SB_GET,
                                   .path = "/inbox/{id}",
                                   .handler = show,
                                   .access = SB_ACCESS_STAFF,
                                   SB_INPUT(struct show_input, show_fields),
                                   SB_OUTPUT(struct show_output, show_output_fields),
                                   INBOX_LIMIT,
                                   .audit = "leads.read",
                                   .errors = SB_ERRORS(SB_E_NOT_FOUND),
                                   .summary = "Get a lead with its notes and changes"},
                                  {.methods = SB_PATCH,
                                   .path = "/inbox/{id}",
                                   .handler = change,
                                   .access = SB_ACCESS_STAFF,
                                   .body = SB_BODY_JSON,
                                   SB_INPUT(struct change_input, change_fields),
                                   SB_OUTPUT(struct change_output, change_output_fields),
                                   INBOX_LIMIT,
                                   .audit = "leads.change",
                                   .errors = SB_ERRORS(SB_E_NOT_FOUND, SB_E_CONFLICT),
                                   .summary = "Change a lead's status or assignee, or add a note"},
                                  {.handler = NULL}},
    .needs = SB_NEEDS_DB | SB_NEEDS_MAIL | SB_NEEDS_THINKING | SB_NEEDS_UPSTREAM,
    .workers = 256,
};
