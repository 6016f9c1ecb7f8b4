#!/bin/sh
# endpoints.sh CGI_BIN_DIR [COMMAND PREFIX...]
#
# Which URL belongs to which installed endpoint: a line "URL NAME" each, longest URL first, because
# lighttpd takes the first prefix that matches (/api/marketing must not take /api/marketing-report).
# A URL other than /api/NAME is an alias that the endpoint declares.
#
# Each binary is asked (--describe, 1 s at most; the prefix runs it as another user). One that does
# not answer is left out and named on stderr and in a "# ..." line, since lighttpd does not start at
# all where a single FastCGI program exits.
set -eu
export LC_ALL=C

cgi_bin=$1
shift

left_out() {
    echo "switchboard: $cgi_bin/$1 is not served: $2" >&2
    echo "# $1 is not served: $2"
}

# The description begins {"name":"calls/start","aliases":["/api/..."], so sed is enough.
describe() {
    name=$1
    shift
    if ! echo "$name" | grep -Eqx '([a-z0-9][a-z0-9-]*/)*[a-z0-9][a-z0-9-]*'; then
        left_out "$name" 'not a name for an endpoint (a-z, 0-9, - and /)'
        return
    fi
    status=0
    text=$("$@" timeout -k 1 1 "$cgi_bin/$name" --describe </dev/null 2>/dev/null) || status=$?
    case $status:$text in
    0:'{"name":"'"$name"'",'*) ;;
    0:*) left_out "$name" '--describe names another endpoint, or none' && return ;;
    124:* | 137:*) left_out "$name" 'no answer to --describe within 1 s' && return ;;
    *) left_out "$name" "--describe ended with status $status" && return ;;
    esac
    echo "/api/$name $name"
    printf '%s\n' "$text" | sed -n '1s/^{"name":"[^"]*","aliases":\[\([^]]*\)\].*/\1/p' |
        tr -d '"' | tr ',' '\n' | grep -Ex '/api/[A-Za-z0-9._/-]+' | sed "s|\$| $name|" || :
}

if [ ! -d "$cgi_bin" ]; then
    left_out . 'no such directory'
    exit 0
fi
# An endpoint's own URL wins over an alias of another: unique by URL, own URLs sorted first.
find -L "$cgi_bin" -type f -printf '%P\n' | sort | while IFS= read -r name; do
    describe "$name" "$@"
done | awk '
    /^#/ { print; next }
    { rank = $1 == "/api/" $2 ? 0 : 1; print length($1), $1, rank, $2 | "sort -k1,1nr -k2,2 -k3,3n" }
' | awk '/^#/ { print; next } !seen[$2]++ { print $2, $4 }'
