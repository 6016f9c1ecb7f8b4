/* Encodes a struct as its field table says: the other direction of http/input_validator. */
#ifndef SB_HTTP_OUTPUT_ENCODER_H
#define SB_HTTP_OUTPUT_ENCODER_H

#include "base/buf.h"
#include "http/fields.h"

/* Writes the members of value (of the table's type) into out, which stands inside an open JSON
 * object; no braces. A text that is NULL is left out, or null where the field is SB_NULLABLE. */
SB_NONNULL_ALL void sb_output_members(struct sb_buf *out, const struct sb_field *fields,
                                      const void *value);

#endif
