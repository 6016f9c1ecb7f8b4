#include "http/error_response.h"

#include "http/request.h"

static void write_fields(struct sb_buf *body, const struct sb_field_errors *errors)
{
    sb_json_key(body, "fields");
    sb_json_open(body, '[');
    for (size_t i = 0; i < errors->count; i++) {
        sb_json_open(body, '{');
        sb_json_key(body, "field");
        sb_json_string(body, errors->items[i].field);
        sb_json_key(body, "code");
        sb_json_string(body, errors->items[i].code);
        sb_json_key(body, "message");
        sb_json_string(body, errors->items[i].message);
        sb_json_close(body, '}');
    }
    sb_json_close(body, ']');
}

void sb_error_response_write(struct sb_response *response, const struct sb_error_response *error)
{
    const struct sb_error_info *info = sb_error_info(error->error);
    const char *message = error->message != NULL ? error->message : info->message;
    bool problem = sb_accept_asks_for(error->accept, "application/problem+json");
    struct sb_buf *body = &response->body;
    response->status = info->status;
    body->length = 0;
    body->failed = false;
    sb_json_open(body, '{');
    sb_json_key(body, "success");
    sb_json_bool(body, false);
    sb_json_key(body, "error");
    sb_json_open(body, '{');
    sb_json_key(body, "code");
    sb_json_string(body, info->code);
    sb_json_key(body, "message");
    sb_json_string(body, message);
    if (error->fields != NULL && error->fields->count > 0)
        write_fields(body, error->fields);
    sb_json_close(body, '}');
    if (error->members != NULL)
        sb_json_raw(body, error->members);
    sb_json_key(body, "traceId");
    sb_json_string(body, error->trace_id);
    sb_json_key(body, "type");
    sb_buf_add_format(body, "\"urn:switchboard:error:%s\"", info->code);
    sb_json_key(body, "title");
    sb_json_string(body, info->title);
    sb_json_key(body, "status");
    sb_json_int(body, info->status);
    sb_json_key(body, "detail");
    sb_json_string(body, message);
    sb_json_close(body, '}');
    sb_response_header(response, "Content-Type",
                       problem ? "application/problem+json" : "application/json");
}
