#include "upstream/local.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/temp_file.h"
#include "upstream/program.h"
#include "upstream/receptionist.h"

/* --- A program as a task ------------------------------------------------------------------------
 */

struct run {
    struct sb_voice_task task;
    struct sb_voice *voice;
    struct sb_program program;
    struct sb_program_command command;
    bool counted, waits; /* it has one of the places; until there is one for it */
    bool decodes;
    const char *variable;  /* names its command line */
    enum sb_error failure; /* what it means where it fails */
    sb_voice_sink *sink;
    void *context;
    int input, file;                /* files of ours, closed at the end; -1: there is none */
    struct sb_audio_wav_reader wav; /* of file */
};

static void finish(struct run *run, enum sb_error error)
{
    run->task.done = true;
    run->task.error = error;
}

static bool deliver(struct run *run, const char *data, size_t length)
{
    if (run->file >= 0) {
        if (!sb_audio_wav_read(&run->wav, data, length, &data, &length))
            return false;
        run->voice->pcm_rate_hz = run->wav.rate_hz;
    }
    return length == 0 || run->sink(run->context, data, length);
}

static void failed(struct run *run, const char *reason)
{
    SB_LOG(SB_LOG_WARN, "program.failed", run->voice->trace_id,
           SB_LOG_TEXT("variable", run->variable), SB_LOG_TEXT("reason", reason));
    finish(run, run->failure);
}

/* An eventfd that counts the places that are free, and is readable while there are any; -1: out of
 * descriptors. Decoding takes no place of hearing's, which lasts much longer. */
static int places(const struct run *run)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int fds[2] = {-1, -1};
    int *fd = &fds[run->decodes];
    pthread_mutex_lock(&lock);
    if (*fd < 0)
        *fd = eventfd(SB_LOCAL_PROGRAMS_MAX, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    int made = *fd;
    pthread_mutex_unlock(&lock);
    return made;
}

static bool take_place(struct run *run)
{
    uint64_t one;
    run->counted = read(places(run), &one, sizeof one) == (ssize_t)sizeof one;
    run->waits = !run->counted;
    return run->counted;
}

static void leave_place(struct run *run)
{
    const uint64_t one = 1;
    if (run->counted)
        (void)!write(places(run), &one, sizeof one);
    run->counted = false;
}

static enum sb_error not_started(const struct run *run)
{
    SB_LOG(SB_LOG_ERROR, "program.failed", run->voice->trace_id,
           SB_LOG_TEXT("variable", run->variable),
           SB_LOG_TEXT("reason", "it cannot be started: out of processes, descriptors or memory"));
    return SB_E_UNAVAILABLE;
}

/* Starts the program once there is a place for it; until then the task is moved by the places. */
static enum sb_error begin(struct run *run)
{
    if (run->waits && !take_place(run)) {
        run->task.fd = places(run);
        return run->task.fd < 0 ? not_started(run) : SB_OK;
    }
    enum sb_error error = sb_program_start(run->voice->arena, &run->command, &run->program);
    if (error == SB_E_MISCONFIGURED)
        SB_LOG(SB_LOG_ERROR, "misconfigured", run->voice->trace_id,
               SB_LOG_TEXT("variable", run->variable),
               SB_LOG_TEXT("reason", "its program is not installed, or a {name} is not known"));
    run->task.fd = run->program.output;
    return error == SB_E_UNAVAILABLE ? not_started(run) : error;
}

static void move(struct sb_voice_task *task)
{
    struct run *run = (struct run *)task;
    char data[16384];
    if (run->waits) {
        enum sb_error error = begin(run);
        if (error != SB_OK)
            finish(run, error);
        return;
    }
    ssize_t got = sb_program_read(&run->program, data, sizeof data);
    if (got > 0) {
        if (!deliver(run, data, (size_t)got))
            failed(run, "its output is not what it should be, or not wanted");
    } else if (got == 0) {
        if (sb_program_wait(&run->program))
            finish(run, SB_OK);
        else
            failed(run, "it ended with an error");
    } else if (got != -1) {
        failed(run, "its output cannot be read");
    }
}

static void end(struct sb_voice_task *task)
{
    struct run *run = (struct run *)task;
    sb_program_end(&run->program);
    leave_place(run);
    if (run->input >= 0)
        close(run->input);
    if (run->file >= 0)
        close(run->file);
    run->input = run->file = -1;
}

