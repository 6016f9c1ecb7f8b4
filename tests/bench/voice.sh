# shellcheck shell=bash disable=SC2154,SC2016 # variables of run's; jq's in quotes
# For tests/bench/run: a spoken turn, beside what the provider itself takes of it. Two servers are
# started for it, one with the provider's stand-in and one with the programs of this machine.

# The first has a provider of its own; the last has none, so nothing is left of what names one.
voice_environments() {
    local name
    for name in voice local; do
        write_env "$work/$name.env" "$work/run-$name" "$work/state" off
        sed -i '/^OPENAI_/d; /^UPSTREAM_CA_FILE/d' "$work/$name.env"
        echo "RECEPTIONIST_FILE=$root/etc/receptionist.json" >>"$work/$name.env"
    done
    cat "$work/log/voice-standin.out" >>"$work/voice.env"
}

start_voice() {
    launch voice-standin node "$bench/voice/standin.mjs"
    until_true grep -qs ^UPSTREAM_CA_FILE= "$work/log/voice-standin.out"
    voice_environments
    voice_port=$(free_port)
    start_nginx voice "$voice_port" "$work/voice.env" "$work/run-voice"
    local_port=$(free_port)
    start_nginx local "$local_port" "$work/local.env" "$work/run-local"
    flite -voice rms -t 'What are your opening hours?' -o "$work/question.wav" &&
        ffmpeg -nostdin -v error -i "$work/question.wav" -c:a libopus "$work/question.webm" || exit 1
}

# voice WHAT PORT RECORDING: see voice/measure.mjs. A round takes six seconds.
voice() {
    local rounds=$((rounds < 5 ? 5 : rounds > 9 ? 9 : rounds))
    say "a spoken turn: $1"
    BENCH_URL=http://127.0.0.1:$2 BENCH_RECORDING=$work/$3 BENCH_TOKENS=$work/tokens \
        BENCH_PROVIDER=$work/log/voice-standin.out ROUNDS=$rounds \
        BENCH_PID=$(cat "$work/run-voice/fcgi/voice-chat.pid") \
        timeout -k 5 120 node "$bench/voice/measure.mjs" "$1" >>"$results" ||
        die "a spoken turn failed; see $work/log"
}

measure_voice() {
    start_voice
    voice turns "$voice_port" question.webm
    voice many "$voice_port" question.webm
    voice local "$local_port" question.wav
    record --arg load "$(cut -d' ' -f1-3 /proc/loadavg)" \
        '{section: "voice", what: "load", load: $load}'
}
