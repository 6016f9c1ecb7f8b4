/* A program of the machine at work for one request: started without a shell, its input a file, its
 * output a pipe, with limits on memory and time, and killed with its children. */
#ifndef SB_UPSTREAM_PROGRAM_H
#define SB_UPSTREAM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"

enum {
    SB_PROGRAM_ARGUMENTS_MAX = 64,
    SB_PROGRAM_COMMAND_MAX = 1024,            /* bytes of a command line */
    SB_PROGRAM_MEMORY_MAX = 512 * 1024 * 1024 /* bytes of address space */
};

/* {name} in a command line stands for value. */
struct sb_program_value {
    const char *name, *value;
};

/* What is to run. */
struct sb_program_command {
    const char *line; /* words between blanks: no quotes, no shell */
    const struct sb_program_value *values;
    size_t count;
    int input;  /* its standard input, read from the beginning; stays the caller's */
    int output; /* a file that becomes its standard output; -1: a pipe, see sb_program_read() */
};

struct sb_program {
    pid_t pid;  /* also its process group; 0: it has been waited for */
    int output; /* readable when there is something to read, or, with a file, when it has ended; -1:
                   closed */
};

/* Starts the program of command. Words in {braces} are replaced by values, which never become
 * several words. Its errors go nowhere. It runs in a process group of its own, with default signals
 * and the limits above.
 * SB_E_MISCONFIGURED: there is no such program, a {name} without a value, a word of more than 511
 * bytes, or more words than SB_PROGRAM_ARGUMENTS_MAX. SB_E_UNAVAILABLE: it cannot be started for
 * the moment. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_program_start(struct sb_arena *arena, const struct sb_program_command *command,
                 struct sb_program *program);

/* Reads up to size bytes of the pipe: > 0; 0 at its end; -1 where there is nothing for the
 * moment; -2 on an error. */
SB_NONNULL_ALL ssize_t sb_program_read(struct sb_program *program, void *data, size_t size);

/* After the end of its output: waits for the program, which has 1 s to end and is then killed.
 * Whether it ended with status 0. */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_program_wait(struct sb_program *program);

/* Kills the program and its children if it is running, and gives everything back. */
SB_NONNULL_ALL void sb_program_end(struct sb_program *program);

/* Whether the first word of command is a program that can be run. */
SB_NONNULL_ALL bool sb_program_exists(const char *command);

#endif
