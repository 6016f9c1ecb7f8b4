#include "upstream/turn.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/crypto.h"

enum { SERVERS = 2, TURN_URLS = 3 };

/* coturn takes all behind the first ':' of the username for the user, and puts it into its log. */
static void make_harmless(char *user)
{
    static const char harmless[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                   "_.@-";
    while (*(user += strspn(user, harmless)) != '\0')
        *user = '_';
}

/* Credentials for user_id until expires_at_s, made with the secret that coturn shares
 * (draft-uberti-behave-turn-rest-00 section 2.2). */
static bool make_credentials(struct sb_arena *arena, const char *secret, const char *user_id,
                             int64_t expires_at_s, struct sb_ice_server *server)
{
    unsigned char mac[SB_SHA1_SIZE];
    char *username = sb_arena_printf(arena, "%" PRId64 ":%s", expires_at_s, user_id);
    if (username == NULL)
        return false;
    make_harmless(strchr(username, ':') + 1);
    if (!sb_hmac_sha1(secret, strlen(secret), username, strlen(username), mac))
        return false;
    server->username = username;
    server->credential = sb_base64(arena, mac, sizeof mac);
    return server->credential != NULL;
}

static bool add_url(struct sb_ice_server *server, const char *url)
{
    server->urls[server->url_count] = url;
    return url != NULL && ++server->url_count > 0;
}

static bool fill_stun(struct sb_arena *arena, const struct sb_config *config,
                      struct sb_ice_server *server)
{
    server->urls = sb_arena_alloc(arena, sizeof *server->urls);
    return server->urls != NULL &&
           add_url(server, sb_arena_printf(arena, "stun:%s:%" PRId64, config->turn_host,
                                           config->turn_port));
}

static bool fill_turn(struct sb_arena *arena, const struct sb_config *config,
                      struct sb_ice_server *server)
{
    const char *host = config->turn_host;
    static const char *const transports[] = {"udp", "tcp"};
    server->urls = sb_arena_alloc(arena, TURN_URLS * sizeof *server->urls);
    if (server->urls == NULL)
        return false;
    for (size_t i = 0; i < SB_COUNT(transports); i++) {
        if (!add_url(server, sb_arena_printf(arena, "turn:%s:%" PRId64 "?transport=%s", host,
                                             config->turn_port, transports[i])))
            return false;
    }
    return config->turn_tls_port == 0 ||
           add_url(server, sb_arena_printf(arena, "turns:%s:%" PRId64 "?transport=tcp", host,
                                           config->turn_tls_port));
}

/* False: out of memory. */
static bool fill(struct sb_arena *arena, const struct sb_config *config, const char *user_id,
                 int64_t expires_at_s, struct sb_ice *ice)
{
    struct sb_ice_server *turn = &ice->servers[1];
    if (!fill_stun(arena, config, &ice->servers[0]))
        return false;
    ice->count = 1;
    if (config->turn_secret != NULL) {
        if (!make_credentials(arena, config->turn_secret, user_id, expires_at_s, turn))
            return false;
    } else if (config->turn_username != NULL && config->turn_password != NULL) {
        turn->username = config->turn_username;
        turn->credential = config->turn_password;
    } else {
        return true; /* no credentials, no relay */
    }
    ice->count = SERVERS;
    return fill_turn(arena, config, turn);
}

enum sb_error sb_turn_ice(struct sb_arena *arena, const struct sb_config *config,
                          const char *user_id, int64_t now_ms, struct sb_ice *ice)
{
    int64_t expires_at_s = now_ms / 1000 + config->call_token_ttl_s;
    struct sb_ice made = {.expires_at_ms = expires_at_s * 1000};
    if (config->turn_host != NULL) {
        made.servers = sb_arena_alloc(arena, SERVERS * sizeof *made.servers);
        if (made.servers == NULL || !fill(arena, config, user_id, expires_at_s, &made))
            return SB_E_UNAVAILABLE;
    }
    *ice = made;
    return SB_OK;
}
