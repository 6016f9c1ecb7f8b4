# The report as Markdown.

def pad($n): tostring | . + (" " * ([$n - length, 0] | max));
def lpad($n): tostring | (" " * ([$n - length, 0] | max)) + .;
def digits($n): (. * pow(10; $n) | round | tostring) as $all
    | ("0" * ([$n + 1 - ($all | length), 0] | max)) + $all | .[:-$n] + "." + .[-$n:];
def cells($widths): . as $cells | [range(length) | . as $i | $cells[$i]
    | if $i == 0 then pad($widths[0]) else lpad($widths[$i]) end] | "| \(join(" | ")) |";
# Rows of cells as a table; the first row is its head.
def table: . as $rows
    | [range(.[0] | length) as $i | $rows | map(.[$i] | tostring | length) | max] as $widths
    | ($rows[0] | cells($widths)),
      "|" + ($widths | [range(length) as $i | "-" * (.[$i] + 1) + (if $i == 0 then "-" else ":" end)]
          | join("|")) + "|",
      ($rows[1:][] | cells($widths));
def times: "\(digits(2))x";
def span: "\(.median | times) (\(.least | times) to \(.most | times))";
def verdict($ok): if $ok then "met" else "**missed**" end;

def head: ["", "req/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "CPU us", "server us"];
def row($name): [$name, .rps, (.p50_ms | digits(2)), (.p95_ms | digits(2)), (.p99_ms | digits(2)), (.max_ms | digits(1)), .cpu_us, .server_us];
def ratios: ["req/s, ours to theirs", "p99, ours to theirs"];
# What 19 requests of 20 are to be answered within under this load: the median of the rounds' p95.
def budget($ms): "Budget at p95, \($ms) ms: \(verdict(.ours.p95_ms <= $ms)).";

def health: .health | to_entries[] | .key as $server | .value
    | "", "### health behind \($server)", "",
      ([head, (.ours | row("Switchboard, rate limit off")),
        (.limited | row("Switchboard, limit 16383/1")), (.hello | row("bare libfcgi"))] | table), "",
      "Requests a second, to those of bare libfcgi: \(.hello.rps_ratio | span), goal 0.85x: \(verdict(.hello.rps_ratio.median >= 0.85)). \(budget(10))";

def start: .best as $best
    | def names: {php: "PHP-FPM, 8 children", "php-best": "PHP-FPM, \($best.php)",
        express: "Express, \($best.express)", go: "Go"};
    .start as $start | names as $names
    | "", "### calls/start behind nginx, each a durable insert", "",
      ([head + ratios, (.start.ours | row("Switchboard") + ["", ""])]
          + ($names | keys_unsorted | map(. as $who | $start[$who]
              | row($names[$who]) + [(.rps_ratio | span), (.p99_ratio | span)])) | table), "",
      "Goals against PHP-FPM with 8 children: 5x the requests a second: \(verdict($start.php.rps_ratio.median >= 5)); a tenth of the p99: \(verdict($start.php.p99_ratio.median <= 0.1)). Ahead of Express: \(verdict($start.express.rps_ratio.median > 1)); of Go: \(verdict($start.go.rps_ratio.median > 1)). \($start | budget(25))",
      "Settings tried, 2 s each: \(.settings | map("\(.who) \(.rps)/s, p99 \(.p99_ms | digits(1)) ms") | join("; ")).";

def token: .token as $token
    | "", "### realtime/token behind nginx, each a secret from the stand-in over TLS", "",
      ([head + ["stand-in us"] + ratios] + ([["ours", "Switchboard"], ["express", "Express, express-2"], ["go", "Go"]]
          | map(.[0] as $who | .[1] as $name | $token[$who] | row($name) + [.upstream_us]
              + (if $who == "ours" then ["", ""] else [(.rps_ratio | span), (.p99_ratio | span)] end)))
          | table), "", ($token | budget(50));

def memory: .memory
    | "", "### Memory (Pss) ten seconds after load", "",
      ([["", "KiB", "processes", "threads"]] + (.ours + .peers | map([.name, .kib // "not seen", .processes, .threads]))
          + [["the seven together", .seven_kib // "not seen", "", ""], ["the same as the load ends", .busy_seven_kib // "not seen", "", ""], ["all endpoints together", .total_kib // "not seen", "", ""]] | table), "",
      "Goal, 20480 KiB for the seven: \(if .seven_kib == null then "not measured, run as root" else verdict(.seven_kib <= 20480) end).";

def cold: "", "### Cold process to first byte, \(.cold[0].count) starts", "",
    ([["", "median ms", "p99 ms"]] + (.cold | map(["\(.name), \(.way)", (.median_ms | digits(2)), (.p99_ms | digits(2))])) | table), "",
    "Goal, 10 ms: \(verdict(all(.cold[]; .median_ms <= 10))).";

def ms: . / 1000 | digits(1);
def between: "\(.median | ms) (\(.least | ms) to \(.most | ms))";

def voice: .voice as $voice | $voice.turns as $turns
    | def turn($name; $who): [$name, ($turns[$who].ttfa_us | between), ($turns[$who].ideal_us | between),
          ($turns[$who].over_us | between), ($voice.first[$who] | ms), ($turns[$who].all_us | between)];
      $voice.delays as $delays | $voice.many as $many
    | "", "### A spoken turn behind nginx, with the stand-in over TLS", "",
      "The stand-in waits \($delays.transcriptions) ms to transcribe, \($delays.chat) ms before the model's first piece and \($delays.chat_token) ms before each token, \($delays.speech) ms before the first byte of speech and \($delays.speech_chunk) ms between its chunks. The first clause is known by piece \($delays.first_clause): by the delays alone the first audio could come after \($delays.nominal_us | ms) ms. \"Stand-in\" is what it took itself, by its own clock. \($turns.ours.over_us.rounds) rounds; load \($voice.load) at the end.",
      "",
      ([["ms", "first audio", "stand-in", "over it", "over it, cold", "all audio"],
        turn("Switchboard, WAV"; "ours"), turn("Switchboard, WebM"; "webm"),
        turn("in sequence, straight"; "sequence")] | table), "",
      ([["of it, median ms", "before hearing", "before thinking", "before speech", "before the client"],
        (["ours", "Switchboard, WAV"], ["webm", "Switchboard, WebM"], ["sequence", "in sequence, straight"]
            | . as [$who, $name] | [$name] + ($voice.gaps_us[$who] | map(ms)))] | table), "",
      "Goal, at most 10 ms over it: \(verdict($turns.ours.over_us.median <= 10000)) (WAV); WebM: \(verdict($turns.webm.over_us.median <= 10000)).",
      "Sooner than the turn in sequence (five sentences), first audio: \($voice.sooner.ttfa | span), goal 2x: \(verdict($voice.sooner.ttfa.median >= 2)); all of the audio: \($voice.sooner.all | span).",
      "",
      "\($many.turns) turns at once in one process (WebM): \($many.good) answered right, \($many.at_once) of them there at one moment, all done after \($many.took_us | ms) ms, first audio after \($many.ttfa_us | ms) ms (median; \($many.nominal_us | ms) by the delays); Pss \($many.before_kib // "not seen") KiB before, \($many.peak_kib // "not seen") at the most, with \($many.threads // "unknown") threads. Goal, all right and below 102400 KiB: \(if $many.peak_kib == null then "not measured, run as root" else verdict($many.good == $many.turns and $many.at_once == $many.turns and $many.peak_kib < 102400) end).",
      "With the programs of this machine (ffmpeg, pocketsphinx, flite), no goal: heard after \($voice.local.stt_us | between) ms, first audio after \($voice.local.ttfa_us | between), all after \($voice.local.all_us | between).";

def beside_peers: " Rounds of \(.seconds_each) s (\(.start.ours.rounds) each, alternating), 32 connections; medians.";

"\(.machine).\(if .health then beside_peers else "" end)",
"",
"Disk: appending 4 KiB and fdatasync takes \(.fsync_us.median) us, p99 \(.fsync_us.p99) us: the least a commit can take.",
if .health then health, start, token, memory, cold else empty end,
voice
