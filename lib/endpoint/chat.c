#include "endpoint/chat.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "endpoint/budget.h"
#include "endpoint/turn_cost.h"
#include "endpoint/voice_session.h"
#include "store/chat_cache.h"
#include "upstream/engines.h"
#include "upstream/flights.h"
#include "upstream/local.h"
#include "upstream/receptionist.h"

_Static_assert((int)SB_FLIGHT_TEXT_MAX >= (int)SB_VOICE_REPLY_MAX, "a reply fits in a flight");

enum { OUTPUT_MAX = 64 * 1024, KEY_TEXT_MAX = 1024 * 1024 };

struct chat {
    struct sb_request *request;
    struct sb_engines engines;
    struct sb_voice voice;
    const struct sb_voice_message *messages; /* the system's first */
    size_t count;
    const char *session_id; /* as the client named it */
    struct sb_voice_session session;
    const char *key;
    bool events; /* the form of the answer */
    const char *reply;
    bool cached;
};

/* --- Output --- */

static void add_text(struct sb_buf *out, const char *key, const char *text)
{
    sb_json_key(out, key);
    sb_json_string(out, text);
}

static bool send_delta(void *context, const char *text, size_t length)
{
    struct chat *chat = context;
    struct sb_buf data;
    if (!chat->events)
        return true;
    sb_buf_init(&data, NULL, OUTPUT_MAX);
    sb_json_open(&data, '{');
    sb_json_key(&data, "text");
    sb_json_string_n(&data, text, length);
    sb_json_close(&data, '}');
    bool sent = sb_request_write_event(chat->request, "delta", &data);
    sb_buf_free(&data);
    return sent;
}

/* Keeps the connection alive, and sees whether the client is there and the process may go on. */
static bool tick(void *context)
{
    struct chat *chat = context;
    if (chat->events && !sb_request_write_ping(chat->request))
        return false;
    return !sb_request_gone(chat->request) && !sb_request_must_end(chat->request);
}

static void add_answer(const struct chat *chat, struct sb_buf *out)
{
    add_text(out, "reply", chat->reply);
    add_text(out, "engine", chat->engines.thinking->name);
    sb_json_key(out, "cached");
    sb_json_bool(out, chat->cached);
    if (chat->session_id != NULL)
        add_text(out, "sessionId", chat->session_id);
}

/* An error before the first event is an ordinary answer. */
static enum sb_error tell(struct chat *chat, enum sb_error error)
{
    struct sb_buf out;
    if (error != SB_OK && !sb_request_begun(chat->request))
        return error;
    if (error != SB_OK)
        return sb_request_write_error_event(chat->request, error) ? error : SB_E_UNAVAILABLE;
    sb_buf_init(&out, chat->request->arena, OUTPUT_MAX);
    sb_json_open(&out, '{');
    if (!chat->events) {
        sb_json_key(&out, "success");
        sb_json_bool(&out, true);
    }
    add_answer(chat, &out);
    add_text(&out, "traceId", chat->request->trace_id);
    sb_json_close(&out, '}');
    bool sent = chat->events
                    ? sb_request_write_event(chat->request, "done", &out)
                    : sb_buf_ok(&out) && sb_request_write_body(chat->request, out.data, out.length);
    return sent ? SB_OK : SB_E_UNAVAILABLE;
}

/* --- Where the reply comes from --- */

static enum sb_error ask_engine(struct chat *chat, int64_t stage_ms)
{
    const struct sb_voice_engines engines = {.thinking = chat->engines.thinking,
                                             .stage_ms = stage_ms};
    const struct sb_voice_receiver receiver = {.delta = send_delta, .context = chat};
    struct sb_voice_reply reply = {.text = ""};
    enum sb_error error =
        sb_voice_answer(&chat->voice, &engines, chat->messages, chat->count, &receiver, &reply);
    chat->reply = reply.text;
    return error == SB_OK && *reply.text == '\0' ? SB_E_UPSTREAM_ERROR : error;
}

