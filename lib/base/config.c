#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config_table.h"
#include "base/mail_address.h"
#include "base/origin.h"

enum {
    ARENA_CAP = 1024 * 1024,
    SCRATCH_CAP = 8 * 1024 * 1024,
    FILE_MAX_BYTES = 256 * 1024,
    RATE_LIMIT_MAX = 16383
};
static const char default_path[] = "/etc/switchboard/switchboard.env";
static const char rate_prefix[] = "RATE_LIMIT_";

extern char **environ;

struct loader {
    struct sb_config *config;
    struct sb_arena *scratch; /* the file's text and pairs, which nothing needs afterwards */
    struct sb_config_pair *pairs;
    struct sb_config_problem *first, **last;
    unsigned needs;
    bool no_memory;
    int failure; /* errno of a file that could not be read for the moment */
};

static void complain(struct loader *loader, const char *variable, unsigned needs, bool warning,
                     const char *message)
{
    struct sb_config_problem *problem = sb_arena_alloc(loader->config->arena, sizeof *problem);
    if (problem == NULL || message == NULL || variable == NULL) {
        loader->no_memory = true;
        return;
    }
    *problem = (struct sb_config_problem){variable, message, needs, warning, NULL};
    *loader->last = problem;
    loader->last = &problem->next;
}

#define COMPLAIN(loader, row, ...)                                                                 \
    complain((loader), (row)->name, (row)->needs, false,                                           \
             sb_arena_printf((loader)->config->arena, __VA_ARGS__))

/* The file's value of name, the last one if there are several, or NULL. */
static const char *lookup_file(const struct loader *loader, const char *name)
{
    const char *found = NULL;
    for (const struct sb_config_pair *pair = loader->pairs; pair != NULL; pair = pair->next) {
        if (strcmp(pair->name, name) == 0)
            found = pair->value;
    }
    return found == NULL || *found == '\0' ? NULL : found;
}

/* The value of name: the real environment's, else the file's. */
static const char *lookup(const struct loader *loader, const char *name)
{
    const char *found = getenv(name);
    return found == NULL || *found == '\0' ? lookup_file(loader, name) : found;
}

static bool parse_int(const char *text, int64_t min, int64_t max, int64_t *value)
{
    if (*text != '-' && (*text < '0' || *text > '9')) /* strtoll() skips white space and a plus */
        return false;
    char *end;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || parsed < min || parsed > max)
        return false;
    *value = parsed;
    return true;
}

