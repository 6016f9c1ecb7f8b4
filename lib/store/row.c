#include "store/row.h"

#include <string.h>

bool sb_row_dup(const struct sb_db_row *row, int column, struct sb_arena *arena, const char **text)
{
    const char *value = sb_db_row_text(row, column);
    *text = value == NULL ? NULL : sb_arena_strdup(arena, value);
    return value == NULL || *text != NULL;
}

int sb_row_name(const struct sb_db_row *row, int column, const char *const names[])
{
    const char *value = sb_db_row_text(row, column);
    for (int i = 0; value != NULL && names[i] != NULL; i++) {
        if (strcmp(value, names[i]) == 0)
            return i;
    }
    return -1;
}
