# shellcheck shell=bash disable=SC2154,SC2034 # variables of run's, and shared with what it sources
# For tests/bench/run: the endpoints beside their peers, section by section.

# Each start another thread, in an order that jumps about the trees.
awk 'BEGIN { for (i = 0; i < 100000; i++) { t = i * 48271 % 100000
    printf "%d {\"threadId\":\"thread-%06d\",\"kind\":\"audio\"}\n", t % 8, t } }' >"$work/starts"
for user in 0 1 2 3 4 5 6 7; do echo "$user {}"; done >"$work/mints"

# --- Servers --------------------------------------------------------------------------------------

BENCH_BODY=$(as_owner env SWITCHBOARD_ENV="$env_file" REQUEST_METHOD=GET REQUEST_URI=/api/health \
    REMOTE_ADDR=127.0.0.1 "$cgi_bin/health" </dev/null | tail -n 1)
export BENCH_BODY
as_owner spawn-fcgi -s "$work/hello.sock" -M 0600 -P "$work/hello.pid" -- "$work/bin/hello" \
    >/dev/null || exit 1
start_php
start_express
start_go
start_upstream
nginx_port=$(free_port)
start_nginx nginx "$nginx_port" "$env_file" "$work/run"
nginx=$!
nginx_limited_port=$(free_port)
start_nginx nginx-limited "$nginx_limited_port" "$work/limited.env" "$work/run-limited"
nginx_limited=$!
lighttpd_port=$(free_port)
start_lighttpd lighttpd "$lighttpd_port" "$work/lighttpd.env" "$work/run-lighttpd"
lighttpd=$!
lighttpd_limited_port=$(free_port)
start_lighttpd lighttpd-limited "$lighttpd_limited_port" "$work/lighttpd-limited.env" \
    "$work/run-lighttpd-limited"
lighttpd_limited=$!
servers="$(pgrep -P "$nginx" | tr '\n' ' ')$(pgrep -P "$nginx_limited" | tr '\n' ' ')"
servers="$servers$lighttpd $lighttpd_limited"

# --- 1. health beside a bare libfcgi program --------------------------------------------------------

health_rounds() { # SERVER PORT LIMITED_PORT PID HELLO_PID LIMITED_PID
    local at url=http://127.0.0.1
    for ((at = 0; at <= rounds; at++)); do
        say "health behind $1, round $at of $rounds"
        health "$1" ours "$url:$2/api/health" "$4"
        health "$1" hello "$url:$2/hello" "$5"
        health "$1" limited "$url:$3/api/health" "$6"
        [ $at != 0 ] || forget 3
    done
}

# forget N: the figures of the last N rounds, which warmed up.
forget() { head -n "-$1" "$results" >"$results.kept" && mv "$results.kept" "$results"; }

health_rounds nginx "$nginx_port" "$nginx_limited_port" "$(cat "$work/run/fcgi/health.pid")" \
    "$(cat "$work/hello.pid")" "$(cat "$work/run-limited/fcgi/health.pid")"
health_rounds lighttpd "$lighttpd_port" "$lighttpd_limited_port" \
    "$(child_of "$lighttpd" "$cgi_bin/health")" "$(child_of "$lighttpd" "$work/bin/hello")" \
    "$(child_of "$lighttpd_limited" "$cgi_bin/health")"

# --- 2. calls/start beside PHP-FPM, Express and Go ---------------------------------------------------

ours_db=$work/state/switchboard.db
php_db=$php_state/switchboard.db
express_db=$express_state/switchboard.db
go_db=$go_state/switchboard.db
nginx_url=http://127.0.0.1:$nginx_port

# try SETTING DATABASE URL PIDS: two seconds, to find a peer's best.
try() {
    start "$1" "$2" "$3" "$4" 2
    sed -i '$s/"section":"start"/"section":"setting"/' "$results"
}
best_of() { # PEER
    jq -rs --arg peer "$1-" \
        'map(select(.section == "setting" and (.who | startswith($peer)))) | max_by(.rps).who' "$results"
}

# How many children, and with or without a queue of their own.
say "looking for the peers' best settings"
for children in "${php_children[@]}"; do
    for queue in "" "-queue"; do
        try "php-$children$queue" "$php_db" "$nginx_url/php-$children$queue" "$(php_pids "$children")"
    done
done
for workers in "${express_workers[@]}"; do
    try "express-$workers" "$express_db" "$nginx_url/express-$workers/calls/start" \
        "$(express_pids "$workers")"
done
php_best=$(best_of php)
express_best=$(best_of express)

