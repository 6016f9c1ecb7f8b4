#include "base/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *name_of(uid_t uid, char *text, size_t size)
{
    const struct passwd *user = getpwuid(uid);
    if (user != NULL)
        snprintf(text, size, "%s", user->pw_name);
    else
        snprintf(text, size, "uid %u", (unsigned)uid);
    return text;
}

static bool become(uid_t uid, gid_t directory_gid)
{
    const struct passwd *user = getpwuid(uid);
    gid_t gid = user != NULL ? user->pw_gid : directory_gid;
    bool groups = user != NULL ? initgroups(user->pw_name, gid) == 0 : setgroups(0, NULL) == 0;
    return groups && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0;
}

bool sb_owner_become(const char *directory, char *problem, size_t problem_size)
{
    struct stat st;
    char owner[64], self[64];
    if (stat(directory, &st) != 0) {
        snprintf(problem, problem_size, "%s: %s", directory, strerror(errno));
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        snprintf(problem, problem_size, "%s is not a directory", directory);
        return false;
    }
    if (st.st_uid == geteuid())
        return true;
    if (geteuid() != 0) {
        snprintf(problem, problem_size,
                 "%s belongs to %s, but this runs as %s; run it as %s, or as root", directory,
                 name_of(st.st_uid, owner, sizeof owner), name_of(geteuid(), self, sizeof self),
                 owner);
        return false;
    }
    if (!become(st.st_uid, st.st_gid)) {
        int error = errno; /* looking up the name changes it */
        snprintf(problem, problem_size, "cannot become %s, the owner of %s: %s",
                 name_of(st.st_uid, owner, sizeof owner), directory, strerror(error));
        return false;
    }
    return true;
}
