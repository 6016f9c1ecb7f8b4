#!/bin/sh
# serve.sh lighttpd|apache|apache-proxy|nginx PORT ENV_FILE CGI_BIN_DIR
#
# Serves the endpoints of CGI_BIN_DIR on 127.0.0.1:PORT with the very snippets of this directory,
# for development and tests (apache is mod_fcgid, apache-proxy mod_proxy_fcgi). Stays in the
# foreground; prints "ready http://127.0.0.1:PORT" once requests are answered; INT or TERM ends the
# server and all endpoints, and the exit status is 0.
#
# Everything lies below STATE_DIR, RUN_DIR and LOG_DIR of ENV_FILE (or of the environment). Started
# as root, everything runs as the owner of STATE_DIR, or as www-data where that is root. The
# server's configuration and server.pid are in RUN_DIR/serve-PORT/; HUP (nginx) or USR1 (the others)
# to that process reloads. Several run side by side on other ports.
set -u
umask 022

READY_TRIES=200 # of 0.1 s
STOP_TRIES=100 # of 0.1 s: longer than the servers' own 8 s below and the endpoints' 7 s

say() { echo "serve: $*" >&2; }
die() {
    say "$*"
    exit 1
}

[ $# = 4 ] || die "usage: $0 lighttpd|apache|apache-proxy|nginx PORT ENV_FILE CGI_BIN_DIR"
server=$1
port=$2
case $port in '' | *[!0-9]* | ??????*) die "PORT is a number, not '$port'" ;; esac
etc=$(cd "$(dirname "$0")" && pwd -P) || exit 1
[ -f "$3" ] || die "no environment file $3"
env_file=$(readlink -f "$3")
cgi_bin=$(cd "$4" && pwd -P) || die "no directory of endpoints $4: build them with make"
switchboard=$cgi_bin/../bin/switchboard
[ -x "$switchboard" ] || switchboard=switchboard
apache_modules=/usr/lib/apache2/modules
server_pid=
spawns=false # whether the endpoints are started beside the server
signal=TERM # as long as it is not ready: it may not have its handlers yet, and nothing is in flight
trap 'exit 0' HUP INT TERM

# --- The server program ---------------------------------------------------------------------------

[ "$(id -u)" = 0 ] || PATH=$PATH:/usr/sbin:/sbin # where Debian has servers, and users do not look
demand() { command -v "$1" >/dev/null || die "no program $1: apt-get install $2"; }
command -v "$switchboard" >/dev/null || die "no program switchboard beside $cgi_bin: run make"
demand curl curl
demand pgrep procps
case $server in
lighttpd)
    demand lighttpd lighttpd
    graceful=INT # TERM drops what is in flight
    ;;
apache)
    demand apache2 apache2
    [ -f $apache_modules/mod_fcgid.so ] || die "no mod_fcgid: apt-get install libapache2-mod-fcgid"
    graceful=WINCH
    ;;
apache-proxy)
    demand apache2 apache2
    demand spawn-fcgi spawn-fcgi
    graceful=WINCH
    spawns=true
    ;;
nginx)
    demand nginx nginx
    demand spawn-fcgi spawn-fcgi
    graceful=QUIT
    spawns=true
    ;;
*) die "no server '$server': lighttpd, apache, apache-proxy or nginx" ;;
esac

# --- Whose process, which directories -------------------------------------------------------------

setting() {
    SWITCHBOARD_ENV=$env_file "$switchboard" config --get "$1" ||
        die "$switchboard config --get $1 failed"
}
state_dir=$(setting STATE_DIR) || exit 1
run_dir=$(setting RUN_DIR) || exit 1
log_dir=$(setting LOG_DIR) || exit 1
dir=$run_dir/serve-$port

fetch() { curl -q -s --noproxy '*' --max-time 3 "$@"; }

taken() {
    fetch -o /dev/null "http://127.0.0.1:$port/"
    [ $? != 7 ]
}

