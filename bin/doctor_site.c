/* What the doctor asks the site over HTTP, as a browser would reach it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "doctor.h"
#include "endpoint/endpoint.h"
#include "http/security_headers.h"

enum {
    AUDIO_BODY = 26 * 1024 * 1024 - 64 * 1024, /* the snippets allow 26 MiB */
    SKEW_MAX_MS = 5000,                        /* what tokens are allowed */
    STREAM_TRIES = 3,
    STREAM_SPREAD_MIN_MS = 150 /* half the pause of /api/health/stream */
};

#define ADVICE(doctor) doctor_advice((doctor)->check->name, (doctor)->server)

/* What is no fault of a server that does not run. */
static const char *silence_advice(const struct doctor *doctor, const struct doctor_answer *answer)
{
    switch (answer->result.outcome) {
    case SB_FETCH_UNTRUSTED:
        return "give the web server a certificate for this name that has not expired, with its "
               "chain; an authority of your own goes to /usr/local/share/ca-certificates, then "
               "update-ca-certificates";
    case SB_FETCH_FORBIDDEN:
        return "--url https://HOST";
    default:
        return ADVICE(doctor);
    }
}

/* False: there is no answer, which is a finding. */
static bool ask(struct doctor *doctor, const struct doctor_request *request,
                struct doctor_answer *answer)
{
    if (doctor_ask(doctor, request, answer))
        return true;
    doctor_find(doctor, DOCTOR_FAIL, "%s gives no answer: %s -> %s", request->path,
                doctor_answer_text(doctor->arena, answer), silence_advice(doctor, answer));
    return false;
}

static bool get(struct doctor *doctor, const char *path, struct doctor_answer *answer)
{
    return ask(doctor, &(struct doctor_request){.path = path}, answer);
}

/* A limit of ours that was reached: no fault of the site. */
static bool is_limited(struct doctor *doctor, const char *path, const struct doctor_answer *answer)
{
    if (answer->result.status != 429 || !doctor_is_ours(answer))
        return false;
    doctor_find(doctor, DOCTOR_WARN, "%s is rate limited -> run this again in a minute", path);
    return true;
}

/* Whether an endpoint answered, with status. Every other answer is a finding. */
static bool judge(struct doctor *doctor, const char *path, const struct doctor_answer *answer,
                  int status)
{
    const char *text = doctor_answer_text(doctor->arena, answer);
    if (is_limited(doctor, path, answer))
        return false;
    if (!doctor_is_ours(answer))
        doctor_find(doctor, DOCTOR_FAIL, "%s is answered with %s, not by an endpoint -> %s", path,
                    text, ADVICE(doctor));
    else if (answer->result.status != status)
        doctor_find(doctor, DOCTOR_FAIL, "%s is answered with %s, not with %d -> %s", path, text,
                    status, doctor_advice("ready", doctor->server));
    else
        return true;
    return false;
}

/* The answer to a plain GET, where it must be an endpoint's. */
static bool get_ours(struct doctor *doctor, const char *path, int status,
                     struct doctor_answer *answer)
{
    return get(doctor, path, answer) && judge(doctor, path, answer, status);
}

/* --- Whether anything can be asked
 * ------------------------------------------------------------------ */

static void check_reach(struct doctor *doctor)
{
    struct doctor_answer answer;
    const char *server, *place = NULL;
    if (!get(doctor, "/api/health/live", &answer))
        return;
    if (doctor->server == DOCTOR_UNKNOWN && doctor_header(&answer, "Server", &server) > 0)
        doctor->server = doctor_server_of(server);
    if (doctor_is_ours(&answer))
        return;
    doctor_header(&answer, "Location", &place);
    if (answer.result.status / 100 == 3 && place != NULL)
        doctor_find(doctor, DOCTOR_FAIL, "the site is elsewhere: %d to %s -> say so with --url",
                    answer.result.status, place);
    else
        doctor_find(doctor, DOCTOR_FAIL, "no endpoint answers /api/health/live, but a %s -> %s",
                    doctor_answer_text(doctor->arena, &answer), ADVICE(doctor));
}

static void check_ready(struct doctor *doctor)
{
    struct doctor_answer answer;
    (void)!get_ours(doctor, "/api/health/ready", 200, &answer);
}

static void check_version(struct doctor *doctor)
{
    struct doctor_answer answer;
    if (!get_ours(doctor, "/api/health", 200, &answer))
        return;
    const char *version = doctor_json_text(doctor->arena, &answer, "version");
    if (version == NULL || strcmp(version, SB_VERSION) != 0)
        doctor_find(doctor, DOCTOR_FAIL, "the endpoints are version %s, this command is %s -> %s",
                    version == NULL ? "unknown" : version, SB_VERSION, ADVICE(doctor));
}

