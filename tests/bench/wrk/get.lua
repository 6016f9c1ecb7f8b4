-- GET from 64 addresses in turn, so that no single one meets the rate limit.
dofile(os.getenv("BENCH_DIR") .. "/wrk/summary.lua")

local requests, at = {}, 0

function init()
    for i = 0, 63 do
        requests[i] = wrk.format("GET", nil, { ["X-Forwarded-For"] = "192.0.2." .. i })
    end
end

function request()
    at = (at + 1) % 64
    return requests[at]
end