/* Splits at commas into items without surrounding blanks; empty items are left out. */
static bool split(struct sb_arena *arena, const char *text, struct sb_strings *list)
{
    size_t most = 1;
    for (const char *p = text; *p != '\0'; p++)
        most += *p == ',';
    list->count = 0;
    list->items = sb_arena_alloc(arena, most * sizeof *list->items);
    if (list->items == NULL)
        return false;
    while (*text != '\0') {
        text += strspn(text, " \t,");
        size_t length = strcspn(text, ",");
        size_t trimmed = length;
        while (trimmed > 0 && strchr(" \t", text[trimmed - 1]) != NULL)
            trimmed--;
        if (trimmed > 0) {
            list->items[list->count] = sb_arena_strndup(arena, text, trimmed);
            if (list->items[list->count++] == NULL)
                return false;
        }
        text += length;
    }
    return true;
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static bool host_valid(const char *text)
{
    size_t length = strspn(text, ALNUM ".-_");
    return length > 0 && length <= 253 && text[length] == '\0';
}

/* The host of an http or https URL without a user, NULL: text is none. *length: its bytes; *rest:
 * what is behind host and port. */
static const char *url_host(const char *text, size_t *length, const char **rest)
{
    size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : 7;
    if (scheme == 7 && strncmp(text, "http://", 7) != 0)
        return NULL;
    const char *at = text + scheme;
    size_t host = strspn(at, ALNUM ".-_");
    if (*at == '[') { /* an IPv6 address */
        host = 1 + strspn(at + 1, "0123456789abcdefABCDEF:.");
        host = at[host] == ']' ? host + 1 : 0;
    }
    if (host == 0)
        return NULL;
    *length = host;
    *rest = at + host;
    if (**rest == ':') {
        size_t digits = strspn(*rest + 1, "0123456789");
        long port = strtol(*rest + 1, NULL, 10);
        if (digits == 0 || digits > 5 || port < 1 || port > 65535)
            return NULL;
        *rest += 1 + digits;
    }
    return at;
}

/* An http or https URL to build on: scheme://host[:port][/path] and nothing behind it. */
static bool url_valid(const char *text)
{
    size_t length;
    const char *rest;
    if (url_host(text, &length, &rest) == NULL)
        return false;
    size_t path = *rest == '/' ? strspn(rest, ALNUM "-._~%/") : 0;
    return rest[path] == '\0' && (path == 0 || rest[path - 1] != '/');
}

/* An https URL, or with development one of this machine, with path and query but no fragment. */
static bool https_valid(const char *text, bool development)
{
    static const char *const locals[] = {"localhost", "127.0.0.1", "[::1]"};
    size_t length;
    const char *rest, *host = url_host(text, &length, &rest);
    if (host == NULL || rest[strspn(rest, ALNUM "-._~%/?&=+,:;@!$*'()")] != '\0' ||
        (*rest != '\0' && *rest != '/' && *rest != '?'))
        return false;
    bool fine = strncmp(text, "https:", 6) == 0;
    for (size_t i = 0; development && i < SB_COUNT(locals); i++)
        fine = fine || (strlen(locals[i]) == length && strncmp(host, locals[i], length) == 0);
    return fine;
}

/* Complains without the value: a URL can hold a password. */
static void load_https(struct loader *loader, const struct sb_config_row *row, const char *text,
                       const char **value)
{
    if (https_valid(text, loader->config->app_env != SB_ENV_PRODUCTION))
        *value = text;
    else
        COMPLAIN(loader, row,
                 "is not an https:// URL without user and fragment (in development http:// to "
                 "localhost will do)");
}

static void load_origins(struct loader *loader, const struct sb_config_row *row, const char *text,
                         struct sb_strings *list)
{
    struct sb_config *config = loader->config;
    struct sb_strings words;
    if (!split(config->arena, text, &words)) {
        loader->no_memory = true;
        return;
    }
    bool fine = true;
    for (size_t i = 0; i < words.count; i++) {
        bool star = strcmp(words.items[i], "*") == 0;
        if (star ? config->app_env != SB_ENV_PRODUCTION : sb_origin_valid(words.items[i]))
            continue;
        fine = false;
        if (star)
            COMPLAIN(loader, row, "`*` is refused in production; list the origins");
        else
            COMPLAIN(loader, row,
                     "\"%s\" is not an origin; write scheme://host[:port] in lower case, without "
                     "a path or trailing slash",
                     words.items[i]);
    }
    if (fine) /* allow none rather than some */
        *list = words;
}

static const char *const private_networks[] = {"127.0.0.0/8",   "::1/128",        "10.0.0.0/8",
                                               "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
                                               "fc00::/7",      "fe80::/10"};

static void load_cidrs(struct loader *loader, const struct sb_config_row *row, const char *text,
                       struct sb_cidrs *list)
{
    struct sb_arena *arena = loader->config->arena;
    struct sb_strings words = {0};
    if (strcmp(text, "false") == 0)
        return;
    if (strcmp(text, "true") == 0) {
        words = (struct sb_strings){(char **)private_networks, SB_COUNT(private_networks)};
    } else if (!split(arena, text, &words)) {
        loader->no_memory = true;
        return;
    }
    struct sb_cidr *items = sb_arena_alloc(arena, (words.count + 1) * sizeof *items);
    if (items == NULL) {
        loader->no_memory = true;
        return;
    }
    bool fine = true;
    for (size_t i = 0; i < words.count; i++) {
        if (sb_cidr_parse(words.items[i], &items[i]))
            continue;
        fine = false;
        COMPLAIN(loader, row,
                 "\"%s\" is not a network; write CIDRs such as 10.0.0.0/8 (host bits 0), true "
                 "or false",
                 words.items[i]);
    }
    if (fine) /* trust none rather than some */
        *list = (struct sb_cidrs){items, words.count};
}

static void load_enum(struct loader *loader, const struct sb_config_row *row, const char *text,
                      int64_t *value)
{
    for (int i = 0; row->names[i] != NULL; i++) {
        if (strcmp(row->names[i], text) == 0) {
            *value = i;
            return;
        }
    }
    struct sb_buf names;
    sb_buf_init(&names, loader->config->arena, 512);
    for (int i = 0; row->names[i] != NULL; i++)
        sb_buf_add_format(&names, "%s%s", i == 0 ? "" : ", ", row->names[i]);
    if (!sb_buf_ok(&names))
        loader->no_memory = true;
    else
        COMPLAIN(loader, row, "\"%s\" is not known; use one of: %s", text, names.data);
}

static void load_database(struct loader *loader, const struct sb_config_row *row, const char *text)
{
    struct sb_config *config = loader->config;
    static const char scheme[] = "sqlite:";
    const size_t scheme_length = sizeof scheme - 1;
    if (strncmp(text, scheme, scheme_length) != 0 || text[scheme_length] == '\0') {
        COMPLAIN(loader, row, "must be sqlite:PATH (other databases are not supported)");
        return;
    }
    const char *path = text + scheme_length;
    config->database_url = text;
    config->database_path =
        *path == '/' ? path : sb_arena_printf(config->arena, "%s/%s", config->state_dir, path);
    loader->no_memory = loader->no_memory || config->database_path == NULL;
}

/* A path, a host name or a URL. */
static void load_place(struct loader *loader, const struct sb_config_row *row, const char *text,
                       const char **value)
{
    if (row->type == SB_CONFIG_PATH && *text != '/')
        COMPLAIN(loader, row, "\"%s\" is not an absolute path", text);
    else if (row->type == SB_CONFIG_HOST && !host_valid(text))
        COMPLAIN(loader, row, "\"%s\" is not a host name; leave out scheme, port and path", text);
    else if (row->type == SB_CONFIG_URL && !url_valid(text)) /* it may hold a password */
        COMPLAIN(loader, row,
                 "is not a URL; write http(s)://host[:port][/path], without user, query and slash "
                 "at the end");
    else
        *value = text;
}

/* Stores text, which is not empty, as the row's value, or complains. */
static void load_value(struct loader *loader, const struct sb_config_row *row, const char *text)
{
    void *at = (char *)loader->config + row->offset;
    switch (row->type) {
    case SB_CONFIG_TEXT:
        *(const char **)at = text;
        break;
    case SB_CONFIG_SECRET:
        if (strlen(text) < (size_t)row->min)
            COMPLAIN(loader, row,
                     "is shorter than %d bytes; make one with: openssl rand -base64 48",
                     (int)row->min);
        else
            *(const char **)at = text;
        break;
    case SB_CONFIG_PATH:
    case SB_CONFIG_HOST:
    case SB_CONFIG_URL:
        load_place(loader, row, text, at);
        break;
    case SB_CONFIG_BOOL:
        if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0 &&
            strcmp(text, "1") != 0 && strcmp(text, "0") != 0)
            COMPLAIN(loader, row, "\"%s\" is neither true nor false", text);
        else
            *(bool *)at = *text == 't' || *text == 'T' || *text == '1';
        break;
    case SB_CONFIG_INT:
        if (!parse_int(text, row->min, row->max, at))
            COMPLAIN(loader, row, "\"%s\" is not a whole number from %lld to %lld", text,
                     (long long)row->min, (long long)row->max);
        break;
    case SB_CONFIG_ENUM:
        load_enum(loader, row, text, at);
        break;
    case SB_CONFIG_LIST:
        loader->no_memory |= !split(loader->config->arena, text, at);
        break;
    case SB_CONFIG_ORIGINS:
        load_origins(loader, row, text, at);
        break;
    case SB_CONFIG_CIDRS:
        load_cidrs(loader, row, text, at);
        break;
    case SB_CONFIG_HTTPS:
        load_https(loader, row, text, at);
        break;
    case SB_CONFIG_DATABASE:
        load_database(loader, row, text);
        break;
    }
}

