#include "base/temp_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/base.h"
#include "base/clock.h"

enum { MINUTE_MS = 60000 };

static char directory[BASE_DIR_SIZE];
static char *files; /* the directory of the files */

static void make(void)
{
    base_dir_make(directory);
    files = base_path(directory, "files");
}

static void clean(void)
{
    free(files);
    base_dir_remove(directory);
}

TestSuite(temp_file, .init = make, .fini = clean);

/* A file of that age in the directory, and whether it is still there. */
static void put(const char *name, int64_t age_ms)
{
    char *path = base_path(files, name);
    int64_t at_ms = sb_clock_now_ms() - age_ms;
    const struct timespec at = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    (void)mkdir(files, 0700);
    base_file_write(path, "speech");
    cr_assert_eq(utimensat(AT_FDCWD, path, (struct timespec[]){at, at}, 0), 0);
    free(path);
}

static bool there(const char *name)
{
    char *path = base_path(files, name);
    struct stat st;
    bool is = lstat(path, &st) == 0;
    free(path);
    return is;
}

/* Removes what is older than a minute. */
static int64_t removed(void)
{
    int64_t count = -1;
    cr_assert_eq(sb_temp_files_remove(files, sb_clock_now_ms() - MINUTE_MS, &count), SB_OK);
    return count;
}

