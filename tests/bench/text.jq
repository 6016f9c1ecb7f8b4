# The report as text.

def pad($n): tostring | . + (" " * ([$n - length, 1] | max));
def lpad($n): tostring | (" " * ([$n - length, 0] | max)) + .;
def row($name; $c): "  \($name | pad(26))\($c.rps | lpad(9))\($c.p50_ms | lpad(10))\($c.p99_ms | lpad(10))\($c.max_ms | lpad(10))\($c.cpu_us | lpad(10))\($c.server_us | lpad(10))";
def head: "  \("" | pad(26))\("req/s" | lpad(9))\("p50 ms" | lpad(10))\("p99 ms" | lpad(10))\("max ms" | lpad(10))\("CPU us" | lpad(10))\("server us" | lpad(10))";
def verdict($ok): if $ok then "met" else "MISSED" end;
def span: "\(.median) (rounds \(.least) to \(.most))";

"\(.cpus) CPUs, load \(.load), rounds of \(.seconds_each) s, 32 connections; medians",
"",
"Disk: append of 4 KiB + fdatasync: median \(.fsync_us.median) us, p99 \(.fsync_us.p99) us",
(.health | to_entries[] |
    "", "health behind \(.key)", head, row("ours, limit off"; .value.ours),
    row("ours, limit 16383/1"; .value.limited), row("bare libfcgi"; .value.hello),
    "  req/s, ours / bare: \(.value.rps_ratio | span); goal >= 0.85: \(verdict(.value.rps_ratio.median >= 0.85))",
    "  req/s, with limit / bare: \(.value.limited_rps_ratio | span); p99, ours / bare: \(.value.p99_ratio | span)"),
"", "calls/start behind nginx, each inserts, synchronous=FULL", head,
row("ours"; .start.ours), row("PHP-FPM, 8 children"; .start.php),
row("PHP-FPM at its best: \(.peer_best)"; .start.php_best),
"  req/s, ours / PHP: \(.start.rps_ratio | span); goal >= 5: \(verdict(.start.rps_ratio.median >= 5))",
"  p99, ours / PHP: \(.start.p99_ratio | span); goal <= 0.1: \(verdict(.start.p99_ratio.median <= 0.1))",
"  against its best: req/s \(.start.best_rps_ratio | span), p99 \(.start.best_p99_ratio | span)",
"  settings tried (2 s each): \(.peer_settings | map("\(.who) \(.rps)/s p99 \(.p99_ms) ms") | join("; "))",
"", "Proportional memory (Pss) after load",
(.memory.processes[] | "  \(.name | pad(26))\(.kib // "not root: not seen" | lpad(9)) KiB\(.threads | lpad(6)) threads"),
"  together \(.memory.total_kib // "not seen, run as root") KiB; goal <= 20480: \(if .memory.total_kib == null then "NOT MEASURED" else verdict(.memory.total_kib <= 20480) end)",
"", "Cold process to first byte, \(.cold[0].count) starts",
(.cold[] | "  \("\(.name), \(.way)" | pad(26)) median \(.median_ms | lpad(7)) ms   p99 \(.p99_ms | lpad(7)) ms"),
"  goal <= 10 ms: \(verdict(all(.cold[]; .median_ms <= 10)))"
