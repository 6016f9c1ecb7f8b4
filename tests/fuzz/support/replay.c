/* Feeds files to a fuzz target that was built without libFuzzer: replay FILE|DIRECTORY...
 * Exits 1 if there was nothing to feed: a corpus that is not found must not pass for a sound one.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { INPUT_MAX = 1024 * 1024 };

static size_t fed;

/* The copy has the input's exact size, so that AddressSanitizer sees a read beyond it. */
static void feed(const unsigned char *input, size_t size)
{
    unsigned char *exact = malloc(size == 0 ? 1 : size);
    FUZZ_REQUIRE(exact != NULL);
    memcpy(exact, input, size);
    FUZZ_REQUIRE(LLVMFuzzerTestOneInput(exact, size) == 0);
    free(exact);
    fed++;
}

static bool feed_file(int dir, const char *name)
{
    static unsigned char input[INPUT_MAX];
    size_t size = 0;
    ssize_t got = -1;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (got = read(fd, input + size, sizeof input - size)) > 0)
        size += (size_t)got;
    if (fd >= 0)
        close(fd);
    if (got < 0 || size == sizeof input) {
        fprintf(stderr, "%s: cannot be read, or is too large\n", name);
        return false;
    }
    feed(input, size);
    return true;
}

static bool feed_directory(const char *path)
{
    DIR *dir = opendir(path);
    bool fine = dir != NULL;
    for (struct dirent *entry = fine ? readdir(dir) : NULL; entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.')
            fine = feed_file(dirfd(dir), entry->d_name) && fine;
    }
    if (dir != NULL)
        closedir(dir);
    return fine;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int main(int argc, char **argv)
{
    bool fine = true;
    for (int i = 1; i < argc; i++)
        fine = (is_directory(argv[i]) ? feed_directory(argv[i]) : feed_file(AT_FDCWD, argv[i])) &&
               fine;
    printf("%s: %zu inputs\n", argv[0], fed);
    return fine && fed > 0 ? 0 : 1;
}