/* --- Headers
 * ---------------------------------------------------------------------------------------- */

/* Whether the answer has line, "Name: value" and the end of a line as an endpoint sends it, once.
 */
static bool same_header(struct doctor *doctor, const char *path, const struct doctor_answer *answer,
                        const char *line)
{
    size_t name_length = strcspn(line, ":"), length = strcspn(line, "\r") - name_length - 2;
    const char *value = "", *wanted = line + name_length + 2;
    const char *name = sb_arena_strndup(doctor->arena, line, name_length);
    size_t count = name == NULL ? 0 : doctor_header(answer, name, &value);
    if (count == 1 && strlen(value) == length && memcmp(value, wanted, length) == 0)
        return true;
    const char *what = count == 0 ? "is missing" : count > 1 ? "is there twice" : "is changed";
    doctor_find(doctor, DOCTOR_FAIL, "%.*s of %s %s -> %s", (int)name_length, line, path, what,
                ADVICE(doctor));
    return false;
}

/* A success and an error: servers set headers on one, the other, or both. What is wrong with both
 * is said once. */
static void check_headers(struct doctor *doctor)
{
    static const char *const paths[] = {"/api/health", "/api/doctor-looks-for-nothing"};
    struct doctor_answer answers[SB_COUNT(paths)];
    struct sb_response wanted;
    sb_response_init(&wanted, doctor->arena);
    sb_security_headers_add(&wanted, doctor->config);
    for (size_t i = 0; i < SB_COUNT(paths); i++) {
        if (!get(doctor, paths[i], &answers[i]))
            return;
    }
    for (const char *line = wanted.head.data; *line != '\0'; line += strcspn(line, "\n") + 1) {
        bool sound = true; /* "reach" and "not-found" speak of what is not ours */
        for (size_t i = 0; sound && i < SB_COUNT(paths); i++)
            sound =
                !doctor_is_ours(&answers[i]) || same_header(doctor, paths[i], &answers[i], line);
    }
}

/* --- Paths
 * ------------------------------------------------------------------------------------------ */

static void check_not_found(struct doctor *doctor)
{
    struct doctor_answer answer;
    (void)!get_ours(doctor, "/api/doctor-looks-for-nothing", 404, &answer);
}

static void check_alias(struct doctor *doctor)
{
    struct doctor_answer answer;
    (void)!get_ours(doctor, "/api/health.php", 200, &answer);
}

/* --- What reaches an endpoint
 * ------------------------------------------------------------------------- */

/* A token that is none: the endpoint's challenge says that it was refused, or that there was none
 * (RFC 6750 section 3.1). It is read even from a page that the server has put in place of ours. */
static void check_authorization(struct doctor *doctor)
{
    static const struct sb_fetch_header header = {"Authorization", "Bearer doctor"};
    const struct doctor_request request = {
        .path = "/api/calls/start", .headers = &header, .header_count = 1, .body_size = 2};
    struct doctor_answer answer;
    const char *challenge = NULL;
    if (!ask(doctor, &request, &answer))
        return;
    if (answer.result.status != 401) {
        (void)!judge(doctor, request.path, &answer, 401);
        return;
    }
    doctor_header(&answer, "WWW-Authenticate", &challenge);
    if (challenge == NULL)
        doctor_find(doctor, DOCTOR_WARN,
                    "the answer lost its WWW-Authenticate, so this cannot be told -> first mend "
                    "\"not-found\": %s",
                    doctor_advice("not-found", doctor->server));
    else if (strstr(challenge, "invalid_token") == NULL)
        doctor_find(doctor, DOCTOR_FAIL, "Authorization does not reach the endpoints -> %s",
                    ADVICE(doctor));
}

/* /api/realtime-websocket takes any body and reads none: what is not an endpoint's answer is the
 * server's refusal. Apache's LimitRequestBody does not refuse but drops the body under mod_fcgid:
 * there it is sent where an endpoint refuses any, and an answer without a refusal shows that none
 * came. (Elsewhere that cannot be asked: lighttpd refuses every GET with a body.) */
static bool body_passes(struct doctor *doctor, size_t size)
{
    const bool apache = doctor->server == DOCTOR_APACHE;
    const struct doctor_request request = {.method = apache ? "GET" : "POST",
                                           .path = apache ? "/api/health/live"
                                                          : "/api/realtime-websocket",
                                           .body_size = size};
    struct doctor_answer answer;
    if (!ask(doctor, &request, &answer))
        return false;
    int status = answer.result.status;
    bool ours = doctor_is_ours(&answer) || status == 410; /* no server says that by itself */
    if (ours && status != 200)
        return true;
    doctor_find(doctor, DOCTOR_FAIL, "a body of %zu KiB %s%s -> %s", size / 1024,
                ours ? "does not arrive" : "is answered with ",
                ours ? "" : doctor_answer_text(doctor->arena, &answer), ADVICE(doctor));
    return false;
}

