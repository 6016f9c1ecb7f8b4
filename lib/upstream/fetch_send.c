#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "upstream/fetch_internal.h"

/* A source that is read in order by libcurl, as the body or as a part of it. */
struct sb_fetch_reader {
    struct sb_fetch_call *call;
    const struct sb_fetch_source *source;
    int64_t offset;
};

static ssize_t read_source(const struct sb_fetch_source *source, int64_t offset, char *buffer,
                           size_t size)
{
    return source->read == NULL ? pread(source->fd, buffer, size, offset)
                                : source->read(source->context, offset, buffer, size);
}

static size_t on_read(char *buffer, size_t size, size_t count, void *context)
{
    struct sb_fetch_reader *reader = context;
    const struct sb_fetch_source *source = reader->source;
    int64_t left = source->length - reader->offset;
    size_t room = size * count;
    if (left <= 0)
        return 0;
    if (reader->call->cancelled)
        return CURL_READFUNC_ABORT;
    if ((uint64_t)left < room)
        room = (size_t)left;
    ssize_t got = read_source(source, reader->offset, buffer, room);
    if (got <= 0 || (size_t)got > room) {
        reader->call->broken = SB_FETCH_CANCELLED;
        return CURL_READFUNC_ABORT;
    }
    reader->offset += got;
    return (size_t)got;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct sb_fetch_reader *reader = context;
    if (origin != SEEK_SET || offset < 0 || offset > reader->source->length)
        return CURL_SEEKFUNC_FAIL;
    reader->offset = offset;
    return CURL_SEEKFUNC_OK;
}

static bool set_source(struct sb_fetch_call *call, struct sb_fetch_reader *reader)
{
    CURL *easy = call->easy;
    *reader = (struct sb_fetch_reader){call, call->request.source, 0};
    return curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)reader->source->length) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READDATA, reader) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SEEKDATA, reader) == CURLE_OK;
}

static bool set_memory(CURL *easy, const struct sb_fetch_request *request)
{
    const void *body = request->body == NULL ? "" : request->body;
    return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) == CURLE_OK;
}

static bool add_part(struct sb_fetch_call *call, const struct sb_fetch_part *part,
                     struct sb_fetch_reader *reader)
{
    curl_mimepart *made = curl_mime_addpart(call->mime);
    if (made == NULL || curl_mime_name(made, part->name) != CURLE_OK)
        return false;
    if ((part->filename != NULL && curl_mime_filename(made, part->filename) != CURLE_OK) ||
        (part->content_type != NULL && curl_mime_type(made, part->content_type) != CURLE_OK))
        return false;
    if (part->source == NULL)
        return curl_mime_data(made, part->text, CURL_ZERO_TERMINATED) == CURLE_OK;
    *reader = (struct sb_fetch_reader){call, part->source, 0};
    return curl_mime_data_cb(made, part->source->length, on_read, on_seek, NULL, reader) ==
           CURLE_OK;
}

static bool set_parts(struct sb_fetch_call *call)
{
    call->mime = curl_mime_init(call->easy);
    if (call->mime == NULL)
        return false;
    for (size_t i = 0; i < call->request.part_count; i++) {
        if (!add_part(call, &call->request.parts[i], &call->readers[i]))
            return false;
    }
    return curl_easy_setopt(call->easy, CURLOPT_MIMEPOST, call->mime) == CURLE_OK;
}

bool sb_fetch_send_set(struct sb_fetch_call *call)
{
    const struct sb_fetch_request *request = &call->request;
    size_t readers = request->source != NULL ? 1 : request->part_count;
    if (readers > 0) {
        call->readers = calloc(readers, sizeof *call->readers);
        if (call->readers == NULL)
            return false;
        return request->source != NULL ? set_source(call, call->readers) : set_parts(call);
    }
    if (request->body != NULL || strcmp(request->method, "POST") == 0 ||
        strcmp(request->method, "PUT") == 0 || strcmp(request->method, "PATCH") == 0)
        return set_memory(call->easy, request);
    return true;
}
