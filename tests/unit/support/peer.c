#include "peer.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, HEAD_MAX = 64 * 1024, NAMES_MAX = 8 };

struct peer {
    int listener, port;
    peer_answer *answer;
    void *context;
    SSL_CTX *tls;
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_t threads[CONNECTIONS_MAX];
    int fds[CONNECTIONS_MAX];
    atomic_int connections, requests;
    atomic_bool bodies_left;
};

struct stream {
    int fd;
    SSL *ssl;
    char value[4096]; /* of peer_header() */
};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    perror(what);
    abort();
}

/* --- Certificates --- */

static struct authority {
    EVP_PKEY *key;
    X509 *certificate;
} known, unknown;

static void name_set(X509_NAME *name, const char *text)
{
    require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)text, -1,
                                       -1, 0) == 1,
            "name");
}

static void extend(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    require(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, value);
    X509_EXTENSION_free(extension);
}

static X509 *certificate_new(const struct authority *issuer, EVP_PKEY *key, const char *name,
                             bool expired)
{
    static long serial = 1;
    X509 *made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), -7200);
    X509_gmtime_adj(X509_getm_notAfter(made), expired ? -3600 : 3600);
    name_set(X509_get_subject_name(made), name);
    X509_set_issuer_name(made, X509_get_subject_name(issuer == NULL ? made : issuer->certificate));
    X509_set_pubkey(made, key);
    if (issuer == NULL) {
        extend(made, NID_basic_constraints, "critical,CA:TRUE");
        extend(made, NID_key_usage, "critical,keyCertSign");
    } else {
        char alternative[300];
        struct in_addr address;
        snprintf(alternative, sizeof alternative, "%s:%s",
                 inet_pton(AF_INET, name, &address) == 1 ? "IP" : "DNS", name);
        extend(made, NID_subject_alt_name, alternative);
    }
    require(X509_sign(made, issuer == NULL ? key : issuer->key, EVP_sha256()) > 0, "sign");
    return made;
}

static struct authority *authority(bool rogue)
{
    struct authority *authority = rogue ? &unknown : &known;
    if (authority->key == NULL) {
        authority->key = EVP_EC_gen("P-256");
        authority->certificate =
            certificate_new(NULL, authority->key, rogue ? "Nobody" : "Switchboard test", false);
    }
    return authority;
}

void peer_authority_write(const char *path)
{
    FILE *file = fopen(path, "w");
    require(file != NULL && PEM_write_X509(file, authority(false)->certificate) == 1 &&
                fclose(file) == 0,
            path);
}

static SSL_CTX *tls_new(const struct peer_certificate *wanted)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate =
        certificate_new(authority(wanted->rogue), key, wanted->host, wanted->expired);
    require(SSL_CTX_use_certificate(tls, certificate) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1,
            "certificate");
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls;
}

/* --- Connections --- */

static ssize_t stream_read(struct stream *stream, char *buffer, size_t size)
{
    return stream->ssl == NULL ? read(stream->fd, buffer, size)
                               : SSL_read(stream->ssl, buffer, (int)size);
}

void peer_send_n(struct peer_exchange *exchange, const void *data, size_t length)
{
    struct stream *stream = exchange->stream;
    const char *at = data;
    while (length > 0) {
        ssize_t sent = stream->ssl == NULL ? send(stream->fd, at, length, MSG_NOSIGNAL)
                                           : SSL_write(stream->ssl, at, (int)length);
        if (sent <= 0)
            return; /* the client is gone: it will say why */
        at += sent;
        length -= (size_t)sent;
    }
}

void peer_send(struct peer_exchange *exchange, const char *text)
{
    peer_send_n(exchange, text, strlen(text));
}

bool peer_reply(struct peer_exchange *exchange, int status, const char *headers, const char *body)
{
    char head[2048];
    snprintf(head, sizeof head, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n%s\r\n", status,
             strlen(body), headers);
    peer_send(exchange, head);
    peer_send(exchange, body);
    return true;
}

bool peer_gone(struct peer_exchange *exchange, int wait_ms)
{
    const struct stream *stream = exchange->stream;
    struct pollfd client = {.fd = stream->fd, .events = POLLRDHUP};
    return poll(&client, 1, wait_ms) != 0;
}

