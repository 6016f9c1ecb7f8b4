/* A spoken turn: hearing, thinking and speaking, an interface for each, and the pipeline that has
 * the first clause spoken while the model still streams the next.
 *
 * All of a turn runs on the thread that called: providers are tasks, moved by one loop over the
 * fetch session, the programs' pipes and the client's connection. */
#ifndef SB_UPSTREAM_VOICE_H
#define SB_UPSTREAM_VOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/config.h"
#include "upstream/fetch.h"

enum {
    SB_VOICE_REPLY_MAX = 4096,           /* bytes of a reply; the model is stopped there */
    SB_VOICE_CLAUSES_MAX = 192,          /* more than a reply of that length can have */
    SB_VOICE_AHEAD = 2,                  /* clauses that are being spoken at once */
    SB_VOICE_CLAUSE_AUDIO_MAX = 4 << 20, /* bytes of audio held back for a clause */
    SB_VOICE_TICK_MS = 1000              /* between two calls of tick */
};

/* What the tasks of a turn share. */
struct sb_voice {
    struct sb_arena *arena;
    const struct sb_config *config;
    const char *trace_id;
    const char *user_id;              /* who speaks; upstreams are told a hash of it only */
    struct sb_fetch_session *session; /* NULL: no provider of this turn fetches */
    int client_fd;                    /* a hang-up on it ends the turn; -1: none to watch */
    /* Called each SB_VOICE_TICK_MS; false: the turn is to end now. May be NULL. */
    bool (*tick)(void *context);
    void *context;
    int64_t ticked_us;   /* the loop's own: when tick was called last */
    int64_t pcm_rate_hz; /* set by who speaks in PCM before the first of it */
    int64_t tokens;      /* what thinking has used so far, guessed where its provider does not tell;
                            0 where that costs nothing */
};

/* Takes the next length bytes; false ends the task. */
typedef bool sb_voice_sink(void *context, const char *data, size_t length);

/* Work in progress: a provider's own struct begins with one. */
struct sb_voice_task {
    bool done;
    enum sb_error error; /* once it is done */
    int fd;              /* readable means that it can move; -1: the fetch session moves it */
    /* Moves it as far as it goes without waiting; sets done. Called whenever anything happened. */
    void (*move)(struct sb_voice_task *task);
    /* Ends it at once where it is running, and gives back what it holds. */
    void (*end)(struct sb_voice_task *task);
};

/* One message of a conversation. */
enum sb_voice_role { SB_VOICE_SYSTEM, SB_VOICE_USER, SB_VOICE_ASSISTANT, SB_VOICE_ROLE__MAX };
struct sb_voice_message {
    enum sb_voice_role role;
    const char *text;
};

/* A recording, in a file that has no name any more. */
struct sb_voice_recording {
    int fd;
    int64_t length; /* bytes */
    int pcm_fd;     /* the same as signed 16-bit PCM, mono, 16 kHz; -1: not decoded */
    int64_t pcm_length;
    int ogg_fd;           /* what was decoded, as it was coded: Opus in Ogg, a tenth of the bytes */
    int64_t ogg_length;   /* 0: there is the PCM alone */
    const char *language; /* ISO 639-1; NULL: unknown */
};

/* Who hears is given what was decoded: the recording itself may hold more, which nobody counted.
 *
 * Each start gives a *task that delivers through sink until it is done, or an error and no task.
 * What it is given lives until the task has ended. */
struct sb_hearing {
    const char *name; /* "openai", "local" */
    enum sb_error (*start)(struct sb_voice *voice, const struct sb_voice_recording *recording,
                           sb_voice_sink *sink, void *context, struct sb_voice_task **task);
};
struct sb_thinking {
    const char *name;
    enum sb_error (*start)(struct sb_voice *voice, const struct sb_voice_message *messages,
                           size_t count, sb_voice_sink *sink, void *context,
                           struct sb_voice_task **task);
};
struct sb_speaking {
    const char *name;
    const char *content_type; /* of what it delivers; NULL: 16-bit PCM, see voice->pcm_rate_hz */
    enum sb_error (*start)(struct sb_voice *voice, const char *text, sb_voice_sink *sink,
                           void *context, struct sb_voice_task **task);
};

/* Whether the answer that has begun to come can be sound, by its Content-Type: audio/..., bytes of
 * no kind, or none said. A page in its place is not to be played. */
SB_NONNULL_ALL bool sb_voice_is_sound(const struct sb_fetch_result *result);

/* Moves tasks (count of them, NULLs are skipped) once something happens to any of them, or when
 * deadline_us (monotonic) has come. SB_E_UPSTREAM_TIMEOUT: that; SB_E_UNAVAILABLE: the client has
 * hung up, or tick ends the turn. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_voice_step(struct sb_voice *voice,
                                                         struct sb_voice_task *const *tasks,
                                                         size_t count, int64_t deadline_us);

/* Hears recording to its end. *transcript is in the arena, trimmed. SB_E_NO_SPEECH: it is empty;
 * SB_E_UPSTREAM_ERROR: it is no UTF-8 text, or longer than SB_VOICE_REPLY_MAX. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_voice_hear(struct sb_voice *voice,
                                                         const struct sb_hearing *hearing,
                                                         const struct sb_voice_recording *recording,
                                                         int64_t deadline_ms,
                                                         const char **transcript);

/* What a reply tells its receiver; false: it can take no more. delta and audio come in order, audio
 * of clause 0 first; each clause's audio is followed by one clause_end. Each may be NULL. */
struct sb_voice_receiver {
    bool (*delta)(void *context, const char *text, size_t length);
    bool (*audio)(void *context, size_t clause, const char *data, size_t length);
    bool (*clause_end)(void *context, size_t clause, const char *text);
    void *context;
};

struct sb_voice_reply {
    const char *text; /* in the arena; "" if nothing was said */
    size_t clauses;
    /* Microseconds from the start of the reply; -1: did not happen. */
    int64_t first_delta_us, thought_us, first_audio_us, spoken_us;
};

/* Thinks of a reply to messages and has it spoken clause by clause (speaking NULL: text alone).
 * Whatever fails, no task is left running; *reply holds what there was so far. stage_ms: the most
 * that thinking may take in all, and speaking of one clause from when it is begun.
 * SB_E_UNAVAILABLE: the client has hung up, tick or the receiver ended it, or out of memory. Else
 * the error of the first task that failed. */
struct sb_voice_engines {
    const struct sb_thinking *thinking;
    const struct sb_speaking *speaking;
    int64_t stage_ms;
};
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_voice_answer(struct sb_voice *voice, const struct sb_voice_engines *engines,
                const struct sb_voice_message *messages, size_t count,
                const struct sb_voice_receiver *receiver, struct sb_voice_reply *reply);

#endif
