-- How full one partition is; no bodies leave the server.
--   KEYS  seen, dead, streams…
--   ARGV  how many entries may be counted on either side of what a group was given last; 0: undelivered is not counted
--   reply {seen marks, dead letters, age of the oldest one, {stream…}}
--         stream {entries, age of the oldest entry not acknowledged by every group, {group…}}
--         group  {name, pending, undelivered, 1 where it is exact (else at least), age of its oldest unread}
-- Ages in ms by the server's clock, -1 where there is nothing; undelivered -1 where it was not counted.
local most, time = tonumber(ARGV[1]), redis.call('TIME')
local now, page = time[1] * 1000 + math.floor(time[2] / 1000), 100
local function age(id)
  if not id then return -1 end
  return math.max(now - tonumber(id:match('^%d+')), 0)
end
local function first(stream, from)
  local found = redis.call('XRANGE', stream, from, '+', 'COUNT', 1)[1]
  return found and found[1]
end
-- Up to `most` and a page: then there are more.
local function count(stream, from, to)
  local counted = 0
  while counted <= most do
    local found = redis.call('XRANGE', stream, from, to, 'COUNT', page)
    counted = counted + #found
    if #found < page then return counted, true end
    from = '(' .. found[#found][1]
  end
  return counted, false
end
-- From whichever end is nearer: of a backlog few entries were delivered, of a stream that is read few were not.
local function undelivered(stream, length, given)
  if most == 0 then return -1, 0 end
  local delivered, whole = count(stream, '-', given)
  if whole then return length - delivered, 1 end
  local waiting, all = count(stream, '(' .. given, '+')
  return waiting, all and 1 or 0
end
local function depth(stream)
  local length, groups, oldest = redis.call('XLEN', stream), {}, -1
  if redis.call('EXISTS', stream) == 0 then return { 0, -1, {} } end
  for n, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local about = {}
    for m = 1, #group, 2 do about[group[m]] = group[m + 1] end
    local pending, given = redis.call('XPENDING', stream, about['name']), about['last-delivered-id']
    local unread = age(pending[1] > 0 and pending[2] or first(stream, '(' .. given))
    local waiting, exact = undelivered(stream, length, given)
    groups[n] = { about['name'], pending[1], waiting, exact, unread }
    oldest = math.max(oldest, unread)
  end
  if #groups == 0 then oldest = age(first(stream, '-')) end
  return { length, oldest, groups }
end
local streams = {}
for n = 3, #KEYS do streams[n - 2] = depth(KEYS[n]) end
return { redis.call('ZCARD', KEYS[1]), redis.call('XLEN', KEYS[2]), age(first(KEYS[2], '-')), streams }
