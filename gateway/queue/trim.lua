-- Delete from one tier stream what every consumer group has acknowledged: groups read and stream cut in one step.
--   KEYS  stream
--   ARGV  how many entries at most, or so
--   reply {deleted, 1 where there may be more to delete}
-- An entry is needed by a group from its lowest pending one on, or from the one after the last it was given.
-- No group: nothing was acknowledged by anybody. `lag` is not asked: Redis 6.2 has none, others lose count of it.
local stream = KEYS[1]
local function split(id) return id:match('^(%d+)-(%d+)$') end
-- 64-bit numbers as text: a Lua number holds 53 bits.
local function less(a, b) return #a < #b or (#a == #b and a < b) end
local function before(a, b)
  local a_ms, a_seq = split(a)
  local b_ms, b_seq = split(b)
  return less(a_ms, b_ms) or (a_ms == b_ms and less(a_seq, b_seq))
end
local function after(id)
  local ms, seq = split(id)
  if #seq > 15 then return id end -- cannot be counted up here: that one entry stays
  return ms .. '-' .. string.format('%d', tonumber(seq) + 1)
end
if redis.call('EXISTS', stream) == 0 then return { 0, 0 } end
local needed
for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local about = {}
  for n = 1, #group, 2 do about[group[n]] = group[n + 1] end
  local pending = redis.call('XPENDING', stream, about['name'])
  local from = pending[1] > 0 and pending[2] or after(about['last-delivered-id'])
  if not needed or before(from, needed) then needed = from end
end
if not needed then return { 0, 0 } end
-- "~" drops whole nodes and can be bounded; the exact cut is then within one node.
local deleted = redis.call('XTRIM', stream, 'MINID', '~', needed, 'LIMIT', ARGV[1])
if deleted > 0 then return { deleted, 1 } end
return { redis.call('XTRIM', stream, 'MINID', '=', needed), 0 }
