/* X-Forwarded-For from strangers: "TRUSTED,...\nREMOTE_ADDR\nX-FORWARDED-FOR". The walk is done a
 * second time, over a list that was split from the left. */
#include <stdbool.h>
#include <string.h>

#include "http/client_address.h"
#include "support/fuzz.h"

enum { TEXT_MAX = 2048, ITEMS_MAX = 1024 };

static bool same(const struct sb_address *a, const struct sb_address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool trusted_by(const struct sb_cidrs *trusted, const struct sb_address *address)
{
    for (size_t i = 0; i < trusted->count; i++) {
        if (sb_cidr_contains(&trusted->items[i], address))
            return true;
    }
    return false;
}

static void read_networks(char *text, struct sb_cidrs *trusted)
{
    for (char *item; trusted->count < ITEMS_MAX && (item = strsep(&text, ",")) != NULL;) {
        if (sb_cidr_parse(item, &trusted->items[trusted->count]))
            trusted->count++;
    }
}

static size_t split(char *text, char **items)
{
    size_t count = 0;
    for (char *item; count < ITEMS_MAX && (item = strsep(&text, ",")) != NULL;) {
        item += strspn(item, " \t");
        size_t length = strlen(item);
        while (length > 0 && strchr(" \t", item[length - 1]) != NULL)
            item[--length] = '\0';
        items[count++] = item;
    }
    return count;
}

static struct sb_address walk(const struct sb_cidrs *trusted, struct sb_address remote,
                              char **items, size_t count)
{
    struct sb_address client = remote, hop;
    while (count-- > 0 && trusted_by(trusted, &client) &&
           sb_address_parse(items[count], strlen(items[count]), &hop))
        client = hop;
    return client;
}

static void check(const struct sb_cidrs *trusted, const char *remote_addr, const char *forwarded)
{
    static char *items[ITEMS_MAX];
    char copy[TEXT_MAX];
    struct sb_address nowhere = {{0}}, remote;
    struct sb_address client = sb_client_address(trusted, remote_addr, forwarded);
    if (!sb_address_parse(remote_addr, strlen(remote_addr), &remote)) {
        FUZZ_REQUIRE(same(&client, &nowhere));
        return;
    }
    struct sb_address alone = sb_client_address(trusted, remote_addr, NULL);
    FUZZ_REQUIRE(same(&alone, &remote));
    if (!trusted_by(trusted, &remote))
        FUZZ_REQUIRE(same(&client, &remote));
    snprintf(copy, sizeof copy, "%s", forwarded);
    size_t count = split(copy, items);
    struct sb_address expected = walk(trusted, remote, items, count);
    FUZZ_REQUIRE(same(&client, &expected));
    /* A client whom nobody trusts is found whatever it put on the left. */
    char spoofed[TEXT_MAX + 32];
    snprintf(spoofed, sizeof spoofed, "127.0.0.1, 10.0.0.1, %s", forwarded);
    struct sb_address again = sb_client_address(trusted, remote_addr, spoofed);
    if (!trusted_by(trusted, &client))
        FUZZ_REQUIRE(same(&again, &client));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sb_cidr networks[ITEMS_MAX];
    struct sb_cidrs trusted = {networks, 0};
    char text[TEXT_MAX], *rest = text;
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *list = strsep(&rest, "\n");
    char *remote = strsep(&rest, "\n");
    if (remote == NULL || rest == NULL)
        return 0;
    read_networks(list, &trusted);
    check(&trusted, remote, rest);
    return 0;
}