/* Whether row is demanded; *of becomes whom it stops that it is not set. */
static bool demanded(const struct loader *loader, const struct sb_config_row *row, unsigned *of)
{
    bool production = loader->config->app_env == SB_ENV_PRODUCTION;
    bool spared = row->instead != NULL && lookup(loader, row->instead) != NULL;
    *of = row->needs & ~(spared ? row->instead_needs : 0);
    if (row->demand == SB_OPTIONAL || (row->demand == SB_DEMANDED_IN_PRODUCTION && !production))
        return false;
    return row->needs == 0 || (*of & loader->needs) != 0;
}

static void load_row(struct loader *loader, const struct sb_config_row *row)
{
    const char *text = lookup(loader, row->name);
    if (text == NULL && row->alias != NULL)
        text = lookup(loader, row->alias);
    if (row->fallback != NULL) /* first, so that a refused value leaves the default */
        load_value(loader, row, row->fallback);
    if (text != NULL) {
        char *copy = sb_arena_strdup(loader->config->arena, text);
        if (copy == NULL)
            loader->no_memory = true;
        else
            load_value(loader, row, copy);
        return;
    }
    unsigned of;
    if (demanded(loader, row, &of))
        complain(loader, row->name, of, false,
                 sb_arena_printf(loader->config->arena, "is not set%s; %s",
                                 row->demand == SB_DEMANDED ? "" : " and production demands it",
                                 row->doc));
}