static bool works_and_has_no_name(void)
{
    char byte = 0;
    struct stat st;
    int fd = sb_temp_file_open(files);
    return fd >= 0 && pwrite(fd, "x", 1, 7) == 1 && pread(fd, &byte, 1, 7) == 1 && byte == 'x' &&
           fstat(fd, &st) == 0 && st.st_nlink == 0 && (st.st_mode & 07777) == 0600 &&
           (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && rmdir(files) == 0;
}

Test(temp_file, is_private_and_never_has_a_name)
{
    cr_assert(works_and_has_no_name());
}

/* From now on openat() with O_TMPFILE fails with that error, as on a file system without it. */
static bool without_tmpfile(unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* In a process of its own: there is no way back. */
static int in_child_without_tmpfile(unsigned error)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        base_exit(!without_tmpfile(error) ? 2 : works_and_has_no_name() ? 0 : 1);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(temp_file, has_none_either_where_the_file_system_knows_no_nameless_files)
{
    cr_assert_eq(in_child_without_tmpfile(EOPNOTSUPP), 0);
    cr_assert_eq(in_child_without_tmpfile(EISDIR), 0);
}

/* The directory by so long a way that there is no room for a name. */
static int at_the_end_of_a_long_way(void)
{
    char way[PATH_MAX] = "";
    size_t length = strlen(files);
    memcpy(way, files, length);
    while (length + 2 < sizeof way - 2) {
        memcpy(way + length, "/.", 3);
        length += 2;
    }
    return mkdir(files, 0700) == 0 && without_tmpfile(EOPNOTSUPP) && sb_temp_file_open(way) == -1 &&
                   errno == ENAMETOOLONG
               ? 0
               : 1;
}

static int where_no_file_can_be_made(void)
{
    return without_tmpfile(EOPNOTSUPP) && sb_temp_file_open("/proc/self") == -1 ? 0 : 1;
}

static int in_child(int (*check)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        base_exit(check());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(temp_file, what_has_to_have_a_name_fails_where_it_can_have_none)
{
    cr_assert_eq(in_child(at_the_end_of_a_long_way), 0);
    cr_assert_eq(in_child(where_no_file_can_be_made), 0);
}

Test(temp_file, another_failure_is_told)
{
    cr_assert_eq(in_child_without_tmpfile(ENOSPC), 1);
    cr_assert_eq(rmdir(files), 0);
    base_file_write(files, "in the way");
    cr_assert_eq(sb_temp_file_open(files), -1);
    cr_assert_eq(errno, ENOTDIR);
    cr_assert_eq(sb_temp_file_open("/no/such/directory"), -1);
    cr_assert_eq(errno, ENOENT);
}

Test(temp_file, what_is_appended_goes_behind_what_there_is)
{
    int fd = sb_temp_file_open(files);
    int64_t length = 0;
    char got[16] = "";
    cr_expect(sb_temp_file_append(fd, &length, "first ", 6));
    cr_expect(sb_temp_file_append(fd, &length, "", 0));
    cr_expect(sb_temp_file_append(fd, &length, "second", 6));
    cr_expect_eq(length, 12);
    cr_expect_eq(pread(fd, got, sizeof got, 0), 12);
    cr_expect_str_eq(got, "first second");
    close(fd);
}

Test(temp_file, what_fits_on_a_full_disk_is_counted)
{
    struct rlimit limit;
    int fd = sb_temp_file_open(files);
    int64_t length = 0;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 4;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_not(sb_temp_file_append(fd, &length, "words", 5));
    cr_expect_eq(errno, EFBIG);
    cr_expect_eq(length, 4);
    close(fd);
}

Test(temp_file, what_is_left_over_is_removed_and_counted)
{
    put("old", MINUTE_MS + 1000);
    put(".nfs01", MINUTE_MS * 100);
    put("fresh", MINUTE_MS - 10000);
    cr_assert_eq(removed(), 2);
    cr_assert(!there("old") && !there(".nfs01") && there("fresh"));
    cr_assert_eq(removed(), 0);
}

Test(temp_file, one_that_is_in_use_stays)
{
    put("used", MINUTE_MS * 2);
    char *path = base_path(files, "used");
    int fd = open(path, O_RDONLY);
    cr_assert_eq(flock(fd, LOCK_SH), 0);
    cr_assert_eq(removed(), 0);
    cr_assert(there("used"));
    close(fd);
    cr_assert_eq(removed(), 1);
    free(path);
}

Test(temp_file, links_directories_and_pipes_stay_and_so_does_what_links_lead_to)
{
    char *target = base_path(directory, "target"), *link = base_path(files, "link");
    char *sub = base_path(files, "sub"), *pipe = base_path(files, "pipe");
    put("old", MINUTE_MS * 2);
    base_file_write(target, "kept");
    const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    cr_assert_eq(utimensat(AT_FDCWD, target, long_ago, 0), 0);
    cr_assert_eq(symlink(target, link), 0);
    cr_assert_eq(mkdir(sub, 0700), 0);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    cr_assert_eq(utimensat(AT_FDCWD, link, long_ago, AT_SYMLINK_NOFOLLOW), 0);
    cr_assert_eq(utimensat(AT_FDCWD, sub, long_ago, 0), 0);
    cr_assert_eq(utimensat(AT_FDCWD, pipe, long_ago, 0), 0);
    cr_assert_eq(removed(), 1);
    cr_assert(there("link") && there("sub") && there("pipe") && !there("old"));
    char *text = base_file_read(target);
    cr_assert_str_eq(text, "kept");
    free(text);
    free(target);
    free(link);
    free(sub);
    free(pipe);
}

Test(temp_file, a_directory_that_is_a_link_is_refused_and_a_missing_one_is_empty)
{
    char *real = base_path(directory, "real");
    int64_t count = -1;
    cr_assert_eq(removed(), 0);
    put("old", MINUTE_MS * 2);
    cr_assert_eq(rename(files, real), 0);
    cr_assert_eq(symlink(real, files), 0);
    cr_assert_eq(sb_temp_files_remove(files, sb_clock_now_ms(), &count), SB_E_UNAVAILABLE);
    cr_assert(errno == ELOOP || errno == ENOTDIR, "%s", strerror(errno));
    cr_assert_eq(count, 0);
    cr_assert(there("old"));
    free(real);
}

Test(temp_file, another_users_file_stays)
{
    cr_assert_eq(geteuid(), 0, "this test needs root");
    put("theirs", MINUTE_MS * 2);
    char *path = base_path(files, "theirs");
    cr_assert_eq(chown(path, 12345, 12345), 0);
    cr_assert_eq(removed(), 0);
    cr_assert(there("theirs"));
    free(path);
}