static struct run *new_run(struct sb_voice *voice, const char *variable, sb_voice_sink *sink,
                           void *context)
{
    struct run *run = sb_arena_alloc(voice->arena, sizeof *run);
    if (run != NULL)
        *run = (struct run){.task = {.move = move, .end = end},
                            .voice = voice,
                            .program = {.output = -1},
                            .variable = variable,
                            .failure = SB_E_UPSTREAM_ERROR,
                            .sink = sink,
                            .context = context,
                            .input = -1,
                            .file = -1};
    return run;
}

static enum sb_error start(struct run *run, const struct sb_program_command *command,
                           struct sb_voice_task **task)
{
    run->command = *command;
    enum sb_error error = begin(run);
    if (error == SB_OK)
        *task = &run->task;
    else
        end(&run->task);
    return error;
}

/* --- Hearing and speaking -----------------------------------------------------------------------
 */

static enum sb_error start_hearing(struct sb_voice *voice,
                                   const struct sb_voice_recording *recording, sb_voice_sink *sink,
                                   void *context, struct sb_voice_task **task)
{
    struct run *run = new_run(voice, "STT_COMMAND", sink, context);
    if (run == NULL)
        return SB_E_UNAVAILABLE;
    run->waits = true;
    return start(run,
                 &(struct sb_program_command){
                     .line = voice->config->stt_command, .input = recording->pcm_fd, .output = -1},
                 task);
}

/* The text goes in by a file in memory: it appears on no disk and in no list of arguments. */
static int text_file(const char *text)
{
    int fd = memfd_create("switchboard-text", MFD_CLOEXEC);
    size_t length = strlen(text);
    if (fd >= 0 && write(fd, text, length) != (ssize_t)length) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* It has ended: what it left in the file is a clause. */
static void move_speech(struct sb_voice_task *task)
{
    struct run *run = (struct run *)task;
    char data[16384];
    struct pollfd ended = {.fd = run->program.output, .events = POLLIN};
    if (poll(&ended, 1, 0) != 1)
        return;
    if (!sb_program_wait(&run->program)) {
        failed(run, "it ended with an error");
        return;
    }
    ssize_t got;
    for (off_t at = 0; (got = pread(run->file, data, sizeof data, at)) > 0; at += got) {
        if (!deliver(run, data, (size_t)got)) {
            failed(run, "its output is no WAV file of mono 16-bit PCM, or not wanted");
            return;
        }
    }
    if (run->wav.in_data)
        finish(run, SB_OK);
    else
        failed(run, "it wrote no WAV file");
}

/* The output is a file, too: flite goes back in it. */
static enum sb_error start_speaking(struct sb_voice *voice, const char *text, sb_voice_sink *sink,
                                    void *context, struct sb_voice_task **task)
{
    struct run *run = new_run(voice, "TTS_COMMAND", sink, context);
    if (run == NULL)
        return SB_E_UNAVAILABLE;
    run->task.move = move_speech;
    run->input = text_file(text);
    run->file = memfd_create("switchboard-speech", MFD_CLOEXEC);
    if (run->input < 0 || run->file < 0) {
        end(&run->task);
        return not_started(run);
    }
    return start(run,
                 &(struct sb_program_command){
                     .line = voice->config->tts_command, .input = run->input, .output = run->file},
                 task);
}

const struct sb_hearing sb_local_hearing = {.name = "local", .start = start_hearing};
const struct sb_speaking sb_local_speaking = {.name = "local", .start = start_speaking};

/* --- Thinking -----------------------------------------------------------------------------------
 */

const struct sb_receptionist *sb_local_receptionist(const struct sb_config *config)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct sb_receptionist *receptionist;
    char problem[256];
    pthread_mutex_lock(&lock);
    if (receptionist == NULL) {
        receptionist = sb_receptionist_load(config->receptionist_file, problem, sizeof problem);
        if (receptionist == NULL)
            SB_LOG(SB_LOG_ERROR, "misconfigured", NULL,
                   SB_LOG_TEXT("variable", "RECEPTIONIST_FILE"), SB_LOG_TEXT("reason", problem));
    }
    const struct sb_receptionist *loaded = receptionist;
    pthread_mutex_unlock(&lock);
    return loaded;
}

static void stay(struct sb_voice_task *task)
{
    (void)task;
}