/* RATE_LIMIT_<NAME>=N/SECONDS or off. */
static bool parse_rate(const char *text, struct sb_rate_setting *setting)
{
    if (strcmp(text, "off") == 0)
        return true;
    const char *slash = strchr(text, '/');
    char number[8];
    if (slash == NULL || slash == text || (size_t)(slash - text) >= sizeof number)
        return false;
    memcpy(number, text, (size_t)(slash - text));
    number[slash - text] = '\0';
    return parse_int(number, 1, RATE_LIMIT_MAX, &setting->limit) &&
           parse_int(slash + 1, 1, 86400, &setting->window_s);
}

static void load_rate(struct loader *loader, const char *name, const char *text)
{
    struct sb_config *config = loader->config;
    char *policy = sb_arena_strdup(config->arena, name + strlen(rate_prefix));
    if (policy == NULL) {
        loader->no_memory = true;
        return;
    }
    for (char *p = policy; *p != '\0'; p++)
        *p = *p == '_' ? '-' : (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    if (sb_config_rate(config, policy) != NULL)
        return; /* another spelling of one we have, from the real environment if that has one */
    struct sb_rate_setting setting = {.policy = policy};
    if (!parse_rate(text, &setting)) {
        complain(loader, sb_arena_strdup(config->arena, name), SB_NEEDS_CORE, false,
                 sb_arena_printf(config->arena,
                                 "\"%s\" is not N/SECONDS (N to %d, a day at most) or off", text,
                                 RATE_LIMIT_MAX));
        return;
    }
    struct sb_rate_setting *grown =
        sb_arena_alloc(config->arena, (config->rate_count + 1) * sizeof *grown);
    if (grown == NULL) {
        loader->no_memory = true;
        return;
    }
    if (config->rate_count > 0)
        memcpy(grown, config->rates, config->rate_count * sizeof *grown);
    grown[config->rate_count++] = setting;
    config->rates = grown;
}

static void load_rates(struct loader *loader)
{
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        const char *equals = strchr(*variable, '=');
        if (equals == NULL || strncmp(*variable, rate_prefix, strlen(rate_prefix)) != 0 ||
            equals[1] == '\0')
            continue;
        char *name =
            sb_arena_strndup(loader->config->arena, *variable, (size_t)(equals - *variable));
        if (name == NULL)
            loader->no_memory = true;
        else
            load_rate(loader, name, equals + 1);
    }
    for (const struct sb_config_pair *pair = loader->pairs; pair != NULL; pair = pair->next) {
        if (strncmp(pair->name, rate_prefix, strlen(rate_prefix)) == 0 &&
            lookup(loader, pair->name) == pair->value) /* not overruled */
            load_rate(loader, pair->name, pair->value);
    }
}

static bool known_name(const char *name)
{
    for (size_t i = 0; i < sb_config_row_count; i++) {
        const struct sb_config_row *row = &sb_config_rows[i];
        if (strcmp(row->name, name) == 0 || (row->alias != NULL && strcmp(row->alias, name) == 0))
            return true;
    }
    for (size_t i = 0; i < sb_config_foreign_count; i++) {
        if (strcmp(sb_config_foreigns[i].name, name) == 0)
            return true;
    }
    return strncmp(name, rate_prefix, strlen(rate_prefix)) == 0;
}

/* A misspelt name would otherwise be silence. Of the file alone: the environment is full of other
 * programs' variables. */
static void check_names(struct loader *loader)
{
    for (const struct sb_config_pair *pair = loader->pairs; pair != NULL; pair = pair->next) {
        if (!known_name(pair->name))
            complain(loader, sb_arena_strdup(loader->config->arena, pair->name), SB_NEEDS_CORE,
                     true, "is not a variable of Switchboard; see docs/CONFIGURATION.md");
    }
}

static bool visible(const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        if (*text < 0x21 || *text > 0x7E)
            return false;
    }
    return true;
}

/* What goes into header lines: a key pasted with a blank or a line end would be refused later, by
 * someone who cannot say why. */
