#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "endpoint/gateway.h"

extern char **environ;

static const char *param(void *state, const char *name, bool *twice)
{
    (void)state;
    size_t length = strlen(name);
    const char *value = NULL;
    for (char **variable = environ; *variable != NULL; variable++) {
        if (strncmp(*variable, name, length) != 0 || (*variable)[length] != '=')
            continue;
        if (value != NULL)
            *twice = true;
        else
            value = *variable + length + 1;
    }
    return value;
}

static ssize_t read_body(void *state, void *data, size_t size)
{
    bool twice;
    const char *length = param(state, "CONTENT_LENGTH", &twice);
    ssize_t count;
    /* Started by hand: nobody will type the body of a GET. */
    if ((length == NULL || *length == '\0') && isatty(STDIN_FILENO))
        return 0;
    do {
        count = read(STDIN_FILENO, data, size);
    } while (count < 0 && errno == EINTR);
    return count;
}

static bool write_all(void *state, const void *data, size_t size)
{
    (void)state;
    const char *at = data;
    while (size > 0) {
        ssize_t count = write(STDOUT_FILENO, at, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        at += count;
        size -= (size_t)count;
    }
    return true;
}

static bool flush(void *state)
{
    (void)state;
    return true;
}

static bool gone(void *state)
{
    (void)state;
    struct pollfd out = {.fd = STDOUT_FILENO};
    return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

void sb_gateway_cgi(struct sb_gateway *gateway)
{
    *gateway = (struct sb_gateway){param, read_body, write_all, flush, flush, gone, NULL, -1};
}
