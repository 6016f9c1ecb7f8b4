# The results of a run, one object a measurement, to medians and ratios. A ratio is the median of the
# rounds' own ratios: what changes from round to round (another program on the machine) hits both.

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
    else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def percentile($p): sort | .[(length * $p / 100 | ceil) - 1];
def round_to($n): . * $n | round / $n;
def column: {rps: (map(.rps) | median | round), p50_ms: (map(.p50_ms) | median),
    p99_ms: (map(.p99_ms) | median), max_ms: (map(.max_ms) | max), cpu_us: (map(.cpu_us) | median | round_to(10)),
    server_us: (map(.server_us) | median | round_to(10)), requests: (map(.requests) | add),
    rounds: length};
def ratio($a; $b; field): [$a, $b] | transpose | map((.[0] | field) / (.[1] | field))
    | {median: (median | round_to(1000)), least: (min | round_to(1000)), most: (max | round_to(1000))};

def health($rows): ($rows | map(select(.who == "ours"))) as $ours
    | ($rows | map(select(.who == "hello"))) as $hello
    | ($rows | map(select(.who == "limited"))) as $limited
    | {ours: ($ours | column), limited: ($limited | column), hello: ($hello | column),
       rps_ratio: ratio($ours; $hello; .rps), p99_ratio: ratio($ours; $hello; .p99_ms),
       limited_rps_ratio: ratio($limited; $hello; .rps)};

def start($rows): ($rows | map(select(.who == "ours"))) as $ours
    | ($rows | map(select(.who == "php"))) as $php
    | ($rows | map(select(.who == "php-best"))) as $best
    | {ours: ($ours | column), php: ($php | column), php_best: ($best | column),
       rps_ratio: ratio($ours; $php; .rps), p99_ratio: ratio($ours; $php; .p99_ms),
       best_rps_ratio: ratio($ours; $best; .rps), best_p99_ratio: ratio($ours; $best; .p99_ms)};

. as $all
| def section($name): $all | map(select(.section == $name));
  {cpus: $cpus, load: $load, seconds_each: $seconds,
   fsync_us: (section("fsync")[0].us | {median: median, p99: percentile(99), count: length}),
   health: (section("health") | group_by(.server) | map({key: .[0].server, value: health(.)})
       | from_entries),
   peer_settings: (section("peer") | map({who, rps: (.rps | round), p99_ms})),
   peer_best: $best,
   start: start(section("start")),
   memory: (section("memory") | {processes: map({name, kib, threads}),
       total_kib: (if any(.kib == null) then null else map(.kib) | add end)}),
   cold: (section("cold") | map({name, way, median_ms: (.us | median / 1000),
       p99_ms: (.us | percentile(99) / 1000), count: (.us | length)}))}