# Whether a server is left of a serve.sh that was killed: it ends as well (see launch), in a moment.
ending() {
    left=$(pgrep -o -f -- " $dir/server[.]conf") || return
    ! grep -q serve.sh "/proc/$(ps -o ppid= "$left" | tr -d ' ')/cmdline" 2>/dev/null
}

tries=$STOP_TRIES
while ending && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
done
! taken || die "port $port is taken: another program listens on 127.0.0.1:$port"

root=false
user=$(id -u)
group=$(id -g)
if [ "$user" = 0 ]; then
    root=true
    user=$(stat -c %u "$state_dir" 2>/dev/null || echo 0)
    [ "$user" != 0 ] || user=$(id -u www-data) || exit 1
    group=$(id -g "$user" 2>/dev/null || stat -c %g "$state_dir")
fi
name=$(id -un "$user" 2>/dev/null || echo "user $user")

# Runs as the user. Within a function that is put into the background, exec keeps $! the program's.
as_user() {
    if $root; then
        setpriv --reuid="$user" --regid="$group" --clear-groups -- "$@"
    else
        "$@"
    fi
}

as_user test -x / || die "cannot run programs as $name"

# Lets the user pass through the ancestors of $1: a checkout below `mktemp -d` is closed to all but
# root. Stays as it is afterwards, since another serve may rely on it.
reach() {
    rest=$(readlink -f "$1")/
    ancestor=
    while [ -n "$rest" ]; do
        ancestor=$ancestor${rest%%/*}/
        rest=${rest#*/}
        if as_user test -x "$ancestor"; then continue; fi
        $root || die "$name may not enter $ancestor, for $1"
        setfacl -m "u:$user:--x" "$ancestor" 2>/dev/null || chmod o+x "$ancestor" || exit 1
        say "let $name pass through $ancestor, for $1"
    done
}

own_dir() {
    case $1 in /*) ;; *) die "not an absolute path: $1" ;; esac
    if [ ! -d "$1" ]; then
        mkdir -p "$1" || die "cannot make $1"
        chmod "$2" "$1"
        ! $root || chown "$user:$group" "$1" || exit 1
    elif $root && [ "$(stat -c %u "$1")" = 0 ]; then
        case $(readlink -f "$1") in
        /*/*/*) ;;
        /var/* | /usr/* | /etc/* | /home/* | /root/*) die "$1 is root's and not Switchboard's alone" ;;
        /*/*) ;;
        *) die "$1 is root's and not Switchboard's alone" ;;
        esac
        chown -R "$user:$group" "$1" || exit 1
        say "gave $1 to $name"
    fi
    [ "$(stat -c %u "$1")" = "$user" ] ||
        die "$1 belongs to $(stat -c %U "$1"), not to $name: all state has one owner"
    reach "$1"
}
own_dir "$state_dir" 0700
own_dir "$run_dir" 0711
own_dir "$log_dir" 0750
reach "$cgi_bin"
reach "$etc"
reach "$(dirname "$env_file")"

log=$log_dir/$server-$port.log
spawn() { as_user "$etc/nginx/switchboard-spawn.sh" "$1" "$cgi_bin" "$dir" "$env_file"; }
spawn stop # what a killed serve has left
rm -rf "$dir"
as_user mkdir -m 0700 "$dir" "$dir/tmp" "$dir/empty" || exit 1

if ! as_user test -r "$env_file"; then
    install -m 0600 -o "$user" -g "$group" "$env_file" "$dir/switchboard.env" || exit 1
    say "$name may not read $env_file: serving a copy, $dir/switchboard.env"
    env_file=$dir/switchboard.env
fi
SWITCHBOARD_ENV=$env_file
export SWITCHBOARD_ENV

# The receptionist that is installed beside the snippets, where the one configured is not there.
receptionist=$(setting RECEPTIONIST_FILE) || exit 1
if ! as_user test -r "$receptionist"; then
    RECEPTIONIST_FILE=$etc/receptionist.json
    export RECEPTIONIST_FILE
