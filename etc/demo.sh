#!/bin/sh
# The demonstration behind `make run`: a configuration of its own below build/demo, a user, a thread
# and a token, and lighttpd in front.
#
# usage: demo.sh PORT BUILD
set -eu
port=$1 build=$2
root=$(pwd)/build/demo
env_file=$root/switchboard.env
switchboard=$build/bin/switchboard

secret() {
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# The secrets are made once, so that a second `make run` finds the calls of the first; the places are
# those of this checkout, which may be a copy of another.
mkdir -p "$root"
umask 077
mkdir -p "$root/state"
[ -e "$env_file" ] || printf 'JWT_SECRET=%s\nJITSI_JWT_SECRET=%s\n' "$(secret)" "$(secret)" >"$env_file"
kept=$(grep -v -e ^STATE_DIR= -e ^RUN_DIR= -e ^LOG_DIR= "$env_file")
cat >"$env_file" <<EOF
STATE_DIR=$root/state
RUN_DIR=$root/run
LOG_DIR=$root/log
$kept
EOF
SWITCHBOARD_ENV=$env_file
ALLOWED_ORIGINS=http://127.0.0.1:$port,http://localhost:$port # the port may be another each time
ENABLE_VISITORS=true # the receptionist's page asks for no account
export SWITCHBOARD_ENV ALLOWED_ORIGINS ENABLE_VISITORS

"$switchboard" migrate >/dev/null
"$switchboard" user list | grep -q '^demo	' || "$switchboard" user add --id demo --name "Demo User"
"$switchboard" thread list | grep -q '^demo	' ||
    "$switchboard" thread add --id demo --member demo:moderator
token=$("$switchboard" token mint --sub demo --name "Demo User" --ttl 86400)

cat <<EOF

Switchboard will serve on http://127.0.0.1:$port until you press Ctrl-C.
The receptionist is at http://127.0.0.1:$port/ in your browser: hold the button and speak, or type.

In another terminal (the token is good for a day):

  curl http://127.0.0.1:$port/api/health

  TOKEN=$token

  curl -H "Authorization: Bearer \$TOKEN" -H "Content-Type: application/json" \\
       -d '{"threadId":"demo","kind":"video"}' http://127.0.0.1:$port/api/calls/start

  CALL=...   # call.id of that answer

  curl -H "Authorization: Bearer \$TOKEN" -H "Content-Type: application/json" \\
       -d "{\"callId\":\"\$CALL\"}" http://127.0.0.1:$port/api/calls/join

  curl -H "Authorization: Bearer \$TOKEN" -H "Content-Type: application/json" \\
       -d "{\"callId\":\"\$CALL\"}" http://127.0.0.1:$port/api/calls/end

  curl -H "Authorization: Bearer \$TOKEN" -H "Content-Type: application/json" -H "Origin: http://127.0.0.1:$port" \\
       -H "Accept: audio/wav" -d '{"text":"When are you open?"}' -o answer.wav http://127.0.0.1:$port/api/voice-chat

Its logs are in $root/log.

EOF
exec env --default-signal=INT,TERM etc/serve.sh lighttpd "$port" "$env_file" "$build/cgi-bin"
