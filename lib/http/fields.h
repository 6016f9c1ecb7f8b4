/* Field tables: one description of a struct that validates what comes in, encodes what goes out and
 * documents both (OpenAPI). A table is an array of struct sb_field ended by a row without a name,
 * made with the macros below, for example
 *
 *     struct input { const char *thread_id; int64_t kind; };
 *     static const struct sb_field fields[] = {
 *         SB_ID(struct input, thread_id, "threadId", SB_REQUIRED),
 *         SB_ENUM(struct input, kind, "kind", sb_call_kind_names, SB_REQUIRED),
 *         SB_FIELDS_END};
 *
 * C types: texts are const char *, numbers, enums and times (ms since 1970) int64_t, flags bool.
 * Arrays as input say how many items they take, with SB_OBJECTS_IN and SB_STRINGS_IN: without a cap
 * there is no array. An error within one names the item: "members[0].userId". */
#ifndef SB_HTTP_FIELDS_H
#define SB_HTTP_FIELDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"

enum sb_field_type {
    SB_FIELD_STRING, /* min to max characters (code points) */
    SB_FIELD_ID,     /* an identifier, see sb_id_valid() */
    SB_FIELD_INT,    /* min to max */
    SB_FIELD_BOOL,
    SB_FIELD_ENUM,    /* index into names */
    SB_FIELD_TIME,    /* RFC 3339; output only */
    SB_FIELD_OBJECT,  /* a struct within the struct */
    SB_FIELD_OBJECTS, /* pointer to structs of size bytes, their number (a size_t) at count_offset.
                         Input: min to max of them; max 0: output only */
    SB_FIELD_STRINGS  /* pointer to texts, the same; input: of 1 to size characters each */
};

enum sb_field_flags {
    SB_REQUIRED = 1 << 0, /* input: must be there. Output: always there */
    SB_NULLABLE = 1 << 1  /* output: NULL text, time 0, a negative number are null, not left out */
};

struct sb_field {
    const char *name; /* in JSON; NULL ends the table */
    enum sb_field_type type;
    unsigned flags;
    size_t offset, count_offset, size;
    int64_t min, max;
    const char *const *names;      /* ENUM: NULL-terminated */
    const struct sb_field *fields; /* OBJECT, OBJECTS */
};

#define SB_FIELDS_END                                                                              \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define SB_STRING(type_, member, name_, min_, max_, flags_)                                        \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_STRING, .flags = (flags_),                               \
        .offset = offsetof(type_, member), .min = (min_), .max = (max_)                            \
    }
#define SB_ID(type_, member, name_, flags_)                                                        \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_ID, .flags = (flags_),                                   \
        .offset = offsetof(type_, member), .min = 1, .max = SB_ID_MAX                              \
    }
#define SB_INT(type_, member, name_, min_, max_, flags_)                                           \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_INT, .flags = (flags_),                                  \
        .offset = offsetof(type_, member), .min = (min_), .max = (max_)                            \
    }
#define SB_BOOL(type_, member, name_, flags_)                                                      \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_BOOL, .flags = (flags_),                                 \
        .offset = offsetof(type_, member)                                                          \
    }
#define SB_ENUM(type_, member, name_, names_, flags_)                                              \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_ENUM, .flags = (flags_),                                 \
        .offset = offsetof(type_, member), .names = (names_)                                       \
    }
#define SB_TIME(type_, member, name_, flags_)                                                      \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_TIME, .flags = (flags_),                                 \
        .offset = offsetof(type_, member)                                                          \
    }
#define SB_OBJECT(type_, member, name_, fields_)                                                   \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_OBJECT, .flags = SB_REQUIRED,                            \
        .offset = offsetof(type_, member), .fields = (fields_)                                     \
    }
/* Input that may be left out; then it is as if it were there with none of its fields. */
#define SB_OBJECT_OPTIONAL(type_, member, name_, fields_)                                          \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_OBJECT, .offset = offsetof(type_, member),               \
        .fields = (fields_)                                                                        \
    }
#define SB_OBJECTS(type_, member, count_member, name_, element_type, fields_)                      \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_OBJECTS, .flags = SB_REQUIRED,                           \
        .offset = offsetof(type_, member), .count_offset = offsetof(type_, count_member),          \
        .size = sizeof(element_type), .fields = (fields_)                                          \
    }
#define SB_STRINGS(type_, member, count_member, name_)                                             \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_STRINGS, .flags = SB_REQUIRED,                           \
        .offset = offsetof(type_, member), .count_offset = offsetof(type_, count_member)           \
    }
/* Arrays as input: of min_ to max_ items (max_ at least 1). */
#define SB_OBJECTS_IN(type_, member, count_member, name_, element_type, fields_, min_, max_,       \
                      flags_)                                                                      \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_OBJECTS, .flags = (flags_),                              \
        .offset = offsetof(type_, member), .count_offset = offsetof(type_, count_member),          \
        .size = sizeof(element_type), .fields = (fields_), .min = (min_), .max = (max_)            \
    }
#define SB_STRINGS_IN(type_, member, count_member, name_, characters_max_, min_, max_, flags_)     \
    {                                                                                              \
        .name = (name_), .type = SB_FIELD_STRINGS, .flags = (flags_),                              \
        .offset = offsetof(type_, member), .count_offset = offsetof(type_, count_member),          \
        .size = (characters_max_), .min = (min_), .max = (max_)                                    \
    }

#endif
