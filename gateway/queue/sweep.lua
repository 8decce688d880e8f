-- Forget what has had its time: seen marks, and dead letters by when they were buried.
--   KEYS  seen, dead
--   ARGV  how long dead letters are kept (ms), how many of each at most, or so
--   reply {marks forgotten, dead letters deleted, 1 where there may be more}
-- In one step and by the server's clock, as publish.lua: a mark that was set anew meanwhile must stay.
local seen, dead, keep, most = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local old = redis.call('ZRANGEBYSCORE', seen, '-inf', now, 'LIMIT', 0, most)
if #old > 0 then redis.call('ZREM', seen, unpack(old)) end
local buried_before = string.format('%d', math.max(now - keep, 0))
local deleted = redis.call('XTRIM', dead, 'MINID', '~', buried_before, 'LIMIT', most)
local more = (#old == most or deleted > 0) and 1 or 0
if deleted == 0 then deleted = redis.call('XTRIM', dead, 'MINID', '=', buried_before) end
return { #old, deleted, more }