static enum sb_error start_thinking(struct sb_voice *voice, const struct sb_voice_message *messages,
                                    size_t count, sb_voice_sink *sink, void *context,
                                    struct sb_voice_task **task)
{
    struct sb_receptionist_answer answer;
    struct sb_voice_task *done = sb_arena_alloc(voice->arena, sizeof *done);
    const struct sb_receptionist *receptionist = sb_local_receptionist(voice->config);
    if (receptionist == NULL)
        return SB_E_MISCONFIGURED;
    const char *question = count > 0 ? messages[count - 1].text : "";
    if (done == NULL || !sb_receptionist_answer(receptionist, voice->arena, question, &answer))
        return SB_E_UNAVAILABLE;
    bool taken = sink(context, answer.text, strlen(answer.text));
    *done = (struct sb_voice_task){
        .done = true, .error = taken ? SB_OK : SB_E_INTERNAL, .fd = -1, .move = stay, .end = stay};
    *task = done;
    return SB_OK;
}

const struct sb_thinking sb_local_thinking = {.name = "local", .start = start_thinking};

/* --- Decoding -----------------------------------------------------------------------------------
 */

struct decoded {
    int fd;
    int64_t length;
    bool disk_failed; /* which is no fault of the recording's */
};

static bool take_pcm(void *context, const char *data, size_t length)
{
    struct decoded *decoded = context;
    if (decoded->length + (int64_t)length > SB_AUDIO_PCM_MAX)
        return false;
    decoded->disk_failed = !sb_temp_file_append(decoded->fd, &decoded->length, data, length);
    return !decoded->disk_failed;
}

/* Whether it is a WAV file of nothing but such PCM. */
static bool is_pcm(const struct sb_voice_recording *recording)
{
    unsigned char begin[SB_AUDIO_WAV_HEADER_SIZE], plain[SB_AUDIO_WAV_HEADER_SIZE];
    int64_t length = recording->length - (int64_t)sizeof plain;
    if (length < 0 || length % 2 != 0)
        return false;
    sb_audio_wav_header(plain, SB_AUDIO_RATE_HZ, length);
    return pread(recording->fd, begin, sizeof begin, 0) == (ssize_t)sizeof begin &&
           memcmp(begin, plain, sizeof plain) == 0;
}

/* What a program takes longer to start for than all of the rest takes. */
static enum sb_error copy_pcm(struct sb_voice_recording *recording)
{
    char data[16384];
    struct decoded decoded = {.fd = recording->pcm_fd};
    while (decoded.length < SB_AUDIO_PCM_MAX) {
        int64_t room = SB_AUDIO_PCM_MAX - decoded.length;
        ssize_t got =
            pread(recording->fd, data, room < (int64_t)sizeof data ? (size_t)room : sizeof data,
                  SB_AUDIO_WAV_HEADER_SIZE + decoded.length);
        if (got == 0)
            break;
        if (got < 0 || !take_pcm(&decoded, data, (size_t)got))
            return SB_E_UNAVAILABLE;
    }
    recording->pcm_length = decoded.length;
    return SB_OK;
}

enum sb_error sb_local_decode(struct sb_voice *voice, struct sb_voice_recording *recording,
                              const struct sb_audio_format *format, int64_t deadline_ms)
{
    if (is_pcm(recording))
        return copy_pcm(recording);
    const struct sb_program_value values[] = {{"demuxer", format->demuxer}};
    int64_t deadline_us = sb_clock_mono_us() + deadline_ms * 1000;
    struct decoded decoded = {.fd = recording->pcm_fd};
    struct sb_voice_task *task = NULL;
    struct run *run = new_run(voice, "DECODE_COMMAND", take_pcm, &decoded);
    if (run == NULL)
        return SB_E_UNAVAILABLE;
    run->failure = SB_E_UNSUPPORTED_MEDIA_TYPE;
    run->waits = run->decodes = true;
    enum sb_error error = start(run,
                                &(struct sb_program_command){.line = voice->config->decode_command,
                                                             .values = values,
                                                             .count = SB_COUNT(values),
                                                             .input = recording->fd,
                                                             .output = -1},
                                &task);
    while (error == SB_OK && !task->done)
        error = sb_voice_step(voice, &task, 1, deadline_us);
    if (error == SB_OK)
        error = task->error;
    if (task != NULL)
        task->end(task);
    recording->pcm_length = decoded.length;
    return decoded.disk_failed ? SB_E_UNAVAILABLE : error;
}
