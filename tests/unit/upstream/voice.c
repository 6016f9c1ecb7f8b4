#include "upstream/voice.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

/* A provider of scripted tasks: each delivers its pieces one a move, driven by a pipe that is
 * always readable, once `after` other tasks of the script have ended. */
enum { TASKS_MAX = 64, PIECES_MAX = 8 };

struct fake {
    struct sb_voice_task task;
    sb_voice_sink *sink;
    void *context;
    char pieces[PIECES_MAX][64];
    size_t piece_count, next;
    enum sb_error fails;      /* at its end */
    const struct fake *after; /* ends before this one moves */
    bool hangs;               /* never ends by itself */
    bool ended;
};

static struct fake fakes[TASKS_MAX];
static size_t fake_count;
static int ready[2];
static struct sb_arena *arena;
static struct sb_voice voice;
static struct sb_buf seen;
static size_t running_max;

static void move_fake(struct sb_voice_task *task)
{
    struct fake *fake = (struct fake *)task;
    if (fake->hangs || (fake->after != NULL && !fake->after->task.done))
        return;
    if (fake->next < fake->piece_count) {
        const char *piece = fake->pieces[fake->next++];
        if (!fake->sink(fake->context, piece, strlen(piece))) {
            task->done = true;
            task->error = SB_E_INTERNAL;
        }
        return;
    }
    task->done = true;
    task->error = fake->fails;
}

static void end_fake(struct sb_voice_task *task)
{
    struct fake *fake = (struct fake *)task;
    cr_expect_not(fake->ended, "ended twice");
    fake->ended = true;
}

static struct fake *new_fake(sb_voice_sink *sink, void *context, struct sb_voice_task **task)
{
    cr_assert_lt(fake_count, TASKS_MAX);
    struct fake *fake = &fakes[fake_count++];
    *fake = (struct fake){.task = {.fd = ready[0], .move = move_fake, .end = end_fake},
                          .sink = sink,
                          .context = context};
    *task = &fake->task;
    size_t running = 0;
    for (size_t i = 0; i < fake_count; i++)
        running += !fakes[i].ended;
    if (running > running_max)
        running_max = running;
    return fake;
}

/* The model's pieces are the words of `script`, '/' between them. */
static const char *script;
static enum sb_error thinking_fails, speaking_fails;
static bool thinking_hangs, speaking_hangs, first_speaks_last;

static void cut_script(struct fake *fake, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "/");
        cr_assert_lt(fake->piece_count, PIECES_MAX);
        snprintf(fake->pieces[fake->piece_count++], 64, "%.*s", (int)length, text);
        text += length + (text[length] == '/');
    }
}

static enum sb_error start_thinking(struct sb_voice *v, const struct sb_voice_message *messages,
                                    size_t count, sb_voice_sink *sink, void *context,
                                    struct sb_voice_task **task)
{
    cr_expect_eq(v, &voice);
    cr_expect_eq(count, 1);
    cr_expect_str_eq(messages[0].text, "hello");
    struct fake *fake = new_fake(sink, context, task);
    cut_script(fake, script);
    fake->fails = thinking_fails;
    fake->hangs = thinking_hangs;
    return SB_OK;
}

static enum sb_error start_speaking(struct sb_voice *v, const char *text, sb_voice_sink *sink,
                                    void *context, struct sb_voice_task **task)
{
    cr_expect_eq(v, &voice);
    struct fake *fake = new_fake(sink, context, task);
    snprintf(fake->pieces[0], 64, "<%.20s", text);
    snprintf(fake->pieces[1], 64, "%s", ">");
    fake->piece_count = 2;
    fake->fails = speaking_fails;
    fake->hangs = speaking_hangs;
    if (first_speaks_last && fake_count == 4) /* thinking, and the three clauses */
        fakes[1].after = &fakes[3];
    return SB_OK;
}

static enum sb_error start_hearing(struct sb_voice *v, const struct sb_voice_recording *recording,
                                   sb_voice_sink *sink, void *context, struct sb_voice_task **task)
{
    cr_expect_eq(v, &voice);
    cr_expect_eq(recording->length, 7);
    struct fake *fake = new_fake(sink, context, task);
    cut_script(fake, script);
    fake->fails = thinking_fails;
    fake->hangs = thinking_hangs;
    return SB_OK;
}

