/* fsync FILE COUNT: how long a commit must take on this disk at least. Appends a page to FILE and
 * waits until it is durable, COUNT times; prints the microseconds of each, one a line. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    static const char page[PAGE] = "bench";
    if (argc != 3)
        return EXIT_FAILURE;
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    long count = strtol(argv[2], NULL, 10);
    for (long i = 0; i < count; i++) {
        int64_t start_us = now_us();
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) != 0) {
            perror(argv[1]);
            return EXIT_FAILURE;
        }
        printf("%" PRId64 "\n", now_us() - start_us);
    }
    unlink(argv[1]);
    return EXIT_SUCCESS;
}
