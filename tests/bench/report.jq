# The results of a run, one object a measurement, to medians and ratios. A ratio is the median of the
# rounds' own ratios: what changes from round to round (another program on the machine) hits both.

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
    else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def percentile($p): sort | .[(length * $p / 100 | ceil) - 1];
def round_to($n): . * $n | round / $n;
def column: {rps: (map(.rps) | median | round), p50_ms: (map(.p50_ms) | median | round_to(100)),
    p99_ms: (map(.p99_ms) | median | round_to(100)), max_ms: (map(.max_ms) | max | round_to(10)),
    cpu_us: (map(.cpu_us) | median | round), server_us: (map(.server_us) | median | round),
    upstream_us: (map(.upstream_us) | median | round), requests: (map(.requests) | add),
    rounds: length};
def ratio($a; $b; field): [$a, $b] | transpose | map((.[0] | field) / (.[1] | field))
    | {median: (median | round_to(1000)), least: (min | round_to(1000)), most: (max | round_to(1000))};

# {WHO: {its column, rps_ratio and p99_ratio: ours to it}}
def beside: (map(select(.who == "ours"))) as $ours
    | group_by(.who) | map(. as $rows | {key: .[0].who, value: (column +
        {rps_ratio: ratio($ours; $rows; .rps), p99_ratio: ratio($ours; $rows; .p99_ms)})})
    | from_entries;
def total: if any(.kib == null) then null else map(.kib) | add end;

def seven: ["health", "realtime/token", "calls/start", "calls/join", "calls/end", "marketing", "voice-chat"]
    as $seven | map(select(.name as $name | any($seven[]; . == $name)));

. as $all
| def section($name): $all | map(select(.section == $name));
  {machine: $machine, seconds_each: $seconds,
   fsync_us: (section("fsync")[0].us | {median: median, p99: percentile(99), count: length}),
   health: (section("health") | group_by(.server) | map({key: .[0].server, value: beside})
       | from_entries),
   settings: (section("setting") | map({who, rps: (.rps | round), p99_ms})),
   best: {php: $php, express: $express},
   start: (section("start") | beside),
   token: (section("token") | beside),
   memory: (section("memory") | {ours: map(select(.who == "ours")), busy: map(select(.who == "busy")),
               peers: map(select(.who == "peer"))}
       | . + {total_kib: (.ours | total),
              seven_kib: (.ours | seven | total), busy_seven_kib: (.busy | seven | total)}),
   cold: (section("cold") | map({name, way, median_ms: (.us | median / 1000),
       p99_ms: (.us | percentile(99) / 1000), count: (.us | length)}))}
