#include "access/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/json_load.h"

static const char file_name[] = "jwks.json";

static void path_in(const char *run_dir, const char *name, char path[static PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", run_dir, name);
}

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t count = write(fd, text, length);
        if (count < 0 && errno != EINTR)
            return false;
        text += count > 0 ? count : 0;
        length -= count > 0 ? (size_t)count : 0;
    }
    return true;
}

/* On disk before it has the name: a crash must not leave an empty file in place of good keys. */
static bool write_and_rename(const char *run_dir, const char *text, size_t length)
{
    char name[64], temporary[PATH_MAX], path[PATH_MAX];
    unsigned char random[8];
    char suffix[2 * sizeof random + 1];
    sb_random(random, sizeof random);
    sb_hex(random, sizeof random, suffix);
    snprintf(name, sizeof name, ".%s.%s", file_name, suffix);
    path_in(run_dir, name, temporary);
    path_in(run_dir, file_name, path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool fine = write_all(fd, text, length) && fsync(fd) == 0 && rename(temporary, path) == 0;
    int error = errno;
    if (!fine)
        unlink(temporary);
    close(fd);
    errno = error;
    return fine;
}

/* The text of the file; the caller frees it. NULL with errno. */
static char *file_text(const char *text, size_t length, const char *source)
{
    json_error_t error;
    bool no_memory;
    json_t *json = sb_json_load(text, length, &error, &no_memory);
    json_t *keys = json_object_get(json, "keys");
    json_t *file = keys == NULL ? NULL : json_pack("{s:O, s:s}", "keys", keys, "source", source);
    char *dumped = file == NULL ? NULL : json_dumps(file, JSON_COMPACT);
    json_decref(file);
    json_decref(json);
    if (dumped == NULL)
        errno = no_memory ? ENOMEM : EINVAL;
    else if (strlen(dumped) <= SB_JWKS_BYTES_MAX)
        return dumped;
    else
        errno = EFBIG;
    free(dumped);
    return NULL;
}

bool sb_key_file_replace(const char *run_dir, const char *text, size_t length, const char *source)
{
    char *content = file_text(text, length, source);
    bool fine = content != NULL && write_and_rename(run_dir, content, strlen(content));
    free(content);
    return fine;
}

bool sb_key_file_stat(const char *run_dir, struct stat *st)
{
    char path[PATH_MAX];
    path_in(run_dir, file_name, path);
    return lstat(path, st) == 0;
}

/* The whole of a regular file of at most size bytes, and its state; the length, or -1. */
static ssize_t read_whole(const char *path, char *text, size_t size, struct stat *st)
{
    size_t length = 0;
    ssize_t got = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))
        got = -1;
    while (got > 0 && length < size) {
        got = read(fd, text + length, size - length);
        length += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    return got < 0 ? -1 : (ssize_t)length;
}

static const char *judge(const char *text, size_t length, const char *source,
                         const struct sb_jwks **set, struct stat *st)
{
    const struct sb_jwks *parsed;
    enum sb_jwks_result result = sb_jwks_parse(text, length, &parsed);
    if (result == SB_JWKS_NO_MEMORY)
        *st = (struct stat){0};
    if (result != SB_JWKS_OK)
        return sb_jwks_result_text(result);
    if (parsed->source != NULL && strcmp(parsed->source, source) != 0) {
        sb_jwks_release(parsed);
        return "it came from another JWT_JWKS_URL";
    }
    *set = parsed;
    return NULL;
}

const char *sb_key_file_read(const char *run_dir, const char *source, const struct sb_jwks **set,
                             struct stat *st)
{
    const size_t size = SB_JWKS_BYTES_MAX + 1; /* a byte to tell what is longer */
    char path[PATH_MAX], *text = malloc(size);
    path_in(run_dir, file_name, path);
    ssize_t length = text == NULL ? -1 : read_whole(path, text, size, st);
    const char *problem = "it cannot be read";
    if (length >= 0)
        problem = judge(text, (size_t)length, source, set, st);
    else
        *st = (struct stat){0};
    free(text);
    return problem;
}
