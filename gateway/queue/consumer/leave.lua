-- Remove a consumer that has nothing pending. DELCONSUMER alone would throw away what is.
--   KEYS  stream
--   ARGV  group, consumer
--   reply 1 removed, 0 it still has entries
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
