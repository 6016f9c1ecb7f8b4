#include "endpoint/voice_session.h"

#include "base/ids.h"
#include "base/log.h"

struct opening {
    struct sb_request *request;
    const char *owner;
    struct sb_session session;
    bool created;
};

static enum sb_error open_session(struct sb_db_conn *tx, void *context)
{
    struct opening *opening = context;
    return sb_sessions_open(tx, opening->request->arena, opening->owner, &opening->session,
                            &opening->created);
}

enum sb_error sb_voice_session_open(struct sb_request *request, enum sb_session_kind kind,
                                    const char *id, struct sb_voice_session *session)
{
    *session = (struct sb_voice_session){.id = NULL};
    if (id == NULL || request->principal.kind == SB_PRINCIPAL_ANONYMOUS ||
        !request->config->enable_sessions)
        return SB_OK;
    session->id = id;
    struct opening opening = {
        .request = request,
        .owner = sb_principal_owner(request->arena, &request->principal),
        .session = {.id = id, .kind = kind, .created_at_ms = request->now_ms}};
    if (opening.owner == NULL)
        return SB_E_UNAVAILABLE;
    session->owner = opening.owner;
    enum sb_error error = sb_request_write(request, open_session, &opening);
    if (error == SB_E_CONFLICT)
        sb_request_explain(request, "The session is of another kind.");
    if (error != SB_OK)
        return error;
    return sb_sessions_last(sb_request_reader(request), request->arena,
                            &(struct sb_items_page){.owner = session->owner,
                                                    .session_id = id,
                                                    .max = SB_VOICE_ITEMS_MAX},
                            &session->before);
}

const struct sb_voice_message *sb_voice_session_messages(struct sb_request *request,
                                                         const struct sb_voice_session *session,
                                                         const char *prompt, const char *text,
                                                         size_t *count)
{
    size_t used = 0;
    struct sb_voice_message *messages =
        sb_arena_alloc(request->arena, (session->before.count + 2) * sizeof *messages);
    if (messages == NULL)
        return NULL;
    messages[used++] = (struct sb_voice_message){SB_VOICE_SYSTEM, prompt};
    for (size_t i = 0; i < session->before.count; i++) {
        const struct sb_item *item = &session->before.list[i];
        messages[used++] = (struct sb_voice_message){
            item->role == SB_ITEM_USER ? SB_VOICE_USER : SB_VOICE_ASSISTANT, item->text};
    }
    messages[used++] = (struct sb_voice_message){SB_VOICE_USER, text};
    *count = used;
    return messages;
}

static enum sb_error put_items(struct sb_db_conn *tx, void *context)
{
    const struct sb_items_batch *batch = context;
    return sb_sessions_put(tx, batch);
}

void sb_voice_session_keep(struct sb_request *request, const struct sb_voice_session *session,
                           const char *said, const char *reply, bool interrupted)
{
    char said_id[SB_ID_SIZE], reply_id[SB_ID_SIZE];
    if (session->id == NULL)
        return;
    sb_id_make("item", request->now_ms, said_id);
    sb_id_make("item", request->now_ms, reply_id);
    const struct sb_item items[] = {
        {.id = said_id, .role = SB_ITEM_USER, .text = said},
        {.id = reply_id, .role = SB_ITEM_ASSISTANT, .text = reply, .interrupted = interrupted}};
    struct sb_items_batch batch = {.owner = session->owner,
                                   .session_id = session->id,
                                   .items = items,
                                   .count = *reply == '\0' ? 1 : 2,
                                   .now_ms = request->now_ms};
    enum sb_error error = sb_request_write(request, put_items, &batch);
    if (error != SB_OK)
        SB_LOG(SB_LOG_WARN, "voice.not_kept", request->trace_id,
               SB_LOG_TEXT("code", sb_error_info(error)->code));
}
