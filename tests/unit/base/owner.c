/* These run as root, as `make check` does in a fresh machine; a child process gives root away. */
#include "base/owner.h"

#include <criterion/criterion.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/base.h"

enum { SOMEBODY = 12345, SOMEBODY_ELSE = 12346 };

static char directory[BASE_DIR_SIZE];

static void make(void)
{
    base_dir_make(directory);
}

static void clean(void)
{
    base_dir_remove(directory);
}

TestSuite(owner, .init = make, .fini = clean);

/* Runs check in a child process; its result is the exit status. */
static int in_child(int (*check)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        base_exit(check());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(owner, changes_nothing_for_the_owner)
{
    char problem[256] = "";
    uid_t before = geteuid();
    cr_assert(sb_owner_become(directory, problem, sizeof problem), "%s", problem);
    cr_assert_eq(geteuid(), before);
}

Test(owner, names_a_missing_directory)
{
    char problem[256];
    cr_assert(!sb_owner_become("/nonexistent/state", problem, sizeof problem));
    cr_assert(strstr(problem, "/nonexistent/state: ") != NULL, "%s", problem);
}

Test(owner, refuses_what_is_no_directory)
{
    char problem[256];
    cr_assert(!sb_owner_become("/dev/null", problem, sizeof problem));
    cr_assert(strstr(problem, "not a directory") != NULL, "%s", problem);
}

static int root_becomes_owner(void)
{
    char problem[256];
    if (!sb_owner_become(directory, problem, sizeof problem))
        return 1;
    bool for_good = setresuid(0, 0, 0) != 0;
    return geteuid() == SOMEBODY && getuid() == SOMEBODY && getegid() == SOMEBODY && for_good ? 0
                                                                                              : 2;
}

Test(owner, root_takes_on_the_owner_for_good)
{
    cr_assert_eq(geteuid(), 0, "this test needs root");
    cr_assert_eq(chown(directory, SOMEBODY, SOMEBODY), 0);
    cr_assert_eq(in_child(root_becomes_owner), 0);
}

static int root_without_its_powers_stays(void)
{
    char problem[256] = "";
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {0};
    if (syscall(SYS_capset, &header, none) != 0)
        return 1;
    if (sb_owner_become(directory, problem, sizeof problem))
        return 2;
    return strstr(problem, "cannot become uid 12345") != NULL &&
                   strstr(problem, "Operation not permitted") != NULL
               ? 0
               : 3;
}

Test(owner, root_that_may_not_become_the_owner_says_so)
{
    cr_assert_eq(geteuid(), 0, "this test needs root");
    cr_assert_eq(chown(directory, SOMEBODY, SOMEBODY), 0);
    cr_assert_eq(chmod(directory, 0755), 0);
    cr_assert_eq(in_child(root_without_its_powers_stays), 0);
}

static int stranger_is_refused(void)
{
    char problem[256] = "";
    if (setresgid(SOMEBODY_ELSE, SOMEBODY_ELSE, SOMEBODY_ELSE) != 0 ||
        setresuid(SOMEBODY_ELSE, SOMEBODY_ELSE, SOMEBODY_ELSE) != 0)
        return 1;
    if (sb_owner_become(directory, problem, sizeof problem))
        return 2;
    return strstr(problem, "12345") != NULL && strstr(problem, "12346") != NULL ? 0 : 3;
}

Test(owner, a_stranger_is_refused_and_both_are_named)
{
    cr_assert_eq(geteuid(), 0, "this test needs root");
    cr_assert_eq(chown(directory, SOMEBODY, SOMEBODY), 0);
    cr_assert_eq(in_child(stranger_is_refused), 0);
}
