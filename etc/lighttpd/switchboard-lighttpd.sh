#!/bin/sh
# switchboard-lighttpd.sh CGI_BIN_DIR RUN_DIR [ENV_FILE]
#
# Prints lighttpd's fastcgi.server for the installed endpoints; switchboard.conf includes it with
# include_shell. It must never fail and never disturb a running server: lighttpd runs it at each
# start and reload, and also for `lighttpd -tt`.
set -u

cgi_bin=$1
run=$2
env_file=${3:-/etc/switchboard/switchboard.env}
endpoints=$(dirname "$0")/../endpoints.sh

give_up() {
    echo "switchboard: $1" >&2
    echo "# $1"
    exit 0
}

# lighttpd splits bin-path at spaces and has no escape for them.
case $cgi_bin$run$env_file in
*[!A-Za-z0-9._/@%+=:,~-]*) give_up 'a path holds a character that lighttpd cannot take' ;;
esac

# lighttpd makes its sockets by its umask (0755 by default): the directory keeps others out. It
# belongs to the owner of RUN_DIR, who also runs the probes: nothing of the tree is run as root.
sockets=$run/lighttpd
if [ "$(id -u)" = 0 ]; then
    user=$(stat -c %U "$run" 2>/dev/null || echo root)
    [ "$user" != root ] || user=www-data
    set -- setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups
    [ -d "$run" ] || install -d -m 0711 -o "$user" -g "$(id -g "$user")" "$run"
    install -d -m 0700 -o "$user" -g "$(id -g "$user")" "$sockets" || give_up "no $sockets"
else
    set --
    install -d -m 0700 "$sockets" || give_up "no $sockets"
fi

# A killed lighttpd leaves its endpoints behind, and a new one that finds a socket alive would use
# these: old programs, old configuration. So no two starts share a socket name.
stamp=$(date +%s).$$

"$endpoints" "$cgi_bin" "$@" | awk -v cgi_bin="$cgi_bin" -v socket="$sockets/$stamp" \
    -v env_file="$env_file" '
function server(url, name,    id) {
    id = name
    gsub("/", ".", id)
    if (length(socket "." id "-0") > 107) { # sun_path
        servers = servers "    # " name " is not served: the path of its socket is too long\n"
        print "switchboard: " name " is not served: RUN_DIR is too long a path" | "cat >&2"
        return
    }
    servers = servers "    \"" url "\" => ((\n" \
        "        \"bin-path\" => \"" cgi_bin "/" name "\",\n" \
        "        \"socket\" => \"" socket "." id "\",\n" \
        "        \"max-procs\" => 1,\n" \
        "        \"check-local\" => \"disable\",\n" \
        "        \"bin-environment\" => ( \"SWITCHBOARD_ENV\" => \"" env_file "\" )\n" \
        "    )),\n"
}
/^#/ { print; next }
$2 == "not-found" { not_found = 1; next }
$1 == "/api/" $2 { server($1, $2); next }
# Mapped, not listed: a second entry with a bin-path would be a second process.
{ aliases = aliases "    \"" $1 "\" => \"/api/" $2 "\",\n" }
END {
    if (not_found) server("/api", "not-found")
    print "fastcgi.map-extensions = (\n" aliases ")"
    print "fastcgi.server = (\n" servers ")"
}'
exit 0
