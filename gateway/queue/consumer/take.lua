-- Take over entries: those a reader left for `min_idle` ms or, where that is empty, those pending under our own name.
--   KEYS  stream
--   ARGV  group, consumer, min_idle or "", where to go on (0-0), how many
--   reply {where to go on (0-0: that was all), {{entry id, how often delivered so far, {field, value, …}}, …}}
-- Taking over counts as no delivery: what another entry's crash left behind is not at fault. keep.lua counts the starts.
-- Runs on Redis 6.2: no #!lua line, and XAUTOCLAIM names entries that are trimmed.
local stream, group, consumer, min_idle, from, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local go_on, ids = '0-0', {}
if min_idle == '' then
  local first = from == '0-0' and '-' or '(' .. from
  for n, pending in ipairs(redis.call('XPENDING', stream, group, first, '+', most, consumer)) do ids[n] = pending[1] end
  if #ids == tonumber(most) then go_on = ids[#ids] end
else
  local claimed = redis.call('XAUTOCLAIM', stream, group, consumer, min_idle, from, 'COUNT', most, 'JUSTID')
  go_on, ids = claimed[1], claimed[2]
end
local taken = {}
for _, id in ipairs(ids) do
  local body = redis.call('XRANGE', stream, id, id)[1]
  if body then
    taken[#taken + 1] = { id, redis.call('XPENDING', stream, group, id, id, 1)[1][4], body[2] }
  else
    redis.call('XACK', stream, group, id)
  end
end
return { go_on, taken }
