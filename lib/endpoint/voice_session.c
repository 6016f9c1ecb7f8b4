#include "endpoint/voice_session.h"

#include "base/ids.h"
#include "base/log.h"

enum sb_error sb_voice_session_find(struct sb_request *request, enum sb_session_kind kind,
                                    const char *id, struct sb_voice_session *session)
{
    struct sb_db_conn *reader = sb_request_reader(request);
    struct sb_session found;
    *session = (struct sb_voice_session){.kind = kind};
    if (id == NULL || request->principal.kind == SB_PRINCIPAL_ANONYMOUS ||
        !request->config->enable_sessions)
        return SB_OK;
    session->id = id;
    session->owner = sb_principal_owner(request->arena, &request->principal);
    if (session->owner == NULL)
        return SB_E_UNAVAILABLE;
    enum sb_error error = sb_sessions_find(reader, request->arena, session->owner, id, &found);
    session->is_new = error == SB_E_NOT_FOUND;
    if (error != SB_OK)
        return session->is_new ? SB_OK : error;
    if (found.kind != (int64_t)kind) {
        sb_request_explain(request, "The session is of another kind.");
        return SB_E_CONFLICT;
    }
    return sb_sessions_last(reader, request->arena,
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

struct keeping {
    struct sb_request *request;
    const struct sb_voice_session *session;
    struct sb_items_batch batch;
};

/* One that was there and is gone was deleted while somebody spoke, and stays so. */
static enum sb_error keep(struct sb_db_conn *tx, void *context)
{
    const struct keeping *keeping = context;
    const struct sb_voice_session *session = keeping->session;
    struct sb_session made = {
        .id = session->id, .kind = session->kind, .created_at_ms = keeping->request->now_ms};
    bool created;
    enum sb_error error = SB_OK;
    if (session->is_new)
        error = sb_sessions_open(tx, keeping->request->arena, session->owner, &made, &created);
    return error == SB_OK ? sb_sessions_put(tx, &keeping->batch) : error;
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
    struct keeping keeping = {.request = request,
                              .session = session,
                              .batch = {.owner = session->owner,
                                        .session_id = session->id,
                                        .items = items,
                                        .count = *reply == '\0' ? 1 : 2,
                                        .now_ms = request->now_ms}};
    enum sb_error error = sb_request_write(request, keep, &keeping);
    if (error != SB_OK)
        SB_LOG(SB_LOG_WARN, "voice.not_kept", request->trace_id,
               SB_LOG_TEXT("code", sb_error_info(error)->code));
}
