#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "store/db_sqlite.h"

enum { STACK_BYTES = 256 * 1024, END_MS = 2000 };

void sb_db_writer_init(struct sb_db_writer *writer, const char *path, struct sb_db_readers *readers)
{
    *writer = (struct sb_db_writer){
        .path = path,
        .readers = readers,
        .turnstile = -1,
        .conn = {.path = path},
        .guard = {.path = path, .any_schema = true},
        .checkpoint_at = SB_DB_CHECKPOINT_PAGES,
    };
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    TAILQ_INIT(&writer->queue);
}

static void *thread_main(void *argument)
{
    struct sb_db_writer *writer = argument;
    pthread_setname_np(pthread_self(), "db-writer");
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (writer->queued == 0 && !writer->stopping)
            pthread_cond_wait(&writer->changed, &writer->lock);
        if (writer->queued == 0)
            break;
        pthread_mutex_unlock(&writer->lock);
        sb_db_batch_run(writer);
        pthread_mutex_lock(&writer->lock);
    }
    writer->ended = true;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

/* Starts the thread at the first write: many processes only read. All signals are blocked in it,
 * they belong to the process's signal thread. */
static bool ensure_thread(struct sb_db_writer *writer)
{
    if (writer->started)
        return true;
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&writer->thread, &attributes, thread_main, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    writer->started = error == 0;
    if (error != 0)
        SB_LOG(SB_LOG_ERROR, "db.error", NULL, SB_LOG_TEXT("operation", "writer.start"),
               SB_LOG_INT("errno", error));
    return writer->started;
}

bool sb_db_writer_end(struct sb_db_writer *writer)
{
    struct timespec deadline = sb_clock_deadline(END_MS);
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_broadcast(&writer->changed);
    int wait = 0;
    while (writer->started && !writer->ended && wait != ETIMEDOUT)
        wait = pthread_cond_clockwait(&writer->changed, &writer->lock, CLOCK_MONOTONIC, &deadline);
    bool ended = !writer->started || writer->ended;
    pthread_mutex_unlock(&writer->lock);
    if (!ended)
        return false;
    if (writer->started)
        pthread_join(writer->thread, NULL);
    sb_db_conn_close(&writer->guard);
    sb_db_conn_close(&writer->conn);
    if (writer->turnstile >= 0)
        close(writer->turnstile);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    return true;
}

static bool enqueue(struct sb_db_writer *writer, struct sb_db_job *job)
{
    if (writer->queued >= SB_DB_QUEUE_MAX || !ensure_thread(writer))
        return false;
    TAILQ_INSERT_TAIL(&writer->queue, job, link);
    writer->queued++;
    pthread_cond_signal(&writer->changed);
    return true;
}

static void unlink_job(struct sb_db_writer *writer, struct sb_db_job *job)
{
    TAILQ_REMOVE(&writer->queue, job, link);
    writer->queued--;
}

static bool wait_until(struct sb_db_job *job, const struct timespec *deadline)
{
    int result;
    do
        result = deadline == NULL ? sem_wait(&job->done)
                                  : sem_clockwait(&job->done, CLOCK_MONOTONIC, deadline);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* Waits until the job is done, or its deadline passes while nobody has taken it: then it is
 * unlinked and false. */
static bool wait_for(struct sb_db_writer *writer, struct sb_db_job *job,
                     const struct timespec *deadline)
{
    if (wait_until(job, deadline))
        return true;
    pthread_mutex_lock(&writer->lock);
    bool waiting = job->state == SB_DB_QUEUED;
    if (waiting)
        unlink_job(writer, job);
    pthread_mutex_unlock(&writer->lock);
    return !waiting && wait_until(job, NULL);
}

enum sb_error sb_db_write(struct sb_db *db, sb_db_closure_fn *closure, void *context,
                          int64_t deadline_ms)
{
    struct sb_db_writer *writer = &db->writer;
    struct timespec deadline = sb_clock_deadline(deadline_ms);
    struct sb_db_job job = {
        .closure = closure, .context = context, .error = SB_E_UNAVAILABLE, .state = SB_DB_QUEUED};
    sem_init(&job.done, 0, 0);
    pthread_mutex_lock(&writer->lock);
    bool queued = enqueue(writer, &job);
    pthread_mutex_unlock(&writer->lock);
    bool in_time = queued && wait_for(writer, &job, &deadline);
    sem_destroy(&job.done);
    if (!queued)
        sb_metrics_add(SB_METRIC_WRITES, "outcome=\"failed\"", 1);
    else if (!in_time)
        sb_metrics_add(SB_METRIC_WRITES, "outcome=\"late\"", 1);
    return job.error;
}

size_t sb_db_writer_take(struct sb_db_writer *writer, struct sb_db_job **jobs, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&writer->lock);
    while (count < max && !TAILQ_EMPTY(&writer->queue)) {
        struct sb_db_job *job = TAILQ_FIRST(&writer->queue);
        unlink_job(writer, job);
        job->state = SB_DB_TAKEN;
        jobs[count++] = job;
    }
    pthread_mutex_unlock(&writer->lock);
    return count;
}

static void count_outcomes(size_t ok, size_t refused, size_t failed)
{
    if (ok > 0)
        sb_metrics_add(SB_METRIC_WRITES, "outcome=\"ok\"", ok);
    if (refused > 0)
        sb_metrics_add(SB_METRIC_WRITES, "outcome=\"refused\"", refused);
    if (failed > 0)
        sb_metrics_add(SB_METRIC_WRITES, "outcome=\"failed\"", failed);
}

void sb_db_writer_settle(struct sb_db_writer *writer, struct sb_db_job **jobs, size_t count,
                         enum sb_error error)
{
    (void)writer;
    size_t ok = 0, failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (error != SB_OK)
            jobs[i]->error = error;
        ok += jobs[i]->error == SB_OK;
        failed += jobs[i]->error == SB_E_UNAVAILABLE || jobs[i]->error == SB_E_MISCONFIGURED;
    }
    count_outcomes(ok, count - ok - failed, failed);
    /* A job is gone as soon as its owner is woken: nothing of it is touched after that. */
    for (size_t i = 0; i < count; i++)
        sem_post(&jobs[i]->done);
}
