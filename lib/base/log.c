#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum { LINE_MAX_BYTES = 8 * 1024, ROTATION_CHECK_MS = 1000, FILE_MODE = 0640 };

const char *const sb_log_level_names[] = {"debug", "info", "warn", "error", NULL};

static const char *const file_names[SB_LOG_FILE__MAX] = {"switchboard.log", "audit.log"};

struct file {
    pthread_mutex_t lock; /* held for the check and the write: a line never goes to a closed fd */
    int fd;
    int64_t checked_ms;
};

static struct {
    const char *directory, *endpoint;
    enum sb_log_level level;
    struct file files[SB_LOG_FILE__MAX];
} log_state = {
    .level = SB_LOG_INFO,
    .files = {{PTHREAD_MUTEX_INITIALIZER, -1, 0}, {PTHREAD_MUTEX_INITIALIZER, -1, 0}},
};

void sb_log_open(const char *directory, const char *endpoint, enum sb_log_level level)
{
    for (size_t i = 0; i < SB_LOG_FILE__MAX; i++) {
        if (log_state.files[i].fd >= 0)
            close(log_state.files[i].fd);
        log_state.files[i].fd = -1;
        log_state.files[i].checked_ms = 0;
    }
    log_state.directory = directory;
    log_state.endpoint = endpoint;
    log_state.level = level;
}

/* Whether fd is still what path names. */
static bool current(int fd, const char *path)
{
    struct stat open_file, named_file;
    return fstat(fd, &open_file) == 0 && stat(path, &named_file) == 0 &&
           open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

/* The descriptor to write to, opened or opened again after a rotation. Under file->lock. */
static int descriptor(enum sb_log_file which, struct file *file, int64_t now_ms)
{
    bool due = now_ms - file->checked_ms >= ROTATION_CHECK_MS || now_ms < file->checked_ms;
    if (log_state.directory == NULL)
        return STDERR_FILENO;
    if (due) {
        char path[4096];
        file->checked_ms = now_ms;
        snprintf(path, sizeof path, "%s/%s", log_state.directory, file_names[which]);
        if (file->fd >= 0 && !current(file->fd, path)) {
            close(file->fd);
            file->fd = -1;
        }
        if (file->fd < 0)
            file->fd =
                open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    }
    return file->fd >= 0 ? file->fd : STDERR_FILENO;
}

static void start_line(struct sb_buf *line, int64_t now_ms, enum sb_log_level level,
                       const char *event, const char *trace_id)
{
    char time_text[SB_CLOCK_TEXT_SIZE];
    sb_clock_format(now_ms, time_text);
    line->length = 0;
    line->failed = false;
    sb_json_open(line, '{');
    sb_json_key(line, "ts");
    sb_json_string(line, time_text);
    sb_json_key(line, "level");
    sb_json_string(line, sb_log_level_names[level]);
    sb_json_key(line, "event");
    sb_json_string(line, event);
    if (log_state.endpoint != NULL) {
        sb_json_key(line, "endpoint");
        sb_json_string(line, log_state.endpoint);
    }
    if (trace_id != NULL && *trace_id != '\0') {
        sb_json_key(line, "traceId");
        sb_json_string(line, trace_id);
    }
}

static void add_field(struct sb_buf *line, const struct sb_log_field *field)
{
    sb_json_key(line, field->name);
    if (field->text != NULL)
        sb_json_string(line, field->text);
    else
        sb_json_int(line, field->number);
}

static void end_line(struct sb_buf *line)
{
    sb_json_close(line, '}');
    sb_buf_add_char(line, '\n');
}

void sb_log_write(enum sb_log_file which, enum sb_log_level level, const char *event,
                  const char *trace_id, const struct sb_log_field *fields, size_t count)
{
    if (which != SB_LOG_FILE_AUDIT && level < log_state.level)
        return;
    char storage[LINE_MAX_BYTES];
    struct sb_buf line;
    sb_buf_init_fixed(&line, storage, sizeof storage);
    int64_t now_ms = sb_clock_now_ms();
    start_line(&line, now_ms, level, event, trace_id);
    for (size_t i = 0; i < count; i++)
        add_field(&line, &fields[i]);
    end_line(&line);
    if (!sb_buf_ok(&line)) {
        start_line(&line, now_ms, level, event, trace_id);
        add_field(&line, &SB_LOG_INT("fieldsDropped", (int64_t)count));
        end_line(&line);
    }
    struct file *file = &log_state.files[which];
    pthread_mutex_lock(&file->lock);
    int fd = descriptor(which, file, now_ms);
    /* On a full disk a write falls short or fails; there is nowhere better to say so than standard
     * error. What was written of a short one spoils the line that follows it in the file. */
    if (write(fd, line.data, line.length) != (ssize_t)line.length && fd != STDERR_FILENO)
        (void)!write(STDERR_FILENO, line.data, line.length);
    pthread_mutex_unlock(&file->lock);
}