fi

docroot=$dir/empty
if [ -d "$etc/../www" ]; then
    docroot=$(cd "$etc/../www" && pwd -P)
    reach "$docroot"
fi

# --- The server's own configuration ---------------------------------------------------------------

lighttpd_conf() {
    cat <<END
server.modules = ( "mod_access", "mod_fastcgi", "mod_setenv" )
server.bind = "127.0.0.1"
server.port = $port
server.document-root = "$docroot"
server.errorlog = "$log"
server.breakagelog = "$log_dir/$server-$port.stderr.log"
server.pid-file = "$dir/server.pid"
server.upload-dirs = ( "$dir/tmp" )
server.feature-flags = ( "server.graceful-shutdown-timeout" => 8 )
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html; charset=utf-8", ".css" => "text/css",
    ".js" => "text/javascript", ".mjs" => "text/javascript", ".json" => "application/json",
    ".svg" => "image/svg+xml", ".png" => "image/png", ".ico" => "image/x-icon",
    "" => "application/octet-stream" )
var.switchboard_etc = "$etc"
var.switchboard_cgi_bin = "$cgi_bin"
var.switchboard_run = "$dir"
var.switchboard_env = "$env_file"
include var.switchboard_etc + "/lighttpd/switchboard.conf"
\$HTTP["url"] !~ "^/api(?:/|$)" {
    include var.switchboard_etc + "/lighttpd/switchboard-www.conf"
}
END
}

# mod_fcgid gives its programs a clean environment; the other servers pass ours on. These are the
# variables of ours that are set in it.
passed_on() {
    {
        printf '%s\n' APP_ENV STATE_DIR RUN_DIR LOG_DIR
        sed -n 's/^#\{0,1\} *\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$etc/switchboard.env.example"
        env | sed -n 's/^\(RATE_LIMIT_[A-Z0-9_]*\)=.*/\1/p'
    } 2>/dev/null | sort -u | while read -r name; do
        value=$(printenv "$name") || continue
        printf '    FcgidInitialEnv %s "%s"\n' "$name" "$(printf %s "$value" | sed 's/[\\"]/\\&/g')"
    done
}

apache_conf() {
    for module in mpm_event authz_core mime dir alias rewrite headers "$@"; do
        echo "LoadModule ${module}_module $apache_modules/mod_$module.so"
    done
    cat <<END
ServerRoot "$dir"
DefaultRuntimeDir "$dir"
PidFile "$dir/server.pid"
ServerName 127.0.0.1
Listen 127.0.0.1:$port
ErrorLog "$log"
GracefulShutdownTimeout 8
TypesConfig /etc/mime.types
DirectoryIndex index.html
<Directory "/">
    Require all denied
</Directory>
<Directory "$docroot">
    Require all granted
    Include "$etc/apache/switchboard-www.conf"
</Directory>
END
}

apache_fcgid_conf() {
    apache_conf macro fcgid
    cat <<END
FcgidIPCDir "$dir/fcgid"
FcgidProcessTableFile "$dir/fcgid.table"
Define SWITCHBOARD_CGI_BIN "$cgi_bin"
Define SWITCHBOARD_ENV "$env_file"
Include "$etc/apache/switchboard.conf"
<VirtualHost 127.0.0.1:$port>
    DocumentRoot "$docroot"
    Use Switchboard
$(passed_on)
</VirtualHost>
END
}

apache_proxy_conf() {
    apache_conf env proxy proxy_fcgi
    cat <<END
<VirtualHost 127.0.0.1:$port>
    DocumentRoot "$docroot"
    Include "$dir/endpoints.conf"
</VirtualHost>
END
    "$etc/apache/switchboard-proxy.sh" "$cgi_bin" "$dir" >"$dir/endpoints.conf" 2>/dev/null
}