static const struct sb_hearing hearing = {"fake", start_hearing};
static const struct sb_thinking thinking = {"fake", start_thinking};
static const struct sb_speaking speaking = {"fake", "audio/mpeg", start_speaking};
static const struct sb_voice_message hello = {SB_VOICE_USER, "hello"};

static size_t refuse_audio_of = SIZE_MAX;

static bool take_delta(void *context, const char *text, size_t length)
{
    (void)context;
    sb_buf_add(&seen, text, length);
    return true;
}

static bool take_audio(void *context, size_t clause, const char *data, size_t length)
{
    (void)context;
    sb_buf_add_format(&seen, "[%zu:%.*s]", clause, (int)length, data);
    return clause != refuse_audio_of;
}

static bool take_end(void *context, size_t clause, const char *text)
{
    (void)context;
    sb_buf_add_format(&seen, "{%zu:%s}", clause, text);
    return true;
}

static const struct sb_voice_receiver receiver = {take_delta, take_audio, take_end, NULL};
static const struct sb_voice_receiver listener = {NULL, take_audio, take_end, NULL};

static void set_up(void)
{
    arena = sb_arena_new(1 << 20);
    cr_assert_eq(pipe(ready), 0);
    cr_assert_eq(write(ready[1], "x", 1), 1);
    voice = (struct sb_voice){.arena = arena, .client_fd = -1};
    sb_buf_init(&seen, NULL, 100000);
    sb_buf_add_text(&seen, "");
}

static void tear_down(void)
{
    for (size_t i = 0; i < fake_count; i++)
        cr_expect(fakes[i].ended, "task %zu is left", i);
    sb_buf_free(&seen);
    sb_arena_free(arena);
}

TestSuite(voice, .init = set_up, .fini = tear_down, .timeout = 30);

static enum sb_error answer_for(int64_t stage_ms, const struct sb_voice_receiver *to,
                                struct sb_voice_reply *reply)
{
    const struct sb_voice_engines engines = {&thinking, &speaking, stage_ms};
    return sb_voice_answer(&voice, &engines, &hello, 1, to, reply);
}

Test(voice, a_reply_is_shown_and_spoken_clause_by_clause)
{
    struct sb_voice_reply reply;
    script = "We open/ at nine. And/ close at six, as always.";
    cr_expect_eq(answer_for(5000, &listener, &reply), SB_OK);
    cr_expect_str_eq(reply.text, "We open at nine. And close at six, as always.");
    cr_expect_str_eq(seen.data, "[0:<We open at nine.][0:>]{0:We open at nine.}"
                                "[1:<And close at six, as][1:>]{1:And close at six, as always.}");
    cr_expect_eq(reply.clauses, 2);
    cr_expect_geq(reply.first_delta_us, 0);
    cr_expect_geq(reply.first_audio_us, reply.first_delta_us);
    cr_expect_geq(reply.thought_us, reply.first_delta_us);
    cr_expect_geq(reply.spoken_us, reply.thought_us);
}

Test(voice, the_first_clause_is_spoken_before_the_model_has_ended)
{
    struct sb_voice_reply reply;
    script = "Yes. It is/ so/ and/ so/ and/ so.";
    cr_expect_eq(answer_for(5000, &receiver, &reply), SB_OK);
    const char *audio = strstr(seen.data, "[0:<Yes.]"), *end = strstr(seen.data, " so.");
    cr_assert(audio != NULL && end != NULL, "%s", seen.data);
    cr_expect_lt(audio, end, "%s", seen.data);
    cr_expect_lt(reply.first_audio_us, reply.thought_us);
}

Test(voice, audio_plays_in_order_though_the_first_clause_ends_last)
{
    struct sb_voice_reply reply;
    first_speaks_last = true;
    script = "One. The second of the sentences./ The third of the sentences. ";
    cr_expect_eq(answer_for(5000, &listener, &reply), SB_OK);
    cr_expect_str_eq(seen.data, "[0:<One.][0:>]{0:One.}"
                                "[1:<The second of the se>]{1:The second of the sentences.}"
                                "[2:<The third of the sen][2:>]{2:The third of the sentences.}");
}

