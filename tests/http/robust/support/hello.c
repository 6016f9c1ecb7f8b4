/* GET /api/hello?name=Ada: greets. */
#include "endpoint/endpoint.h"

struct input {
    const char *name;
};

struct output {
    const char *greeting;
};

static const struct sb_field input_fields[] = {SB_STRING(struct input, name, "name", 1, 64, 0),
                                               SB_FIELDS_END};
static const struct sb_field output_fields[] = {
    SB_STRING(struct output, greeting, "greeting", 1, 128, SB_REQUIRED), SB_FIELDS_END};

static enum sb_error hello(struct sb_request *request, const void *in, void *out)
{
    const struct input *input = in;
    struct output *output = out;
    output->greeting =
        sb_arena_printf(request->arena, "Hello, %s!", input->name != NULL ? input->name : "world");
    return output->greeting != NULL ? SB_OK : SB_E_UNAVAILABLE;
}

const struct sb_endpoint sb_endpoint = {
    .name = "hello",
    .routes = (const struct sb_route[]){{.methods = SB_GET,
                                         .path = "",
                                         .handler = hello,
                                         .access = SB_ACCESS_PUBLIC,
                                         SB_INPUT(struct input, input_fields),
                                         SB_OUTPUT(struct output, output_fields),
                                         .summary = "Greets"},
                                        {.handler = NULL}},
};
