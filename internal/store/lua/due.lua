-- due hands out timers that are due, and keeps others from taking them for a
-- while: what looks at them sets them anew.
-- KEYS[1] timers
-- ARGV[1] now  ARGV[2] at most so many  ARGV[3] ms that the taker has; a second for a kind whose jobs start, so that
-- who looks beside it misses none that start soon after
-- returns now, the next due time or '', and the timers
local now = clock(ARGV[1])
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])
local again = {}
for _, m in ipairs(members) do
  local hold = string.sub(m, 1, 5) == 'late/' and math.min(1000, ARGV[3]) or tonumber(ARGV[3])
  again[#again + 1] = now + hold
  again[#again + 1] = m
end
if #again > 0 then
  redis.call('ZREM', KEYS[1], '') -- a script that begins with it may write when memory is out: expiry makes room
  redis.call('ZADD', KEYS[1], unpack(again))
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or ''
return { string.format('%.0f', now), next, unpack(members) }
