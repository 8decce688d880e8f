-- Publish a batch: seen mark and stream entry in one atomic write, each entry with its own answer.
--   KEYS  seen, stats, streams…
--   ARGV  one MessagePack array of entries:
--         {stream number (1…), mark, how long to keep it (ms), fingerprint mark or "", conversation number, {field, value, …}}
--   reply per entry: 1 published, 0 seen before, -1 seen before with another fingerprint,
--         -2 behind an entry of its conversation that was refused, or the error with which it was refused
-- XADD before ZADD: should an entry fail half-way, the earlier ones are marked and a retry is safe.
-- Runs on Redis 6.2: no #!lua line, no FUNCTION.
-- The server's clock: a gateway whose own is days ahead would forget everybody's marks.
local seen, stats, time = KEYS[1], KEYS[2], redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries, answers, seen_before, refused = cmsgpack.unpack(ARGV[1]), {}, { [0] = 0, [-1] = 0 }, {}
local function known(mark)
  local forget_at = redis.call('ZSCORE', seen, mark)
  return forget_at and tonumber(forget_at) > now
end
for n, entry in ipairs(entries) do
  local stream, mark, forget_at, fingerprint, conversation = KEYS[entry[1] + 2], entry[2], now + entry[3], entry[4], entry[5]
  if known(mark) then
    answers[n] = (fingerprint ~= '' and not known(fingerprint)) and -1 or 0
    seen_before[answers[n]] = seen_before[answers[n]] + 1
  elseif refused[conversation] then
    answers[n] = -2
  else
    -- pcall: one entry that cannot be written must not take the others of its batch with it.
    local added = redis.pcall('XADD', stream, '*', unpack(entry[6]))
    local failed = type(added) == 'table' and added.err and added
    if not failed then
      local marked = redis.pcall('ZADD', seen, forget_at, mark)
      if type(marked) == 'table' and marked.err then
        -- An entry without its mark would be written again with every retry.
        redis.pcall('XDEL', stream, added)
        failed = marked
      elseif fingerprint ~= '' then
        redis.call('ZADD', seen, forget_at, fingerprint)
      end
    end
    if failed then
      answers[n], refused[conversation] = failed, true
    else
      answers[n] = 1
    end
  end
end
local old = redis.call('ZRANGEBYSCORE', seen, '-inf', now, 'LIMIT', 0, 2 * #entries + 8)
if #old > 0 then redis.call('ZREM', seen, unpack(old)) end
-- A write even when everything was a duplicate: WAIT after a read-only script would vouch for nothing.
local function count(name, by)
  if by > 0 and type(redis.pcall('HINCRBY', stats, name, by)) == 'table' then
    -- No memory left to count it, and none needed: it is there already. These write, and leave all as it was.
    redis.call('PEXPIRE', seen, 86400000)
    redis.call('PERSIST', seen)
  end
end
count('duplicates', seen_before[0])
count('conflicts', seen_before[-1])
return answers
