#include "cloud.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "base/log.h"
#include "base/metrics.h"

enum { HEARD_MAX = 16 * 1024 * 1024 };

struct sb_config cloud_config;
struct sb_voice cloud_voice;
struct script cloud;
struct sb_buf cloud_heard;
size_t cloud_refuse_at = SIZE_MAX;

static char dir[BASE_DIR_SIZE];

void cloud_setup(void)
{
    base_dir_make(dir);
    sb_log_open(dir, "test", SB_LOG_DEBUG);
    cr_assert(sb_metrics_open(dir));
    cloud_config =
        (struct sb_config){.voice_timeout_s = 20, .jwt_secret = "0123456789abcdef0123456789abcdef"};
    cloud_voice = (struct sb_voice){.arena = sb_arena_new(HEARD_MAX),
                                    .config = &cloud_config,
                                    .trace_id = CLOUD_TRACE,
                                    .client_fd = -1};
    cr_assert_not_null(cloud_voice.arena);
    cr_assert_eq(sb_fetch_borrow(&cloud_config, &cloud_voice.session), SB_OK);
    sb_buf_init(&cloud_heard, NULL, HEARD_MAX);
    sb_buf_add_text(&cloud_heard, "");
}

void cloud_teardown(void)
{
    sb_fetch_return(cloud_voice.session);
    script_free(&cloud);
    sb_buf_free(&cloud_heard);
    sb_arena_free(cloud_voice.arena);
    sb_log_open(NULL, NULL, SB_LOG_INFO);
    base_dir_remove(dir);
}

void cloud_tell(int status, const char *type, const char *more, const char *body)
{
    const char *headers = sb_arena_printf(
        cloud_voice.arena, "Content-Type: %s\r\nx-request-id: req_7\r\n%s", type, more);
    script_add(&cloud, (struct script_answer){status, headers, body});
}

void cloud_break(const char *type, const char *body, enum script_end end)
{
    const char *headers = sb_arena_printf(cloud_voice.arena, "Content-Type: %s\r\n", type);
    script_break(&cloud, (struct script_answer){200, headers, body}, end);
}

const char *cloud_start(const char *path)
{
    script_start(&cloud);
    return sb_arena_printf(cloud_voice.arena, "http://127.0.0.1:%d%s", cloud.port, path);
}

const char *cloud_nowhere(void)
{
    return "http://127.0.0.1:1";
}

bool cloud_sink(void *context, const char *data, size_t length)
{
    cr_expect_eq(context, &cloud);
    cr_expect_gt(length, 0);
    sb_buf_add(&cloud_heard, data, length);
    return cloud_heard.length < cloud_refuse_at;
}

enum sb_error cloud_run(enum sb_error error, struct sb_voice_task *task)
{
    if (error != SB_OK)
        return error;
    while (error == SB_OK && !task->done)
        error = sb_voice_step(&cloud_voice, &task, 1, INT64_MAX);
    cr_assert_eq(error, SB_OK);
    error = task->error;
    task->end(task);
    return error;
}

size_t cloud_logged(const char *text)
{
    char *path = base_path(dir, "switchboard.log"), *log = base_file_read(path);
    size_t count = log == NULL ? 0 : base_count(log, text);
    free(log);
    free(path);
    return count;
}
