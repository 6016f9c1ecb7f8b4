#!/bin/sh
# switchboard-proxy.sh CGI_BIN_DIR RUN_DIR
#
# Prints what an Apache virtual host needs to reach the installed endpoints by mod_proxy_fcgi, in
# place of `Use Switchboard`. Run it after each change of the tree:
#
#     a2enmod env proxy_fcgi rewrite
#     switchboard-proxy.sh /usr/local/lib/switchboard/cgi-bin /run/switchboard \
#         > /etc/apache2/switchboard-proxy.conf && systemctl reload apache2
#
# and say `Include switchboard-proxy.conf` in the virtual host, before its own rewrite rules and
# aliases. Apache starts no programs then: systemd/ does (one socket an endpoint), or
# nginx/switchboard-spawn.sh. mod_fcgid has a process for each request at once; here a few processes
# have threads. And a graceful reload loses nothing, where mod_fcgid 2.3.9 can leave a request
# without an answer that asks it for a process just then.
set -eu

cgi_bin=$1
run=$2
etc=$(cd "$(dirname "$0")/.." && pwd)

# The owner of RUN_DIR runs the probes: nothing of the tree is run as root.
set --
if [ "$(id -u)" = 0 ]; then
    user=$(stat -c %U "$run")
    [ "$user" != root ] || user=www-data
    set -- setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups
fi

cat <<'END'
# Rewrite rules of the site do not touch /api. Bodies over 26 MiB are a 413; endpoints have their
# own, mostly smaller, caps. NV: else Apache adds Content-Length to every answer's Vary.
RewriteEngine On
RewriteCond expr "%{HTTP:Content-Length} -gt 27262976" [NV]
RewriteRule "^/api(/|$)" - [R=413,END]
RewriteRule "^/api(/|$)" - [END]
AllowEncodedSlashes NoDecode
TraceEnable off
<Location "/api">
    CGIPassAuth On
    LimitRequestBody 27262976
    # The length of a chunked body is counted: without one an endpoint takes no body.
    SetEnv proxy-sendcl 1
</Location>
END
# A name after fcgi:// of its own for each, or all share the first one's socket. The first line that
# matches wins: longest first. retry=0: an endpoint that was restarted is asked again at once.
"$etc/endpoints.sh" "$cgi_bin" "$@" | awk -v sockets="$run/fcgi" '
function pass(url, name, host) {
    host = name
    gsub("/", "-", host)
    print "ProxyPass \"" url "\" \"unix:" sockets "/" name ".sock|fcgi://" host "/\"" \
        " flushpackets=on retry=0 timeout=60"
}
/^#/ { print; next }
$2 != "not-found" { pass($1, $2) }
END { pass("/api", "not-found") }'
