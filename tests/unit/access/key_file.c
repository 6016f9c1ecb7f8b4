#include "access/key_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/base.h"

static const char URL[] = "https://id.example/keys";
static const char SET[] = "{\"x\":1,\"keys\":[{\"kid\":\"k1\",\"kty\":\"EC\",\"crv\":\"P-256\","
                          "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static char directory[BASE_DIR_SIZE];
static char *path;

static void setup(void)
{
    base_dir_make(directory);
    path = base_path(directory, "jwks.json");
}

static void teardown(void)
{
    free(path);
    base_dir_remove(directory);
}

TestSuite(key_file, .init = setup, .fini = teardown);

static void replace(const char *text)
{
    cr_assert(sb_key_file_replace(directory, text, strlen(text), URL));
}

static void expect_problem(const char *part)
{
    const struct sb_jwks *set = NULL;
    struct stat st;
    const char *problem = sb_key_file_read(directory, URL, &set, &st);
    cr_assert_not_null(problem, "%s", part);
    cr_expect_not_null(strstr(problem, part), "%s", problem);
    cr_expect_null(set);
}

static void expect_keys(size_t count)
{
    const struct sb_jwks *set = NULL;
    struct stat st;
    const char *problem = sb_key_file_read(directory, URL, &set, &st);
    cr_assert_null(problem, "%s", problem);
    cr_expect_eq(set->count, count);
    sb_jwks_release(set);
}

Test(key_file, gives_back_the_keys_that_were_put_in)
{
    const struct sb_jwks *set;
    struct stat read, found;
    replace(SET);
    cr_assert_null(sb_key_file_read(directory, URL, &set, &read));
    cr_expect_eq(set->count, 1);
    cr_expect_str_eq(set->keys[0].kid, "k1");
    cr_expect_str_eq(set->source, URL);
    sb_jwks_release(set);
    cr_assert(sb_key_file_stat(directory, &found));
    cr_expect_eq(read.st_ino, found.st_ino);
    cr_expect_eq(read.st_size, found.st_size);
}

Test(key_file, is_private_and_leaves_nothing_beside_it)
{
    struct stat st;
    umask(0);
    replace(SET);
    replace(SET);
    cr_assert(sb_key_file_stat(directory, &st));
    cr_expect_eq(st.st_mode & 07777, 0600);
    free(path);
    path = base_path(directory, "jwks.json");
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(rmdir(directory), 0, "nothing else was in it");
    cr_assert_eq(mkdir(directory, 0700), 0);
}

Test(key_file, is_another_version_once_it_is_replaced)
{
    struct stat a, b;
    replace(SET);
    int held = open(path, O_RDONLY);
    cr_assert(sb_key_file_stat(directory, &a));
    replace(SET);
    cr_assert(sb_key_file_stat(directory, &b));
    cr_expect_neq(a.st_ino, b.st_ino);
    close(held);
}

Test(key_file, is_not_replaced_where_that_fails)
{
    replace(SET);
    errno = 0;
    cr_expect_not(sb_key_file_replace("/nonexistent", SET, strlen(SET), URL));
    cr_expect_eq(errno, ENOENT);
    cr_expect_not(sb_key_file_replace(directory, "{}", 2, URL));
    cr_expect_not(sb_key_file_replace(directory, "nonsense", 8, URL));
    expect_keys(1);
}

Test(key_file, is_told_from_the_file_of_another_provider)
{
    cr_assert(sb_key_file_replace(directory, SET, strlen(SET), "https://id.example/key"));
    expect_problem("another JWT_JWKS_URL");
    replace(SET);
    expect_keys(1);
}

Test(key_file, is_taken_from_the_administrator_without_a_source)
{
    base_file_write(path, SET);
    expect_keys(1);
}

Test(key_file, has_no_state_while_it_is_not_there)
{
    struct stat st;
    const struct sb_jwks *set;
    cr_expect_not(sb_key_file_stat(directory, &st));
    expect_problem("cannot be read");
    st.st_ino = 1;
    (void)!sb_key_file_read(directory, URL, &set, &st);
    cr_expect_eq(st.st_ino, 0, "it may be read at the next try");
}

Test(key_file, is_refused_where_it_is_no_set)
{
    base_file_write(path, "");
    expect_problem("JSON object");
    base_file_write(path, "{\"keys\":[],\"keys\":[]}");
    expect_problem("duplicate");
    char *large = malloc(SB_JWKS_BYTES_MAX + 2);
    memset(large, ' ', SB_JWKS_BYTES_MAX + 1);
    large[SB_JWKS_BYTES_MAX + 1] = '\0';
    base_file_write(path, large);
    expect_problem("64 KiB");
    free(large);
}

Test(key_file, is_not_followed_elsewhere)
{
    char *other = base_path(directory, "other");
    base_file_write(other, SET);
    cr_assert_eq(symlink(other, path), 0);
    expect_problem("cannot be read");
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_problem("cannot be read");
    free(other);
}
