-- A dead letter's envelope becomes a stream entry again, with the id it had; the letter goes with the same write.
--   KEYS  dead, stream, seen
--   ARGV  letter, mark, fingerprint mark or "", how long to keep them (ms),
--         1 where a mark says that it is on a stream already, field, value, …
--   reply 1 published, 0 it was on a stream already (the letter is gone), -1 there is no such letter any more
-- XADD before XDEL: should it fail, the letter is still there. Runs on Redis 6.2.
local dead, stream, seen, letter, mark, fingerprint = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3]
if #redis.call('XRANGE', dead, letter, letter) == 0 then return -1 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known, answer = redis.call('ZSCORE', seen, mark), 1
if ARGV[5] == '1' and known and tonumber(known) > now then
  answer = 0
else
  redis.call('XADD', stream, '*', unpack(ARGV, 6))
  redis.call('ZADD', seen, 'GT', now + ARGV[4], mark)
  if fingerprint ~= '' then redis.call('ZADD', seen, 'GT', now + ARGV[4], fingerprint) end
end
redis.call('XDEL', dead, letter)
return answer
