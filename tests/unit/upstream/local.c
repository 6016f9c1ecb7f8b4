#include "upstream/local.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../support/base.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

static struct sb_arena *arena;
static struct sb_config config;
static struct sb_voice voice;
static struct sb_buf got;

static void set_up(void)
{
    arena = sb_arena_new(1 << 20);
    config = (struct sb_config){.receptionist_file = "etc/receptionist.json"};
    voice = (struct sb_voice){.arena = arena, .config = &config, .client_fd = -1};
    sb_buf_init(&got, NULL, 1 << 22);
    sb_buf_add_text(&got, "");
}

static void tear_down(void)
{
    sb_buf_free(&got);
    sb_arena_free(arena);
}

TestSuite(local, .init = set_up, .fini = tear_down, .timeout = 60);

static bool take(void *context, const char *data, size_t length)
{
    (void)context;
    sb_buf_add(&got, data, length);
    return sb_buf_ok(&got);
}

static int file_of(const void *data, size_t length)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    cr_assert_eq(write(fd, data, length), (ssize_t)length);
    return fd;
}

static enum sb_error run(struct sb_voice_task *task)
{
    enum sb_error error = SB_OK;
    while (error == SB_OK && !task->done)
        error = sb_voice_step(&voice, &task, 1, INT64_MAX);
    if (error == SB_OK)
        error = task->error;
    task->end(task);
    return error;
}

static enum sb_error speak(const char *command, const char *text)
{
    struct sb_voice_task *task;
    config.tts_command = command;
    enum sb_error error = sb_local_speaking.start(&voice, text, take, NULL, &task);
    return error == SB_OK ? run(task) : error;
}

Test(local, speech_is_the_samples_of_what_the_program_writes)
{
    cr_expect_eq(speak("flite -voice slt -f /dev/stdin -o /dev/stdout", "We open at nine."), SB_OK);
    cr_expect_eq(voice.pcm_rate_hz, 16000);
    cr_expect_gt(got.length, 16000, "half a second at least");
    cr_expect_neq(memcmp(got.data, "RIFF", 4), 0);
}

