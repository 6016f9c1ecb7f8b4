#include "upstream/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

enum { WORD_MAX = 512, END_MS = 1000 };

/* util-linux' own, present on every Debian: the limits are set between fork and exec, which
 * posix_spawn() cannot. A program dies with the process, too. Ended by an empty word; not const,
 * since argv is not. */
static char limits[][20] = {
    "setpriv",        "--pdeathsig", "KILL",        "--no-new-privs",    "--", "prlimit",
    "--as=536870912", "--core=0",    "--nofile=64", "--fsize=104857600", "--", ""};

static const char *value_of(const struct sb_program_value *values, size_t count, const char *name,
                            size_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(values[i].name) == length && memcmp(values[i].name, name, length) == 0)
            return values[i].value;
    }
    return NULL;
}

/* One word of the command with its {names} replaced; NULL: one has no value, or it is too long. */
static char *expand(struct sb_arena *arena, const char *word, size_t length,
                    const struct sb_program_value *values, size_t count)
{
    struct sb_buf out;
    sb_buf_init(&out, arena, WORD_MAX);
    for (size_t at = 0; at < length;) {
        const char *close = word[at] == '{' ? memchr(word + at, '}', length - at) : NULL;
        if (close == NULL) {
            sb_buf_add_char(&out, word[at++]);
            continue;
        }
        size_t name = (size_t)(close - word) - at - 1;
        const char *value = value_of(values, count, word + at + 1, name);
        if (value == NULL)
            return NULL;
        sb_buf_add_text(&out, value);
        at += name + 2;
    }
    return sb_buf_ok(&out) ? out.data : NULL;
}

/* argv behind the limits; false: too many words, or one that cannot be made. */
static bool parse(struct sb_arena *arena, const struct sb_program_command *program, char **argv)
{
    const char *command = program->line;
    size_t words = 0;
    for (; limits[words][0] != '\0'; words++)
        argv[words] = limits[words];
    for (command += strspn(command, " \t"); *command != '\0'; command += strspn(command, " \t")) {
        size_t length = strcspn(command, " \t");
        if (words == SB_PROGRAM_ARGUMENTS_MAX)
            return false;
        argv[words] = expand(arena, command, length, program->values, program->count);
        if (argv[words++] == NULL)
            return false;
        command += length;
    }
    argv[words] = NULL;
    return true;
}

bool sb_program_exists(const char *command)
{
    char path[SB_PROGRAM_COMMAND_MAX + 64];
    command += strspn(command, " \t");
    int length = (int)strcspn(command, " \t");
    if (length == 0 || length > SB_PROGRAM_COMMAND_MAX)
        return false;
    if (memchr(command, '/', (size_t)length) != NULL) {
        snprintf(path, sizeof path, "%.*s", length, command);
        return access(path, X_OK) == 0;
    }
    static const char *const places[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    for (size_t i = 0; i < SB_COUNT(places); i++) {
        snprintf(path, sizeof path, "%s/%.*s", places[i], length, command);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

static bool prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int input,
                    int output)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    return posix_spawn_file_actions_adddup2(files, input, STDIN_FILENO) == 0 &&
           posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO) == 0 &&
           posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
           posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1) == 0 &&
           posix_spawnattr_setsigmask(attributes, &none) == 0 &&
           posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
           posix_spawnattr_setpgroup(attributes, 0) == 0 &&
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP) == 0;
}

static bool spawn(char **argv, int input, int output, pid_t *pid)
{
    /* Nothing of our environment: it may hold secrets. */
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LANG=C.UTF-8";
    static char *const environment[] = {path, lang, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&files) != 0)
        return false;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&files);
        return false;
    }
    bool spawned =
        prepare(&files, &attributes, input, output) &&
        posix_spawn(pid, "/usr/bin/setpriv", &files, &attributes, argv, environment) == 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return spawned;
}

static int process_fd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool spawn_with_pipe(char **argv, int input, struct sb_program *program)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    bool spawned = spawn(argv, input, ends[1], &program->pid);
    close(ends[1]);
    program->output = ends[0];
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    return spawned;
}

static bool spawn_with_file(char **argv, int input, int file, struct sb_program *program)
{
    if (!spawn(argv, input, file, &program->pid))
        return false;
    program->output = process_fd(program->pid);
    return program->output >= 0;
}

enum sb_error sb_program_start(struct sb_arena *arena, const struct sb_program_command *command,
                               struct sb_program *program)
{
    char *argv[SB_PROGRAM_ARGUMENTS_MAX + 1];
    *program = (struct sb_program){.output = -1};
    if (!parse(arena, command, argv) || !sb_program_exists(command->line))
        return SB_E_MISCONFIGURED;
    if (lseek(command->input, 0, SEEK_SET) < 0)
        return SB_E_UNAVAILABLE;
    bool spawned = command->output < 0
                       ? spawn_with_pipe(argv, command->input, program)
                       : spawn_with_file(argv, command->input, command->output, program);
    if (!spawned)
        sb_program_end(program);
    return spawned ? SB_OK : SB_E_UNAVAILABLE;
}

ssize_t sb_program_read(struct sb_program *program, void *data, size_t size)
{
    ssize_t got;
    do {
        got = read(program->output, data, size);
    } while (got < 0 && errno == EINTR);
    if (got >= 0)
        return got;
    return errno == EAGAIN ? -1 : -2;
}

/* Whether it has ended within wait_ms. */
static bool ended_within(struct sb_program *program, int wait_ms)
{
    int fd = process_fd(program->pid);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    bool ended = fd >= 0 && poll(&wait, 1, wait_ms) == 1;
    if (fd >= 0)
        close(fd);
    return ended;
}

/* Kills the whole group, the first of which is still ours to wait for, so its number is no other's.
 */
static int reap(struct sb_program *program)
{
    int status = -1;
    if (program->output >= 0)
        close(program->output);
    program->output = -1;
    if (program->pid == 0)
        return status;
    kill(-program->pid, SIGKILL);
    while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    program->pid = 0;
    return status;
}

bool sb_program_wait(struct sb_program *program)
{
    if (program->pid == 0 || !ended_within(program, END_MS)) {
        reap(program);
        return false;
    }
    int status = reap(program);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void sb_program_end(struct sb_program *program)
{
    reap(program);
}
