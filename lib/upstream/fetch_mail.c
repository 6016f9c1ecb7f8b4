/* The way of a mail: one SMTP transaction (RFC 5321) by libcurl, over TLS or not at all. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "upstream/fetch_internal.h"
#include "upstream/mail.h"

enum { URL_SIZE = 1024, SMTPS_PORT = 465 };

struct message {
    const char *data;
    size_t length, sent;
    char told[CURL_ERROR_SIZE]; /* by libcurl, of the step that failed */
};

static size_t read_message(char *buffer, size_t size, size_t count, void *context)
{
    struct message *message = context;
    size_t left = message->length - message->sent, length = size * count;
    if (length > left)
        length = left;
    memcpy(buffer, message->data + message->sent, length);
    message->sent += length;
    return length;
}

/* Whom, how, and with which trust. The last part of the URL is what the client calls itself. */
static bool set_server(CURL *easy, const struct sb_config *config)
{
    char url[URL_SIZE];
    bool implicit = config->smtp_port == SMTPS_PORT;
    bool v6 = strchr(config->smtp_host, ':') != NULL;
    int length = snprintf(url, sizeof url, "%s://%s%s%s:%d/%s", implicit ? "smtps" : "smtp",
                          v6 ? "[" : "", config->smtp_host, v6 ? "]" : "", (int)config->smtp_port,
                          strchr(config->smtp_from, '@') + 1);
    return length > 0 && (size_t)length < sizeof url &&
           curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           sb_fetch_process_share(easy) && curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)SB_MAIL_CONNECT_MS) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, SB_MAIL_TOTAL_MS / 1000L) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)SB_MAIL_TOTAL_MS) == CURLE_OK;
}

static bool set_account(CURL *easy, const struct sb_config *config)
{
    return config->smtp_username == NULL || config->smtp_password == NULL ||
           (curl_easy_setopt(easy, CURLOPT_USERNAME, config->smtp_username) == CURLE_OK &&
            curl_easy_setopt(easy, CURLOPT_PASSWORD, config->smtp_password) == CURLE_OK);
}

/* The envelope: sb_mail_format() has seen that both are addresses and nothing else. */
static bool set_message(CURL *easy, const struct sb_mail *mail, const struct curl_slist *to,
                        struct message *message)
{
    return to != NULL && curl_easy_setopt(easy, CURLOPT_MAIL_FROM, mail->from) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, to) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, message->told) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_message) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READDATA, message) == CURLE_OK;
}

static enum sb_error error_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return SB_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return SB_E_UPSTREAM_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return SB_E_UNAVAILABLE;
    default:
        return SB_E_UPSTREAM_ERROR;
    }
}

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

/* What the server said no to; NULL: it did not. Its own words stay out: they may hold addresses. */
static const char *refusal_of(CURL *easy, struct sb_arena *arena, const char *told)
{
    enum { REFUSED = 400, SIGN_IN_FIRST = 530 }; /* RFC 5321 section 4.2.1, RFC 4954 section 6 */
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < REFUSED)
        return NULL;
    const char *what = begins_with(told, "MAIL")   ? "refuses SMTP_FROM"
                       : begins_with(told, "RCPT") ? "refuses the recipient"
                                                   : "refuses the mail";
    if (status == SIGN_IN_FIRST)
        what = "demands SMTP_USERNAME and SMTP_PASSWORD";
    return sb_arena_printf(arena, "the server %s (status %ld)", what, status);
}

static const char *problem_of(CURL *easy, struct sb_arena *arena, CURLcode code, const char *told)
{
    long verify = 0;
    const char *refusal;
    switch (code) {
    case CURLE_USE_SSL_FAILED:
        return "the server offers no TLS";
    case CURLE_LOGIN_DENIED:
        return "the server refuses SMTP_USERNAME or SMTP_PASSWORD";
    case CURLE_PEER_FAILED_VERIFICATION:
        curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verify);
        return sb_fetch_process_verify_text(verify);
    case CURLE_OPERATION_TIMEDOUT:
        return curl_easy_strerror(code);
    default:
        refusal = refusal_of(easy, arena, told);
        return refusal != NULL ? refusal : curl_easy_strerror(code);
    }
}

/* Neither line nor count holds an address or content. */
static void tell(CURL *easy, const char *problem, int64_t started_us, const char *trace_id)
{
    long status = 0;
    int64_t took_us = sb_clock_mono_us() - started_us;
    bool sent = problem == NULL;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    SB_LOG(sent ? SB_LOG_INFO : SB_LOG_WARN, "upstream.mail", trace_id,
           SB_LOG_TEXT("outcome", sent ? "ok" : "failed"), SB_LOG_INT("status", status),
           SB_LOG_TEXT("reason", problem), SB_LOG_INT("durationMs", took_us / 1000));
    sb_metrics_add(
        SB_METRIC_UPSTREAM_REQUESTS,
        sent ? "upstream=\"mail\",outcome=\"ok\"" : "upstream=\"mail\",outcome=\"failed\"", 1);
}

static enum sb_error transact(CURL *easy, struct sb_arena *arena, const struct message *message,
                              const char **problem, const char *trace_id)
{
    int64_t started_us = sb_clock_mono_us();
    CURLcode code = curl_easy_perform(easy);
    if (code != CURLE_OK)
        *problem = problem_of(easy, arena, code, message->told);
    tell(easy, *problem, started_us, trace_id);
    return error_of(code);
}

static enum sb_error send_message(const struct sb_config *config, struct sb_arena *arena,
                                  const struct sb_mail *mail, struct message *message,
                                  const char **problem, const char *trace_id)
{
    enum sb_error error = sb_fetch_prepare(config);
    if (error != SB_OK) {
        *problem = error == SB_E_MISCONFIGURED ? "UPSTREAM_CA_FILE cannot be used" : "no memory";
        return error;
    }
    CURL *easy = curl_easy_init();
    struct curl_slist *to = curl_slist_append(NULL, mail->to);
    if (easy != NULL && set_server(easy, config) && set_account(easy, config) &&
        set_message(easy, mail, to, message)) {
        error = transact(easy, arena, message, problem, trace_id);
    } else {
        *problem = "no memory";
        error = SB_E_UNAVAILABLE;
    }
    curl_easy_cleanup(easy);
    curl_slist_free_all(to);
    return error;
}

enum sb_error sb_mail_send(const struct sb_config *config, struct sb_arena *arena,
                           const struct sb_mail *mail, const char **problem, const char *trace_id)
{
    struct sb_buf text;
    enum sb_error error = SB_E_INTERNAL;
    *problem = NULL;
    sb_buf_init(&text, arena, SB_MAIL_MAX);
    if (!sb_mail_configured(config) || !sb_mail_format(arena, &text, mail)) {
        *problem = "an address, the id or the subject cannot be sent";
    } else if (!sb_buf_ok(&text)) {
        *problem = "the message is too long, or there is no memory";
        error = SB_E_UNAVAILABLE;
    } else {
        struct message message = {.data = text.data, .length = text.length};
        error = send_message(config, arena, mail, &message, problem, trace_id);
    }
    return error;
}
