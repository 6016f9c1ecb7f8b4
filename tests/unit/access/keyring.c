#include "access/keyring.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../support/base.h"
#include "access/key_file.h"
#include "base/clock.h"

enum { THREADS = 8, ROUNDS = 200 };

static const char URL[] = "https://id.example/keys";

static char directory[BASE_DIR_SIZE];
static char *command, *file, *lock;
static struct sb_keyring *ring;

static void setup(void)
{
    base_dir_make(directory);
    command = base_path(directory, "command");
    file = base_path(directory, "jwks.json");
    lock = base_path(directory, "jwks.lock");
    ring = sb_keyring_new(directory, URL, command);
    cr_assert_not_null(ring);
}

static void teardown(void)
{
    sb_keyring_free(ring);
    free(command);
    free(file);
    free(lock);
    base_dir_remove(directory);
}

TestSuite(keyring, .init = setup, .fini = teardown);

static char *set_text(const char *kid)
{
    char *text;
    cr_assert_gt(asprintf(&text,
                          "{\"keys\":[{\"kid\":\"%s\",\"kty\":\"EC\",\"crv\":\"P-256\","
                          "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
                          kid),
                 0);
    return text;
}

static void put(const char *kid)
{
    char *text = set_text(kid);
    cr_assert(sb_key_file_replace(directory, text, strlen(text), URL));
    free(text);
}

/* The command: what it is told, and a line in "ran". */
static void write_command(const char *body)
{
    char *text;
    cr_assert_gt(
        asprintf(&text, "#!/bin/sh\ncd %s || exit 9\necho ran >>ran\n%s\n", directory, body), 0);
    base_file_write(command, text);
    cr_assert_eq(chmod(command, 0700), 0);
    free(text);
}

/* A command that puts in place the set of kid. */
static void write_refresher(const char *kid)
{
    char *text = set_text(kid), *body;
    cr_assert_gt(asprintf(&body, "echo '%s' >new && mv new jwks.json", text), 0);
    write_command(body);
    free(body);
    free(text);
}

static size_t runs(void)
{
    char *path = base_path(directory, "ran"), *text = base_file_read(path);
    size_t count = text == NULL ? 0 : base_count(text, "ran\n");
    free(text);
    free(path);
    return count;
}

