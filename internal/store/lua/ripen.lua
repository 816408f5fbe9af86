-- ripen starts plain jobs of a kind whose time has come, and sets the kind's
-- timer anew. What waited gives way to the entry that it got, by which the job
-- is found until that is settled.
-- KEYS[1] timers  KEYS[2] late  KEYS[3] later  KEYS[4] ready  KEYS[5] bell
-- ARGV[1] now  ARGV[2] kind  ARGV[3] at most so many
-- returns 'OK' | 'MORE'
local now, timer = clock(ARGV[1]), 'late/' .. ARGV[2]
redis.call('ZREM', KEYS[1], '') -- as in due.lua
local ids = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, ARGV[3])
if #ids > 0 then
  local entries = {}
  for i, job in ipairs(redis.call('HMGET', KEYS[2], unpack(ids))) do
    local _, at, length = string.find(job or '', '^(%d+) [PR]')
    if at and (tonumber(length) or 1e9) <= #job - at + 1 then -- what is none of ours stays for readers, who say so
      local header = 'L' .. ids[i] .. ' ' .. string.sub(job, at, at + length - 1)
      entries[#entries + 1] = ids[i]
      entries[#entries + 1] = '@' .. redis.call('XADD', KEYS[4], '*', 't', header, 'a', string.sub(job, at + length))
    end
  end
  redis.call('ZREM', KEYS[3], unpack(ids))
  if #entries > 0 then
    redis.call('HSET', KEYS[2], unpack(entries))
    ring(KEYS[5])
  end
end
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
if first then redis.call('ZADD', KEYS[1], first, timer) else redis.call('ZREM', KEYS[1], timer) end
return #ids < tonumber(ARGV[3]) and 'OK' or 'MORE'
