#include "upstream/program.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"

static struct sb_arena *arena;

static void open_arena(void)
{
    arena = sb_arena_new(1 << 20);
}

static void close_arena(void)
{
    sb_arena_free(arena);
}

TestSuite(program, .init = open_arena, .fini = close_arena, .timeout = 20);

static int file_of(const char *text)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

/* All that program writes, as text. */
static char *read_all(struct sb_program *program)
{
    static char text[4096];
    size_t length = 0;
    for (;;) {
        ssize_t got = sb_program_read(program, text + length, sizeof text - length - 1);
        if (got == -1) {
            struct pollfd wait = {.fd = program->output, .events = POLLIN};
            poll(&wait, 1, 10000);
            continue;
        }
        cr_assert_geq(got, 0);
        if (got == 0)
            break;
        length += (size_t)got;
    }
    text[length] = '\0';
    return text;
}

static char *output_of(const char *command, const struct sb_program_value *values, size_t count,
                       const char *input, bool *good)
{
    struct sb_program program;
    int fd = file_of(input);
    cr_assert_eq(sb_program_start(
                     arena, &(struct sb_program_command){command, values, count, fd, -1}, &program),
                 SB_OK);
    char *text = read_all(&program);
    *good = sb_program_wait(&program);
    cr_expect_eq(program.output, -1);
    close(fd);
    return text;
}

Test(program, reads_its_input_from_the_beginning_and_gives_its_output)
{
    bool good;
    cr_expect_str_eq(output_of("cat -", NULL, 0, "hello", &good), "hello");
    cr_expect(good);
}

Test(program, a_value_stays_one_word_whatever_it_holds)
{
    const struct sb_program_value values[] = {{"voice", "a b; $(id) 'x'"}, {"n", "2"}};
    bool good;
    cr_expect_str_eq(output_of("printf [%s] {voice} x{n}y{n}", values, 2, "", &good),
                     "[a b; $(id) 'x'][x2y2]");
    cr_expect(good);
}

Test(program, says_whether_it_failed)
{
    bool good;
    output_of("false", NULL, 0, "", &good);
    cr_expect_not(good);
}

Test(program, what_cannot_run_is_a_misconfiguration)
{
    static const char *const commands[] = {
        "", "  ", "no-such-program-here x", "/etc/passwd", "cat {unknown}", "/nowhere/cat"};
    int fd = file_of("");
    for (size_t i = 0; i < SB_COUNT(commands); i++) {
        struct sb_program program;
        cr_expect_eq(sb_program_start(arena,
                                      &(struct sb_program_command){commands[i], NULL, 0, fd, -1},
                                      &program),
                     SB_E_MISCONFIGURED, "%s", commands[i]);
        cr_expect_eq(program.pid, 0);
    }
    close(fd);
}

Test(program, words_are_capped)
{
    char command[512] = "cat";
    for (size_t length = 3; length < 3 + 2 * SB_PROGRAM_ARGUMENTS_MAX; length += 2)
        memcpy(command + length, " x", 3);
    struct sb_program program;
    int fd = file_of("");
    cr_expect_eq(
        sb_program_start(arena, &(struct sb_program_command){command, NULL, 0, fd, -1}, &program),
        SB_E_MISCONFIGURED);
    close(fd);
}

Test(program, exists_tells_by_the_first_word)
{
    cr_expect(sb_program_exists("cat -n"));
    cr_expect(sb_program_exists(" /bin/cat"));
    cr_expect_not(sb_program_exists("no-such-program-here"));
    cr_expect_not(sb_program_exists(""));
}

Test(program, sees_nothing_of_our_environment_or_descriptors)
{
    bool good;
    setenv("JWT_SECRET", "do not tell", 1);
    int inherited = dup(STDOUT_FILENO);
    fcntl(inherited, F_SETFD, FD_CLOEXEC);
    const char *seen = output_of("env", NULL, 0, "", &good);
    cr_expect_null(strstr(seen, "JWT_SECRET"));
    cr_expect_str_eq(output_of("ls /proc/self/fd", NULL, 0, "", &good), "0\n1\n2\n3\n");
    close(inherited);
}

Test(program, its_memory_is_limited)
{
    bool good;
    output_of("head -c 1 /dev/null", NULL, 0, "", &good);
    cr_expect(good);
    const char *limits = output_of("prlimit --noheadings --output SOFT --as", NULL, 0, "", &good);
    cr_expect_eq(strtol(limits, NULL, 10), (long)SB_PROGRAM_MEMORY_MAX, "%s", limits);
}

Test(program, ending_kills_it_and_its_children_at_once)
{
    struct sb_program program;
    int fd = file_of("");
    int64_t begun_us = sb_clock_mono_us();
    cr_assert_eq(sb_program_start(arena,
                                  &(struct sb_program_command){"timeout --foreground 60 sleep 60",
                                                               NULL, 0, fd, -1},
                                  &program),
                 SB_OK);
    int output = dup(program.output);
    sb_program_end(&program);
    /* The pipe ends when the last of them is gone. */
    struct pollfd wait = {.fd = output, .events = POLLIN};
    cr_expect_eq(poll(&wait, 1, 10000), 1);
    char byte;
    cr_expect_eq(read(output, &byte, 1), 0);
    cr_expect_lt(sb_clock_mono_us() - begun_us, 10000000);
    close(output);
    close(fd);
}

Test(program, one_that_closes_its_output_and_stays_is_killed)
{
    struct sb_program program;
    int fd = file_of("exec >&-; exec sleep 60\n");
    cr_assert_eq(
        sb_program_start(arena, &(struct sb_program_command){"sh -s", NULL, 0, fd, -1}, &program),
        SB_OK);
    cr_expect_str_eq(read_all(&program), "");
    cr_expect_not(sb_program_wait(&program));
    close(fd);
}

Test(program, its_output_may_be_a_file_in_which_it_can_go_back)
{
    struct sb_program program;
    char text[16] = "";
    int input = file_of("exec 3<>/dev/stdout; printf xxllo >&3; printf he 1<>/dev/stdout"),
        output = memfd_create("output", MFD_CLOEXEC);
    cr_assert_eq(sb_program_start(arena,
                                  &(struct sb_program_command){"sh -s", NULL, 0, input, output},
                                  &program),
                 SB_OK);
    struct pollfd wait = {.fd = program.output, .events = POLLIN};
    cr_expect_eq(poll(&wait, 1, 10000), 1, "readable once it has ended");
    cr_expect(sb_program_wait(&program));
    cr_expect_eq(pread(output, text, sizeof text - 1, 0), 5);
    cr_expect_str_eq(text, "hello");
    close(input);
    close(output);
}