/* What stops the smaller one stops both. */
static void check_body_limit(struct doctor *doctor)
{
    if (body_passes(doctor, SB_JSON_BODY_MAX))
        (void)body_passes(doctor, AUDIO_BODY);
}

static void check_stream(struct doctor *doctor)
{
    struct doctor_answer answer;
    int64_t spread_ms = 0;
    for (int i = 0; i < STREAM_TRIES; i++) { /* a busy machine may read late, once */
        if (!get(doctor, "/api/health/stream", &answer))
            return;
        if (answer.result.status == 429 && doctor_is_ours(&answer)) {
            doctor_find(doctor, DOCTOR_WARN,
                        "/api/health/stream is rate limited -> run this again "
                        "in a minute");
            return;
        }
        if (answer.result.status != 200 || strstr(answer.body, "event: second") == NULL) {
            doctor_find(doctor, DOCTOR_FAIL, "/api/health/stream is answered with %s -> %s",
                        doctor_answer_text(doctor->arena, &answer), ADVICE(doctor));
            return;
        }
        if (answer.spread_ms >= STREAM_SPREAD_MIN_MS)
            return;
        spread_ms = answer.spread_ms;
    }
    doctor_find(doctor, DOCTOR_FAIL, "events sent 300 ms apart arrive within %" PRId64 " ms -> %s",
                spread_ms, ADVICE(doctor));
}

/* --- CORS
 * ------------------------------------------------------------------------------------------- */

/* An origin whose pages may call; NULL: none is known. */
static const char *allowed_origin(const struct doctor *doctor)
{
    const struct sb_config *config = doctor->config;
    if (config->production_domain != NULL)
        return sb_arena_printf(doctor->arena, "https://%s", config->production_domain);
    for (size_t i = 0; i < config->allowed_origins.count; i++) {
        if (strcmp(config->allowed_origins.items[i], "*") != 0)
            return config->allowed_origins.items[i];
    }
    return NULL;
}

static bool ask_preflight(struct doctor *doctor, const char *origin, struct doctor_answer *answer)
{
    const struct sb_fetch_header headers[] = {
        {"Origin", origin},
        {"Access-Control-Request-Method", "POST"},
        {"Access-Control-Request-Headers", "authorization,content-type"}};
    const struct doctor_request request = {.method = "OPTIONS",
                                           .path = "/api/calls/start",
                                           .headers = headers,
                                           .header_count = SB_COUNT(headers)};
    return ask(doctor, &request, answer);
}

static void check_allowed(struct doctor *doctor, const char *origin)
{
    struct doctor_answer answer;
    const char *named = "";
    if (!ask_preflight(doctor, origin, &answer))
        return;
    size_t count = doctor_header(&answer, "Access-Control-Allow-Origin", &named);
    bool ours = doctor_header(&answer, "X-Trace-Id", NULL) > 0; /* it has no body */
    if (!ours || answer.result.status != 200)
        doctor_find(doctor, DOCTOR_FAIL, "a preflight is answered with %d by %s -> %s",
                    answer.result.status, ours ? "an endpoint" : "something else", ADVICE(doctor));
    else if (count != 1 || strcmp(named, origin) != 0)
        doctor_find(doctor, DOCTOR_FAIL,
                    "Access-Control-Allow-Origin for %s %s: browsers refuse it -> %s", origin,
                    count == 0  ? "is missing"
                    : count > 1 ? "is there twice"
                                : "is changed",
                    ADVICE(doctor));
}

/* Where every origin may call, none is refused. */
static bool any_origin(const struct sb_config *config)
{
    for (size_t i = 0; i < config->allowed_origins.count; i++) {
        if (strcmp(config->allowed_origins.items[i], "*") == 0)
            return true;
    }
    return config->cors_report_only;
}

/* A site nobody knows: what lets it in is not ours. */
static void check_denied(struct doctor *doctor)
{
    struct doctor_answer answer;
    if (any_origin(doctor->config) || !ask_preflight(doctor, "https://doctor.invalid", &answer) ||
        is_limited(doctor, "/api/calls/start", &answer))
        return;
    if (doctor_header(&answer, "Access-Control-Allow-Origin", NULL) > 0)
        doctor_find(doctor, DOCTOR_FAIL, "every origin is let in, not by an endpoint -> %s",
                    ADVICE(doctor));
    else if (answer.result.status != 403)
        doctor_find(doctor, DOCTOR_FAIL,
                    "the preflight of an origin that is not allowed is answered with %s -> %s",
                    doctor_answer_text(doctor->arena, &answer), ADVICE(doctor));
}

