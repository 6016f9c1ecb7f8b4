/* A real HTTP/1.1 server for the tests of what fetches: plain or TLS, a thread a connection. What
 * it answers is the test's. */
#ifndef TESTS_UNIT_SUPPORT_PEER_H
#define TESTS_UNIT_SUPPORT_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct peer;

/* One request, read to its end. */
struct peer_exchange {
    struct peer *peer;
    int number, connection; /* both count from 1 */
    char *head;             /* request line and headers, as they came */
    char *body;             /* NUL-terminated */
    size_t body_length;
    bool resumed; /* the TLS session was */
    void *stream;
};

/* Answers with peer_send() and peer_reply(). False: the connection is closed. */
typedef bool peer_answer(struct peer_exchange *exchange, void *context);

struct peer_certificate {
    const char *host;    /* subject and alternative name */
    bool expired, rogue; /* rogue: of an authority nobody knows */
};

/* Listens on 127.0.0.1. certificate: NULL is plain HTTP. */
struct peer *peer_start(peer_answer *answer, void *context,
                        const struct peer_certificate *certificate);
void peer_stop(struct peer *peer);

/* From now on the peer answers when it has read the head. */
void peer_leave_bodies(struct peer *peer);

int peer_port(const struct peer *peer);
int peer_connections(struct peer *peer); /* accepted so far */
int peer_requests(struct peer *peer);    /* read so far */

/* The authority's certificate, which every process of the tests makes anew. */
void peer_authority_write(const char *path);

void peer_send(struct peer_exchange *exchange, const char *text);
void peer_send_n(struct peer_exchange *exchange, const void *data, size_t length);

/* A whole answer with a Content-Length. headers: lines with CRLF, or "". Returns true. */
bool peer_reply(struct peer_exchange *exchange, int status, const char *headers, const char *body);

/* Whether the client closed the connection, after waiting for that for wait_ms. Plain HTTP alone.
 */
bool peer_gone(struct peer_exchange *exchange, int wait_ms);

/* Waits until the client closed the connection. */
void peer_wait_gone(struct peer_exchange *exchange);

/* The value of a request header, or NULL, in memory of the exchange that the next call overwrites.
 */
const char *peer_header(struct peer_exchange *exchange, const char *name);

/* Names that resolve in the test process as it says, whatever DNS says: up to 4 addresses,
 * comma-separated; "stuck" never resolves. */
void peer_resolve(const char *name, const char *addresses);

#endif
