#include "endpoint/gateway_fcgi.h"

#include <fcgiapp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum {
    HEAD_TIMEOUT_S =
        5, /* a web server connects when it has a request, and sends its head at once */
    REQUEST_MEMORY = 64 * 1024,
    PIECE = 8 * 1024 /* what libfcgi writes at once */
};

struct sb_fcgi {
    FCGX_Request request;
    int64_t waited_us, wait_max_us; /* for the peer to take the answer */
};

bool sb_fcgi_init(void)
{
    /* How long libfcgi waits for the server to close after an answer; its own 2 s would let a
     * lingering peer hold a worker. */
    return setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "100", 1) == 0 && FCGX_Init() == 0;
}

struct sb_fcgi *sb_fcgi_new(void)
{
    struct sb_fcgi *fcgi = calloc(1, sizeof *fcgi);
    /* Listen socket -1: should libfcgi ever want to accept by itself, it fails instead. */
    if (fcgi != NULL && FCGX_InitRequest(&fcgi->request, -1, 0) != 0) {
        free(fcgi);
        return NULL;
    }
    return fcgi;
}

void sb_fcgi_free(struct sb_fcgi *fcgi)
{
    if (fcgi == NULL)
        return;
    FCGX_Free(&fcgi->request, 1);
    free(fcgi);
}

static const char *param(void *state, const char *name, bool *twice)
{
    const struct sb_fcgi *fcgi = state;
    size_t length = strlen(name);
    const char *value = NULL;
    for (char **variable = fcgi->request.envp; *variable != NULL; variable++) {
        if (**variable != *name || strncmp(*variable, name, length) != 0 ||
            (*variable)[length] != '=')
            continue;
        if (value != NULL)
            *twice = true;
        else
            value = *variable + length + 1;
    }
    return value;
}

/* FCGX_GetStr() returns less than asked at the end of the body and on every failure alike; the
 * stream's error tells them apart (an aborted request shows there, too). */
static ssize_t read_body(void *state, void *data, size_t size)
{
    struct sb_fcgi *fcgi = state;
    int ask = size > 65536 ? 65536 : (int)size;
    int count = FCGX_GetStr(data, ask, fcgi->request.in);
    if (count < ask && FCGX_GetError(fcgi->request.in) != 0)
        return -1;
    return count;
}

/* A peer that takes a little now and then would hold its worker for as long as it likes. */
static bool out_of_patience(const struct sb_fcgi *fcgi)
{
    return fcgi->waited_us > fcgi->wait_max_us;
}

static bool write_all(void *state, const void *data, size_t size)
{
    struct sb_fcgi *fcgi = state;
    const char *at = data;
    while (size > 0) {
        int part = size > PIECE ? PIECE : (int)size;
        int64_t begun_us = sb_clock_mono_us();
        if (out_of_patience(fcgi) || FCGX_PutStr(at, part, fcgi->request.out) != part)
            return false;
        fcgi->waited_us += sb_clock_mono_us() - begun_us;
        at += part;
        size -= (size_t)part;
    }
    return true;
}

static bool flush(void *state)
{
    struct sb_fcgi *fcgi = state;
    int64_t begun_us = sb_clock_mono_us();
    bool sent = !out_of_patience(fcgi) && FCGX_FFlush(fcgi->request.out) == 0;
    fcgi->waited_us += sb_clock_mono_us() - begun_us;
    return sent;
}

/* The rest of the answer and FastCGI's end of the request in one write, so that the server is woken
 * once; the order is FCGX_Finish_r()'s, which then finds nothing left to write. */
static bool end(void *state)
{
    struct sb_fcgi *fcgi = state;
    FCGX_FClose(fcgi->request.err);
    return FCGX_FClose(fcgi->request.out) == 0;
}

static bool gone(void *state)
{
    const struct sb_fcgi *fcgi = state;
    struct pollfd peer = {.fd = fcgi->request.ipcFd, .events = POLLRDHUP};
    return poll(&peer, 1, 0) > 0 && (peer.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static void set_timeout(int fd, int option, int timeout_s)
{
    struct timeval timeout = {.tv_sec = timeout_s};
    setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof timeout);
}

/* libfcgi aborts the process where it gets no memory for a request's buffers and parameters. So it
 * is asked for only while there is some: what is freed here is what it gets. */
static bool memory_for_request(void)
{
    void *memory = sb_memory_alloc(REQUEST_MEMORY);
    free(memory);
    return memory != NULL;
}

bool sb_fcgi_begin(struct sb_fcgi *fcgi, int fd, int timeout_s, struct sb_gateway *gateway)
{
    if (!memory_for_request()) {
        close(fd);
        return false;
    }
    fcgi->waited_us = 0;
    fcgi->wait_max_us = timeout_s * INT64_C(1000000) * SB_GATEWAY_WAITS;
    set_timeout(fd, SO_RCVTIMEO, HEAD_TIMEOUT_S);
    set_timeout(fd, SO_SNDTIMEO, timeout_s);
    /* These fields are libfcgi's own (2.4.2; a unit test pins the version). FCGX_Accept_r() begins
     * by finishing the request before, which would close the connection just put in: hence
     * keepConnection, for just that moment. */
    fcgi->request.ipcFd = fd;
    fcgi->request.keepConnection = 1;
    if (FCGX_Accept_r(&fcgi->request) != 0)
        return false;
    fcgi->request.keepConnection = 0;
    /* It takes parameters that break off for parameters that end, and would run the rest. */
    if (FCGX_GetError(fcgi->request.in) != 0) {
        FCGX_Free(&fcgi->request, 1);
        return false;
    }
    set_timeout(fd, SO_RCVTIMEO, timeout_s);
    *gateway = (struct sb_gateway){param, read_body, write_all, flush, end, gone, fcgi, fd};
    return true;
}

void sb_fcgi_end(struct sb_fcgi *fcgi)
{
    /* Before it closes, libfcgi waits for the server to close first, lest bytes not yet read turn
     * the answer into a reset. Where the request was read to its end there are none. */
    if (FCGX_HasSeenEOF(fcgi->request.in) == EOF)
        fcgi->request.detached = 1;
    FCGX_Finish_r(&fcgi->request);
}