void peer_wait_gone(struct peer_exchange *exchange)
{
    char buffer[4096];
    while (stream_read(exchange->stream, buffer, sizeof buffer) > 0)
        ;
}

const char *peer_header(struct peer_exchange *exchange, const char *name)
{
    struct stream *stream = exchange->stream;
    size_t length = strlen(name);
    for (const char *line = exchange->head; line != NULL; line = strstr(line, "\r\n")) {
        line += line == exchange->head ? 0 : 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        const char *value = line + length + 1 + strspn(line + length + 1, " ");
        snprintf(stream->value, sizeof stream->value, "%.*s", (int)strcspn(value, "\r"), value);
        return stream->value;
    }
    return NULL;
}

/* The head into buffer; returns how many bytes of the body came with it, -1 at the end. */
static ssize_t read_head(struct stream *stream, char *buffer, char **body)
{
    size_t length = 0;
    while (length < HEAD_MAX - 1) {
        ssize_t got = stream_read(stream, buffer + length, HEAD_MAX - 1 - length);
        if (got <= 0)
            return -1;
        length += (size_t)got;
        buffer[length] = '\0';
        *body = strstr(buffer, "\r\n\r\n");
        if (*body != NULL) {
            (*body)[2] = '\0';
            *body += 4;
            return (ssize_t)(length - (size_t)(*body - buffer));
        }
    }
    return -1;
}

static bool read_body(struct peer_exchange *exchange, const char *begun, size_t length)
{
    const char *declared = peer_header(exchange, "Content-Length");
    bool none = declared == NULL || exchange->peer->bodies_left;
    size_t wanted = none ? 0 : strtoul(declared, NULL, 10);
    exchange->body = calloc(1, wanted + 1);
    memcpy(exchange->body, begun, length < wanted ? length : wanted);
    while (length < wanted) {
        ssize_t got = stream_read(exchange->stream, exchange->body + length, wanted - length);
        if (got <= 0)
            return false;
        length += (size_t)got;
    }
    exchange->body_length = wanted;
    return true;
}

static void serve(struct peer *peer, struct stream *stream, int connection)
{
    char *head = malloc(HEAD_MAX);
    bool more = true;
    while (more) {
        char *begun;
        struct peer_exchange exchange = {
            .peer = peer, .connection = connection, .head = head, .stream = stream};
        exchange.resumed = stream->ssl != NULL && SSL_session_reused(stream->ssl) == 1;
        ssize_t length = read_head(stream, head, &begun);
        more = length >= 0 && read_body(&exchange, begun, (size_t)length);
        if (more) {
            exchange.number = atomic_fetch_add(&peer->requests, 1) + 1;
            more = peer->answer(&exchange, peer->context);
        }
        free(exchange.body);
    }
    free(head);
}

struct work {
    struct peer *peer;
    int index;
};

static void *connection_main(void *context)
{
    struct work work = *(struct work *)context;
    struct peer *peer = work.peer;
    struct stream stream = {.fd = peer->fds[work.index]};
    free(context);
    setsockopt(stream.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (peer->tls != NULL) {
        stream.ssl = SSL_new(peer->tls);
        SSL_set_fd(stream.ssl, stream.fd);
    }
    if (stream.ssl == NULL || SSL_accept(stream.ssl) == 1)
        serve(peer, &stream, work.index + 1);
    if (stream.ssl != NULL)
        SSL_shutdown(stream.ssl);
    SSL_free(stream.ssl);
    shutdown(stream.fd, SHUT_RDWR); /* closed by peer_stop(): its number must not be used again */
    return NULL;
}

static void *acceptor_main(void *context)
{
    struct peer *peer = context;
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE); /* OpenSSL writes without MSG_NOSIGNAL; the threads inherit this */
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    for (int fd; (fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_mutex_lock(&peer->lock);
        int index = peer->connections;
        require(index < CONNECTIONS_MAX, "connections");
        struct work *work = malloc(sizeof *work);
        *work = (struct work){peer, index};
        peer->fds[index] = fd;
        atomic_fetch_add(&peer->connections, 1);
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 256 * 1024);
        require(pthread_create(&peer->threads[index], &attributes, connection_main, work) == 0,
                "thread");
        pthread_attr_destroy(&attributes);
        pthread_mutex_unlock(&peer->lock);
    }
    return NULL;
}