static void check_preflight(struct doctor *doctor)
{
    const char *origin = allowed_origin(doctor);
    if (origin != NULL)
        check_allowed(doctor, origin);
    check_denied(doctor);
}

/* --- Time
 * ------------------------------------------------------------------------------------------- */

static void compare_time(struct doctor *doctor, const char *whose, int64_t time_ms, int64_t from_ms,
                         int64_t to_ms)
{
    int64_t early_ms = from_ms - time_ms, late_ms = time_ms - to_ms;
    int64_t skew_ms = early_ms > late_ms ? early_ms : late_ms;
    if (time_ms >= 0 && skew_ms <= SKEW_MAX_MS)
        return;
    if (time_ms < 0)
        doctor_find(doctor, DOCTOR_FAIL, "%s tells no time -> %s", whose, ADVICE(doctor));
    else
        doctor_find(doctor, DOCTOR_FAIL,
                    "%s is %" PRId64 " s %s this machine's clock: tokens are refused -> %s", whose,
                    skew_ms / 1000, early_ms > late_ms ? "behind" : "ahead of", ADVICE(doctor));
}

/* The server's clock stamps the answer, the endpoint's judges tokens. */
static void check_clock(struct doctor *doctor)
{
    struct doctor_answer answer;
    const char *date = NULL;
    int64_t from_ms = sb_clock_now_ms() - 1000; /* Date has whole seconds */
    if (!get_ours(doctor, "/api/health", 200, &answer))
        return;
    int64_t to_ms = sb_clock_now_ms();
    const char *time = doctor_json_text(doctor->arena, &answer, "time");
    compare_time(doctor, "the endpoints' clock", doctor_time_ms(time == NULL ? "" : time), from_ms,
                 to_ms);
    if (doctor_header(&answer, "Date", &date) > 0)
        compare_time(doctor, "the web server's clock", doctor_time_ms(date), from_ms, to_ms);
}

/* --- The server's configuration
 * ------------------------------------------------------------------------ */

struct kept {
    struct doctor *doctor;
    const char *file; /* that was reported last: what is wrong in one line is so in the next */
};

static void report_kept(void *context, const char *file, int line)
{
    struct kept *kept = context;
    if (kept->file != NULL && strcmp(kept->file, file) == 0)
        return;
    kept->file = file;
    doctor_find(kept->doctor, DOCTOR_FAIL,
                "connections to the endpoints, which close them, are kept -> %s:%d: %s", file, line,
                kept->doctor->server == DOCTOR_NGINX ? "fastcgi_keep_conn off;"
                                                     : "enablereuse=off");
}

static void check_kept(struct doctor *doctor)
{
    struct kept kept = {.doctor = doctor};
    const char *file = doctor->options.server_config;
    bool nginx = doctor->server == DOCTOR_NGINX;
    if (!nginx && doctor->server != DOCTOR_APACHE)
        return; /* lighttpd has no such setting */
    if (file == NULL)
        file = nginx ? "/etc/nginx/nginx.conf" : "/etc/apache2/apache2.conf";
    bool read = (nginx ? doctor_kept_in_nginx : doctor_kept_in_apache)(
        doctor->arena, file, doctor->config->run_dir, report_kept, &kept);
    if (!read && doctor->options.server_config != NULL)
        doctor_find(doctor, DOCTOR_WARN, "%s cannot be read -> name the server's main file", file);
}

const struct doctor_check doctor_site_checks[] = {
    {"reach", "an endpoint answers", check_reach}, /* first: without it nothing can be said */
    {"ready", "configuration, database and disk are as they must be", check_ready},
    {"version", "the endpoints are this command's version", check_version},
    {"headers", "security headers arrive once and unchanged", check_headers},
    {"not-found", "every miss below /api is an endpoint's answer", check_not_found},
    {"alias", "/api/*.php is an endpoint's", check_alias},
    {"authorization", "Authorization reaches the endpoints", check_authorization},
    {"body-limit", "JSON of 64 KiB and recordings of 26 MiB pass", check_body_limit},
    {"stream", "events arrive as they are sent", check_stream},
    {"preflight", "preflights are the endpoints' to answer", check_preflight},
    {"clock", "the clocks agree", check_clock},
    {"keep-alive", "connections to the endpoints are not kept", check_kept},
    {NULL, NULL, NULL}};
