-- Add the counts of an hour, once: a flush that is sent again because its answer was lost changes nothing.
--   KEYS  the hour's counts, stats
--   ARGV  the hour (yyyymmddhh), how long to keep the counts (ms), who flushes, the number of the flush, then pairs of field, count
--   reply 1 added, 0 added before
-- The mark goes with the counts it speaks of. It is the first write: a server that is full refuses the script there.
-- Runs on Redis 6.2.
local hour, stats, mark, number = KEYS[1], KEYS[2], 'flush|' .. ARGV[3], tonumber(ARGV[4])
if (tonumber(redis.call('HGET', hour, mark)) or 0) >= number then return 0 end
redis.call('HSET', hour, mark, ARGV[4])
for n = 5, #ARGV, 2 do redis.call('HINCRBY', hour, ARGV[n], ARGV[n + 1]) end
redis.call('PEXPIRE', hour, ARGV[2])
local since = redis.call('HGET', stats, 'counted_since')
if not since or ARGV[1] < since then redis.call('HSET', stats, 'counted_since', ARGV[1]) end
return 1
