#include "base/shared_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/base.h"
#include "base/clock.h"

enum { SIZE = 64 * 1024, RACERS = 16 };

static char directory[BASE_DIR_SIZE];

static void setup(void)
{
    base_dir_make(directory);
}

static void teardown(void)
{
    base_dir_remove(directory);
}

TestSuite(shared_file, .init = setup, .fini = teardown);

static struct sb_shared_header *map(uint32_t layout, size_t size)
{
    return sb_shared_file_map(directory, "counters", layout, size);
}

static struct stat stat_counters(void)
{
    struct stat st;
    char *path = base_path(directory, "counters");
    cr_assert_eq(stat(path, &st), 0);
    free(path);
    return st;
}

static int entries(void)
{
    DIR *dir = opendir(directory);
    int count = -2; /* . and .. */
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

Test(shared_file, is_made_private_whole_and_zeroed_behind_its_header)
{
    int64_t before_ms = sb_clock_now_ms();
    const struct sb_shared_header *header = map(7, SIZE);
    cr_assert_not_null(header);
    cr_assert_eq(header->layout, 7);
    cr_assert_eq(header->size, SIZE);
    cr_assert(header->made_ms >= before_ms && header->made_ms <= sb_clock_now_ms());
    const unsigned char *bytes = (const unsigned char *)(header + 1);
    for (size_t i = 0; i < SIZE - sizeof *header; i++)
        cr_assert_eq(bytes[i], 0);
    struct stat st = stat_counters();
    cr_assert_eq(st.st_mode & 07777, 0600, "%o", st.st_mode);
    cr_assert_eq(st.st_size, SIZE);
    cr_assert_geq((long long)st.st_blocks * 512, SIZE, "a hole is a SIGBUS on a full disk");
    cr_assert_eq(entries(), 1, "no temporary file is left");
}

Test(shared_file, a_second_mapping_is_the_same_memory)
{
    struct sb_shared_header *a = map(1, SIZE), *b = map(1, SIZE);
    cr_assert(a != NULL && b != NULL && a != b);
    cr_assert_eq(memcmp(a->key, b->key, sizeof a->key), 0);
    ((unsigned char *)a)[SIZE - 1] = 42;
    cr_assert_eq(((unsigned char *)b)[SIZE - 1], 42);
}

Test(shared_file, two_files_have_different_keys)
{
    struct sb_shared_header *a = map(1, SIZE);
    struct sb_shared_header *b = sb_shared_file_map(directory, "others", 1, SIZE);
    cr_assert(a != NULL && b != NULL);
    cr_assert_neq(memcmp(a->key, b->key, sizeof a->key), 0);
}

Test(shared_file, another_layout_is_replaced_and_the_old_mapping_lives_on)
{
    struct sb_shared_header *old = map(1, SIZE);
    struct sb_shared_header *new = map(2, SIZE);
    cr_assert(old != NULL && new != NULL);
    cr_assert_eq(new->layout, 2);
    cr_assert_eq(old->layout, 1);
    cr_assert_neq(memcmp(old->key, new->key, sizeof old->key), 0);
    cr_assert_eq(map(2, SIZE)->made_ms, new->made_ms, "the new one stays");
    cr_assert_eq(entries(), 1);
}

Test(shared_file, another_size_is_replaced)
{
    struct sb_shared_header *old = map(1, SIZE);
    struct sb_shared_header *new = map(1, 2 * SIZE);
    cr_assert(old != NULL && new != NULL);
    cr_assert_eq(new->size, 2 * SIZE);
    cr_assert_eq(stat_counters().st_size, 2 * SIZE);
    ((unsigned char *)new)[2 * SIZE - 1] = 1;
    ((unsigned char *)old)[SIZE - 1] = 1;
}

Test(shared_file, a_damaged_file_is_replaced)
{
    static const char *const damages[] = {"", "garbage", "SBSHARE"};
    char *path = base_path(directory, "counters");
    for (size_t i = 0; i < SB_COUNT(damages); i++) {
        base_file_write(path, damages[i]);
        const struct sb_shared_header *header = map(1, SIZE);
        cr_assert_not_null(header, "\"%s\"", damages[i]);
        cr_assert_eq(header->size, SIZE);
    }
    base_file_write(path, "of the right size, with another magic");
    cr_assert_eq(truncate(path, SIZE), 0);
    cr_assert_eq(map(1, SIZE)->layout, 1);
    free(path);
}

Test(shared_file, a_fifo_in_the_way_is_replaced)
{
    char *path = base_path(directory, "counters");
    cr_assert_eq(mkfifo(path, 0600), 0);
    free(path);
    cr_assert_not_null(map(1, SIZE));
    cr_assert(S_ISREG(stat_counters().st_mode));
}

Test(shared_file, a_symlink_is_refused_and_its_target_left_alone)
{
    char *path = base_path(directory, "counters"), *target = base_path(directory, "target");
    base_file_write(target, "precious");
    cr_assert_eq(symlink(target, path), 0);
    cr_assert_null(map(1, SIZE));
    cr_assert_eq(errno, ELOOP, "%s", strerror(errno));
    char *text = base_file_read(target);
    cr_assert_str_eq(text, "precious");
    free(text);
    free(path);
    free(target);
}

Test(shared_file, a_directory_in_the_way_is_refused)
{
    char *path = base_path(directory, "counters");
    cr_assert_eq(mkdir(path, 0700), 0);
    free(path);
    cr_assert_null(map(1, SIZE));
    cr_assert_eq(errno, EISDIR, "%s", strerror(errno));
}

Test(shared_file, a_missing_directory_gives_null_with_errno)
{
    cr_assert_null(sb_shared_file_map("/nonexistent/switchboard", "counters", 1, SIZE));
    cr_assert_eq(errno, ENOENT);
}

Test(shared_file, one_that_cannot_be_made_gives_null_with_errno)
{
    cr_assert_null(sb_shared_file_map(directory, "missing/counters", 1, SIZE));
    cr_assert_eq(errno, ENOENT, "%s", strerror(errno));
}

Test(shared_file, one_that_cannot_have_its_size_gives_null_and_leaves_nothing)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {SIZE / 2, SIZE / 2};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert_null(map(1, SIZE));
    cr_assert_eq(errno, EFBIG, "%s", strerror(errno));
    cr_assert_eq(entries(), 0);
}

