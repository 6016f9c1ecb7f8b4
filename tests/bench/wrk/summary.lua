-- What a round gives: one JSON object, written to BENCH_OUT. A connection that broke, a timeout or
-- an answer beyond 399 is an error.
function done(summary, latency, requests)
    local e = summary.errors
    local out = assert(io.open(os.getenv("BENCH_OUT"), "w"))
    out:write(string.format(
        '{"requests":%d,"rps":%.1f,"p50_ms":%.3f,"p95_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,"errors":%d}\n',
        summary.requests, summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000,
        latency.max / 1000,
        e.connect + e.read + e.write + e.status + e.timeout))
    out:close()
end
