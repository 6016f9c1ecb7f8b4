#include <string.h>

#include "base/crypto.h"
#include "endpoint/pipeline.h"
#include "http/json.h"

static size_t body_max(const struct sb_route *route)
{
    return route->body_max == 0 ? SB_JSON_BODY_MAX : route->body_max;
}

enum sb_error sb_request_read(struct sb_request *request, void *data, size_t size, size_t *got)
{
    struct sb_pipeline *p = request->pipeline;
    ssize_t count = p->gateway->read(p->gateway->state, data, size);
    if (count < 0)
        return SB_E_INVALID_REQUEST;
    p->body_got += count;
    int64_t expected = p->head.content_length < 0 ? 0 : p->head.content_length;
    if (p->body_got > expected || (count == 0 && p->body_got < expected))
        return SB_E_INVALID_REQUEST;
    *got = (size_t)count;
    return SB_OK;
}

/* A route without a body must not be sent one: what is not read would be dropped unseen. */
static enum sb_error refuse_body(struct sb_pipeline *p)
{
    char byte;
    size_t got;
    if (p->head.content_length > 0)
        return SB_E_INVALID_REQUEST;
    return sb_request_read(&p->request, &byte, 1, &got);
}

static enum sb_error read_whole(struct sb_pipeline *p)
{
    size_t length = (size_t)(p->head.content_length < 0 ? 0 : p->head.content_length), got;
    char *body = sb_arena_alloc(p->request.arena, length + 1);
    if (body == NULL)
        return SB_E_UNAVAILABLE;
    p->body =
        body; /* at once: what of it was read is hashed for the audit, even if it breaks off */
    /* One byte more than announced: it must turn out to be the end. */
    do {
        enum sb_error error =
            sb_request_read(&p->request, body + p->body_length, length + 1 - p->body_length, &got);
        if (error != SB_OK)
            return error;
        p->body_length += got;
    } while (got > 0);
    return SB_OK;
}

enum sb_error sb_body_take(struct sb_pipeline *p)
{
    p->body = "";
    if (p->route->body == SB_BODY_NONE)
        return refuse_body(p);
    if (p->head.content_length > (int64_t)body_max(p->route))
        return SB_E_BODY_TOO_LARGE;
    if (p->route->body == SB_BODY_STREAM)
        return SB_OK;
    if (p->head.content_length > 0 && !sb_media_type_is(p->head.content_type, "application/json"))
        return SB_E_UNSUPPORTED_MEDIA_TYPE;
    return read_whole(p);
}

static enum sb_error add_path_params(struct sb_pipeline *p, json_t *object)
{
    for (size_t i = 0; i < p->param_count; i++) {
        const struct sb_path_param *param = &p->params[i];
        char *name = sb_arena_strndup(p->request.arena, param->name, param->name_length);
        if (name == NULL)
            return SB_E_UNAVAILABLE;
        if (json_object_get(object, name) != NULL) /* the path decides, not the body */
            return SB_E_INVALID_REQUEST;
        json_t *value = json_stringn(param->value, param->value_length);
        if (json_object_set_new(object, name, value) != 0)
            return SB_E_UNAVAILABLE;
    }
    return SB_OK;
}

static enum sb_error validate(struct sb_pipeline *p, const json_t *object)
{
    void *input = sb_arena_alloc(p->request.arena, p->route->input_size);
    if (input == NULL)
        return SB_E_UNAVAILABLE;
    p->input = input;
    return sb_input_validate(p->request.arena, object, p->route->input,
                             p->route->body != SB_BODY_JSON, input, &p->field_errors);
}

/* The object with everything the client sent: body or query, and path. */
static enum sb_error collect(struct sb_pipeline *p, json_t **object)
{
    bool json = p->route->body == SB_BODY_JSON && p->body_length > 0;
    *object = json ? sb_json_parse_object(p->body, p->body_length) : json_object();
    if (*object == NULL)
        return json ? SB_E_INVALID_JSON : SB_E_UNAVAILABLE;
    enum sb_error error = SB_OK;
    if (p->route->body != SB_BODY_JSON)
        error = sb_input_parse_query(p->request.arena, p->head.query, *object);
    return error != SB_OK ? error : add_path_params(p, *object);
}

enum sb_error sb_input_take(struct sb_pipeline *p)
{
    if (p->route->input == NULL)
        return SB_OK;
    json_t *object = NULL;
    enum sb_error error = collect(p, &object);
    if (error == SB_OK)
        error = validate(p, object);
    json_decref(object);
    return error;
}

enum sb_error sb_request_invalid(struct sb_request *request, const char *field, const char *code,
                                 const char *message)
{
    struct sb_field_errors *errors = &request->pipeline->field_errors;
    if (field == NULL)
        return SB_E_UNAVAILABLE;
    if (errors->count < SB_FIELD_ERRORS_MAX)
        errors->items[errors->count++] = (struct sb_field_error){field, code, message};
    return SB_E_VALIDATION_FAILED;
}

enum sb_error sb_idempotency_take(struct sb_pipeline *p)
{
    const char *key = p->head.idempotency_key;
    if (key == NULL || !p->route->idempotent)
        return SB_OK;
    for (const char *c = key; *c != '\0'; c++) {
        if (*c < 0x21 || *c > 0x7E || c - key >= SB_IDEMPOTENCY_KEY_MAX) {
            p->message = "Idempotency-Key must be 1 to 255 visible ASCII characters.";
            return SB_E_INVALID_REQUEST;
        }
    }
    p->idempotency_key = key;
    return SB_OK;
}

const char *sb_body_hash(struct sb_pipeline *p)
{
    unsigned char digest[SB_SHA256_SIZE];
    if (p->body_sha256 != NULL || p->body == NULL)
        return p->body_sha256;
    char *text = sb_arena_alloc(p->request.arena, SB_SHA256_HEX_SIZE);
    if (text == NULL || !sb_sha256(p->body, p->body_length, digest))
        return NULL;
    sb_hex(digest, sizeof digest, text);
    p->body_sha256 = text;
    return text;
}
