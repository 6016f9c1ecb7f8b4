/* The rows behind base/config.h. For the files of base/config* and
 * the verb that prints it. */
#ifndef SB_BASE_CONFIG_TABLE_H
#define SB_BASE_CONFIG_TABLE_H

#include "base/config.h"

enum sb_config_type {
    SB_CONFIG_TEXT,
    SB_CONFIG_SECRET,  /* at least min bytes; never shown */
    SB_CONFIG_PATH,    /* absolute */
    SB_CONFIG_BOOL,    /* true or false */
    SB_CONFIG_INT,     /* min to max */
    SB_CONFIG_ENUM,    /* one of names */
    SB_CONFIG_LIST,    /* comma-separated */
    SB_CONFIG_ORIGINS, /* comma-separated origins, or * */
    SB_CONFIG_CIDRS,   /* comma-separated networks, or true, or false */
    SB_CONFIG_HOST,    /* a DNS name or address, without scheme and port */
    SB_CONFIG_URL,     /* http or https, without user, query and slash at its end */
    SB_CONFIG_HTTPS,   /* an https URL; in development also http on this machine */
    SB_CONFIG_DATABASE
};

enum sb_config_demand { SB_OPTIONAL, SB_DEMANDED, SB_DEMANDED_IN_PRODUCTION };

struct sb_config_row {
    const char *name;
    const char *alias;    /* another name accepted for it, or NULL */
    size_t offset;        /* in struct sb_config */
    const char *fallback; /* default, as text; NULL: absent */
    int64_t min, max;
    const char *const *names;
    const char *instead; /* where this variable is set, NULL: none, ... */
    enum sb_config_type type;
    unsigned needs; /* whom a problem with it concerns */
    enum sb_config_demand demand;
    unsigned instead_needs; /* ... it is not demanded of those */
    const char *section;    /* heading, in the first row of a section */
    const char *example;    /* value in the example file where it differs from the default */
    const char *doc;
};

extern const struct sb_config_row sb_config_rows[];
extern const size_t sb_config_row_count;

/* Names other software uses that mean nothing here, and what to say to someone who sets them. */
struct sb_config_foreign {
    const char *name, *hint;
    bool warning;
};
extern const struct sb_config_foreign sb_config_foreigns[];
extern const size_t sb_config_foreign_count;

/* One NAME=VALUE of the environment file, in order. */
struct sb_config_pair {
    const char *name, *value;
    int line;
    struct sb_config_pair *next;
};

/* Parses the text of an environment file: NAME=VALUE lines, blank lines, # comments, an optional
 * "export ", and values bare, in '...' (literal) or in "..." (with \" and \\). No expansion. A line
 * that is none of these is refused with its number. False: refused (*error_line set), or out of
 * memory (*error_line 0). */
SB_NONNULL_ALL SB_MUST_CHECK bool sb_config_parse_file(struct sb_arena *arena, const char *text,
                                                       struct sb_config_pair **pairs,
                                                       int *error_line);

#endif
