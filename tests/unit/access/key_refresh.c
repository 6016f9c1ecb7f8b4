#include "access/key_refresh.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/base.h"

enum { RACERS = 16 };

static char directory[BASE_DIR_SIZE];
static char *command, *lock;

/* The command is a script that does what the test says and tells what it saw. */
static void setup(void)
{
    base_dir_make(directory);
    command = base_path(directory, "command");
    lock = base_path(directory, "jwks.lock");
}

static void teardown(void)
{
    free(command);
    free(lock);
    base_dir_remove(directory);
}

TestSuite(key_refresh, .init = setup, .fini = teardown);

static void write_command(const char *body)
{
    char *text;
    cr_assert_gt(asprintf(&text, "#!/bin/sh\ncd %s || exit 9\n%s\n", directory, body), 0);
    base_file_write(command, text);
    cr_assert_eq(chmod(command, 0700), 0);
    free(text);
}

static enum sb_key_refresh start(pid_t *child)
{
    return sb_key_refresh_start(directory, command, child);
}

static void start_and_wait(void)
{
    pid_t child;
    int status;
    cr_assert_eq(start(&child), SB_KEY_REFRESH_STARTED);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

/* Makes the last start seconds older. */
static void age_by(time_t seconds)
{
    struct stat st;
    cr_assert_eq(stat(lock, &st), 0);
    struct timespec times[2] = {st.st_mtim, st.st_mtim};
    times[1].tv_sec -= seconds;
    cr_assert_eq(utimensat(AT_FDCWD, lock, times, 0), 0);
}

static size_t runs(void)
{
    char *ran = base_path(directory, "ran");
    char *text = base_file_read(ran);
    size_t count = text == NULL ? 0 : base_count(text, "jwks refresh\n");
    free(text);
    free(ran);
    return count;
}

Test(key_refresh, starts_the_command_with_its_arguments)
{
    write_command("echo \"$@\" >>ran");
    start_and_wait();
    cr_assert_eq(runs(), 1);
}

Test(key_refresh, starts_it_once_in_30_seconds)
{
    pid_t child;
    write_command("echo \"$@\" >>ran");
    start_and_wait();
    cr_assert_eq(start(&child), SB_KEY_REFRESH_NONE);
    age_by(SB_KEY_REFRESH_COOLDOWN_S - 5);
    cr_assert_eq(start(&child), SB_KEY_REFRESH_NONE);
    age_by(5);
    start_and_wait();
    cr_assert_eq(start(&child), SB_KEY_REFRESH_NONE);
    cr_assert_eq(runs(), 2);
}

Test(key_refresh, is_not_held_up_by_a_clock_that_was_put_back)
{
    write_command("echo \"$@\" >>ran");
    start_and_wait();
    age_by(-3600);
    start_and_wait();
    cr_assert_eq(runs(), 2);
}

Test(key_refresh, counts_a_refresh_that_failed)
{
    pid_t child;
    int status;
    write_command("exit 1");
    cr_assert_eq(start(&child), SB_KEY_REFRESH_STARTED);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(start(&child), SB_KEY_REFRESH_NONE);
}

Test(key_refresh, counts_a_command_that_is_not_there)
{
    pid_t child;
    cr_assert_eq(start(&child), SB_KEY_REFRESH_NONE);
    write_command("echo \"$@\" >>ran");
    cr_assert_eq(start(&child), SB_KEY_REFRESH_NONE);
    age_by(SB_KEY_REFRESH_COOLDOWN_S);
    start_and_wait();
}

Test(key_refresh, runs_no_second_one_beside_the_first)
{
    pid_t first, second;
    char *gate_path = base_path(directory, "gate");
    cr_assert_eq(mkfifo(gate_path, 0600), 0);
    write_command("echo \"$@\" >>ran; read line <gate; exit 0");
    cr_assert_eq(start(&first), SB_KEY_REFRESH_STARTED);
    age_by(3600);
    cr_assert_eq(start(&second), SB_KEY_REFRESH_RUNNING);
    int gate = open(gate_path, O_WRONLY);
    free(gate_path);
    cr_assert_eq(write(gate, "\n", 1), 1);
    close(gate);
    cr_assert_eq(waitpid(first, NULL, 0), first);
    age_by(3600);
    cr_assert_eq(start(&second), SB_KEY_REFRESH_STARTED, "it was let go with the process");
    kill(second, SIGKILL);
    waitpid(second, NULL, 0);
    cr_assert_eq(start(&second), SB_KEY_REFRESH_NONE, "also with one that was killed");
}

static bool race(int index, void *context)
{
    pid_t child;
    (void)index, (void)context;
    if (start(&child) == SB_KEY_REFRESH_STARTED)
        waitpid(child, NULL, 0);
    return true;
}

Test(key_refresh, is_started_once_when_16_processes_want_it)
{
    write_command("echo \"$@\" >>ran");
    cr_assert(base_race(RACERS, race, NULL));
    cr_assert_eq(runs(), 1);
    cr_assert(base_race(RACERS, race, NULL));
    cr_assert_eq(runs(), 1);
}

/* No shell here: it would put its own signals in order. cat opens "jwks", a FIFO, and waits. */
Test(key_refresh, gives_the_child_no_signal_mask_of_ours)
{
    sigset_t all;
    pid_t child;
    char path[64];
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(chdir(directory), 0);
    cr_assert_eq(symlink("/bin/cat", command), 0);
    cr_assert_eq(mkfifo("jwks", 0600), 0);
    cr_assert_eq(start(&child), SB_KEY_REFRESH_STARTED);
    snprintf(path, sizeof path, "/proc/%d/status", child);
    char *seen = base_file_read(path);
    cr_assert_not_null(seen);
    cr_expect_eq(base_count(seen, "SigBlk:\t0000000000000000\n"), 1, "%s", seen);
    const char *ignored = strstr(seen, "SigIgn:\t");
    cr_assert_not_null(ignored, "%s", seen);
    cr_expect_eq(strtoull(ignored + 8, NULL, 16) & 0x7FFFFFFF, 0, "%s", seen);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    free(seen);
}

Test(key_refresh, gives_the_child_the_lock_and_no_descriptor_of_ours)
{
    char *own = base_path(directory, "own");
    int fd = open(own, O_RDWR | O_CREAT, 0600); /* without O_CLOEXEC, as some of libcurl's are */
    cr_assert_geq(fd, 0);
    write_command("ls -l /proc/$$/fd >seen");
    start_and_wait();
    char *path = base_path(directory, "seen"), *seen = base_file_read(path);
    cr_assert_not_null(seen);
    cr_expect_eq(base_count(seen, "own"), 0, "%s", seen);
    cr_expect_eq(base_count(seen, " 0 -> "), 1, "%s", seen);
    cr_expect_eq(base_count(seen, "jwks.lock"), 1, "%s", seen);
    free(seen);
    free(path);
    free(own);
    close(fd);
}

Test(key_refresh, keeps_a_clients_headers_from_the_command)
{
    setenv("HTTP_AUTHORIZATION", "Bearer x", 1);
    setenv("HTTP_PROXY", "http://evil.example", 1);
    setenv("SWITCHBOARD_ENV", "/etc/x", 1);
    write_command("env >seen");
    start_and_wait();
    char *path = base_path(directory, "seen"), *seen = base_file_read(path);
    cr_expect_eq(base_count(seen, "HTTP_"), 0, "%s", seen);
    cr_expect_eq(base_count(seen, "SWITCHBOARD_ENV=/etc/x\n"), 1, "%s", seen);
    free(seen);
    free(path);
}

Test(key_refresh, finds_nothing_to_lock_without_a_directory)
{
    pid_t child;
    cr_assert_eq(sb_key_refresh_start("/nonexistent", command, &child), SB_KEY_REFRESH_NONE);
    cr_assert_eq(sb_key_refresh_lock("/nonexistent"), -1);
}

/* The command's side. */

static bool lock_is_free(void)
{
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    bool free = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free;
}

Test(key_refresh, the_command_takes_the_lock_where_nobody_handed_it_over)
{
    int fd = sb_key_refresh_lock(directory);
    cr_assert_gt(fd, 2);
    cr_assert_not(lock_is_free());
    pid_t child;
    cr_assert_eq(start(&child), SB_KEY_REFRESH_RUNNING);
    close(fd);
    cr_assert(lock_is_free());
}

Test(key_refresh, the_command_goes_on_with_the_lock_it_was_handed)
{
    int fd = open(lock, O_RDWR | O_CREAT, 0600);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    cr_assert_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    cr_assert_eq(sb_key_refresh_lock(directory), STDIN_FILENO, "and does not wait for itself");
    cr_assert_not(lock_is_free());
}

Test(key_refresh, the_command_is_named_by_an_absolute_path)
{
    char path[PATH_MAX];
    sb_key_refresh_command(path);
    cr_assert_eq(path[0], '/');
    cr_assert_str_eq(strrchr(path, '/'), "/switchboard");
}