Test(local, a_program_that_fails_or_writes_no_wav_is_an_error)
{
    cr_expect_eq(speak("false", "hello"), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(speak("cat", "this is no WAV file at all, but text"), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(speak("true", "hello"), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(speak("no-such-program-here", "hello"), SB_E_MISCONFIGURED);
    cr_expect_eq(got.length, 0);
}

static enum sb_error hear(const char *command, const char *pcm)
{
    struct sb_voice_task *task;
    int fd = file_of(pcm, strlen(pcm));
    const struct sb_voice_recording recording = {.fd = -1, .pcm_fd = fd};
    config.stt_command = command;
    enum sb_error error = sb_local_hearing.start(&voice, &recording, take, NULL, &task);
    if (error == SB_OK)
        error = run(task);
    close(fd);
    return error;
}

Test(local, a_program_that_cannot_be_started_is_logged)
{
    char dir[BASE_DIR_SIZE];
    struct sb_voice_task *task = NULL;
    struct sb_voice_recording recording = {.pcm_fd = file_of("words", 5)};
    base_dir_make(dir);
    sb_log_open(dir, "test", SB_LOG_DEBUG);
    SB_LOG(SB_LOG_INFO, "begun", NULL); /* which opens the file */
    config.stt_command = config.tts_command = "cat";
    struct rlimit files;
    int next = dup(STDIN_FILENO);
    close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    struct rlimit full = {.rlim_cur = (rlim_t)next, .rlim_max = files.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
    cr_expect_eq(sb_local_speaking.start(&voice, "hello", take, NULL, &task), SB_E_UNAVAILABLE);
    cr_expect_eq(sb_local_hearing.start(&voice, &recording, take, NULL, &task), SB_E_UNAVAILABLE);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    char *path = base_path(dir, "switchboard.log"), *log = base_file_read(path);
    cr_expect_eq(base_count(log, "\"event\":\"program.failed\""), 2, "%s", log);
    cr_expect_eq(base_count(log, "\"variable\":\"TTS_COMMAND\""), 1);
    cr_expect_eq(base_count(log, "\"variable\":\"STT_COMMAND\""), 1);
    sb_log_open(NULL, NULL, SB_LOG_INFO);
    base_dir_remove(dir);
    free(path);
    free(log);
    close(recording.pcm_fd);
}

Test(local, hearing_is_what_the_program_writes)
{
    cr_expect_eq(hear("cat", "when do you open"), SB_OK);
    cr_expect_str_eq(got.data, "when do you open");
    cr_expect_eq(hear("false", "x"), SB_E_UPSTREAM_ERROR);
    cr_expect_eq(hear("no-such-program-here", "x"), SB_E_MISCONFIGURED);
}

Test(local, only_so_many_decode_or_hear_at_once)
{
    struct sb_voice_task *running[SB_LOCAL_PROGRAMS_MAX], *waiting;
    struct sb_voice_recording recording = {.pcm_fd = file_of("words", 5)};
    config.stt_command = "sleep 60";
    for (size_t i = 0; i < SB_LOCAL_PROGRAMS_MAX; i++)
        cr_assert_eq(sb_local_hearing.start(&voice, &recording, take, NULL, &running[i]), SB_OK);
    config.stt_command = "cat";
    cr_assert_eq(sb_local_hearing.start(&voice, &recording, take, NULL, &waiting), SB_OK);
    cr_expect_eq(sb_voice_step(&voice, &waiting, 1, sb_clock_mono_us() + 300000), SB_OK);
    cr_expect_eq(sb_voice_step(&voice, &waiting, 1, 1), SB_E_UPSTREAM_TIMEOUT);
    cr_expect_not(waiting->done);
    running[0]->end(running[0]);
    cr_expect_eq(run(waiting), SB_OK);
    cr_expect_str_eq(got.data, "words");
    config.stt_command = "no-such-program-here";
    for (size_t i = 0; i < SB_LOCAL_PROGRAMS_MAX; i++) /* what fails leaves its place */
        cr_expect_eq(sb_local_hearing.start(&voice, &recording, take, NULL, &waiting),
                     SB_E_MISCONFIGURED);
    config.stt_command = "cat";
    cr_assert_eq(sb_local_hearing.start(&voice, &recording, take, NULL, &running[0]), SB_OK);
    cr_assert_eq(sb_local_hearing.start(&voice, &recording, take, NULL, &waiting), SB_OK);
    waiting->end(waiting); /* without ever having had one */
    cr_expect_eq(run(running[0]), SB_OK);
    for (size_t i = 1; i < SB_LOCAL_PROGRAMS_MAX; i++)
        running[i]->end(running[i]);
    close(recording.pcm_fd);
}

Test(local, thinking_answers_the_last_message)
{
    struct sb_voice_task *task;
    const struct sb_voice_message messages[] = {{SB_VOICE_SYSTEM, "prompt"},
                                                {SB_VOICE_USER, "where can I park my car"}};
    cr_assert_eq(sb_local_thinking.start(&voice, messages, 2, take, NULL, &task), SB_OK);
    cr_expect_eq(run(task), SB_OK);
    cr_expect_str_eq(got.data, "Yes, there is free parking behind the building.");
}

static enum sb_error decode(const char *command, const struct sb_audio_format *format,
                            struct sb_voice_recording *recording, int64_t deadline_ms)
{
    config.decode_command = command;
    recording->pcm_fd = memfd_create("pcm", MFD_CLOEXEC);
    enum sb_error error = sb_local_decode(&voice, recording, format, deadline_ms);
    close(recording->pcm_fd);
    return error;
}

/* Decoded by a program that fails: only what needs none comes out. */
static enum sb_error copied(const void *file, size_t length, int64_t *pcm_length)
{
    struct sb_voice_recording recording = {.fd = file_of(file, length), .length = (int64_t)length};
    enum sb_error error = decode("false", sb_audio_sniff(file, 16), &recording, 20000);
    *pcm_length = recording.pcm_length;
    close(recording.fd);
    return error;
}

Test(local, wav_of_16_khz_is_copied_without_a_program)
{
    unsigned char wav[SB_AUDIO_WAV_HEADER_SIZE + 40000];
    struct sb_voice_recording recording = {.fd = -1, .length = sizeof wav};
    char pcm[40000];
    for (size_t i = 0; i < sizeof wav; i++)
        wav[i] = (unsigned char)(i * 31 >> 3);
    sb_audio_wav_header(wav, 16000, 40000);
    recording.fd = file_of(wav, sizeof wav);
    config.decode_command = "false";
    recording.pcm_fd = memfd_create("pcm", MFD_CLOEXEC);
    cr_expect_eq(sb_local_decode(&voice, &recording, sb_audio_sniff(wav, 16), 20000), SB_OK);
    cr_expect_eq(recording.pcm_length, 40000);
    cr_expect_eq(pread(recording.pcm_fd, pcm, sizeof pcm, 0), 40000);
    cr_expect_arr_eq(pcm, wav + SB_AUDIO_WAV_HEADER_SIZE, sizeof pcm);
    close(recording.pcm_fd);
    close(recording.fd);
}

Test(local, two_minutes_of_it_at_the_most)
{
    const size_t length = SB_AUDIO_WAV_HEADER_SIZE + SB_AUDIO_PCM_MAX + 2;
    unsigned char *wav = calloc(1, length);
    int64_t pcm_length;
    sb_audio_wav_header(wav, 16000, SB_AUDIO_PCM_MAX + 2);
    cr_expect_eq(copied(wav, length, &pcm_length), SB_OK);
    cr_expect_eq(pcm_length, SB_AUDIO_PCM_MAX);
    free(wav);
}

Test(local, any_other_wav_needs_the_program)
{
    unsigned char wav[SB_AUDIO_WAV_HEADER_SIZE + 801] = {0};
    int64_t pcm_length;
    sb_audio_wav_header(wav, 16000, 800);
    cr_expect_eq(copied(wav, sizeof wav - 1, &pcm_length), SB_OK);
    cr_expect_eq(copied(wav, sizeof wav - 3, &pcm_length), SB_E_UNSUPPORTED_MEDIA_TYPE, "short");
    cr_expect_eq(copied(wav, sizeof wav, &pcm_length), SB_E_UNSUPPORTED_MEDIA_TYPE, "long");
    sb_audio_wav_header(wav, 16000, 801);
    cr_expect_eq(copied(wav, sizeof wav, &pcm_length), SB_E_UNSUPPORTED_MEDIA_TYPE, "half a one");
    sb_audio_wav_header(wav, 8000, 800);
    cr_expect_eq(copied(wav, sizeof wav - 1, &pcm_length), SB_E_UNSUPPORTED_MEDIA_TYPE, "8 kHz");
}

Test(local, a_recording_is_decoded_to_16_khz)
{
    unsigned char wav[SB_AUDIO_WAV_HEADER_SIZE + 8000] = {0};
    sb_audio_wav_header(wav, 8000, 8000); /* half a second */
    struct sb_voice_recording recording = {.fd = file_of(wav, sizeof wav)};
    const struct sb_audio_format *format = sb_audio_sniff(wav, sizeof wav);
    const char *ffmpeg = "ffmpeg -nostdin -v error -f {demuxer} -i /dev/stdin -ac 1 -ar 16000 -f "
                         "s16le pipe:1";
    cr_expect_eq(decode(ffmpeg, format, &recording, 20000), SB_OK);
    cr_expect_eq(recording.pcm_length, 16000, "%lld", (long long)recording.pcm_length);
    cr_expect_eq(decode("false", format, &recording, 20000), SB_E_UNSUPPORTED_MEDIA_TYPE);
    cr_expect_eq(decode("no-such-program-here", format, &recording, 20000), SB_E_MISCONFIGURED);
    cr_expect_eq(decode("sleep 60", format, &recording, 50), SB_E_UPSTREAM_TIMEOUT);
    cr_expect_eq(decode("head -c 5000000 /dev/zero", format, &recording, 20000),
                 SB_E_UNSUPPORTED_MEDIA_TYPE, "more than two minutes");
    close(recording.fd);
}

Test(local, a_full_disk_is_no_fault_of_the_recording)
{
    static const unsigned char wav[SB_AUDIO_WAV_HEADER_SIZE] = "RIFF____WAVE";
    struct sb_voice_recording recording = {.fd = file_of(wav, sizeof wav)};
    const struct sb_audio_format *format = sb_audio_sniff(wav, sizeof wav);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 10000;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(decode("head -c 30000 /dev/zero", format, &recording, 20000), SB_E_UNAVAILABLE);
    cr_expect_eq(recording.pcm_length, 10000);
    close(recording.fd);
}
