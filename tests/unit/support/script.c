#include "script.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DRIP_MAX = 1024 * 1024 };

static bool play(struct peer_exchange *exchange, void *context)
{
    struct script *script = context;
    int index = script->request_count;
    if (index >= script->answer_count)
        return false;
    script->heads[index] = strdup(exchange->head);
    script->bodies[index] = malloc(exchange->body_length + 1); /* it may hold NULs */
    cr_assert_not_null(script->bodies[index]);
    memcpy(script->bodies[index], exchange->body, exchange->body_length + 1);
    script->request_count = index + 1;
    const struct script_answer *answer = &script->answers[index];
    enum script_end end = script->ends[index];
    if (answer->status == 0) {
        peer_send(exchange, answer->body);
        return false;
    }
    if (end == SCRIPT_WHOLE)
        return peer_reply(exchange, answer->status, answer->headers, answer->body);
    char head[1024];
    size_t promised = end == SCRIPT_DRIP ? DRIP_MAX : strlen(answer->body) + 1;
    snprintf(head, sizeof head, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\n%s\r\n", answer->status,
             promised, answer->headers);
    peer_send(exchange, head);
    peer_send(exchange, answer->body);
    while (end == SCRIPT_DRIP && !peer_gone(exchange, 100))
        peer_send(exchange, answer->body);
    if (end == SCRIPT_STUCK)
        peer_wait_gone(exchange);
    return false;
}

void script_add(struct script *script, struct script_answer answer)
{
    cr_assert_lt(script->answer_count, SCRIPT_MAX);
    script->answers[script->answer_count++] = answer;
}

void script_break(struct script *script, struct script_answer answer, enum script_end end)
{
    script->ends[script->answer_count] = end;
    script_add(script, answer);
}

void script_start(struct script *script)
{
    script->peer = peer_start(play, script, NULL);
    script->port = peer_port(script->peer);
}

void script_stop(struct script *script)
{
    if (script->peer != NULL)
        peer_stop(script->peer);
    script->peer = NULL;
}

void script_free(struct script *script)
{
    script_stop(script);
    for (int i = 0; i < SCRIPT_MAX; i++) {
        free(script->heads[i]);
        free(script->bodies[i]);
    }
    *script = (struct script){.peer = NULL};
}

const char *script_header(const struct script *script, int request, const char *name)
{
    static char value[4096];
    size_t length = strlen(name);
    for (const char *line = strstr(script->heads[request], "\r\n"); line != NULL;
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':')
            continue;
        const char *start = line + 3 + length + strspn(line + 3 + length, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(start, "\r"), start);
        return value;
    }
    return NULL;
}
