/* Requests through the whole pipeline without a web server: a site in a directory of its own below
 * /tmp (environment, STATE_DIR with a migrated database, RUN_DIR, LOG_DIR), an endpoint's runtime
 * with one worker on it, and the in-memory gateway. */
#ifndef SB_TESTS_SUPPORT_CALL_H
#define SB_TESTS_SUPPORT_CALL_H

#include <jansson.h>

#include "base.h"
#include "endpoint/runtime.h"
#include "store/threads.h"

#define CALL_SECRET "0123456789abcdef0123456789abcdef" /* JWT_SECRET */
#define CALL_ADDRESS "203.0.113.7"                     /* REMOTE_ADDR of every request */
#define CALL_PARAMS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct call_site {
    char dir[BASE_DIR_SIZE];
    struct sb_runtime runtime;
    struct sb_worker worker;
    struct sb_arena *memory; /* of the answers, until the site is removed */
    struct call_answer *answers;
};

struct call {
    const char *method; /* NULL: GET, or POST where there is a body */
    const char *target; /* NULL: no REQUEST_URI */
    const char *token;  /* sent as a bearer token; NULL: no Authorization */
    /* More variables, or others: "NAME=value" takes the place of what would be sent. NULL: none. */
    const char *const *params;
    const char *body;   /* sent with its CONTENT_LENGTH, as application/json; NULL: none */
    size_t body_length; /* 0: strlen(body) */
    size_t read_max;    /* most bytes a read of the body gives; 0: all */
    bool hang_up;       /* the client has gone before it starts */
    size_t output_max;  /* the client goes instead of taking more bytes than these; 0: it stays */
};

/* Checked to be a CGI response: a status line, fields of one line each, an empty line. */
struct call_answer {
    int status;       /* 0: not a byte was written */
    const char *head; /* the lines behind the status line, each with "\r\n" */
    const char *body; /* NUL-terminated */
    size_t body_length;
    size_t body_read; /* bytes of the request's body that were read */
    json_t *json;     /* the body if it is an object without duplicate keys, else NULL */
    struct sb_arena *memory;
    struct call_answer *next;
};

/* Makes the directories, the database and the environment, which then holds nothing else: settings
 * are setenv()s between this and call_site_open(). */
void call_site_prepare(struct call_site *site);
/* The endpoint on the prepared site. */
void call_site_open(struct call_site *site, const struct sb_endpoint *endpoint);
/* Closes and removes everything, answers too. */
void call_site_close(struct call_site *site);

/* The path of a file of the site, such as "state/switchboard.db", alive until it is closed. */
const char *call_path(struct call_site *site, const char *name);
/* Whether switchboard.log ("log/switchboard.log") or another file of the site holds text. */
bool call_file_has(struct call_site *site, const char *name, const char *text);

const struct call_answer *call_send(struct call_site *site, const struct call *call);

/* The value of a field of the head, names without regard to case; NULL: it is not there. A field
 * that is there twice fails the test. */
const char *call_header(const struct call_answer *answer, const char *name);

/* A value inside the JSON body: "error.code", "error.fields.0.field"; NULL: there is none. */
json_t *call_json(const struct call_answer *answer, const char *path);
/* It as a text, NULL where it is none, or a number, -1 where it is none. */
const char *call_text(const struct call_answer *answer, const char *path);
int64_t call_number(const struct call_answer *answer, const char *path);

/* A user's token, good for an hour, alive until the site is closed. */
const char *call_token(struct call_site *site, const char *user_id);
/* The same with a role: "staff", "service". */
const char *call_token_as(struct call_site *site, const char *user_id, const char *role);

/* A write that must succeed. */
void call_write(struct call_site *site, sb_db_closure_fn *closure, void *context);
/* Puts a member into a thread, which is made if need be. */
void call_member(struct call_site *site, const char *thread_id, const char *user_id,
                 enum sb_member_role role);
/* The number that a statement of the whole database gives, through a connection of its own. */
int64_t call_count(struct call_site *site, const char *sql);

#endif
