#!/bin/sh
# switchboard-spawn.sh start|stop CGI_BIN_DIR RUN_DIR [ENV_FILE]
#
# Starts one process of each endpoint on RUN_DIR/fcgi/NAME.sock with spawn-fcgi, or ends them, for
# machines without systemd; nothing but another `start` restarts one that dies. Started as root, the
# endpoints run as the owner of RUN_DIR (www-data where that is root), who must be the server's user:
# the sockets are 0600. To replace programs: stop, install, start; nginx answers 502 for a moment.
set -eu

verb=$1
cgi_bin=$2
run=$3
SWITCHBOARD_ENV=${4:-${SWITCHBOARD_ENV:-/etc/switchboard/switchboard.env}}
export SWITCHBOARD_ENV
here=$(cd "$(dirname "$0")" && pwd)
sockets=$run/fcgi

start() {
    set --
    if [ "$(id -u)" = 0 ]; then
        user=$(stat -c %U "$run")
        [ "$user" != root ] || user=www-data
        set -- setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups
    fi
    "$@" mkdir -p -m 0711 "$sockets"
    # At once: spawn-fcgi watches each for 0.1 s.
    "$here/../endpoints.sh" "$cgi_bin" "$@" | {
        while read -r url name; do
            [ "$url" != "/api/$name" ] || start_one "$name" "$@" &
        done
        wait
    }
}

# start_one NAME [COMMAND PREFIX...]
start_one() {
    program=$cgi_bin/$1
    file=$sockets/$1
    shift
    "$@" mkdir -p -m 0711 "$(dirname "$file")"
    ! process_of "$file.pid" >/dev/null 2>&1 || return 0
    rm -f "$file.sock" # of one that was killed: bind() would refuse it
    "$@" spawn-fcgi -s "$file.sock" -M 0600 -P "$file.pid" -- "$program" </dev/null >/dev/null ||
        echo "switchboard: $program did not start" >&2
}

# Prints the process of a pid file; fails where it is gone, or its number another program's by now.
process_of() {
    endpoint=${1#"$sockets/"}
    endpoint=${endpoint%.pid}
    pid=$(cat "$1")
    [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | head -n 1)" = "$cgi_bin/$endpoint" ] || return
    echo "$pid"
}

processes() {
    find "$sockets" -name '*.pid' | while read -r file; do
        process_of "$file" || rm -f "$file" "${file%.pid}.sock"
    done 2>/dev/null
}

# An endpoint finishes what it has begun, 7 s at most; after 8 s it is killed.
stop() {
    [ -d "$sockets" ] || return 0
    tries=0
    for signal in TERM KILL; do
        # shellcheck disable=SC2046 # a list of numbers
        kill -s "$signal" $(processes) 2>/dev/null || :
        while [ -n "$(processes)" ] && [ "$tries" -lt 80 ]; do
            tries=$((tries + 1))
            sleep 0.1
        done
    done
}

case $verb in
start | stop) "$verb" ;;
*) echo "usage: $0 start|stop CGI_BIN_DIR RUN_DIR [ENV_FILE]" >&2 && exit 2 ;;
esac