static void check_openai(struct loader *loader)
{
    const struct sb_config *config = loader->config;
    static const char message[] = "holds a blank or another character no header may have; paste it "
                                  "again";
    if (!visible(config->openai_api_key))
        complain(loader, "OPENAI_API_KEY", SB_NEEDS_OPENAI, false, message);
    if (!visible(config->openai_organization))
        complain(loader, "OPENAI_ORGANIZATION", SB_NEEDS_OPENAI, false, message);
    if (!visible(config->openai_project))
        complain(loader, "OPENAI_PROJECT", SB_NEEDS_OPENAI, false, message);
    if (config->realtime_voices.count == 0)
        complain(loader, "OPENAI_REALTIME_VOICES", SB_NEEDS_OPENAI, false,
                 "names no voice; name one, or leave the variable out");
}

static void check_mail(struct loader *loader)
{
    const struct sb_config *config = loader->config;
    static const char address[] = "is no e-mail address, such as name@example.com, without a name "
                                  "before it";
    if (config->sales_email != NULL && !sb_mail_address_valid(config->sales_email))
        complain(loader, "SALES_EMAIL", SB_NEEDS_MAIL, false, address);
    if (config->smtp_from != NULL && !sb_mail_address_valid(config->smtp_from))
        complain(loader, "SMTP_FROM", SB_NEEDS_MAIL, false, address);
    if ((config->smtp_username == NULL) != (config->smtp_password == NULL))
        complain(loader, config->smtp_username == NULL ? "SMTP_USERNAME" : "SMTP_PASSWORD",
                 SB_NEEDS_MAIL, false,
                 "is not set, but the other of SMTP_USERNAME and SMTP_PASSWORD is; set both or "
                 "none");
    const char *missing = config->sales_email == NULL ? "SALES_EMAIL"
                          : config->smtp_host == NULL ? "SMTP_HOST"
                          : config->smtp_from == NULL ? "SMTP_FROM"
                                                      : NULL;
    bool any =
        config->sales_email != NULL || config->smtp_host != NULL || config->smtp_from != NULL;
    if (any && missing != NULL)
        complain(loader, missing, SB_NEEDS_MAIL, true,
                 "is not set: leads are stored, but nobody is mailed; set SALES_EMAIL, SMTP_HOST "
                 "and SMTP_FROM");
}

/* What no single row can tell. */
static void check_together(struct loader *loader)
{
    struct sb_config *config = loader->config;
    bool production = config->app_env == SB_ENV_PRODUCTION;
    if (config->enable_ws_proxy)
        complain(loader, "ENABLE_WS_PROXY", SB_NEEDS_CORE, false,
                 "cannot be honoured: a FastCGI program carries no WebSockets; set it to false");
    if (config->turn_host != NULL && lookup(loader, "TURN_SECRET") == NULL &&
        (config->turn_username == NULL || config->turn_password == NULL))
        complain(loader, "TURN_SECRET", SB_NEEDS_TURN, false,
                 "is not set and neither are TURN_USERNAME and TURN_PASSWORD; TURN_HOST needs one "
                 "of the two");
    if (config->turn_username != NULL && strchr(config->turn_username, ':') != NULL)
        complain(loader, "TURN_USERNAME", SB_NEEDS_TURN, false, "may not hold a colon");
    check_openai(loader);
    check_mail(loader);
    if (!production && config->production_domain != NULL &&
        strcmp(config->production_domain, "localhost") != 0)
        complain(loader, "APP_ENV", SB_NEEDS_CORE, true,
                 "is development although PRODUCTION_DOMAIN is set; a public site needs "
                 "APP_ENV=production");
    if (lookup(loader, "JWT_JWKS_URL") != NULL && config->jwt_issuer == NULL)
        complain(loader, "JWT_ISSUER", SB_NEEDS_USERS, false,
                 "is not set; JWT_JWKS_URL demands it: write the identity provider's `iss`, else "
                 "tokens it makes for others would pass");
    if (config->jwt_jwks_url != NULL && config->jwt_audience.count == 0 &&
        config->jwt_authorized_parties.count == 0)
        complain(loader, "JWT_AUDIENCE", SB_NEEDS_USERS, true,
                 "is not set and neither is JWT_AUTHORIZED_PARTIES: tokens that the identity "
                 "provider made for its other applications pass");
    for (size_t i = 0; i < sb_config_foreign_count; i++) {
        const struct sb_config_foreign *foreign = &sb_config_foreigns[i];
        if (lookup(loader, foreign->name) != NULL)
            complain(loader, foreign->name, SB_NEEDS_CORE, foreign->warning, foreign->hint);
    }
}

