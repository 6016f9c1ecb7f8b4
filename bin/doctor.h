/* The checks of `switchboard doctor`, in tables: a row is a name, what is well when it finds
 * nothing, and the function that looks. */
#ifndef SB_BIN_DOCTOR_H
#define SB_BIN_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/config.h"
#include "upstream/fetch.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_LEVEL__MAX };

/* The web server at hand. What to change differs from one to the other. */
enum doctor_server {
    DOCTOR_UNKNOWN,
    DOCTOR_LIGHTTPD,
    DOCTOR_APACHE,
    DOCTOR_NGINX,
    DOCTOR_SERVER__MAX
};
/* As --server names them, NULL-terminated. */
extern const char *const doctor_server_names[];

struct doctor;

struct doctor_check {
    const char *name, *well;
    void (*run)(struct doctor *doctor);
};

struct doctor_options {
    const char *url;           /* "https://host[:port]", no path */
    const char *connect;       /* host[:port] to connect to instead, or NULL */
    const char *cron;          /* crontab file; NULL: cron.d's, else the owner's own */
    const char *logrotate;     /* configuration file */
    const char *server_config; /* the web server's main file; NULL: Debian's */
    const char *cgi_bin;       /* directory of the endpoints; NULL: none found */
    int64_t disk_min_mib;
};

struct doctor {
    struct doctor_options options;
    const struct sb_config *config;
    struct sb_arena *arena; /* what lives as long as the run */
    enum doctor_server server;
    uid_t owner; /* of STATE_DIR; 0: there is none */
    struct sb_buf json;
    bool as_json;
    const struct doctor_check *check; /* that runs */
    int found, found_by_check;
};

/* Rows end with a NULL name. As whoever started the command; as the owner of STATE_DIR; over HTTP.
 */
extern const struct doctor_check doctor_machine_checks[], doctor_owner_checks[],
    doctor_site_checks[];

/* A finding of the running check: what is wrong, " -> ", and what to do. */
SB_NONNULL_ALL SB_PRINTF(3, 4) void doctor_find(struct doctor *doctor, enum doctor_level level,
                                                const char *format, ...);

/* doctor_advice.c. Which server wrote this Server header. */
SB_NONNULL_ALL enum doctor_server doctor_server_of(const char *header);
/* What to change in server's configuration to mend a finding of the check. */
SB_RETURNS_NONNULL SB_NONNULL_ALL const char *doctor_advice(const char *check,
                                                            enum doctor_server server);

/* What the site is asked: a GET, or a POST where there is a body. */
struct doctor_request {
    const char *method, *path; /* method NULL: as above */
    const struct sb_fetch_header *headers;
    size_t header_count;
    size_t body_size; /* bytes of blanks, as application/json; 0: no body */
};

struct doctor_answer {
    struct sb_fetch_result result; /* status 0: there was none */
    const char *body;              /* NUL-terminated, of any status */
    size_t body_length;
    int64_t spread_ms; /* between the first and the last piece of the body of a 2xx */
};

/* doctor_probe.c. Asks the site of the options; answer's texts are in doctor->arena. False: there
 * is no answer, which is no finding yet. */
SB_NONNULL_ALL SB_MUST_CHECK bool doctor_ask(struct doctor *doctor,
                                             const struct doctor_request *request,
                                             struct doctor_answer *answer);

/* doctor_answer.c. How often the header is there; *value (NULL allowed) gets the first, untouched
 * if there is none. */
SB_NONNULL(1, 2)
size_t doctor_header(const struct doctor_answer *answer, const char *name, const char **value);
/* Whether an endpoint gave the answer: X-Trace-Id and a body that names it. */
SB_NONNULL_ALL bool doctor_is_ours(const struct doctor_answer *answer);
/* The text at path ("error.code") in answer's JSON body, in arena; NULL: there is none. */
SB_NONNULL_ALL const char *doctor_json_text(struct sb_arena *arena,
                                            const struct doctor_answer *answer, const char *path);
/* "404 text/html", or why there is no answer: for a message. In arena. */
SB_RETURNS_NONNULL SB_NONNULL_ALL const char *
doctor_answer_text(struct sb_arena *arena, const struct doctor_answer *answer);
/* A time as RFC 3339 or as HTTP's Date (RFC 9110 section 5.6.7), in ms; -1: it is neither. */
SB_NONNULL_ALL int64_t doctor_time_ms(const char *text);

/* doctor_jobs.c. The user in whose name a crontab runs `switchboard verb`
 * (verb: "clean", "realtime reap"); with_user: its lines
 * name one, as in /etc/cron.d, else "" is given. NULL: no line does. In arena. */
SB_NONNULL_ALL const char *doctor_cron_user(struct sb_arena *arena, const char *text,
                                            const char *verb, bool with_user);
/* The verbs that cron must run, NULL-terminated. */
extern const char *const doctor_cron_verbs[];
/* Whether a logrotate configuration rotates the logs of directory. *user (in arena, NULL: not said)
 * gets whom it acts as (`su`). */
SB_NONNULL_ALL bool doctor_logrotate_covers(struct sb_arena *arena, const char *text,
                                            const char *directory, const char **user);

/* doctor_kept.c. Calls found with the file and line of each directive that keeps FastCGI
 * connections to sockets below run_dir open. False: file cannot be read. */
typedef void doctor_line_fn(void *context, const char *file, int line);
SB_NONNULL(1, 2, 3, 4)
bool doctor_kept_in_nginx(struct sb_arena *arena, const char *file, const char *run_dir,
                          doctor_line_fn *found, void *context);
SB_NONNULL(1, 2, 3, 4)
bool doctor_kept_in_apache(struct sb_arena *arena, const char *file, const char *run_dir,
                           doctor_line_fn *found, void *context);

/* The text of file, NUL-terminated, in arena. NULL with errno: it cannot be read. */
SB_NONNULL_ALL char *doctor_read(struct sb_arena *arena, const char *file);

#endif
