/* A peer (support/peer.h) that answers from a list, for the tests of what talks to one system: each
 * request gets the next answer, and what was asked is kept. */
#ifndef SB_TESTS_SUPPORT_SCRIPT_H
#define SB_TESTS_SUPPORT_SCRIPT_H

#include "peer.h"

enum { SCRIPT_MAX = 8 };

struct script_answer {
    int status;          /* 0: no HTTP at all, body as it is */
    const char *headers; /* lines with CRLF */
    const char *body;
};

/* How an answer ends. */
enum script_end {
    SCRIPT_WHOLE,
    SCRIPT_CUT,   /* the connection is closed where more was promised */
    SCRIPT_STUCK, /* nothing more comes, until the client goes */
    SCRIPT_DRIP   /* body comes over and over, each tenth of a second, until the client goes */
};

struct script {
    struct peer *peer; /* NULL: not serving */
    int port;
    struct script_answer answers[SCRIPT_MAX];
    enum script_end ends[SCRIPT_MAX];
    int answer_count;
    atomic_int request_count;
    char *heads[SCRIPT_MAX], *bodies[SCRIPT_MAX]; /* of the requests, until script_free() */
};

/* Adds an answer; its texts must live as long as script. */
void script_add(struct script *script, struct script_answer answer);
/* Likewise, with that end. */
void script_break(struct script *script, struct script_answer answer, enum script_end end);
/* Serves on 127.0.0.1, plain HTTP. A request too many is hung up on. */
void script_start(struct script *script);
void script_stop(struct script *script);
/* Stops, and forgets all. */
void script_free(struct script *script);

/* The value of a header field of a request, in a static buffer; NULL: it is not there. */
const char *script_header(const struct script *script, int request, const char *name);

#endif
