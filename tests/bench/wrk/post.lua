-- POSTs the lines of BENCH_LINES in turn: "USER BODY", with the USER-th line of BENCH_TOKENS
-- (from 0) as the bearer.
dofile(os.getenv("BENCH_DIR") .. "/wrk/summary.lua")

local heads, users, bodies, at = {}, {}, {}, 0

function init()
    local n = 0
    for token in io.lines(os.getenv("BENCH_TOKENS")) do
        heads[n] = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.host ..
            "\r\nAuthorization: Bearer " .. token ..
            "\r\nContent-Type: application/json\r\nContent-Length: "
        n = n + 1
    end
    for line in io.lines(os.getenv("BENCH_LINES")) do
        local user, body = line:match("^(%d+) (.*)$")
        users[#users + 1] = tonumber(user)
        bodies[#bodies + 1] = body
    end
end

function request()
    at = at % #bodies + 1
    local body = bodies[at]
    return heads[users[at]] .. #body .. "\r\n\r\n" .. body
end
