#!/bin/sh
# switchboard-nginx.sh CGI_BIN_DIR RUN_DIR
#
# Prints nginx's locations for the installed endpoints. Run it after each change of the tree:
#
#     switchboard-nginx.sh /usr/local/lib/switchboard/cgi-bin /run/switchboard \
#         > /etc/nginx/switchboard.conf && nginx -t && systemctl reload nginx
#
# and say `include /etc/nginx/switchboard.conf;` in the server block. nginx starts no programs:
# systemd/ does (one socket an endpoint), or switchboard-spawn.sh.
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

# ^~: a regular expression of the site, such as \.php$, does not take /api/health.php. nginx finds
# the longest prefix itself; an endpoint answers 404 for what is not its own (/api/healthy).
"$etc/endpoints.sh" "$cgi_bin" "$@" | awk -v sockets="$run/fcgi" \
    -v params="$etc/nginx/switchboard-params.conf" '
function pass(name) { return "fastcgi_pass \"unix:" sockets "/" name ".sock\";" }
/^#/ { print; next }
$2 == "not-found" { next }
$1 == "/api/" $2 { nested = nested "    location " $1 " { " pass($2) " }\n"; next }
{ nested = nested "    location = " $1 " { " pass($2) " }\n" }
END {
    print "location = /api {\n    include \"" params "\";\n    " pass("not-found") "\n}"
    print "location ^~ /api/ {\n    include \"" params "\";\n    " pass("not-found") "\n" nested "}"
}'