struct race {
    uint32_t layout;
    unsigned char keys[RACERS][16];
};

static bool map_and_tell(int index, void *context)
{
    struct race *race = context;
    struct sb_shared_header *header = map(race->layout, SIZE);
    if (header == NULL)
        return false;
    memcpy(race->keys[index], header->key, sizeof race->keys[index]);
    return true;
}

static void race_for(struct race *race)
{
    cr_assert(base_race(RACERS, map_and_tell, race), "layout %u", race->layout);
    const struct sb_shared_header *header = map(race->layout, SIZE);
    cr_assert_not_null(header);
    for (int i = 0; i < RACERS; i++)
        cr_assert_eq(memcmp(race->keys[i], header->key, sizeof header->key), 0,
                     "racer %d of layout %u maps another file", i, race->layout);
    cr_assert_eq(entries(), 1);
}

static struct race *race_new(void)
{
    void *memory =
        mmap(NULL, sizeof(struct race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    return memory;
}

Test(shared_file, racers_for_a_new_file_all_map_the_same)
{
    struct race *race = race_new();
    char *path = base_path(directory, "counters");
    for (int round = 0; round < 30; round++) {
        race->layout = 1;
        race_for(race);
        cr_assert_eq(unlink(path), 0);
    }
    free(path);
}

Test(shared_file, racers_to_replace_an_old_layout_all_map_the_same)
{
    struct race *race = race_new();
    cr_assert_not_null(map(1, SIZE));
    for (uint32_t layout = 2; layout < 60; layout++) {
        race->layout = layout;
        race_for(race);
    }
}

/* SipHash-2-4 of 0, 1, 2 ... length-1 under the key 0 ... 15, as bytes: `openssl mac SIPHASH`; the
 * same as the vectors of the reference implementation. */
static const char *const siphashes[64] = {
    "310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785",
    "b7877127e09427cf", "8da699cd64557618", "cee3fe586e46c9cb", "37d1018bf50002ab",
    "6224939a79f5f593", "b0e4a90bdf82009e", "f3b9dd94c5bb5d7a", "a7ad6b22462fb3f4",
    "fbe50e86bc8f1e75", "903d84c02756ea14", "eef27a8e90ca23f7", "e545be4961ca29a1",
    "db9bc2577fcc2a3f", "9447be2cf5e99a69", "9cd38d96f0b3c14b", "bd6179a71dc96dbb",
    "98eea21af25cd6be", "c7673b2eb0cbf2d0", "883ea3e395675393", "c8ce5ccd8c030ca8",
    "94af49f6c650adb8", "eab8858ade92e1bc", "f315bb5bb835d817", "adcf6b0763612e2f",
    "a5c91da7acaa4dde", "716595876650a2a6", "28ef495c53a387ad", "42c341d8fa92d832",
    "ce7cf2722f512771", "e37859f94623f3a7", "381205bb1ab0e012", "ae97a10fd434e015",
    "b4a31508beff4d31", "81396229f0907902", "4d0cf49ee5d4dcca", "5c73336a76d8bf9a",
    "d0a704536ba93e0e", "925958fcd6420cad", "a915c29bc8067318", "952b79f3bc0aa6d4",
    "f21df2e41d4535f9", "87577519048f53a9", "10a56cf5dfcd9adb", "eb75095ccd986cd0",
    "51a9cb9ecba312e6", "96afadfc2ce666c7", "72fe52975a4364ee", "5a1645b276d592a1",
    "b274cb8ebf87870a", "6f9bb4203de7b381", "eaecb2a30b22a87f", "9924a43cc1315724",
    "bd838d3aafbf8db7", "0b1a2a3265d51aea", "135079a3231ce660", "932b2846e4d70666",
    "e1915f5cb1eca46c", "f325965ca16d629f", "575ff28e60381be5", "724506eb4c328a95",

};

Test(siphash, the_64_reference_vectors)
{
    unsigned char key[16], data[64];
    for (unsigned char i = 0; i < 64; i++) {
        data[i] = i;
        if (i < 16)
            key[i] = i;
    }
    for (size_t length = 0; length < 64; length++) {
        uint64_t expected = __builtin_bswap64(strtoull(siphashes[length], NULL, 16));
        cr_expect_eq(sb_siphash(key, data, length), expected, "length %zu", length);
    }
}

Test(siphash, unaligned_data_hashes_the_same)
{
    static const unsigned char key[16] = {1};
    unsigned char memory[80] = "what is hashed does not depend on where it lies in memory";
    uint64_t expected = sb_siphash(key, memory, 57);
    for (size_t shift = 1; shift < 16; shift++) {
        memmove(memory + shift, memory + shift - 1, 57);
        cr_expect_eq(sb_siphash(key, memory + shift, 57), expected, "shift %zu", shift);
    }
}
