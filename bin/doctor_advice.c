/* What to change, check by check and server by server. */
#include <string.h>
#include <strings.h>

#include "doctor.h"

const char *const doctor_server_names[] = {"unknown", "lighttpd", "apache", "nginx", NULL};

enum doctor_server doctor_server_of(const char *header)
{
    static const char *const products[] = {
        [DOCTOR_LIGHTTPD] = "lighttpd", [DOCTOR_APACHE] = "Apache", [DOCTOR_NGINX] = "nginx"};
    for (enum doctor_server server = DOCTOR_LIGHTTPD; server < DOCTOR_SERVER__MAX; server++) {
        size_t length = strlen(products[server]);
        if (strncasecmp(header, products[server], length) == 0 &&
            strchr("/ ", header[length]) != NULL) /* or the end */
            return server;
    }
    return DOCTOR_UNKNOWN;
}

#define LIGHTTPD_BEHIND "behind the include of lighttpd/switchboard.conf: "

#define SOCKETS                                                                                    \
    "the sockets of RUN_DIR/fcgi must be served: systemctl start 'switchboard@*.socket', or "      \
    "switchboard-spawn.sh start"
#define RESTART_SPAWNED                                                                            \
    "systemctl restart 'switchboard@*.service', or switchboard-spawn.sh stop and start"

/* The lines of a server in the order of the enum; where it has none, those of every server. */
static const struct {
    const char *check, *lines[DOCTOR_SERVER__MAX];
} advices[] = {
    {"reach",
     {"start the web server, and its endpoints",
      "lighttpd -tt -f /etc/lighttpd/lighttpd.conf and server.errorlog say why; then systemctl "
      "restart lighttpd",
      "apachectl configtest and ErrorLog say why; with mod_proxy_fcgi " SOCKETS,
      "error_log says why; " SOCKETS}},
    {"ready",
     {"switchboard check says what is wrong with the configuration, LOG_DIR/switchboard.log the "
      "rest"}},
    {"headers",
     {"have the site set its own headers everywhere but below /api",
      LIGHTTPD_BEHIND
      "setenv.add-response-header and setenv.set-response-header of the site belong "
      "into $HTTP[\"url\"] !~ \"^/api(?:/|$)\" { }",
      "virtual host: end each `Header` line of the site with \"expr=%{REQUEST_URI} !~ "
      "m#^/api(/|$)#\"",
      "switchboard-params.conf: add the line `add_header X-Api \"\";`, which ends the inheritance "
      "of the site's add_header lines, and no fastcgi_hide_header"}},
    {"not-found",
     {"send every path below /api to Switchboard, and leave its error pages alone",
      LIGHTTPD_BEHIND "server.error-intercept = \"disable\" in $HTTP[\"url\"] =~ "
                      "\"^/api(?:/|$)\" { }; and no url.rewrite of the site for /api",
      "virtual host: `Use Switchboard` before the site's RewriteRule and FallbackResource lines; "
      "no "
      "ErrorDocument and no ProxyErrorOverride for /api",
      "switchboard-params.conf: add the line `fastcgi_intercept_errors off;` and, in a proxy, "
      "`proxy_intercept_errors off;`"}},
    {"alias",
     {"send /api/*.php to Switchboard before the site's PHP",
      "include lighttpd/switchboard.conf behind the site's own fastcgi.server, or exclude /api "
      "there: $HTTP[\"url\"] !~ \"^/api(?:/|$)\" { }",
      "virtual host: `Use Switchboard`, or the Include of what switchboard-proxy.sh prints, before "
      "the site's AliasMatch, ScriptAlias and ProxyPassMatch lines for .php",
      "server block: `location ^~ /api/` with the ^~, as switchboard-nginx.sh prints it"}},
    {"authorization",
     {"pass the Authorization header on",
      LIGHTTPD_BEHIND "no setenv.set-request-header for \"Authorization\"",
      "`CGIPassAuth On` in the <Directory> of apache/switchboard.conf, or with mod_proxy_fcgi in "
      "<Location \"/api\">; no `RequestHeader unset Authorization`",
      "switchboard-params.conf: no `fastcgi_param HTTP_AUTHORIZATION`; in a proxy no "
      "`proxy_set_header Authorization`"}},
    {"body-limit",
     {"allow bodies of 26 MiB below /api",
      LIGHTTPD_BEHIND "server.max-request-size = 26624 in $HTTP[\"url\"] =~ \"^/api(?:/|$)\" { }",
      "apache/switchboard.conf: `FcgidMaxRequestLen 27262976` and, in its <Directory>, "
      "`LimitRequestBody 0`; no LimitRequestBody in a <Location> of the site; with mod_proxy_fcgi "
      "`LimitRequestBody 27262976` in <Location \"/api\">",
      "switchboard-params.conf: `client_max_body_size 26m;`; in a proxy the same"}},
    {"stream",
     {"pass text/event-stream on as it comes: no buffering, no compression",
      LIGHTTPD_BEHIND "server.stream-response-body = 1 in $HTTP[\"url\"] =~ \"^/api(?:/|$)\" { }",
      "apache/switchboard.conf: `FcgidOutputBufferSize 0`; with mod_proxy_fcgi flushpackets=on; no "
      "DEFLATE filter for text/event-stream",
      "switchboard-params.conf: no `fastcgi_ignore_headers X-Accel-Buffering`; in a proxy "
      "`proxy_buffering off;` in its location /api/; no gzip for text/event-stream"}},
    {"preflight",
     {"leave OPTIONS and the Access-Control headers below /api to Switchboard",
      LIGHTTPD_BEHIND "no Access-Control headers in setenv.add-response-header and "
                      "setenv.set-response-header for /api",
      "virtual host: `Use Switchboard` before the site's rewriting of OPTIONS; no `Header` line "
      "for "
      "Access-Control headers below /api",
      "server block: no `if ($request_method = OPTIONS)` and no add_header for Access-Control "
      "headers below /api (switchboard-params.conf: `add_header X-Api \"\";` ends their "
      "inheritance)"}},
    {"clock", {"timedatectl set-ntp true, on this machine and the server's"}},
    {"version",
     {"restart the endpoints through their server: systemctl reload lighttpd, or apache2, "
      "or " RESTART_SPAWNED,
      "systemctl reload lighttpd", "systemctl reload apache2; with mod_proxy_fcgi " RESTART_SPAWNED,
      RESTART_SPAWNED}},
};

const char *doctor_advice(const char *check, enum doctor_server server)
{
    for (size_t i = 0; i < SB_COUNT(advices); i++) {
        if (strcmp(advices[i].check, check) != 0)
            continue;
        const char *line = advices[i].lines[server];
        return line != NULL ? line : advices[i].lines[DOCTOR_UNKNOWN];
    }
    return "see the section \"doctor\" of docs/OPS_RUNBOOK.md";
}