/* Who is answered from somewhere else reserves nothing, and pays nothing. */
static enum sb_error think(struct chat *chat)
{
    struct sb_request *request = chat->request;
    const struct sb_turn_cost cost = {
        .thinking = chat->engines.thinking, .messages = chat->messages, .count = chat->count};
    int64_t stage_ms = request->config->voice_timeout_s * 1000;
    const struct sb_budget_ask ask = {.most = sb_turn_cost_max(request->config, &cost),
                                      .timeout_ms = sb_turn_cost_timeout_ms(request->config)};
    struct sb_budget_hold hold;
    enum sb_error error = sb_request_reserve(request, &ask, &hold);
    if (error != SB_OK)
        return error;
    error = ask_engine(chat, stage_ms);
    struct sb_spend real =
        sb_turn_cost_real(&chat->voice, &cost, error, sb_request_gone(request), chat->reply);
    enum sb_error settled = sb_request_settle(request, &hold, &real);
    (void)settled; /* logged; what was set aside then counts until its deadline */
    return error;
}

/* A reply that is there as a whole. */
static enum sb_error take_whole(struct chat *chat, const char *reply)
{
    chat->reply = reply;
    chat->cached = true;
    return send_delta(chat, reply, strlen(reply)) ? SB_OK : SB_E_UNAVAILABLE;
}

static enum sb_error store_reply(struct sb_db_conn *tx, void *context)
{
    const struct chat *chat = context;
    const struct sb_request *request = chat->request;
    return sb_chat_cache_store(tx, chat->key, chat->reply,
                               request->now_ms + request->config->chat_cache_ttl_s * 1000,
                               SB_CHAT_CACHE_ROWS_MAX);
}

/* From the cache, or else from the engine into the cache. A cache that fails is none. */
static enum sb_error read_through(struct chat *chat, bool *hit)
{
    struct sb_request *request = chat->request;
    const char *reply;
    *hit = sb_chat_cache_find(sb_request_reader(request), request->arena, chat->key,
                              request->now_ms, &reply) == SB_OK;
    if (*hit) {
        chat->reply = reply;
        return SB_OK;
    }
    sb_metrics_add(SB_METRIC_CHAT_CACHE, "outcome=\"miss\"", 1);
    enum sb_error error = think(chat);
    if (error == SB_OK && sb_request_write(request, store_reply, chat) != SB_OK)
        SB_LOG(SB_LOG_WARN, "chat.not_cached", request->trace_id,
               SB_LOG_TEXT("reason", "the database failed"));
    return error;
}

static enum sb_error lead(struct chat *chat, struct sb_flight *flight)
{
    bool hit;
    enum sb_error error = read_through(chat, &hit);
    /* No reason for those who follow to go, or to be refused. */
    if (error == SB_E_BUDGET_EXCEEDED || (error != SB_OK && sb_request_gone(chat->request)))
        sb_flight_abandon(flight);
    else
        sb_flight_land(flight, error, error == SB_OK ? chat->reply : "");
    if (!hit)
        return error;
    sb_metrics_add(SB_METRIC_CHAT_CACHE, "outcome=\"hit\"", 1);
    return take_whole(chat, chat->reply);
}

/* Until the flight is over. True: *error is how it ended; false: it was abandoned. */
static bool follow(struct chat *chat, struct sb_flight *flight, int64_t deadline_us,
                   enum sb_error *error)
{
    const char *reply = NULL;
    enum sb_flight_state state;
    while ((state = sb_flight_wait(flight, SB_VOICE_TICK_MS, chat->request->arena, error,
                                   &reply)) == SB_FLIGHT_FLYING) {
        bool in_time = sb_clock_mono_us() < deadline_us;
        if (in_time && tick(chat))
            continue;
        sb_flight_leave(flight);
        *error = in_time ? SB_E_UNAVAILABLE : SB_E_UPSTREAM_TIMEOUT;
        return true;
    }
    if (state == SB_FLIGHT_ABANDONED)
        return false;
    sb_metrics_add(SB_METRIC_CHAT_CACHE, "outcome=\"shared\"", 1);
    if (reply == NULL)
        *error = SB_E_UNAVAILABLE;
    if (*error == SB_OK)
        *error = take_whole(chat, reply);
    return true;
}

static enum sb_error reply_to(struct chat *chat)
{
    const struct sb_config *config = chat->request->config;
    int64_t deadline_us = sb_clock_mono_us() + config->voice_timeout_s * 1000000;
    struct sb_flight *flight;
    enum sb_error error;
    bool hit;
    if (!config->enable_cache)
        return think(chat);
    for (;;) {
        switch (sb_flight_board(chat->key, &flight)) {
        case SB_FLIGHT_LEADS:
            return lead(chat, flight);
        case SB_FLIGHT_FOLLOWS:
            if (follow(chat, flight, deadline_us, &error))
                return error;
            break;
        case SB_FLIGHT_ALONE:
            error = read_through(chat, &hit);
            return hit ? take_whole(chat, chat->reply) : error;
        }
    }
}

