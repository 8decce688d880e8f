-- Publish a batch: seen mark and stream entry in one atomic write, each entry with its own answer.
--   KEYS  seen, stats, streams…
--   ARGV  one MessagePack array of entries:
--         {stream number (1…), mark, how long to keep it (ms), fingerprint mark or "", {field, value, …}}
--   reply per entry: 1 published, 0 seen before, -1 seen before with another fingerprint
-- XADD before ZADD: should an entry fail half-way, the earlier ones are marked and a retry is safe.
-- Runs on Redis 6.2: no #!lua line, no FUNCTION.
-- The server's clock: a gateway whose own is days ahead would forget everybody's marks.
local seen, stats, time = KEYS[1], KEYS[2], redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries, answers, seen_before = cmsgpack.unpack(ARGV[1]), {}, { [0] = 0, [-1] = 0 }
local function known(mark)
  local forget_at = redis.call('ZSCORE', seen, mark)
  return forget_at and tonumber(forget_at) > now
end
for n, entry in ipairs(entries) do
  local stream, mark, forget_at, fingerprint, fields = KEYS[entry[1] + 2], entry[2], now + entry[3], entry[4], entry[5]
  if not known(mark) then
    redis.call('XADD', stream, '*', unpack(fields))
    redis.call('ZADD', seen, forget_at, mark)
    if fingerprint ~= '' then redis.call('ZADD', seen, forget_at, fingerprint) end
    answers[n] = 1
  else
    answers[n] = (fingerprint ~= '' and not known(fingerprint)) and -1 or 0
    seen_before[answers[n]] = seen_before[answers[n]] + 1
  end
end
local old = redis.call('ZRANGEBYSCORE', seen, '-inf', now, 'LIMIT', 0, 2 * #entries + 8)
if #old > 0 then redis.call('ZREM', seen, unpack(old)) end
-- A write even when everything was a duplicate: WAIT after a read-only script would vouch for nothing.
-- pcall: it is safe already, and stays so where there is no memory left to count it.
if seen_before[0] > 0 then redis.pcall('HINCRBY', stats, 'duplicates', seen_before[0]) end
if seen_before[-1] > 0 then redis.pcall('HINCRBY', stats, 'conflicts', seen_before[-1]) end
return answers
