#include "base/origin.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cidr.h"

enum { ORIGIN_MAX = 267 };

/* A name, an IPv4 address, or an IPv6 address in brackets. */
static size_t host_length(const char *host)
{
    if (*host == '[') {
        size_t length = strspn(host + 1, "0123456789abcdef:.");
        struct sb_address address;
        bool v6 =
            memchr(host + 1, ':', length) != NULL && sb_address_parse(host + 1, length, &address);
        return v6 && host[1 + length] == ']' ? length + 2 : 0;
    }
    return strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_");
}

static bool port_valid(const char *text, unsigned long default_port)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0' || *text == '0')
        return false;
    unsigned long port = strtoul(text, NULL, 10);
    return port <= 65535 && port != default_port;
}

bool sb_origin_valid(const char *text)
{
    bool https = strncmp(text, "https://", 8) == 0;
    if ((!https && strncmp(text, "http://", 7) != 0) || strnlen(text, ORIGIN_MAX + 1) > ORIGIN_MAX)
        return false;
    const char *host = text + (https ? 8 : 7);
    size_t length = host_length(host);
    if (length == 0)
        return false;
    const char *rest = host + length;
    return *rest == '\0' || (*rest == ':' && port_valid(rest + 1, https ? 443 : 80));
}