static void age(const char *path, time_t seconds)
{
    struct timespec times[2];
    cr_assert_eq(clock_gettime(CLOCK_REALTIME, &times[0]), 0);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Whether the newest set is that of kid; NULL: there is none. */
static void expect_newest(const char *kid)
{
    const struct sb_jwks *set = sb_keyring_get(ring);
    cr_assert_eq(set == NULL, kid == NULL);
    if (set != NULL)
        cr_expect_str_eq(set->keys[0].kid, kid);
    sb_jwks_release(set);
}

static void wait_for_child(void)
{
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

/* Reading. */

Test(keyring, has_no_keys_before_there_are_any)
{
    expect_newest(NULL);
    put("one");
    expect_newest("one");
}

Test(keyring, parses_a_version_once)
{
    put("one");
    const struct sb_jwks *a = sb_keyring_get(ring), *b = sb_keyring_get(ring);
    cr_assert_not_null(a);
    cr_assert_eq(a, b);
    sb_jwks_release(a);
    sb_jwks_release(b);
}

Test(keyring, notices_the_next_version_and_lets_the_old_one_be_used_to_its_end)
{
    put("one");
    const struct sb_jwks *old = sb_keyring_get(ring);
    put("two");
    expect_newest("two");
    cr_expect_str_eq(old->keys[0].kid, "one");
    sb_jwks_release(old);
}

Test(keyring, keeps_its_keys_when_the_file_vanishes_or_is_spoilt)
{
    put("one");
    expect_newest("one");
    base_file_write(file, "{");
    expect_newest("one");
    cr_assert_eq(unlink(file), 0);
    expect_newest("one");
    put("two");
    expect_newest("two");
}

Test(keyring, takes_no_keys_of_another_provider)
{
    char *text = set_text("one");
    cr_assert(sb_key_file_replace(directory, text, strlen(text), "https://other.example/"));
    free(text);
    expect_newest(NULL);
}

Test(keyring, starts_nothing_while_the_keys_are_young)
{
    write_refresher("two");
    put("one");
    age(file, SB_KEY_FILE_AGE_MAX_S - 60);
    expect_newest("one");
    cr_assert_eq(waitpid(-1, NULL, 0), -1, "there is no child");
    cr_assert_eq(runs(), 0);
}

Test(keyring, has_old_keys_refreshed_and_uses_them_meanwhile)
{
    write_refresher("two");
    put("one");
    age(file, SB_KEY_FILE_AGE_MAX_S + 60);
    expect_newest("one");
    wait_for_child();
    expect_newest("two");
    cr_assert_eq(runs(), 1);
}

Test(keyring, keeps_old_keys_while_the_provider_is_down)
{
    write_command("exit 1");
    put("one");
    age(file, 10 * 24 * 3600);
    for (int i = 0; i < 20; i++)
        expect_newest("one");
    wait_for_child();
    cr_assert_eq(runs(), 1, "20 looks, one refresh");
}

Test(keyring, leaves_no_ended_child_behind)
{
    write_command("exit 1");
    put("one");
    age(file, SB_KEY_FILE_AGE_MAX_S + 60);
    expect_newest("one");
    siginfo_t info;
    cr_assert_eq(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0, "it has ended");
    put("two"); /* young: nothing else is started */
    expect_newest("two");
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "and was asked for");
}

/* Renewing. */

Test(keyring, renews_from_nothing)
{
    write_refresher("one");
    const struct sb_jwks *set = sb_keyring_renew(ring, NULL);
    cr_assert_not_null(set);
    cr_expect_str_eq(set->keys[0].kid, "one");
    sb_jwks_release(set);
}

Test(keyring, renews_what_was_not_enough)
{
    put("one");
    write_refresher("two");
    const struct sb_jwks *had = sb_keyring_get(ring), *set = sb_keyring_renew(ring, had);
    cr_assert_not_null(set);
    cr_expect_str_eq(set->keys[0].kid, "two");
    sb_jwks_release(had);
    sb_jwks_release(set);
}

Test(keyring, gives_a_version_that_came_meanwhile_without_starting_anything)
{
    put("one");
    write_refresher("three");
    const struct sb_jwks *had = sb_keyring_get(ring);
    put("two");
    const struct sb_jwks *set = sb_keyring_renew(ring, had);
    cr_assert_not_null(set);
    cr_expect_str_eq(set->keys[0].kid, "two");
    cr_expect_eq(runs(), 0);
    sb_jwks_release(had);
    sb_jwks_release(set);
}

Test(keyring, has_nothing_newer_when_the_refresh_fails)
{
    put("one");
    write_command("exit 1");
    const struct sb_jwks *had = sb_keyring_get(ring);
    cr_assert_null(sb_keyring_renew(ring, had));
    cr_assert_null(sb_keyring_renew(ring, had));
    cr_assert_eq(runs(), 1, "and none within 30 s");
    sb_jwks_release(had);
}

Test(keyring, waits_no_longer_than_it_says)
{
    put("one");
    char *gate_path = base_path(directory, "gate");
    cr_assert_eq(mkfifo(gate_path, 0600), 0);
    write_command("exec 3<>gate; read line <&3");
    const struct sb_jwks *had = sb_keyring_get(ring);
    int64_t before_us = sb_clock_mono_us();
    cr_assert_null(sb_keyring_renew(ring, had));
    cr_assert_geq(sb_clock_mono_us() - before_us, SB_KEYRING_WAIT_MS * 1000LL);
    int gate = open(gate_path, O_RDWR);
    free(gate_path);
    cr_assert_eq(write(gate, "\n", 1), 1);
    wait_for_child();
    close(gate);
    sb_jwks_release(had);
}

static atomic_int finished;

static void *renew(void *had)
{
    const struct sb_jwks *set = sb_keyring_renew(ring, had);
    bool found = set != NULL;
    sb_jwks_release(set);
    atomic_fetch_add(&finished, 1);
    return found ? ring : NULL;
}

/* Of five the fifth is refused while the others wait, who then get the keys. */
Test(keyring, lets_no_more_than_four_wait)
{
    enum { ALL = SB_KEYRING_WAITERS_MAX + 1 };
    pthread_t threads[ALL];
    char *gate_path = base_path(directory, "gate"), *text = set_text("two"), *body;
    put("one");
    cr_assert_eq(mkfifo(gate_path, 0600), 0);
    cr_assert_gt(asprintf(&body, "read line <gate; echo '%s' >new && mv new jwks.json", text), 0);
    write_command(body);
    const struct sb_jwks *had = sb_keyring_get(ring);
    for (int i = 0; i < ALL; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, renew, (void *)had), 0);
    while (atomic_load(&finished) == 0)
        sched_yield();
    int gate = open(gate_path, O_WRONLY);
    cr_assert_eq(write(gate, "\n", 1), 1);
    close(gate);
    int got = 0;
    for (int i = 0; i < ALL; i++) {
        void *found;
        pthread_join(threads[i], &found);
        got += found != NULL;
    }
    cr_expect_eq(got, SB_KEYRING_WAITERS_MAX);
    cr_expect_eq(runs(), 1);
    sb_jwks_release(had);
    free(body);
    free(text);
    free(gate_path);
}

/* Threads. */

static atomic_bool stop;

static void *look(void *unused)
{
    (void)unused;
    for (size_t looks = 0; !atomic_load(&stop) || looks < ROUNDS; looks++) {
        const struct sb_jwks *set = sb_keyring_get(ring);
        if (set == NULL || set->count != 1 || set->keys[0].kid[0] != 'k')
            return (void *)"a set that is none";
        sb_jwks_release(set);
    }
    return NULL;
}

Test(keyring, is_used_by_threads_while_versions_change)
{
    pthread_t threads[THREADS];
    put("k0");
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, look, NULL), 0);
    for (int i = 0; i < ROUNDS; i++)
        put("k1");
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        void *problem;
        pthread_join(threads[i], &problem);
        cr_expect_null(problem, "%s", (const char *)problem);
    }
}

Test(keyring, may_be_freed_when_it_is_none)
{
    sb_keyring_free(NULL);
}