/* What the machine lacks for the moment, and no fault of the configuration. */
static bool shortage(int error)
{
    return error == ENOMEM || error == EMFILE || error == ENFILE || error == EIO;
}

/* The file's text in the arena; NULL with a complaint, or without one if it may be absent. */
static char *read_file(struct loader *loader, const char *path, bool may_be_absent)
{
    struct sb_arena *arena = loader->config->arena;
    char *text = sb_arena_alloc(loader->scratch, FILE_MAX_BYTES + 2);
    if (text == NULL) {
        loader->no_memory = true;
        return NULL;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (shortage(errno))
            loader->failure = errno;
        else if (errno != ENOENT || !may_be_absent)
            complain(
                loader, "SWITCHBOARD_ENV", SB_NEEDS_CORE, false,
                sb_arena_printf(arena, "%s cannot be read: %s%s", path, strerror(errno),
                                errno == EACCES ? "; let the owner of STATE_DIR read it" : ""));
        return NULL;
    }
    size_t length = 0;
    ssize_t got;
    do { /* a pipe gives its text in pieces */
        got = read(fd, text + length, FILE_MAX_BYTES + 1 - length);
        length += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    int error = errno;
    close(fd);
    if (got < 0 && shortage(error)) {
        loader->failure = error;
        return NULL;
    }
    if (got < 0 || length > FILE_MAX_BYTES || strlen(text) != length) {
        complain(loader, "SWITCHBOARD_ENV", SB_NEEDS_CORE, false,
                 sb_arena_printf(arena, "%s is not a text file of at most 256 KiB", path));
        return NULL;
    }
    return text;
}

static void load_file(struct loader *loader, const char *path)
{
    if (path == NULL)
        path = getenv("SWITCHBOARD_ENV");
    bool named = path != NULL && *path != '\0';
    if (!named)
        path = default_path;
    char *text = read_file(loader, path, !named);
    int line = 0;
    if (text == NULL || sb_config_parse_file(loader->scratch, text, &loader->pairs, &line))
        return;
    if (line == 0)
        loader->no_memory = true;
    else
        complain(
            loader, "SWITCHBOARD_ENV", SB_NEEDS_CORE, false,
            sb_arena_printf(loader->config->arena,
                            "%s line %d is not NAME=VALUE, without blanks around = and with closed "
                            "quotes",
                            path, line));
}

bool sb_config_load(const char *path, unsigned needs, struct sb_config **config,
                    struct sb_config_problem **problems)
{
    struct sb_arena *arena = sb_arena_new(ARENA_CAP);
    struct sb_arena *scratch = sb_arena_new(SCRATCH_CAP);
    struct loader loader = {.scratch = scratch, .needs = needs};
    if (arena != NULL && scratch != NULL)
        loader.config = sb_arena_alloc(arena, sizeof *loader.config);
    if (loader.config == NULL) {
        sb_arena_free(arena);
        sb_arena_free(scratch);
        errno = ENOMEM;
        return false;
    }
    loader.last = &loader.first;
    loader.config->arena = arena;
    load_file(&loader, path);
    for (size_t i = 0; i < sb_config_row_count; i++)
        load_row(&loader, &sb_config_rows[i]);
    load_rates(&loader);
    check_together(&loader);
    check_names(&loader);
    sb_arena_free(scratch);
    if (loader.no_memory || loader.failure != 0) {
        sb_config_free(loader.config);
        errno = loader.failure != 0 ? loader.failure : ENOMEM;
        return false;
    }
    *config = loader.config;
    *problems = loader.first;
    return true;
}

void sb_config_free(struct sb_config *config)
{
    if (config != NULL)
        sb_arena_free(config->arena);
}

const struct sb_config_problem *sb_config_blocking(const struct sb_config_problem *problems,
                                                   unsigned needs)
{
    for (; problems != NULL; problems = problems->next) {
        if (!problems->warning && (problems->needs == 0 || (problems->needs & needs) != 0))
            return problems;
    }
    return NULL;
}

const struct sb_rate_setting *sb_config_rate(const struct sb_config *config, const char *policy)
{
    for (size_t i = 0; i < config->rate_count; i++) {
        if (strcmp(config->rates[i].policy, policy) == 0)
            return &config->rates[i];
    }
    return NULL;
}
