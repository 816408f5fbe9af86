-- claim hands a worker up to max tasks, in the order of the streams given,
-- and bumps its beat. A repeated call hands over the same tasks again, and one
-- that was under way for so long that the worker has gone on hands over none.
-- KEYS[1] beats  hash    worker -> beat and lease
-- KEYS[2] worker hash    the worker's last claim
-- KEYS[3] lanes  hash    '' -> version of the list of lanes with requests
-- KEYS[4..] per lane: ready (stream), bell (list), rung where there may be more than was taken
-- ARGV[1] now  ARGV[2] worker  ARGV[3] operation  ARGV[4] max  ARGV[5] lease in ms  ARGV[6..] most of each lane, if not max
-- returns now and the version, and per task: stream no., entry, lengths of t and a, t, a
local me, op, max = ARGV[2], ARGV[3], tonumber(ARGV[4])
local out = { string.format('%.0f ', clock(ARGV[1])) .. (redis.call('HGET', KEYS[3], '') or '') }

-- size is a length as text: to print a number costs more than to look it up.
local size = setmetatable({}, { __index = function(all, n)
  all[n] = n .. ' '
  return all[n]
end })

local function hand(stream, entries)
  local head, n = stream .. ' ', #out
  for i = 1, #entries do
    local id, f = entries[i][1], entries[i][2]
    if f then
      local t, a = f[2], f[4] or ''
      n = n + 1
      out[n] = head .. id .. ' ' .. size[#t] .. size[#a] .. t .. a
    end
  end
end

local function fresh(key, n)
  local r = redis.pcall('XREADGROUP', 'GROUP', 'w', me, 'COUNT', n, 'STREAMS', key, '>')
  if type(r) == 'table' and r.err then
    if not string.find(r.err, 'NOGROUP', 1, true) then return r end
    if redis.call('EXISTS', key) == 0 then return {} end -- nobody knows of it (any more), nor of who would be left as its consumer
    redis.call('XGROUP', 'CREATE', key, 'w', '0')
    r = redis.call('XREADGROUP', 'GROUP', 'w', me, 'COUNT', n, 'STREAMS', key, '>')
  end
  return r and r[1] and r[1][2] or {}
end

local last = redis.call('HMGET', KEYS[2], 'op', 'claimed')
if last[1] == op then
  for stream, from, to in string.gmatch(last[2] or '', '(%d+) (%S+) (%S+)') do
    local key = KEYS[2 + 2 * tonumber(stream)]
    local held = redis.pcall('XPENDING', key, 'w', from, to, max, me)
    for _, p in ipairs(held.err and {} or held) do hand(stream, redis.call('XRANGE', key, p[1], p[1])) end
  end
  return table.concat(out, '\n')
end

if tonumber(last[1] or 0) > tonumber(op) then return out[1] end

redis.call('HDEL', KEYS[1], '') -- a script that begins with it may write when memory is out: so a full queue can drain
redis.call('HSET', KEYS[1], me, op .. ' ' .. ARGV[5])
local claimed, wrong = {}, nil
for i = 4, #KEYS, 2 do
  if max <= 0 then break end
  local stream = (i - 2) / 2
  local n = math.min(max, tonumber(ARGV[5 + stream] or max))
  local entries = fresh(KEYS[i], n)
  if entries.err then wrong = entries end -- of this lane: the others' tasks are handed over
  if #entries > 0 then -- no other claim has got any between its first and its last
    claimed[#claimed + 1] = stream .. ' ' .. entries[1][1] .. ' ' .. entries[#entries][1]
  end
  hand(stream, entries)
  max = max - #entries
  if #entries == n then ring(KEYS[i + 1]) end
end
if wrong and #claimed == 0 then return wrong end
redis.call('HSET', KEYS[2], 'op', op, 'claimed', table.concat(claimed, ' '))
return table.concat(out, '\n')
