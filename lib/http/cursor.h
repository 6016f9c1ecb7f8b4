/* Cursors of lists: where the next page goes on, as a text the client hands back unread. It is the
 * base64url of the list's name and the key of the last item shown. Not signed: a key the client
 * makes up only moves its place in what it may see anyway, so a list must not rely on it for more.
 */
#ifndef SB_HTTP_CURSOR_H
#define SB_HTTP_CURSOR_H

#include "base/arena.h"

enum {
    SB_CURSOR_KEY_MAX = 192, /* bytes of a key */
    SB_CURSOR_MAX = 300      /* characters of a cursor */
};

/* The cursor behind the item with key (1 to SB_CURSOR_KEY_MAX bytes of UTF-8 without control
 * characters) in the list of this name ("threads", at most 24 characters, no ':'). In arena; NULL:
 * out of memory, or another key. */
SB_NONNULL_ALL SB_MUST_CHECK char *sb_cursor_make(struct sb_arena *arena, const char *list,
                                                  const char *key);

/* The key in a cursor of this list, in arena; NULL: it is none, or out of memory. */
SB_NONNULL_ALL SB_MUST_CHECK const char *sb_cursor_read(struct sb_arena *arena, const char *list,
                                                        const char *cursor);

#endif