Test(voice, only_so_many_clauses_are_spoken_at_once)
{
    struct sb_voice_reply reply;
    script = "One. A sentence of some length one. / A sentence of some length two. /"
             "A sentence of some length three. /A sentence of some length four. /"
             "A sentence of some length five. /";
    cr_expect_eq(answer_for(5000, &listener, &reply), SB_OK);
    cr_expect_eq(reply.clauses, 6);
    cr_expect_eq(running_max, SB_VOICE_AHEAD + 1);
}

Test(voice, without_speech_there_is_text_alone)
{
    struct sb_voice_reply reply;
    const struct sb_voice_engines engines = {&thinking, NULL, 5000};
    script = "We open/ at nine.";
    cr_expect_eq(sb_voice_answer(&voice, &engines, &hello, 1, &receiver, &reply), SB_OK);
    cr_expect_str_eq(seen.data, "We open at nine.");
    cr_expect_eq(fake_count, 1);
    cr_expect_eq(reply.first_audio_us, -1);
}

Test(voice, a_reply_of_nothing_is_one)
{
    struct sb_voice_reply reply;
    script = "";
    cr_expect_eq(answer_for(5000, &receiver, &reply), SB_OK);
    cr_expect_str_eq(reply.text, "");
    cr_expect_eq(reply.clauses, 0);
}

Test(voice, a_failing_model_ends_the_reply_with_its_error)
{
    struct sb_voice_reply reply;
    script = "We open at nine. And";
    thinking_fails = SB_E_UPSTREAM_ERROR;
    cr_expect_eq(answer_for(5000, &receiver, &reply), SB_E_UPSTREAM_ERROR);
    cr_expect_str_eq(reply.text, "We open at nine. And");
}

Test(voice, failing_speech_ends_the_reply_with_its_error)
{
    struct sb_voice_reply reply;
    script = "We open at nine.";
    speaking_fails = SB_E_UPSTREAM_ERROR;
    cr_expect_eq(answer_for(5000, &receiver, &reply), SB_E_UPSTREAM_ERROR);
    cr_expect_str_eq(reply.text, "We open at nine.");
}

Test(voice, a_model_that_hangs_times_out)
{
    struct sb_voice_reply reply;
    script = "";
    thinking_hangs = true;
    cr_expect_eq(answer_for(30, &receiver, &reply), SB_E_UPSTREAM_TIMEOUT);
}

Test(voice, speech_that_hangs_times_out)
{
    struct sb_voice_reply reply;
    script = "We open at nine.";
    speaking_hangs = true;
    cr_expect_eq(answer_for(30, &receiver, &reply), SB_E_UPSTREAM_TIMEOUT);
}

Test(voice, a_receiver_that_refuses_ends_a_turn)
{
    struct sb_voice_reply reply;
    script = "We open at nine. And so on and on and on.";
    refuse_audio_of = 0;
    cr_expect_eq(answer_for(5000, &receiver, &reply), SB_E_UNAVAILABLE);
}

Test(voice, a_client_that_hangs_up_ends_a_turn_at_once)
{
    struct sb_voice_reply reply;
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    voice.client_fd = pair[0];
    close(pair[1]);
    script = "We open at nine.";
    thinking_hangs = true;
    cr_expect_eq(answer_for(20000, &receiver, &reply), SB_E_UNAVAILABLE);
}

static bool say_gone(void *context)
{
    ++*(int *)context;
    return false;
}

Test(voice, a_tick_that_fails_ends_a_turn)
{
    struct sb_voice_reply reply;
    int ticks = 0, quiet[2];
    cr_assert_eq(pipe(quiet), 0);
    ready[0] = quiet[0]; /* nothing moves */
    voice.tick = say_gone;
    voice.context = &ticks;
    script = "x";
    thinking_hangs = true;
    cr_expect_eq(answer_for(20000, &receiver, &reply), SB_E_UNAVAILABLE);
    cr_expect_eq(ticks, 1);
}

Test(voice, a_turn_of_less_than_a_second_has_no_tick)
{
    struct sb_voice_reply reply;
    int ticks = 0;
    voice.tick = say_gone;
    voice.context = &ticks;
    script = "x";
    thinking_hangs = true;
    cr_expect_eq(answer_for(SB_VOICE_TICK_MS / 2, &receiver, &reply), SB_E_UPSTREAM_TIMEOUT);
    cr_expect_eq(ticks, 0);
}

