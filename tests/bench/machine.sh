# shellcheck shell=bash disable=SC2154 # variables of run's
# For tests/bench/run: the directories, users and servers a bench runs on. Everything lies below
# build/bench and ends with the script.

say() { echo "bench: $*" >&2; }
die() {
    say "$*"
    exit 1
}

demand() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || die "no program $program: make deps-bench"
    done
}

# Everything runs as one plain user, as on a site; root is kept for reading /proc.
owner=$(id -u)
[ "$owner" != 0 ] || owner=$(id -u www-data) || exit 1

as_owner() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups -- "$@"
    else
        "$@"
    fi
}

# A checkout below a closed directory: lets the owner pass through its ancestors.
reach() {
    local ancestor
    ancestor=$(readlink -f "$1")
    until as_owner test -x "$1"; do
        while [ "$ancestor" != / ] && as_owner test -x "$ancestor"; do
            ancestor=$(dirname "$ancestor")
        done
        until as_owner test -x "$(dirname "$ancestor")"; do ancestor=$(dirname "$ancestor"); done
        setfacl -m "u:$owner:--x" "$ancestor" || chmod o+x "$ancestor" || exit 1
        say "let user $owner pass through $ancestor"
        ancestor=$(readlink -f "$1")
    done
}

free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# --- What is started is ended ---------------------------------------------------------------------

started=()
spawned=()

# launch NAME COMMAND...: in the background, with its own log.
launch() {
    local name=$1
    shift
    if [ "$(id -u)" = 0 ]; then
        set -- setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups -- "$@"
    fi
    "$@" </dev/null >>"$work/log/$name.out" 2>&1 &
    started+=($!)
}

# child_of PID PROGRAM: the process of PROGRAM that PID has started.
child_of() { pgrep -P "$1" -f "^$2\$"; }

# lighttpd drops its programs on TERM; INT is its graceful end, and ends the others as well.
stop_all() {
    local pid directory
    trap '' INT TERM
    for pid in "${started[@]}"; do kill -INT "$pid" 2>/dev/null; done
    for directory in "${spawned[@]}"; do
        "$root/etc/nginx/switchboard-spawn.sh" stop "$cgi_bin" "$directory"
    done
    [ ! -f "$work/hello.pid" ] || kill "$(cat "$work/hello.pid")" 2>/dev/null
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
}

# --- Configuration --------------------------------------------------------------------------------

switchboard() { SWITCHBOARD_ENV=$env_file as_owner "$build/bin/switchboard" "$@"; }

# Every rate policy the endpoints declare, as the name of its variable.
rate_variables() {
    find "$cgi_bin" -type f | while read -r endpoint; do "$endpoint" --describe; done |
        jq -r '.. | objects | .["x-rate-limit"]?.policy // empty' | sort -u |
        sed 's/-/_/g; s/.*/RATE_LIMIT_\U&/'
}

# write_env FILE RUN_DIR STATE_DIR RATE: RATE is "off" or N/SECONDS.
write_env() {
    cat >"$1" <<END
APP_ENV=development
STATE_DIR=$3
RUN_DIR=$2
LOG_DIR=$work/log
TRUST_PROXY=127.0.0.1/32
ALLOW_NO_ORIGIN=true
JWT_SECRET=$jwt_secret
JITSI_JWT_SECRET=$jwt_secret
JITSI_DOMAIN=meet.example.com
JITSI_PUBLIC_HOST=meet.example.com
OPENAI_API_KEY=$upstream_key
OPENAI_BASE_URL=https://127.0.0.1:$upstream_port/v1
UPSTREAM_CA_FILE=$work/upstream.pem
BUDGET_USER_TURNS=0
BUDGET_USER_SECONDS=0
END
    rate_variables | sed "s|\$|=$4|" >>"$1"
    [ "$(id -u)" != 0 ] || chown "$owner" "$1"
}

# --- Servers --------------------------------------------------------------------------------------

# until_true COMMAND...: for ten seconds at most.
until_true() {
    local tries=100
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || die "in vain for 10 s: $*; see $work/log"
        sleep 0.1
    done
}

wait_for() { until_true curl -q -sf --noproxy '*' -o /dev/null "$1"; }

# start_nginx NAME PORT ENV_FILE RUN_DIR: our snippets, and beside them the peers' locations.
start_nginx() {
    local name=$1 port=$2 env=$3 run=$4
    spawned+=("$run")
    "$root/etc/nginx/switchboard-spawn.sh" start "$cgi_bin" "$run" "$env"
    "$root/etc/nginx/switchboard-nginx.sh" "$cgi_bin" "$run" >"$run/endpoints.conf"
    cat >"$run/nginx.conf" <<END
daemon off;
pid "$run/nginx.pid.txt";
error_log "$work/log/$name.log";
worker_processes auto;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path "$run/body";
    fastcgi_temp_path "$run/fastcgi";
    proxy_temp_path "$run/proxy";
    scgi_temp_path "$run/scgi";
    uwsgi_temp_path "$run/uwsgi";
    keepalive_requests 100000000;
$(proxied_upstreams)
    server {
        listen 127.0.0.1:$port;
        include "$run/endpoints.conf";
        location = /hello {
            include "$root/etc/nginx/switchboard-params.conf";
            fastcgi_pass "unix:$work/hello.sock";
        }
$(php_locations)
$(proxied_locations)
    }
}
END
    launch "$name" nginx -e "$work/log/$name.log" -c "$run/nginx.conf"
    wait_for "http://127.0.0.1:$port/api/health/live"
}

# start_lighttpd NAME PORT ENV_FILE RUN_DIR
start_lighttpd() {
    local name=$1 port=$2 env=$3 run=$4
    cat >"$run/lighttpd.conf" <<END
server.modules = ( "mod_setenv", "mod_fastcgi" )
server.bind = "127.0.0.1"
server.port = $port
server.document-root = "$work/empty"
server.errorlog = "$work/log/$name.log"
server.breakagelog = "$work/log/$name.stderr"
server.upload-dirs = ( "$run" )
server.max-keep-alive-requests = 0
mimetype.assign = ( "" => "application/octet-stream" )
var.switchboard_etc = "$root/etc"
var.switchboard_cgi_bin = "$cgi_bin"
var.switchboard_run = "$run"
var.switchboard_env = "$env"
include var.switchboard_etc + "/lighttpd/switchboard.conf"
\$HTTP["url"] =~ "^/hello" {
    fastcgi.server = ( "/hello" => ((
        "bin-path" => "$work/bin/hello",
        "socket" => "$run/hello",
        "max-procs" => 1,
        "check-local" => "disable",
        "bin-copy-environment" => ( "BENCH_BODY" ),
    )) )
    server.stream-response-body = 1
    server.stream-request-body = 0
    setenv.set-request-header = ( "X_Forwarded_For" => "" )
}
END
    launch "$name" lighttpd -D -f "$run/lighttpd.conf"
    wait_for "http://127.0.0.1:$port/api/health/live"
}