/* --- The turn --- */

/* SHA-256 over all the reply depends on, as JSON, in which nothing runs into anything else. */
static const char *key_of(const struct chat *chat)
{
    struct sb_arena *arena = chat->request->arena;
    const struct sb_config *config = chat->request->config;
    unsigned char digest[SB_SHA256_SIZE];
    char *key = sb_arena_alloc(arena, SB_SHA256_HEX_SIZE);
    struct sb_buf text;
    sb_buf_init(&text, arena, KEY_TEXT_MAX);
    sb_json_open(&text, '[');
    sb_json_string(&text, chat->engines.thinking->name);
    sb_json_string(&text, config->chat_model);
    sb_json_int(&text, config->reply_tokens_max);
    for (size_t i = 0; i < chat->count; i++) {
        sb_json_int(&text, chat->messages[i].role);
        sb_json_string(&text, chat->messages[i].text);
    }
    sb_json_close(&text, ']');
    if (key == NULL || !sb_buf_ok(&text) || !sb_sha256(text.data, text.length, digest))
        return NULL;
    sb_hex(digest, sizeof digest, key);
    return key;
}

/* The receptionist's prompt, what was said before (the client's own account of it, if it sends more
 * than its question), and the question. */
static enum sb_error set_messages(struct chat *chat, const struct sb_voice_message *messages,
                                  size_t count)
{
    struct sb_request *request = chat->request;
    const struct sb_receptionist *receptionist = sb_local_receptionist(request->config);
    if (receptionist == NULL)
        return SB_E_MISCONFIGURED;
    const char *prompt = sb_receptionist_prompt(receptionist, request->arena);
    struct sb_voice_message *all = sb_arena_alloc(request->arena, (count + 1) * sizeof *all);
    if (prompt == NULL || all == NULL)
        return SB_E_UNAVAILABLE;
    all[0] = (struct sb_voice_message){SB_VOICE_SYSTEM, prompt};
    memcpy(all + 1, messages, count * sizeof *all);
    chat->messages = all;
    chat->count = count + 1;
    if (count == 1)
        chat->messages = sb_voice_session_messages(request, &chat->session, prompt,
                                                   messages[0].text, &chat->count);
    if (chat->messages != NULL)
        chat->key = key_of(chat);
    return chat->key == NULL ? SB_E_UNAVAILABLE : SB_OK;
}

/* Everything that can be refused is, before anybody is asked. */
static enum sb_error prepare(struct chat *chat, const struct sb_voice_message *messages,
                             size_t count)
{
    struct sb_request *request = chat->request;
    enum sb_error error = sb_engines_choose(request->config, SB_NEEDS_THINKING, &chat->engines);
    if (error == SB_OK)
        error = sb_voice_session_find(request, SB_SESSION_CHAT, chat->session_id, &chat->session);
    if (error == SB_OK)
        error = set_messages(chat, messages, count);
    if (error == SB_OK && chat->engines.fetches)
        error = sb_fetch_borrow(request->config, &chat->voice.session);
    return error;
}

enum sb_error sb_chat_answer(struct sb_request *request, const struct sb_voice_message *messages,
                             size_t count, const char *session_id)
{
    const char *user = request->principal.user_id != NULL
                           ? request->principal.user_id
                           : sb_arena_printf(request->arena, "address:%s", request->address);
    struct chat chat = {.request = request,
                        .session_id = session_id,
                        .reply = "",
                        .events = sb_accept_asks_for(request->accept, "text/event-stream"),
                        .voice = {.arena = request->arena,
                                  .config = request->config,
                                  .trace_id = request->trace_id,
                                  .user_id = user,
                                  .client_fd = request->client_fd,
                                  .tick = tick}};
    chat.voice.context = &chat;
    enum sb_error error = prepare(&chat, messages, count);
    if (error != SB_OK)
        return error;
    error = reply_to(&chat);
    if (error == SB_OK || *chat.reply != '\0')
        sb_voice_session_keep(request, &chat.session, messages[count - 1].text, chat.reply,
                              error != SB_OK);
    error = tell(&chat, error);
    sb_fetch_return(chat.voice.session);
    return error;
}
