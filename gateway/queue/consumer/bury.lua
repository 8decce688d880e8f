-- Bury a poison entry: its dead letter and its acknowledgement in one atomic write, so that it is neither lost nor twice.
--   KEYS  stream, dead
--   ARGV  group, consumer, entry id, then field, value, …
--   reply 1 buried, 0 no longer ours (taken over, or buried by a call whose answer was lost)
-- XADD before XACK: where there is no memory for the letter, nothing is acknowledged.
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
return 1
