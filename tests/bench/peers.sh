# shellcheck shell=bash disable=SC2154 # variables of run's
# For tests/bench/run: the peers, and the stand-in for the provider that all ask for client secrets.
# What is compiled is kept in build/bench-cache, for go compiles a library's C as well.

# --- PHP-FPM, one pool a number of children ---------------------------------------------------------

php_children=(2 4 8 16)
fpm=$(command -v php-fpm8.2 php-fpm | head -n 1)

# /php-N, and /php-N-queue where writers queue at a lock of their own before SQLite's.
php_locations() {
    local children queue
    for children in "${php_children[@]}"; do
        for queue in "" "-queue"; do
            cat <<END
        location = /php-$children$queue {
            include "$root/etc/nginx/switchboard-params.conf";
            fastcgi_param SCRIPT_FILENAME "$bench/php/start.php";
            fastcgi_param BENCH_DB "$php_state/switchboard.db";
            fastcgi_param BENCH_SECRET "$jwt_secret";
            fastcgi_param BENCH_LOG "$work/log/php.log";
            ${queue:+fastcgi_param BENCH_LOCK "$php_state/queue";}
            fastcgi_pass "unix:$work/php-$children.sock";
        }
END
        done
    done
}

start_php() {
    local children
    {
        printf '[global]\nerror_log = %s\n' "$work/log/php-fpm.log"
        for children in "${php_children[@]}"; do
            printf '[bench-%s]\nlisten = %s\nlisten.backlog = 1024\npm = static\n' \
                "$children" "$work/php-$children.sock"
            printf 'pm.max_children = %s\npm.max_requests = 0\n' "$children"
        done
    } >"$work/php-fpm.conf"
    launch php-fpm "$fpm" --nodaemonize --fpm-config "$work/php-fpm.conf" -d opcache.enable=1 \
        -d opcache.validate_timestamps=0 -d opcache.jit_buffer_size=32M -d opcache.jit=tracing \
        -d display_errors=0 -d log_errors=1 -d expose_php=0
    php_master=$!
}

# php_pids CHILDREN: the pool's processes, which name themselves "php-fpm: pool NAME".
php_pids() { pgrep -P "$php_master" -f "pool bench-$1\$" | tr '\n' ' '; }

# --- Express and Go, behind nginx over kept connections -----------------------------------------------

express_workers=(1 2 4)

proxied() { # the name of each, also that of its socket and its location
    printf 'express-%s\n' "${express_workers[@]}"
    echo go
}

proxied_upstreams() {
    local name
    for name in $(proxied); do
        echo "    upstream $name { server unix:$work/$name.sock; keepalive 64; }"
    done
}

proxied_locations() {
    local name
    for name in $(proxied); do
        cat <<END
        location /$name/ {
            proxy_pass http://$name/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For \$remote_addr;
        }
END
    done
}

# launch_peer NAME STATE_DIR COMMAND...: one that is told everything by its environment.
launch_peer() {
    local name=$1 state=$2
    shift 2
    launch "$name" env --default-signal=INT BENCH_SOCKET="$work/$name.sock" BENCH_DB="$state/switchboard.db" \
        BENCH_LOG="$work/log/$name.log" BENCH_SECRET="$jwt_secret" \
        BENCH_UPSTREAM="https://127.0.0.1:$upstream_port/v1" \
        BENCH_UPSTREAM_CA="$work/upstream.pem" BENCH_UPSTREAM_KEY="$upstream_key" "$@"
    until_true test -S "$work/$name.sock"
}

declare -A express_leads
start_express() {
    local workers
    for workers in "${express_workers[@]}"; do
        launch_peer "express-$workers" "$express_state" \
            env NODE_ENV=production BENCH_WORKERS="$workers" node "$bench/express/server.mjs"
        express_leads[$workers]=${started[-1]}
    done
}

# express_pids WORKERS: the cluster's processes, with the one that leads.
express_pids() { echo "${express_leads[$1]} $(pgrep -P "${express_leads[$1]}" | tr '\n' ' ')"; }

start_go() {
    launch_peer go "$go_state" "$work/bin/go"
    go_pid=${started[-1]}
}

# --- The provider ---------------------------------------------------------------------------------

build_go() { # DIRECTORY: the program of its name
    (cd "$bench/$1" && GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$root/build/bench-cache \
        GOFLAGS=-tags=libsqlite3 go build -o "$work/bin/$1" .) || exit 1
}

make_upstream_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=stand-in" -addext "subjectAltName=IP:127.0.0.1" \
        -keyout "$work/upstream.key" -out "$work/upstream.pem" 2>/dev/null || exit 1
    [ "$(id -u)" != 0 ] || chown "$owner" "$work/upstream.key" "$work/upstream.pem"
}

start_upstream() {
    launch upstream env --default-signal=INT BENCH_UPSTREAM_KEY="$upstream_key" "$work/bin/standin" \
        "127.0.0.1:$upstream_port" "$work/upstream.pem" "$work/upstream.key"
    upstream_pid=${started[-1]}
}
