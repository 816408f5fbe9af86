-- lift lets a job start again that lacked an object; it is parked anew if it
-- still does.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] lacks
-- ARGV[1] now  ARGV[2] name and lane, as in lacks
-- returns 'OK' | 'GONE'
local now = clock(ARGV[1])
local K = keys(6, 13)
redis.call('ZREM', KEYS[15], ARGV[2])
local J = load(K, '')
if not J or J.deleting == 1 or J.name .. ' ' .. lane_of(J) ~= ARGV[2] then return 'GONE' end
if J.lacks > 0 then
  redis.call('HDEL', K.job, 'lacks')
  J.lacks, J.armed = 0, -1
  sync(K, J, now)
end
return 'OK'
