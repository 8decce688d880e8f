-- Keep, or give back, what is pending under our name, and count how often a handler was started on it.
--   KEYS  stream
--   ARGV  group, consumer, idle time to set (ms: 0 keeps), then pairs of entry id, count
--   reply the ids that are still ours: the others were taken over or settled meanwhile
local stream, group, consumer, idle, ours = KEYS[1], ARGV[1], ARGV[2], ARGV[3], {}
for n = 4, #ARGV, 2 do
  local id, count = ARGV[n], ARGV[n + 1]
  if #redis.call('XPENDING', stream, group, id, id, 1, consumer) > 0 then
    redis.call('XCLAIM', stream, group, consumer, 0, id, 'IDLE', idle, 'RETRYCOUNT', count, 'JUSTID')
    ours[#ours + 1] = id
  end
end
return ours
