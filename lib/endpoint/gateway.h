/* How a request reaches us and its answer leaves: FastCGI, plain CGI, or memory (tests). */
#ifndef SB_ENDPOINT_GATEWAY_H
#define SB_ENDPOINT_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

/* A peer is waited for at once for so long, and in all for writing an answer for so many of these;
 * the last wait may be a whole one. */
enum {
    SB_GATEWAY_TIMEOUT_S = 30,
    SB_GATEWAY_WAITS = 4,
    SB_GATEWAY_WAIT_MAX_MS = (SB_GATEWAY_WAITS + 1) * SB_GATEWAY_TIMEOUT_S * 1000
};

struct sb_gateway {
    /* The value of a CGI variable or NULL; sets *twice if it is there more than once. Borrowed
     * until the request ends. */
    const char *(*param)(void *state, const char *name, bool *twice);
    /* Up to size bytes of the body. 0: its end. -1: the peer is gone, timed out or broke the
     * protocol. */
    ssize_t (*read)(void *state, void *data, size_t size);
    /* Takes all of data, perhaps only into a buffer. False: the peer is gone. */
    bool (*write)(void *state, const void *data, size_t size);
    /* Sends what is buffered. False: the peer is gone. */
    bool (*flush)(void *state);
    /* Sends what is buffered and says that the answer is whole; nothing is written after it.
     * False: the peer is gone. */
    bool (*end)(void *state);
    /* Whether the peer has hung up. Cheap; for long work. */
    bool (*gone)(void *state);
    void *state;
    int fd; /* the connection, whose hang-up is the client's; -1: none to watch */
};

/* Plain CGI over the environment and descriptors 0 and 1. */
void sb_gateway_cgi(struct sb_gateway *gateway);

/* A request in memory. */
struct sb_memory_request {
    const char *const *params; /* "NAME=value", NULL-terminated */
    const char *body;
    size_t body_length, body_read;
    size_t read_max;      /* most bytes a read gives; 0: all */
    struct sb_buf output; /* what was written: initialise it first */
    bool hang_up;         /* read and write fail, gone is true */
};
SB_NONNULL_ALL void sb_gateway_memory(struct sb_gateway *gateway,
                                      struct sb_memory_request *request);

#endif
