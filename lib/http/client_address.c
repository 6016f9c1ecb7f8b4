#include "http/client_address.h"

#include <string.h>

static bool is_trusted(const struct sb_cidrs *trusted, const struct sb_address *address)
{
    for (size_t i = 0; i < trusted->count; i++) {
        if (sb_cidr_contains(&trusted->items[i], address))
            return true;
    }
    return false;
}

/* The last element of the first length bytes; *length becomes that of what stands before it. */
static bool last_element(const char *list, size_t *length, struct sb_address *address)
{
    size_t end = *length, start;
    while (end > 0 && strchr(" \t", list[end - 1]) != NULL)
        end--;
    start = end;
    while (start > 0 && list[start - 1] != ',')
        start--;
    *length = start > 0 ? start - 1 : 0;
    while (start < end && strchr(" \t", list[start]) != NULL)
        start++;
    return sb_address_parse(list + start, end - start, address);
}

struct sb_address sb_client_address(const struct sb_cidrs *trusted, const char *remote_addr,
                                    const char *forwarded_for)
{
    struct sb_address client = {{0}}, hop;
    if (remote_addr == NULL || !sb_address_parse(remote_addr, strlen(remote_addr), &client))
        return client;
    size_t length = forwarded_for == NULL ? 0 : strlen(forwarded_for);
    while (length > 0 && is_trusted(trusted, &client) && last_element(forwarded_for, &length, &hop))
        client = hop;
    return client;
}