nginx_conf() {
    cat <<END
daemon off;
pid "$dir/server.pid";
error_log "$log";
worker_processes auto;
worker_shutdown_timeout 8s;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path "$dir/tmp/body";
    fastcgi_temp_path "$dir/tmp/fastcgi";
    proxy_temp_path "$dir/tmp/proxy";
    scgi_temp_path "$dir/tmp/scgi";
    uwsgi_temp_path "$dir/tmp/uwsgi";
    server {
        listen 127.0.0.1:$port;
        root "$docroot";
        index index.html;
        location / { include "$etc/nginx/switchboard-www.conf"; }
        include "$dir/endpoints.conf";
    }
}
END
    "$etc/nginx/switchboard-nginx.sh" "$cgi_bin" "$dir" >"$dir/endpoints.conf" 2>/dev/null
}

# A session of its own: an INT of the terminal reaches this script alone, and all that the server
# starts can be found by it later. Should this script be killed, the server ends as well.
launch() {
    if $root; then
        set -- --reuid="$user" --regid="$group" --clear-groups "$@"
    fi
    exec setsid setpriv --pdeathsig TERM "$@" >/dev/null
}

start() {
    ! $spawns || spawn start
    case $server in
    lighttpd) launch -- lighttpd -D -f "$dir/server.conf" & ;;
    apache*) launch -- apache2 -D FOREGROUND -f "$dir/server.conf" & ;;
    nginx)
        launch -- nginx -e "$log" -c "$dir/server.conf" &
        ;;
    esac
    server_pid=$!
}

# --- Its life -------------------------------------------------------------------------------------

running() { pgrep -s "$server_pid" -r D,I,R,S,T >/dev/null; } # zombies do not count

# Waits until nothing of the session is left.
gone_within() {
    tries=$1
    while running; do
        [ "$tries" -gt 0 ] || return 1
        tries=$((tries - 1))
        sleep 0.1
    done
}

stop() {
    trap '' HUP INT TERM
    if [ -n "$server_pid" ]; then
        # Where the server is gone already, its endpoints may not be.
        if ! kill -s "$signal" "$server_pid" 2>/dev/null || ! gone_within "$STOP_TRIES"; then
            pkill -TERM -s "$server_pid"
            gone_within "$STOP_TRIES" || pkill -KILL -s "$server_pid"
        fi
        wait "$server_pid" 2>/dev/null
    fi
    ! $spawns || spawn stop
}

failed() {
    say "$* Its log, $log:"
    tail -c "+$((log_size + 1))" "$log" | tail -n 40 >&2
    stop
    exit 1
}

# Ours is the server that answers: alive, and its pid file written, which follows the bind().
answers() {
    [ -s "$dir/server.pid" ] || return 1
    case $(fetch -o "$dir/tmp/ready" -w '%{http_code}' "http://127.0.0.1:$port/api/health/live") in
    200) ;;
    429 | 503) grep -q '"success"' "$dir/tmp/ready" ;;
    *) false ;;
    esac
}

case $server in
lighttpd) lighttpd_conf ;;
apache) apache_fcgid_conf ;;
apache-proxy) apache_proxy_conf ;;
nginx) nginx_conf ;;
esac >"$dir/server.conf"
! $root || chown -R "$user:$group" "$dir" || exit 1
as_user "$switchboard" migrate >&2 || say "switchboard migrate failed; serving all the same"
as_user touch "$log" || exit 1
log_size=$(stat -c %s "$log")

trap 'stop; exit 0' HUP INT TERM
start
tries=$READY_TRIES
until answers; do
    kill -0 "$server_pid" 2>/dev/null || failed "$server did not start."
    [ "$tries" -gt 0 ] || failed "$server does not answer /api/health/live."
    tries=$((tries - 1))
    sleep 0.1
done
kill -0 "$server_pid" 2>/dev/null || failed "$server did not start."
signal=$graceful
echo "ready http://127.0.0.1:$port"

wait "$server_pid"
failed "$server ended by itself (status $?)."
