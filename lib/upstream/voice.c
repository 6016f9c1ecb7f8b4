#include "upstream/voice.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clause.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/request.h"

enum { POLL_MAX = 8 };

bool sb_voice_is_sound(const struct sb_fetch_result *result)
{
    const char *type = sb_fetch_header(result, "Content-Type");
    return type == NULL || strncasecmp(type, "audio/", 6) == 0 ||
           sb_media_type_is(type, "application/octet-stream");
}

/* --- The loop -----------------------------------------------------------------------------------
 */

static void end_task(struct sb_voice_task **task)
{
    if (*task != NULL)
        (*task)->end(*task);
    *task = NULL;
}

/* Waits without a fetch call in the session. */
static void wait_for(struct pollfd *fds, size_t count, int64_t wait_ms)
{
    if (poll(fds, count, (int)wait_ms) < 0) {
        for (size_t i = 0; i < count; i++)
            fds[i].revents = 0;
    }
}

static size_t watch(const struct sb_voice *voice, struct sb_voice_task *const *tasks, size_t count,
                    struct pollfd *fds)
{
    size_t used = 0;
    if (voice->client_fd >= 0)
        fds[used++] = (struct pollfd){.fd = voice->client_fd, .events = POLLRDHUP};
    for (size_t i = 0; i < count && used < POLL_MAX; i++) {
        if (tasks[i] != NULL && !tasks[i]->done && tasks[i]->fd >= 0)
            fds[used++] = (struct pollfd){.fd = tasks[i]->fd, .events = POLLIN};
    }
    return used;
}

static bool fetches(struct sb_voice_task *const *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tasks[i] != NULL && !tasks[i]->done && tasks[i]->fd < 0)
            return true;
    }
    return false;
}

/* False: the turn is to end now. */
static bool tick(struct sb_voice *voice)
{
    int64_t now_us = sb_clock_mono_us();
    if (now_us - voice->ticked_us < SB_VOICE_TICK_MS * INT64_C(1000))
        return true;
    voice->ticked_us = now_us;
    return voice->tick == NULL || voice->tick(voice->context);
}

