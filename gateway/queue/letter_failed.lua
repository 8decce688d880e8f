-- A dead letter that failed once more, in place of the one it was: same id, same payload, one attempt more.
--   KEYS  dead
--   ARGV  letter, error
--   reply the new entry's id, or nil where there is no such letter any more
-- Runs on Redis 6.2.
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not found then return false end
local fields = found[2]
for n = 1, #fields, 2 do
  if fields[n] == 'error' then fields[n + 1] = ARGV[2] end
  if fields[n] == 'attempts' then fields[n + 1] = tostring((tonumber(fields[n + 1]) or 1) + 1) end
end
local id = redis.call('XADD', KEYS[1], '*', unpack(fields))
redis.call('XDEL', KEYS[1], ARGV[1])
return id
