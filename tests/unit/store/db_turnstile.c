#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/store.h"
#include "store/db_sqlite.h"

static struct store store;

static void setup(void)
{
    store_prepare(&store);
}

static void teardown(void)
{
    store_close(&store);
}

TestSuite(db_turnstile, .init = setup, .fini = teardown, .timeout = 30);

static const char *lock_path(void)
{
    const char *path = sb_arena_printf(store.arena, "%s.lock", store.path);
    cr_assert_not_null(path);
    return path;
}

/* Whether another descriptor could take it now. */
static bool is_free(void)
{
    int fd = open(lock_path(), O_RDWR | O_CLOEXEC);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool taken = fcntl(fd, F_OFD_SETLK, &whole) == 0;
    close(fd);
    return taken;
}

Test(db_turnstile, its_file_is_beside_the_database_and_the_owners_alone)
{
    struct stat file;
    int turnstile = sb_db_turnstile_open(store.path);
    cr_assert_geq(turnstile, 0);
    cr_assert_eq(stat(lock_path(), &file), 0);
    cr_expect_eq(file.st_mode & 0777, 0600);
    cr_expect_eq(fcntl(turnstile, F_GETFD), FD_CLOEXEC);
    close(turnstile);
}

Test(db_turnstile, one_passes_at_a_time)
{
    int turnstile = sb_db_turnstile_open(store.path);
    cr_expect(is_free());
    cr_assert(sb_db_turnstile_take(turnstile));
    cr_expect_not(is_free());
    sb_db_turnstile_release(turnstile);
    cr_expect(is_free());
    cr_assert(sb_db_turnstile_take(turnstile));
    close(turnstile); /* as does a process that dies */
    cr_expect(is_free());
}

static void *take(void *context)
{
    int turnstile = sb_db_turnstile_open(store.path);
    bool taken = sb_db_turnstile_take(turnstile);
    *(bool *)context = taken && !is_free();
    close(turnstile);
    return NULL;
}

Test(db_turnstile, threads_of_a_process_wait_for_each_other)
{
    pthread_t thread;
    bool taken = false;
    int turnstile = store_block(&store);
    cr_assert_eq(pthread_create(&thread, NULL, take, &taken), 0);
    sb_db_turnstile_release(turnstile);
    pthread_join(thread, NULL);
    cr_expect(taken);
    close(turnstile);
}

Test(db_turnstile, a_link_in_its_place_is_not_followed)
{
    cr_assert_eq(symlink("/dev/null", lock_path()), 0);
    cr_expect_eq(sb_db_turnstile_open(store.path), -1);
    cr_expect(store_logged(&store, "\"operation\":\"turnstile.open\""));
}

Test(db_turnstile, a_path_that_is_too_long_is_refused)
{
    char path[PATH_MAX + 1];
    memset(path, 'x', PATH_MAX);
    path[PATH_MAX] = '\0';
    cr_expect_eq(sb_db_turnstile_open(path), -1);
    cr_expect(store_logged(&store, "File name too long"));
}

Test(db_turnstile, one_that_cannot_be_locked_says_so)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cr_expect_not(sb_db_turnstile_take(fd));
    cr_expect(store_logged(&store, "\"operation\":\"turnstile.take\""));
    close(fd);
}
