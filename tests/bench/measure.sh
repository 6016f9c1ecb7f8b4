# shellcheck shell=bash disable=SC2154,SC2016 # variables of run's; jq's in quotes
# For tests/bench/run: one round, one figure. All results are JSON objects, one a line, in
# $results; report.jq makes medians and ratios of them.

record() { jq -cn "$@" >>"$results"; }

# round SECONDS SCRIPT URL: what wrk saw, as JSON. Anything but success is no figure.
round() {
    local summary=$work/round.json
    rm -f "$summary"
    BENCH_DIR=$bench BENCH_OUT=$summary wrk -t1 -c"$connections" -d"$1s" --timeout 30s \
        -s "$bench/wrk/$2.lua" "$3" >"$work/log/wrk.out" 2>&1 || die "wrk failed; see $work/log/wrk.out"
    [ "$(jq .errors "$summary")" = 0 ] || die "$3: failed answers: $(cat "$summary")"
    cat "$summary"
}

# The CPU time processes $@ have used, all threads, in ms: what a busy machine does not distort.
cpu_ms() {
    local pid
    for pid in "$@"; do cat "/proc/$pid/stat"; done |
        awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); sum += $12 + $13 } END { print sum * 1000 / hz }'
}

# cpu_all PIDS: that of a program, of the web servers and of the provider, a line each.
cpu_all() {
    # shellcheck disable=SC2086 # lists of numbers
    cpu_ms $1 && cpu_ms $servers && cpu_ms "$upstream_pid"
}

# timed PIDS ROUND...: the round, with the CPU time a request took in the program's processes, in the
# servers' and in the provider's.
timed() {
    local pids=$1 before summary
    shift
    before=$(cpu_all "$pids")
    summary=$(round "$@") || exit 1
    sleep 0.3 # for what wrk has not waited for
    { echo "$before" && cpu_all "$pids"; } | jq -sc --argjson round "$summary" '
        [.[3] - .[0], .[4] - .[1], .[5] - .[2]] | map(. * 1000 / $round.requests)
        | $round + {cpu_us: .[0], server_us: .[1], upstream_us: .[2]}'
}

# health SERVER WHO URL PIDS
health() {
    local summary
    summary=$(timed "$4" "$seconds" get "$3") || exit 1
    record --arg server "$1" --arg who "$2" --argjson round "$summary" \
        '{section: "health", server: $server, who: $who} + $round'
}

sql() { as_owner sqlite3 -bail -cmd '.timeout 20000' "$1"; }

# start WHO DATABASE URL PIDS [SECONDS]: every answer must have inserted its call; answers that wrk did
# not wait for at its end may add a few.
start() {
    local who=$1 db=$2 summary asked opened
    summary=$(BENCH_TOKENS=$work/tokens BENCH_LINES=$work/starts \
        timed "$4" "${5:-$seconds}" post "$3") || exit 1
    asked=$(jq .requests <<<"$summary")
    opened=$(sql "$db" <<<'SELECT count(*) FROM calls WHERE ended_at IS NULL')
    if [ "$opened" -lt "$asked" ] || [ "$opened" -gt $((asked + connections)) ]; then
        die "$who answered $asked starts and opened $opened calls"
    fi
    sql "$db" <"$bench/close.sql" >/dev/null || exit 1
    record --arg who "$who" --argjson round "$summary" '{section: "start", who: $who} + $round'
}

# token WHO URL PIDS
token() {
    local summary
    summary=$(BENCH_TOKENS=$work/tokens BENCH_LINES=$work/mints timed "$3" "$seconds" post "$2") ||
        exit 1
    record --arg who "$1" --argjson round "$summary" '{section: "token", who: $who} + $round'
}

check_events() { # WHO DATABASE
    local apart
    apart=$(sql "$2" <<<"SELECT (SELECT count(*) FROM calls) -
        (SELECT count(*) FROM call_events WHERE type = 'started')")
    [ "$apart" = 0 ] || die "$1: calls and their events differ by $apart"
}

# cold fcgi|cgi NAME PROGRAM PARAMS BODIES
cold() {
    local times
    times=$(SWITCHBOARD_ENV=$env_file as_owner "$work/bin/cold" "$1" 50 "$3" "$4" "$5") ||
        die "cold start of $2 as $1 failed"
    record --arg way "$1" --arg name "$2" --argjson us "$(jq -sc . <<<"$times")" \
        '{section: "cold", way: $way, name: $name, us: $us}'
}

# The Pss of processes $@ together, in KiB. Endpoints are not dumpable, so only root may look.
pss() {
    local pid
    for pid in "$@"; do cat "/proc/$pid/smaps_rollup" || return 1; done 2>/dev/null |
        awk '/^Pss:/ { sum += $2 } END { print sum }'
}

# memory_of WHO NAME PIDS...: WHO is "ours", "busy" (ours, as the load ends) or "peer".
memory_of() {
    local who=$1 name=$2 kib pid threads=0
    shift 2
    kib=$(pss "$@")
    for pid in "$@"; do
        threads=$((threads + $(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)))
    done
    record --arg who "$who" --arg name "$name" --argjson kib "${kib:-null}" \
        --argjson threads "$threads" --argjson processes $# \
        '{section: "memory", who: $who, name: $name, kib: $kib, threads: $threads, processes: $processes}'
}

memory() { # WHO RUN_DIR
    local file name
    for file in $(cd "$2/fcgi" && find . -name '*.pid' | sort); do
        name=${file#./}
        memory_of "$1" "${name%.pid}" "$(cat "$2/fcgi/$file")"
    done
}