struct peer *peer_start(peer_answer *answer, void *context,
                        const struct peer_certificate *certificate)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    peer->answer = answer;
    peer->context = context;
    peer->tls = certificate == NULL ? NULL : tls_new(certificate);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(bind(peer->listener, (struct sockaddr *)&address, length) == 0 &&
                listen(peer->listener, 512) == 0 &&
                getsockname(peer->listener, (struct sockaddr *)&address, &length) == 0,
            "listen");
    peer->port = ntohs(address.sin_port);
    pthread_mutex_init(&peer->lock, NULL);
    require(pthread_create(&peer->acceptor, NULL, acceptor_main, peer) == 0, "thread");
    return peer;
}

void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->acceptor, NULL);
    close(peer->listener);
    for (int i = 0; i < peer->connections; i++)
        shutdown(peer->fds[i], SHUT_RDWR);
    for (int i = 0; i < peer->connections; i++) {
        pthread_join(peer->threads[i], NULL);
        close(peer->fds[i]);
    }
    SSL_CTX_free(peer->tls);
    free(peer);
}

void peer_leave_bodies(struct peer *peer)
{
    peer->bodies_left = true;
}

int peer_port(const struct peer *peer)
{
    return peer->port;
}

int peer_connections(struct peer *peer)
{
    return peer->connections;
}

int peer_requests(struct peer *peer)
{
    return peer->requests;
}

/* --- Names: libcurl finds this getaddrinfo() before the C library's --- */

static struct {
    const char *name, *addresses;
} names[NAMES_MAX];

void peer_resolve(const char *name, const char *addresses)
{
    for (size_t i = 0; i < NAMES_MAX; i++) {
        if (names[i].name == NULL || strcmp(names[i].name, name) == 0) {
            names[i].name = name;
            names[i].addresses = addresses;
            return;
        }
    }
    abort();
}

static struct addrinfo *info_new(const char *text, size_t length, const char *service)
{
    struct info {
        struct addrinfo info;
        struct sockaddr_storage address;
    } *made = calloc(1, sizeof *made);
    char copy[64];
    struct sockaddr_in *v4 = (struct sockaddr_in *)&made->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&made->address;
    in_port_t port = htons((uint16_t)strtoul(service == NULL ? "0" : service, NULL, 10));
    snprintf(copy, sizeof copy, "%.*s", (int)length, text);
    bool is_v4 = inet_pton(AF_INET, copy, &v4->sin_addr) == 1;
    require(is_v4 || inet_pton(AF_INET6, copy, &v6->sin6_addr) == 1, copy);
    made->info = (struct addrinfo){.ai_family = is_v4 ? AF_INET : AF_INET6,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_protocol = IPPROTO_TCP,
                                   .ai_addr = (struct sockaddr *)&made->address,
                                   .ai_addrlen = is_v4 ? sizeof *v4 : sizeof *v6};
    made->address.ss_family = (sa_family_t)made->info.ai_family;
    if (is_v4)
        v4->sin_port = port;
    else
        v6->sin6_port = port;
    return &made->info;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    (void)hints;
    const char *addresses = NULL;
    for (size_t i = 0; name != NULL && i < NAMES_MAX && names[i].name != NULL; i++) {
        if (strcmp(names[i].name, name) == 0)
            addresses = names[i].addresses;
    }
    if (addresses == NULL)
        return EAI_NONAME;
    while (strcmp(addresses, "stuck") == 0)
        pause();
    struct addrinfo **last = result;
    for (const char *at = addresses; *at != '\0'; at += *at == ',') {
        size_t length = strcspn(at, ",");
        *last = info_new(at, length, service);
        last = &(*last)->ai_next;
        at += length;
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
    while (info != NULL) {
        struct addrinfo *next = info->ai_next;
        free(info);
        info = next;
    }
}
