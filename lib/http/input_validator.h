/* InputValidator: turns a JSON object into the struct its field table describes. Handlers see
 * nothing that has not passed here. */
#ifndef SB_HTTP_INPUT_VALIDATOR_H
#define SB_HTTP_INPUT_VALIDATOR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "http/fields.h"

enum { SB_FIELD_ERRORS_MAX = 20 }; /* reported in one answer */

struct sb_field_error {
    const char *field;   /* "kind", "options.size", "members[0].userId" */
    const char *code;    /* required, type, too_short, too_long, out_of_range, not_allowed, format,
                            unknown */
    const char *message; /* English, for developers */
};

struct sb_field_errors {
    struct sb_field_error items[SB_FIELD_ERRORS_MAX];
    size_t count;
};

/* Validates object against fields and fills *result, a zeroed struct of the table's type; absent
 * optional fields stay zero (an absent enum -1). Texts and arrays are copied into arena. Every
 * problem is reported, unknown fields too. from_text: values arrived as text (a query string), so
 * numbers and flags are read from it. SB_E_VALIDATION_FAILED: *errors has at least one item.
 * SB_E_UNAVAILABLE: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error
sb_input_validate(struct sb_arena *arena, const json_t *object, const struct sb_field *fields,
                  bool from_text, void *result, struct sb_field_errors *errors);

/* Adds the parameters of a query string (application/x-www-form-urlencoded, WHATWG URL) to object
 * as texts. SB_E_INVALID_REQUEST: a bad escape, a name given twice, NUL, invalid UTF-8, or over 64
 * parameters. SB_E_UNAVAILABLE: out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_input_parse_query(struct sb_arena *arena,
                                                                const char *query, json_t *object);

#endif