enum sb_error sb_voice_step(struct sb_voice *voice, struct sb_voice_task *const *tasks,
                            size_t count, int64_t deadline_us)
{
    struct pollfd fds[POLL_MAX];
    int64_t begun_us = sb_clock_mono_us(), left_ms = (deadline_us - begun_us) / 1000;
    if (deadline_us <= begun_us)
        return SB_E_UPSTREAM_TIMEOUT;
    if (voice->ticked_us == 0)
        voice->ticked_us = begun_us;
    int64_t tick_ms = SB_VOICE_TICK_MS - (begun_us - voice->ticked_us) / 1000;
    int64_t wait_ms = left_ms + 1 < tick_ms ? left_ms + 1 : tick_ms < 0 ? 0 : tick_ms;
    size_t used = watch(voice, tasks, count, fds);
    if (voice->session != NULL && fetches(tasks, count))
        sb_fetch_step(voice->session, wait_ms, fds, used);
    else
        wait_for(fds, used, wait_ms);
    bool gone = voice->client_fd >= 0 && (fds[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    if (gone || !tick(voice))
        return SB_E_UNAVAILABLE;
    for (size_t i = 0; i < count; i++) {
        if (tasks[i] != NULL && !tasks[i]->done)
            tasks[i]->move(tasks[i]);
    }
    return SB_OK;
}

/* --- Hearing ------------------------------------------------------------------------------------
 */

static bool collect(void *context, const char *data, size_t length)
{
    struct sb_buf *text = context;
    sb_buf_add(text, data, length);
    return sb_buf_ok(text);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Without the blanks around it. */
static const char *trim(struct sb_buf *text)
{
    if (text->data == NULL)
        return "";
    while (text->length > 0 && blank(text->data[text->length - 1]))
        text->data[--text->length] = '\0';
    const char *from = text->data;
    while (blank(*from))
        from++;
    return from;
}

/* UTF-8 without a NUL, as JSON and the database want it: a program may write anything. */
static bool is_text(const struct sb_buf *text)
{
    size_t size = 1;
    for (size_t at = 0; at < text->length && size > 0; at += size)
        size = text->data[at] == '\0' ? 0 : sb_utf8_sequence(text->data + at, text->length - at);
    return size > 0;
}

enum sb_error sb_voice_hear(struct sb_voice *voice, const struct sb_hearing *hearing,
                            const struct sb_voice_recording *recording, int64_t deadline_ms,
                            const char **transcript)
{
    int64_t deadline_us = sb_clock_mono_us() + deadline_ms * 1000;
    struct sb_voice_task *task = NULL;
    struct sb_buf text;
    sb_buf_init(&text, voice->arena, SB_VOICE_REPLY_MAX + 1);
    enum sb_error error = hearing->start(voice, recording, collect, &text, &task);
    while (error == SB_OK && !task->done)
        error = sb_voice_step(voice, &task, 1, deadline_us);
    if (error == SB_OK)
        error = task->error;
    end_task(&task);
    const char *problem = NULL;
    if (!sb_buf_ok(&text)) /* no recording that we take holds so many words */
        problem = "the transcript is too long";
    else if (error != SB_OK)
        return error;
    else if (!is_text(&text))
        problem = "the transcript is no UTF-8 text";
    if (problem != NULL) {
        SB_LOG(SB_LOG_ERROR, "voice.malformed", voice->trace_id, SB_LOG_TEXT("reason", problem));
        return SB_E_UPSTREAM_ERROR;
    }
    *transcript = trim(&text);
    return **transcript == '\0' ? SB_E_NO_SPEECH : SB_OK;
}

/* --- The reply ----------------------------------------------------------------------------------
 */

struct clause {
    struct answer *answer;
    size_t index;
    struct sb_voice_task *task; /* NULL before and after it is spoken */
    struct sb_buf held;         /* audio that waits for the clauses before; on the heap */
    int64_t deadline_us;
    char text[];
};

struct answer {
    struct sb_voice *voice;
    const struct sb_voice_engines *engines;
    const struct sb_voice_receiver *receiver;
    struct sb_voice_reply *reply;
    struct sb_voice_task *thinking;
    struct sb_clause_cutter cutter;
    struct sb_buf text;
    struct clause *clauses[SB_VOICE_CLAUSES_MAX];
    size_t count, begun, playing; /* clauses known, sent to speech, played out */
    int64_t started_us;
    bool full;           /* the reply is as long as it may be */
    enum sb_error error; /* of a callback */
};

static int64_t since(const struct answer *answer)
{
    return sb_clock_mono_us() - answer->started_us;
}

static bool fail(struct answer *answer, enum sb_error error)
{
    if (answer->error == SB_OK)
        answer->error = error;
    return false;
}

static bool refused(struct answer *answer)
{
    return fail(answer, SB_E_UNAVAILABLE);
}

static bool add_clause(void *context, const char *text, size_t length)
{
    struct answer *answer = context;
    if (answer->engines->speaking == NULL)
        return true;
    if (answer->count == SB_VOICE_CLAUSES_MAX)
        return fail(answer, SB_E_INTERNAL);
    struct clause *clause = sb_arena_alloc(answer->voice->arena, sizeof *clause + length + 1);
    if (clause == NULL)
        return fail(answer, SB_E_UNAVAILABLE);
    memcpy(clause->text, text, length);
    clause->answer = answer;
    clause->index = answer->count;
    answer->clauses[answer->count++] = clause;
    sb_buf_init(&clause->held, NULL, SB_VOICE_CLAUSE_AUDIO_MAX);
    return true;
}

/* The model's text: shown, kept, and cut into clauses. */
static bool take_text(void *context, const char *data, size_t length)
{
    struct answer *answer = context;
    size_t room = SB_VOICE_REPLY_MAX - answer->text.length;
    answer->full = length > room;
    if (answer->full) {
        for (length = room; length > 0 && ((unsigned char)data[length] & 0xc0) == 0x80;)
            length--; /* not within a character */
    }
    if (length > 0) {
        if (answer->reply->first_delta_us < 0)
            answer->reply->first_delta_us = since(answer);
        sb_buf_add(&answer->text, data, length);
        if (!sb_buf_ok(&answer->text))
            return fail(answer, SB_E_UNAVAILABLE);
        const struct sb_voice_receiver *receiver = answer->receiver;
        if (receiver->delta != NULL && !receiver->delta(receiver->context, data, length))
            return refused(answer);
        if (!sb_clause_feed(&answer->cutter, data, length))
            return false;
    }
    return !answer->full;
}

static bool play(struct answer *answer, size_t clause, const char *data, size_t length)
{
    const struct sb_voice_receiver *receiver = answer->receiver;
    if (answer->reply->first_audio_us < 0)
        answer->reply->first_audio_us = since(answer);
    return receiver->audio == NULL || receiver->audio(receiver->context, clause, data, length) ||
           refused(answer);
}

/* Audio of the clause whose turn it is passes through; of a later one it waits. */
static bool take_audio(void *context, const char *data, size_t length)
{
    struct clause *clause = context;
    struct answer *answer = clause->answer;
    if (clause->index == answer->playing)
        return play(answer, clause->index, data, length);
    sb_buf_add(&clause->held, data, length);
    return sb_buf_ok(&clause->held) || fail(answer, SB_E_UPSTREAM_ERROR);
}

static enum sb_error begin_clauses(struct answer *answer)
{
    const struct sb_voice_engines *engines = answer->engines;
    while (answer->begun < answer->count && answer->begun - answer->playing < SB_VOICE_AHEAD) {
        struct clause *clause = answer->clauses[answer->begun];
        clause->deadline_us = sb_clock_mono_us() + engines->stage_ms * 1000;
        enum sb_error error = engines->speaking->start(answer->voice, clause->text, take_audio,
                                                       clause, &clause->task);
        if (error != SB_OK)
            return error;
        answer->begun++;
    }
    return SB_OK;
}

/* Plays out what is done, in order; what was held back of the next passes at once. */
static enum sb_error play_out(struct answer *answer)
{
    const struct sb_voice_receiver *receiver = answer->receiver;
    while (answer->playing < answer->begun) {
        size_t index = answer->playing;
        struct clause *clause = answer->clauses[index];
        if (clause->held.length > 0 && !play(answer, index, clause->held.data, clause->held.length))
            return answer->error;
        sb_buf_free(&clause->held);
        if (!clause->task->done)
            return SB_OK;
        enum sb_error error = clause->task->error;
        end_task(&clause->task);
        if (error != SB_OK)
            return answer->error != SB_OK ? answer->error : error;
        answer->playing++;
        answer->reply->spoken_us = since(answer);
        if (receiver->clause_end != NULL &&
            !receiver->clause_end(receiver->context, index, clause->text)) {
            refused(answer);
            return answer->error;
        }
    }
    return SB_OK;
}

/* A reply that was stopped for its length is a whole one. */
static enum sb_error end_thinking(struct answer *answer)
{
    if (answer->thinking == NULL || !(answer->thinking->done || answer->full))
        return SB_OK;
    enum sb_error error = answer->full ? SB_OK : answer->thinking->error;
    end_task(&answer->thinking);
    if (error != SB_OK)
        return answer->error != SB_OK ? answer->error : error;
    answer->reply->thought_us = since(answer);
    return sb_clause_end(&answer->cutter) ? SB_OK : answer->error;
}

static bool over(const struct answer *answer)
{
    return answer->thinking == NULL && answer->playing == answer->count;
}

/* Waits for any of the running tasks, until the first of their deadlines. */
static enum sb_error step(struct answer *answer, int64_t thinking_deadline_us)
{
    struct sb_voice_task *tasks[SB_VOICE_AHEAD + 1];
    size_t count = 0;
    int64_t deadline_us = INT64_MAX;
    if (answer->thinking != NULL) {
        tasks[count++] = answer->thinking;
        deadline_us = thinking_deadline_us;
    }
    for (size_t i = answer->playing; i < answer->begun; i++) {
        struct clause *clause = answer->clauses[i];
        if (clause->task->done)
            continue;
        tasks[count++] = clause->task;
        if (clause->deadline_us < deadline_us)
            deadline_us = clause->deadline_us;
    }
    enum sb_error error = sb_voice_step(answer->voice, tasks, count, deadline_us);
    return answer->error != SB_OK ? answer->error : error;
}

static enum sb_error converse(struct answer *answer, int64_t thinking_deadline_us)
{
    for (;;) {
        enum sb_error error = end_thinking(answer);
        if (error == SB_OK)
            error = begin_clauses(answer);
        if (error == SB_OK)
            error = play_out(answer);
        if (error == SB_OK)
            error = begin_clauses(answer);
        if (error != SB_OK || over(answer))
            return error;
        error = step(answer, thinking_deadline_us);
        if (error != SB_OK)
            return error;
    }
}

enum sb_error sb_voice_answer(struct sb_voice *voice, const struct sb_voice_engines *engines,
                              const struct sb_voice_message *messages, size_t count,
                              const struct sb_voice_receiver *receiver,
                              struct sb_voice_reply *reply)
{
    *reply = (struct sb_voice_reply){
        .text = "", .first_delta_us = -1, .thought_us = -1, .first_audio_us = -1, .spoken_us = -1};
    struct answer *answer = sb_arena_alloc(voice->arena, sizeof *answer);
    if (answer == NULL)
        return SB_E_UNAVAILABLE;
    answer->voice = voice;
    answer->engines = engines;
    answer->receiver = receiver;
    answer->reply = reply;
    answer->started_us = sb_clock_mono_us();
    sb_buf_init(&answer->text, voice->arena, SB_VOICE_REPLY_MAX + 1);
    sb_clause_init(&answer->cutter, add_clause, answer);
    enum sb_error error =
        engines->thinking->start(voice, messages, count, take_text, answer, &answer->thinking);
    if (error == SB_OK)
        error = converse(answer, answer->started_us + engines->stage_ms * 1000);
    end_task(&answer->thinking);
    for (size_t i = 0; i < answer->count; i++) {
        end_task(&answer->clauses[i]->task);
        sb_buf_free(&answer->clauses[i]->held);
    }
    reply->clauses = answer->count;
    if (answer->text.data != NULL)
        reply->text = answer->text.data;
    return error;
}
