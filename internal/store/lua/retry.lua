-- retry opens indexes again: of a finished job by a new one in its place that
-- keeps what succeeded, of an unfinished one in place.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] steer: nothing
-- ARGV[1] now  ARGV[2] uid  ARGV[3] new uid  ARGV[4] done bitmap  ARGV[5] bad bitmap  ARGV[6] count of done
-- ARGV[7] count of bad  ARGV[8] hits of the success rules  ARGV[9] rules  ARGV[10] spec  ARGV[11] generation that was read
-- returns 'OK' | 'GONE' | 'CONFLICT' | 'FULL' there are too many lanes
local now, long = clock(ARGV[1]), oversized('retry', 8, 10)
if long then return long end
local K = keys(6, 13)
if redis.call('HGET', K.job, 'uid') == ARGV[3] then return 'OK' end
local J = load(K, ARGV[2])
if not J or J.deleting == 1 then return 'GONE' end
if J.phase ~= 'Complete' and J.phase ~= 'Failed' then return 'CONFLICT' end
if redis.call('HGET', K.job, 'gen') ~= ARGV[11] then return 'CONFLICT' end
if J.requests ~= '' and no_room(lane_of(J)) then return 'FULL' end
for i, key in ipairs({ K.done, K.bad }) do -- indexes are opened, and never closed
  local most = redis.call('STRLEN', key)
  if #ARGV[3 + i] > most then return too_long('retry', #ARGV[3 + i], most) end
end

J.reason = ''
emit(K, J, 'Deleted')
redis.call('UNLINK', K.tasks, K.ends, K.wait, K.data, K.done, K.bad)
redis.call('HDEL', K.job, 'phase', 'reason', 'message', 'error', 'log', 'lacks', 'memory')
redis.call('HSET', K.job, 'uid', ARGV[3], 'created', now, 'gen', 1, 'rules', ARGV[9], 'spec', ARGV[10], 'hits', ARGV[8],
  'state', NEW)
redis.call('SET', K.done, ARGV[4])
redis.call('SET', K.bad, ARGV[5])
redis.call('ZADD', K.jobs, now, J.name)
J = load(K, '')
enlist(J)
J.succeeded, J.bad, J.holes = tonumber(ARGV[6]), tonumber(ARGV[7]), 1
emit(K, J, 'Submitted')
sync(K, J, now)
return 'OK'
