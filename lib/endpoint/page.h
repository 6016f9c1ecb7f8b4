/* Lists that are answered page by page: the parameters `limit` and `cursor`, and `nextCursor`. A
 * handler asks its store for sb_page_limit() + 1 items behind the key of sb_page_key(); where it
 * gets that many, it shows one less and says by sb_page_end() where the next page goes on. */
#ifndef SB_ENDPOINT_PAGE_H
#define SB_ENDPOINT_PAGE_H

#include "endpoint/endpoint.h"
#include "http/cursor.h"

enum { SB_PAGE_MAX = 100, SB_PAGE_DEFAULT = 50 }; /* items */

/* What a client asks for. */
struct sb_page {
    int64_t limit; /* 0: not given */
    const char *cursor;
};

/* Of an input struct whose member `page` is it. */
#define SB_PAGE(type)                                                                              \
    SB_INT(type, page.limit, "limit", 1, SB_PAGE_MAX, 0),                                          \
        SB_STRING(type, page.cursor, "cursor", 1, SB_CURSOR_MAX, 0)

/* member: const char *, NULL on the last page. */
#define SB_NEXT_CURSOR(type, member)                                                               \
    SB_STRING(type, member, "nextCursor", 1, SB_CURSOR_MAX, SB_REQUIRED | SB_NULLABLE)

SB_NONNULL_ALL size_t sb_page_limit(const struct sb_page *page);

/* *key: what was given to sb_page_end() for the page before, in the request's arena; NULL on the
 * first page. list: see http/cursor.h; valid: whether a text is a key of it, for a client may have
 * made one up. SB_E_VALIDATION_FAILED: it is no cursor of this list. */
SB_NONNULL_ALL SB_MUST_CHECK enum sb_error sb_page_key(struct sb_request *request, const char *list,
                                                       const struct sb_page *page,
                                                       bool (*valid)(const char *text),
                                                       const char **key);

/* *next_cursor: of the page behind the item with key; NULL for key (out of memory):
 * SB_E_UNAVAILABLE. */
SB_NONNULL(1, 2, 4)
SB_MUST_CHECK enum sb_error sb_page_end(struct sb_request *request, const char *list,
                                        const char *key, const char **next_cursor);

#endif
