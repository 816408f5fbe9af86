-- advance looks at jobs because their timers are due.
-- KEYS[1..5] queue  then per lane: ready, bell; then the seven keys of each job; the last two, where one has requests:
-- lanes, bell:~
-- ARGV[1] now  ARGV[2] number of lanes, then their names; then per job: name, lane no.
-- returns 'OK'
local now, nlanes = clock(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREM', KEYS[1], '') -- as in due.lua

local function look(K, name, lane)
  if budget <= 0 then return arm(K, { name = name }, now, now) end
  local J = load(K, '')
  if not J then return redis.call('ZREM', K.timers, name) end
  if lane_of(J) ~= lane then return end -- another of that name by now: its timer is due again soon
  J.armed = -1
  if J.deleting == 1 then purge(K, J, now) else sync(K, J, now) end
end

local key = 6 + 2 * nlanes
for i = 3 + nlanes, #ARGV, 2 do
  local lane = tonumber(ARGV[i + 1])
  apart(look, keys(key, 4 + 2 * lane), ARGV[i], ARGV[2 + lane])
  key = key + 7
end
return trouble[1] or 'OK'
