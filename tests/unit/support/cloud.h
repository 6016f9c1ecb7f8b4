/* The fixture of the tests of who hears, thinks and speaks over HTTP: a voice, and an upstream that
 * answers from a list. */
#ifndef SB_TESTS_SUPPORT_CLOUD_H
#define SB_TESTS_SUPPORT_CLOUD_H

#include "script.h"
#include "upstream/voice.h"

#define CLOUD_TRACE "0123456789abcdef0123456789abcdef"

extern struct sb_config cloud_config; /* VOICE_TIMEOUT is 20 s */
extern struct sb_voice cloud_voice;
extern struct script cloud;       /* its answers come in turn */
extern struct sb_buf cloud_heard; /* what the sink took; NUL-terminated */
extern size_t cloud_refuse_at;    /* the sink refuses once it holds so many bytes */

void cloud_setup(void);
void cloud_teardown(void);

/* Adds an answer; more: header lines with CRLF, or "". */
void cloud_tell(int status, const char *type, const char *more, const char *body);
/* One that ends so, of status 200. */
void cloud_break(const char *type, const char *body, enum script_end end);

/* Serves what was told. The URL of path is in the arena. */
const char *cloud_start(const char *path);
/* Where nobody listens. */
const char *cloud_nowhere(void);

bool cloud_sink(void *context, const char *data, size_t length);

/* Runs the task to its end, where error is SB_OK, and ends it. */
enum sb_error cloud_run(enum sb_error error, struct sb_voice_task *task);

/* How many times the log holds text. */
size_t cloud_logged(const char *text);

#endif
