-- Arguments: a file with a path in each line, how many requests are sent at once, and the addresses
-- of the nodes. Each thread asks one node.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local address = args[3 + number % (#args - 2)]
  local host, port = address:match("^(.*):(%d+)$")
  wrk.host, wrk.port = host, port
  wrk.headers["Host"] = address
  wrk.thread.addr = wrk.lookup(host, port)[1]
  local lines = {}
  for path in io.lines(args[1]) do
    lines[#lines + 1] = wrk.format("GET", path)
  end
  local together = tonumber(args[2])
  requests = {}
  for i = 1, #lines, together do
    requests[#requests + 1] = table.concat(lines, "", i, math.min(i + together - 1, #lines))
  end
  at = number * 997
end

function request()
  at = at % #requests + 1
  return requests[at]
end

-- The first line has the time in microseconds, and the numbers of requests, bad answers and other
-- errors. Each further line has a latency in microseconds and its count.
function done(summary, latency)
  local e = summary.errors
  print("\nsummary " .. summary.duration .. " " .. summary.requests .. " " .. e.status .. " " .. e.connect + e.read + e.write + e.timeout)
  for i = 1, #latency do
    local value, count = latency(i)
    print(value .. " " .. count)
  end
end