Test(voice, a_tick_comes_while_much_moves_too)
{
    struct sb_voice_reply reply;
    int ticks = 0;
    voice.tick = say_gone;
    voice.context = &ticks;
    script = "x";
    thinking_hangs = true; /* and what it reads from is ready all the time */
    cr_expect_eq(answer_for(20000, &receiver, &reply), SB_E_UNAVAILABLE);
    cr_expect_eq(ticks, 1);
}

static const struct sb_thinking endless;

static bool endless_said;
static void move_endless(struct sb_voice_task *task)
{
    struct fake *fake = (struct fake *)task;
    static char text[3 * 2000 + 1];
    for (size_t i = 0; i < 2000; i++)
        memcpy(text + 3 * i, "\xe2\x82\xac", 4);
    task->done = !fake->sink(fake->context, text, sizeof text - 1);
    task->error = SB_E_INTERNAL;
    endless_said = true;
}

static enum sb_error start_endless(struct sb_voice *v, const struct sb_voice_message *messages,
                                   size_t count, sb_voice_sink *sink, void *context,
                                   struct sb_voice_task **task)
{
    (void)v, (void)messages, (void)count;
    new_fake(sink, context, task)->task.move = move_endless;
    return SB_OK;
}

static const struct sb_thinking endless = {"endless", start_endless};

Test(voice, a_reply_is_stopped_at_its_cap_between_two_characters)
{
    struct sb_voice_reply reply;
    const struct sb_voice_engines engines = {&endless, NULL, 5000};
    cr_expect_eq(sb_voice_answer(&voice, &engines, &hello, 1, &receiver, &reply), SB_OK);
    cr_expect(endless_said);
    cr_expect_eq(strlen(reply.text), SB_VOICE_REPLY_MAX / 3 * 3);
}

static enum sb_error hear(int64_t deadline_ms, const char **transcript)
{
    const struct sb_voice_recording recording = {.fd = -1, .length = 7, .pcm_fd = -1};
    return sb_voice_hear(&voice, &hearing, &recording, deadline_ms, transcript);
}

Test(voice, what_was_heard_is_trimmed)
{
    const char *transcript;
    script = " when do/ you open\n/";
    cr_expect_eq(hear(5000, &transcript), SB_OK);
    cr_expect_str_eq(transcript, "when do you open");
}

Test(voice, nothing_heard_is_no_speech)
{
    const char *transcript = "untouched";
    script = " \n/";
    hear(5000, &transcript);
    cr_expect_eq(hear(5000, &transcript), SB_E_NO_SPEECH);
}

static enum sb_error hear_nul(struct sb_voice *v, const struct sb_voice_recording *recording,
                              sb_voice_sink *sink, void *context, struct sb_voice_task **task)
{
    (void)v;
    (void)recording;
    cr_expect(sink(context, "a\0b", 3));
    new_fake(sink, context, task);
    return SB_OK;
}

Test(voice, what_was_heard_is_text_or_the_engine_has_failed)
{
    static const struct sb_hearing nul = {"nul", hear_nul};
    const struct sb_voice_recording recording = {.fd = -1, .pcm_fd = -1};
    const char *transcript = "untouched";
    script = "Gr\xc3/\xbc\xc3\x9f Gott";
    cr_expect_eq(hear(5000, &transcript), SB_OK);
    cr_expect_str_eq(transcript, "Gr\xc3\xbc\xc3\x9f Gott");
    script = "when\xff do you open";
    cr_expect_eq(hear(5000, &transcript), SB_E_UPSTREAM_ERROR);
    script = "when do you open\xc3";
    cr_expect_eq(hear(5000, &transcript), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(sb_voice_hear(&voice, &nul, &recording, 5000, &transcript), SB_E_UPSTREAM_ERROR);
    cr_expect_str_eq(transcript, "Gr\xc3\xbc\xc3\x9f Gott");
}

Test(voice, hearing_that_fails_or_hangs_says_so)
{
    const char *transcript = "untouched";
    script = "words";
    thinking_fails = SB_E_UPSTREAM_ERROR;
    cr_expect_eq(hear(5000, &transcript), SB_E_UPSTREAM_ERROR);
    thinking_hangs = true;
    cr_expect_eq(hear(30, &transcript), SB_E_UPSTREAM_TIMEOUT);
    cr_expect_str_eq(transcript, "untouched");
}
