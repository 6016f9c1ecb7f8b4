/* cold fcgi|cgi COUNT PROGRAM PARAMS BODIES: from nothing to the first byte of an answer.
 *
 * PARAMS holds a NAME=VALUE a line, BODIES a body a line (the n-th is the n-th request's;
 * /dev/null: no bodies). fcgi: PROGRAM is started with a listening socket as descriptor 0 on which
 * a whole request already waits, as a server's first request finds it; cgi: with the variables in
 * its environment and pipes. Prints the microseconds from posix_spawn() to the first byte, one a
 * line. An answer that is no success ends the run with an error. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PARAMS_MAX = 64, BODY_MAX = 4096, ANSWER_MAX = 65536, RECORDS_MAX = 32768 };
enum { BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5, RESPONDER = 1 };

extern char **environ;

static char *params[PARAMS_MAX + 1]; /* the last is CONTENT_LENGTH, NULL ends them */
static size_t param_count;

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "cold: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static bool next_line(FILE *file, char *line, size_t size)
{
    if (fgets(line, (int)size, file) == NULL)
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

static void read_params(const char *path)
{
    char line[BODY_MAX];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        die(path);
    while (next_line(file, line, sizeof line) && param_count + 2 < PARAMS_MAX)
        params[param_count++] = strdup(line);
    fclose(file);
}

static void set_content_length(const char *body)
{
    static char text[64];
    snprintf(text, sizeof text, "CONTENT_LENGTH=%zu", strlen(body));
    params[param_count] = *body == '\0' ? NULL : text;
}

/* --- FastCGI records (specification, sections 3.3 and 3.4) --------------------------------------
 */

struct records {
    unsigned char bytes[RECORDS_MAX];
    size_t length;
};

static void add(struct records *records, const void *data, size_t size)
{
    if (size > sizeof records->bytes - records->length)
        die("a request that is too long");
    memcpy(records->bytes + records->length, data, size);
    records->length += size;
}

static void add_record(struct records *records, unsigned type, const void *data, size_t size)
{
    const unsigned char header[8] = {
        1, (unsigned char)type, 0, 1, (unsigned char)(size >> 8), (unsigned char)size, 0, 0};
    add(records, header, sizeof header);
    add(records, data, size);
}

static void add_length(struct records *pairs, size_t length)
{
    const unsigned char four[4] = {(unsigned char)(length >> 24 | 0x80),
                                   (unsigned char)(length >> 16), (unsigned char)(length >> 8),
                                   (unsigned char)length};
    const unsigned char one = (unsigned char)length;
    if (length < 128)
        add(pairs, &one, 1);
    else
        add(pairs, four, sizeof four);
}

static void write_request(struct records *records, const char *body)
{
    static struct records pairs;
    static const unsigned char begin[8] = {0, RESPONDER};
    records->length = pairs.length = 0;
    for (char **param = params; *param != NULL; param++) {
        const char *value = strchr(*param, '=') + 1;
        size_t name = (size_t)(value - *param) - 1;
        add_length(&pairs, name);
        add_length(&pairs, strlen(value));
        add(&pairs, *param, name);
        add(&pairs, value, strlen(value));
    }
    add_record(records, BEGIN_REQUEST, begin, sizeof begin);
    add_record(records, PARAMS, pairs.bytes, pairs.length);
    add_record(records, PARAMS, "", 0);
    if (*body != '\0')
        add_record(records, STDIN, body, strlen(body));
    add_record(records, STDIN, "", 0);
}

/* --- The two ways of being asked ----------------------------------------------------------------
 */

struct exchange {
    int in, out; /* what the program gets as descriptors 0 and, where it is not -1, 1 */
    int answer;  /* where we read */
    char **environment;
};

static struct exchange queue_fastcgi(const char *body)
{
    static struct records records;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof address.sun_family; /* the kernel makes up a name (unix(7), autobind) */
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 16) != 0)
        die("a listening socket");
    size = sizeof address;
    if (getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        connect(client, (struct sockaddr *)&address, size) != 0)
        die("a connection");
    write_request(&records, body);
    if (write(client, records.bytes, records.length) != (ssize_t)records.length)
        die("a request");
    return (struct exchange){listener, -1, client, environ};
}

static struct exchange queue_cgi(const char *body)
{
    static char *environment[256];
    size_t count = 0;
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        die("pipes");
    if (write(in[1], body, strlen(body)) < 0)
        die("a body");
    close(in[1]);
    for (char **variable = environ; *variable != NULL && count < 150; variable++)
        environment[count++] = *variable;
    for (char **param = params; *param != NULL; param++)
        environment[count++] = *param;
    environment[count] = NULL;
    return (struct exchange){in[0], out[1], out[0], environment};
}

static pid_t start(const char *program, const struct exchange *exchange)
{
    pid_t pid;
    char *const argv[] = {(char *)program, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, exchange->in, STDIN_FILENO);
    if (exchange->out >= 0)
        posix_spawn_file_actions_adddup2(&actions, exchange->out, STDOUT_FILENO);
    errno = posix_spawn(&pid, program, &actions, NULL, argv, exchange->environment);
    if (errno != 0)
        die(program);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static void demand_success(const char *answer, size_t length)
{
    bool success = memmem(answer, length, "Status: 2", 9) != NULL;
    bool plain = memmem(answer, length, "Status:", 7) == NULL &&
                 memmem(answer, length, "Content-Type:", 13) != NULL;
    if (success || plain)
        return;
    fprintf(stderr, "cold: no success: %.*s\n", (int)length, answer);
    exit(EXIT_FAILURE);
}

static int64_t measure(const char *program, bool fastcgi, const char *body)
{
    static char answer[ANSWER_MAX];
    size_t length = 0;
    ssize_t got;
    int status;
    set_content_length(body);
    struct exchange exchange = fastcgi ? queue_fastcgi(body) : queue_cgi(body);
    int64_t start_us = now_us(), first_us = 0;
    pid_t pid = start(program, &exchange);
    close(exchange.in);
    if (exchange.out >= 0)
        close(exchange.out);
    while ((got = read(exchange.answer, answer + length, sizeof answer - length)) > 0) {
        if (length == 0)
            first_us = now_us() - start_us;
        length += (size_t)got;
    }
    close(exchange.answer);
    if (fastcgi)
        kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    demand_success(answer, length);
    return first_us;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return EXIT_FAILURE;
    bool fastcgi = strcmp(argv[1], "fcgi") == 0;
    long count = strtol(argv[2], NULL, 10);
    FILE *bodies = fopen(argv[5], "r");
    if (bodies == NULL)
        die(argv[5]);
    read_params(argv[4]);
    for (long i = 0; i < count; i++) {
        char body[BODY_MAX] = "";
        (void)next_line(bodies, body, sizeof body);
        printf("%" PRId64 "\n", measure(argv[3], fastcgi, body));
    }
    fclose(bodies);
    return EXIT_SUCCESS;
}
