/* The yardstick of the health bench: the least a FastCGI program can do with libfcgi. Eight threads
 * accept and answer the body they were given (BENCH_BODY), with a Content-Type and nothing else. */
#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 8, ANSWER_MAX = 4096 };

static char answer[ANSWER_MAX];
static int answer_length;

static void *work(void *unused)
{
    FCGX_Request request;
    (void)unused;
    FCGX_InitRequest(&request, 0, 0);
    while (FCGX_Accept_r(&request) == 0) {
        FCGX_PutStr(answer, answer_length, request.out);
        FCGX_Finish_r(&request);
    }
    return NULL;
}

static void end(int signal_number)
{
    (void)signal_number;
    _exit(EXIT_SUCCESS);
}

int main(void)
{
    const char *body = getenv("BENCH_BODY");
    pthread_t thread;
    if (body == NULL)
        return EXIT_FAILURE;
    answer_length =
        snprintf(answer, sizeof answer, "Content-Type: application/json\r\n\r\n%s", body);
    if (answer_length < 0 || (size_t)answer_length >= sizeof answer)
        return EXIT_FAILURE;
    signal(SIGTERM, end); /* before FCGX_Init(), which would put in its own */
    signal(SIGPIPE, SIG_IGN);
    if (FCGX_Init() != 0)
        return EXIT_FAILURE;
    for (int i = 1; i < THREADS; i++) {
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return EXIT_FAILURE;
    }
    work(NULL);
    return EXIT_SUCCESS;
}
