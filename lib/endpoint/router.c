#include <stdio.h>
#include <string.h>

#include "endpoint/pipeline.h"

static const char prefix[] = "/api/";

/* What stands behind the endpoint's own path, "" for an alias, NULL if path is another's. A
 * server that matches by prefix hands us more than is ours. */
static const char *own_part(const struct sb_endpoint *endpoint, const char *path)
{
    size_t length = strlen(endpoint->name);
    for (size_t i = 0; endpoint->aliases != NULL && endpoint->aliases[i] != NULL; i++) {
        if (strcmp(endpoint->aliases[i], path) == 0)
            return "";
    }
    if (strncmp(path, prefix, strlen(prefix)) != 0)
        return NULL;
    path += strlen(prefix);
    if (strncmp(path, endpoint->name, length) != 0 || strchr("/", path[length]) == NULL)
        return NULL;
    return path + length;
}

static bool id_segment(const char *text, size_t length)
{
    char copy[SB_ID_MAX + 1];
    if (length > SB_ID_MAX)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return sb_id_valid(copy);
}

/* Segment by segment; {name} takes an identifier. */
static bool matches(struct sb_pipeline *p, const char *pattern, const char *path)
{
    p->param_count = 0;
    while (*pattern == '/' && *path == '/') {
        size_t pattern_length = strcspn(++pattern, "/");
        size_t length = strcspn(++path, "/");
        if (*pattern == '{') {
            if (!id_segment(path, length) || p->param_count == SB_PATH_PARAMS_MAX)
                return false;
            p->params[p->param_count++] =
                (struct sb_path_param){pattern + 1, pattern_length - 2, path, length};
        } else if (length != pattern_length || memcmp(pattern, path, length) != 0) {
            return false;
        }
        pattern += pattern_length;
        path += length;
    }
    return *pattern == '\0' && *path == '\0';
}

static unsigned methods_of(const struct sb_route *route)
{
    unsigned head = (route->methods & SB_GET) != 0 ? SB_HEAD : 0;
    return route->methods | head | SB_OPTIONS;
}

enum sb_error sb_route_find(struct sb_pipeline *p)
{
    const struct sb_endpoint *endpoint = p->worker->runtime->endpoint;
    if (endpoint->catch_all) {
        p->route = endpoint->routes;
        p->allow = SB_ANY;
        return SB_OK;
    }
    const char *path = p->head.path == NULL ? NULL : own_part(endpoint, p->head.path);
    if (path == NULL)
        return SB_E_NOT_FOUND;
    const struct sb_route *found = NULL;
    for (const struct sb_route *route = endpoint->routes; route->handler != NULL; route++) {
        if (found != NULL || !matches(p, route->path, path)) {
            if (found != NULL && strcmp(route->path, found->path) == 0)
                p->allow |= methods_of(route);
            continue;
        }
        p->allow |= methods_of(route);
        bool any = route->methods == SB_ANY && p->head.method == 0; /* even one we do not know */
        if (any || (methods_of(route) & p->head.method) != 0)
            found = route;
    }
    p->route = found;
    if (p->allow == 0)
        return SB_E_NOT_FOUND;
    return found != NULL ? SB_OK : SB_E_METHOD_NOT_ALLOWED;
}

void sb_allow_list(unsigned methods, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (unsigned method = 1; method <= SB_ANY && length < size; method <<= 1) {
        if ((methods & method) != 0)
            length += (size_t)snprintf(text + length, size - length, "%s%s",
                                       length == 0 ? "" : ", ", sb_method_name(method));
    }
}
