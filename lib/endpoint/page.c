#include "endpoint/page.h"

size_t sb_page_limit(const struct sb_page *page)
{
    return page->limit == 0 ? SB_PAGE_DEFAULT : (size_t)page->limit;
}

enum sb_error sb_page_key(struct sb_request *request, const char *list, const struct sb_page *page,
                          bool (*valid)(const char *text), const char **key)
{
    *key = NULL;
    if (page->cursor == NULL)
        return SB_OK;
    *key = sb_cursor_read(request->arena, list, page->cursor);
    if (*key != NULL && valid(*key))
        return SB_OK;
    return sb_request_invalid(request, "cursor", "format", "is no cursor of this list");
}

enum sb_error sb_page_end(struct sb_request *request, const char *list, const char *key,
                          const char **next_cursor)
{
    if (key != NULL)
        *next_cursor = sb_cursor_make(request->arena, list, key);
    return *next_cursor == NULL ? SB_E_UNAVAILABLE : SB_OK;
}
