#include "base/shared_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"

_Static_assert(sizeof(struct sb_shared_header) == 64, "the header is one cache line");

static const char magic[8] = "SBSHARE";

static bool same_layout(const struct sb_shared_header *header, uint32_t layout, size_t size)
{
    return memcmp(header->magic, magic, sizeof magic) == 0 && header->layout == layout &&
           header->size == size;
}

/* An existing file of the right layout, open for mapping; -1 with errno, which is ENOENT also where
 * a file of another layout is in the way: that one may be replaced. */
static int open_existing(int dir, const char *name, uint32_t layout, size_t size)
{
    int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    struct sb_shared_header header;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size &&
        pread(fd, &header, sizeof header, 0) == (ssize_t)sizeof header &&
        same_layout(&header, layout, size))
        return fd;
    close(fd);
    errno = ENOENT;
    return -1;
}

/* All blocks are reserved now: touching a hole when the disk has filled up is a SIGBUS. */
static bool build(int fd, uint32_t layout, size_t size)
{
    struct sb_shared_header header = {.layout = layout, .size = size, .made_ms = sb_clock_now_ms()};
    memcpy(header.magic, magic, sizeof magic);
    sb_random(header.key, sizeof header.key);
    int error = posix_fallocate(fd, 0, (off_t)size);
    if (error != 0) {
        errno = error;
        return false;
    }
    return pwrite(fd, &header, sizeof header, 0) == (ssize_t)sizeof header;
}

/* Makes the file and puts it in the place of what stands there, if anything does. */
static int create(int dir, const char *name, uint32_t layout, size_t size)
{
    char temporary[96];
    unsigned char random[8];
    char suffix[2 * sizeof random + 1];
    sb_random(random, sizeof random);
    sb_hex(random, sizeof random, suffix);
    snprintf(temporary, sizeof temporary, ".%.64s.%s", name, suffix);
    int fd = openat(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (build(fd, layout, size) && renameat(dir, temporary, dir, name) == 0)
        return fd;
    int error = errno;
    unlinkat(dir, temporary, 0);
    close(fd);
    errno = error;
    return -1;
}

/* Whoever makes the file holds a lock on the directory and looks again under it. Without the lock
 * two that find a file of another layout both replace it, and the first maps a file that is gone.
 * Closing dir releases it. */
static int open_or_create(int dir, const char *name, uint32_t layout, size_t size)
{
    int fd = open_existing(dir, name, layout, size);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    while (flock(dir, LOCK_EX) != 0) {
        if (errno != EINTR)
            return -1;
    }
    fd = open_existing(dir, name, layout, size);
    return fd >= 0 || errno != ENOENT ? fd : create(dir, name, layout, size);
}

void *sb_shared_file_map(const char *directory, const char *name, uint32_t layout, size_t size)
{
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return NULL;
    int fd = open_or_create(dir, name, layout, size);
    int error = errno;
    close(dir);
    if (fd < 0) {
        errno = error;
        return NULL;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    error = errno;
    close(fd);
    errno = error;
    return memory == MAP_FAILED ? NULL : memory;
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(struct sip *s, int rounds)
{
    while (rounds-- > 0) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

uint64_t sb_siphash(const unsigned char key[static 16], const void *data, size_t length)
{
    uint64_t k0, k1, word;
    memcpy(&k0, key, 8); /* little-endian machines only, like the mapped files themselves */
    memcpy(&k1, key + 8, 8);
    struct sip s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                    k1 ^ 0x7465646279746573};
    const unsigned char *bytes = data;
    size_t whole = length / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, bytes + i, 8);
        sip_word(&s, word);
    }
    word = (uint64_t)length << 56;
    for (size_t i = whole; i < length; i++)
        word |= (uint64_t)bytes[i] << (8 * (i - whole));
    sip_word(&s, word);
    s.v2 ^= 0xFF;
    sip_rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
