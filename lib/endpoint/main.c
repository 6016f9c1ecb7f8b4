/* The main program of every endpoint, linked by the rule for cgi-bin/ and kept out of the archive:
 * a unit test that links an endpoint has its own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "endpoint/runtime.h"

enum { EXIT_USAGE = 64, EXIT_FLAW = 70 }; /* sysexits.h */

/* No core dumps and no ptrace: both would show secrets. No new privileges for anything started. */
static void harden(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* the leak check traces its own process */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    umask(027);
}

/* A spoken turn has ten or so open, and the soft limit is often 1024. Nothing here uses select(),
 * which could not bear more. */
static void take_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static bool is_listening_socket(int fd)
{
    int listening = 0;
    socklen_t size = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

/* Where the log is may not be known yet: the web server keeps what is said here. */
static int failed(const char *reason)
{
    fprintf(stderr, "%s: cannot serve: %s\n", program_invocation_name, reason);
    return EXIT_FAILURE;
}

static int serve_cgi(struct sb_runtime *runtime)
{
    struct sb_worker worker;
    struct sb_gateway gateway;
    if (!sb_worker_open(&worker, runtime))
        return failed(strerror(ENOMEM));
    sb_gateway_cgi(&gateway);
    sb_pipeline_run(&worker, &gateway);
    sb_worker_close(&worker);
    sb_runtime_close(runtime);
    return EXIT_SUCCESS;
}

static int usage(void)
{
    fprintf(stderr,
            "%s: an endpoint of Switchboard. Start it from a web server (FastCGI: descriptor 0 is "
            "the\nlistening socket), or as a CGI program:\n"
            "  REQUEST_METHOD=GET REQUEST_URI=/api/%s %s\n"
            "--describe prints what it answers.\n",
            program_invocation_short_name, sb_endpoint.name, program_invocation_name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct sb_runtime runtime;
    int row;
    const char *flaw = sb_endpoint_flaw(&sb_endpoint, &row);
    if (flaw != NULL) {
        fprintf(stderr, "%s: route %d of its table: %s\n", argv[0], row, flaw);
        return EXIT_FLAW;
    }
    if (argc == 2 && strcmp(argv[1], "--describe") == 0)
        return sb_describe(&sb_endpoint);
    bool fastcgi = is_listening_socket(STDIN_FILENO);
    if (argc > 1 || (!fastcgi && getenv("REQUEST_METHOD") == NULL))
        return usage();
    harden();
    take_descriptors();
    signal(SIGPIPE, SIG_IGN); /* that a client has gone shows in what is written */
    signal(SIGCHLD, SIG_DFL); /* to ignore it is inherited, and leaves no child to wait for */
    if (!sb_runtime_open(&runtime, &sb_endpoint))
        return failed(strerror(errno));
    if (!fastcgi)
        return serve_cgi(&runtime);
    return sb_serve_fastcgi(&runtime) ? EXIT_SUCCESS : failed("the log says why");
}
