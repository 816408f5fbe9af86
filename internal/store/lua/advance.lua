-- advance looks at a job because its timer is due.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell
-- ARGV[1] now  ARGV[2] name  ARGV[3] lane, which KEYS[13..14] are of
-- returns 'OK' | 'GONE'
local now = clock(ARGV[1])
local K = keys(6, 13)
local J = load(K, '')
if not J then
  redis.call('ZREM', K.timers, ARGV[2])
  return 'GONE'
end
if lane_of(J) ~= ARGV[3] then return 'GONE' end -- another of that name by now: its timer is due again soon
redis.call('ZREM', K.timers, '') -- as in due.lua
J.armed = -1
if J.deleting == 1 then purge(K, J, now) else sync(K, J, now) end
return 'OK'
