/* What the tests of base/ need of the machine: directories, files and processes. */
#ifndef TESTS_UNIT_SUPPORT_BASE_H
#define TESTS_UNIT_SUPPORT_BASE_H

#include <stdbool.h>
#include <stddef.h>

enum { BASE_DIR_SIZE = 64 };

/* Makes a directory of the test's own; ends the process if it cannot. */
void base_dir_make(char path[static BASE_DIR_SIZE]);

/* Removes it with all it holds. */
void base_dir_remove(const char *path);

/* "directory/name" in memory the caller frees. */
char *base_path(const char *directory, const char *name);

/* The file's text in memory the caller frees; NULL: there is no such file. */
char *base_file_read(const char *path);

/* Writes text as the whole file; ends the process if it cannot. */
void base_file_write(const char *path, const char *text);

/* How many times part is found in text. */
size_t base_count(const char *text, const char *part);

/* Ends a child process, with what it has run counted where that is measured. */
_Noreturn void base_exit(int status);

/* Runs work(0..count-1) in processes that are all let go at once and waits for them. True: each
 * work returned true. */
bool base_race(int count, bool (*work)(int index, void *context), void *context);

#endif
