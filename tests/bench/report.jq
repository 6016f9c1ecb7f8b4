# The results of a run, one object a measurement, to medians and ratios. A ratio is the median of the
# rounds' own ratios: what changes from round to round (another program on the machine) hits both.

def median: sort | if length % 2 == 1 then .[length / 2 | floor]
    else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def percentile($p): sort | .[(length * $p / 100 | ceil) - 1];
def round_to($n): . * $n | round / $n;
def column: {rps: (map(.rps) | median | round), p50_ms: (map(.p50_ms) | median | round_to(100)),
    p95_ms: (map(.p95_ms) | median | round_to(100)), p99_ms: (map(.p99_ms) | median | round_to(100)),
    max_ms: (map(.max_ms) | max | round_to(10)),
    cpu_us: (map(.cpu_us) | median | round), server_us: (map(.server_us) | median | round),
    upstream_us: (map(.upstream_us) | median | round), requests: (map(.requests) | add),
    rounds: length};
def spread: {median: (median | round), least: min, most: max};
def ratio($a; $b; field): [$a, $b] | transpose | map((.[0] | field) / (.[1] | field))
    | {median: (median | round_to(1000)), least: (min | round_to(1000)), most: (max | round_to(1000))};

# {WHO: {its column, rps_ratio and p99_ratio: ours to it}}
def beside: (map(select(.who == "ours"))) as $ours
    | group_by(.who) | map(. as $rows | {key: .[0].who, value: (column +
        {rps_ratio: ratio($ours; $rows; .rps), p99_ratio: ratio($ours; $rows; .p99_ms)})})
    | from_entries;

# A spoken turn: the times of each way to take it, and ours to those of the others in the same round.
def spoken: (map(select(.what == "turn")) | group_by(.who) | map({key: .[0].who, value: .}) | from_entries)
        as $turns
    | def columns: {ttfa_us: map(.ttfa_us), all_us: map(.all_us), ideal_us: map(.ideal_us),
          over_us: map(.over_us)} | map_values(spread + {rounds: length});
      def one($what): map(select(.what == $what))[0];
      {delays: one("delays"), load: one("load").load,
       turns: ($turns | map_values(columns)),
       gaps_us: ($turns | map_values(map(.gaps_us) | transpose | map(median | round))),
       first: (map(select(.what == "first")) | map({key: .who, value: .over_us}) | from_entries),
       sooner: {ttfa: ratio($turns.sequence; $turns.ours; .ttfa_us),
                all: ratio($turns.sequence; $turns.ours; .all_us)},
       many: one("many"),
       local: (map(select(.what == "local")) | {ttfa_us: map(.ttfa_us), all_us: map(.all_us),
           stt_us: map(.timings.sttMs * 1000)} | map_values(spread))};
def total: if any(.kib == null) then null else map(.kib) | add end;

def seven: ["health", "realtime/token", "calls/start", "calls/join", "calls/end", "marketing", "voice-chat"]
    as $seven | map(select(.name as $name | any($seven[]; . == $name)));

. as $all
| def section($name): $all | map(select(.section == $name));
  {machine: $machine, seconds_each: $seconds,
   fsync_us: (section("fsync")[0].us | {median: median, p99: percentile(99), count: length})}
  + if section("health") == [] then {} else
  {health: (section("health") | group_by(.server) | map({key: .[0].server, value: beside})
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
  end + {voice: (section("voice") | spoken)}