start_pid=$(cat "$work/run/fcgi/calls/start.pid")
php_8_pids=$(php_pids 8)
php_best_pids=$(php_pids "$(tr -dc 0-9 <<<"$php_best")")
express_2_pids=$(express_pids 2)
express_best_pids=$(express_pids "${express_best#express-}")
for ((at = 0; at <= rounds; at++)); do
    say "calls/start, round $at of $rounds"
    start ours "$ours_db" "$nginx_url/api/calls/start" "$start_pid"
    start php "$php_db" "$nginx_url/php-8" "$php_8_pids"
    start php-best "$php_db" "$nginx_url/$php_best" "$php_best_pids"
    start express "$express_db" "$nginx_url/$express_best/calls/start" "$express_best_pids"
    start go "$go_db" "$nginx_url/go/calls/start" "$go_pid"
    [ $at != 0 ] || forget 5
done
check_events ours "$ours_db"
check_events php "$php_db"
check_events express "$express_db"
check_events go "$go_db"

# --- 3. realtime/token beside Express and Go ---------------------------------------------------------

token_pid=$(cat "$work/run/fcgi/realtime/token.pid")
for ((at = 0; at <= rounds; at++)); do
    say "realtime/token, round $at of $rounds"
    token ours "$nginx_url/api/realtime/token" "$token_pid"
    token express "$nginx_url/express-2/realtime/token" "$express_2_pids"
    token go "$nginx_url/go/realtime/token" "$go_pid"
    [ $at != 0 ] || forget 3
done

# --- 4. Memory, after every endpoint has been under load --------------------------------------------

say "memory"
load_post() { # NAME LINES
    BENCH_TOKENS=$work/tokens BENCH_LINES=$2 round 2 post "$nginx_url/api/$1" >/dev/null || exit 1
}
head -n 2000 "$work/starts" >"$work/some-starts"
load_post calls/start "$work/some-starts"
sql "$ours_db" >"$work/calls" <<<"SELECT substr(started_by, 7), '{\"callId\":\"' || id || '\"}'
    FROM calls WHERE ended_at IS NULL" || exit 1
tr '|' ' ' <"$work/calls" >"$work/some-calls"
for name in calls/join calls/end; do load_post $name "$work/some-calls"; done
# The others are asked as a visitor would; a refusal is an answer here, for nothing is timed.
for name in $(cd "$cgi_bin" && find . -type f -printf '%P\n'); do
    case $name in calls/start | calls/join | calls/end) continue ;; esac
    wrk -t1 -c"$connections" -d1s "$nginx_url/api/$name" >/dev/null
done
memory busy "$work/run"
sleep 10 # workers that nobody needs any more have ended
memory ours "$work/run"
# Clusters share pages; only one is counted.
for workers in "${express_workers[@]}"; do
    [ "$workers" = 2 ] || kill -INT "${express_leads[$workers]}"
done
sleep 0.5
# shellcheck disable=SC2086 # lists of numbers
{
    memory_of peer "PHP-FPM, $php_best" "$php_master" $php_best_pids
    memory_of peer "Express, express-2" $express_2_pids
    memory_of peer Go "$go_pid"
}

# --- 5. The first answer of a cold process ----------------------------------------------------------

say "cold starts"
params() { # METHOD URI
    printf '%s\n' "REQUEST_METHOD=$1" "REQUEST_URI=$2" QUERY_STRING= "SCRIPT_NAME=$2" \
        SERVER_PROTOCOL=HTTP/1.1 GATEWAY_INTERFACE=CGI/1.1 SERVER_NAME=localhost SERVER_PORT=80 \
        REMOTE_ADDR=127.0.0.1 HTTP_HOST=localhost
}
params GET /api/health >"$work/health.params"
{
    params POST /api/calls/start
    echo CONTENT_TYPE=application/json
    echo "HTTP_AUTHORIZATION=Bearer $(head -n 1 "$work/tokens")"
} >"$work/start.params"
sed -n 's/^0 //p' "$work/starts" >"$work/start.bodies"
cold fcgi hello "$work/bin/hello" "$work/health.params" /dev/null
cold fcgi health "$cgi_bin/health" "$work/health.params" /dev/null
cold cgi health "$cgi_bin/health" "$work/health.params" /dev/null
cold fcgi calls/start "$cgi_bin/calls/start" "$work/start.params" "$work/start.bodies"
sql "$ours_db" <"$bench/close.sql" >/dev/null || exit 1
cold cgi calls/start "$cgi_bin/calls/start" "$work/start.params" "$work/start.bodies"
sed 's|/api/calls/start|/api/realtime/token|' "$work/start.params" >"$work/mint.params"
yes '{}' | head -n 50 >"$work/mint.bodies"
cold fcgi realtime/token "$cgi_bin/realtime/token" "$work/mint.params" "$work/mint.bodies"
