#include "base.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RACE_MAX = 64 };

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    abort();
}

void base_dir_make(char path[static BASE_DIR_SIZE])
{
    snprintf(path, BASE_DIR_SIZE, "/tmp/switchboard-test-XXXXXX");
    require(mkdtemp(path) != NULL, path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

void base_dir_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *base_path(const char *directory, const char *name)
{
    char *path;
    require(asprintf(&path, "%s/%s", directory, name) > 0, name);
    return path;
}

char *base_file_read(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return NULL;
    char *text = NULL;
    size_t size = 0;
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(file);
    return text;
}

void base_file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    require(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, path);
}

size_t base_count(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

/* Of gcc's runtime, in a build for coverage. */
void __gcov_dump(void) __attribute__((weak));

void base_exit(int status)
{
    if (__gcov_dump != NULL)
        __gcov_dump();
    _exit(status);
}

bool base_race(int count, bool (*work)(int index, void *context), void *context)
{
    pid_t children[RACE_MAX];
    int gate[2];
    require(count <= RACE_MAX && pipe2(gate, O_CLOEXEC) == 0, "pipe2");
    for (int i = 0; i < count; i++) {
        children[i] = fork();
        require(children[i] >= 0, "fork");
        if (children[i] == 0) {
            char byte;
            close(gate[1]);
            (void)!read(gate[0], &byte, 1); /* returns when the parent closes its end */
            base_exit(work(i, context) ? 0 : 1);
        }
    }
    close(gate[0]);
    close(gate[1]);
    bool fine = true;
    for (int i = 0; i < count; i++) {
        int status = -1;
        fine = waitpid(children[i], &status, 0) == children[i] && status == 0 && fine;
    }
    return fine;
}
