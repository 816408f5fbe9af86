-- evict tells one running task to stop, for a reason outside the job's rules.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] steer: nothing
-- ARGV[1] now  ARGV[2] uid, '' for any  ARGV[3] slot  ARGV[4] entry, '' for any
-- returns 'OK' | 'GONE'
local now = clock(ARGV[1])
local K = keys(6, 13)
local J = load(K, ARGV[2])
local task = J and redis.call('HGET', K.tasks, ARGV[3])
if not task or J.phase ~= '' or J.deleting == 1 then return 'GONE' end
local entry, rest = string.match(task, '^(%S+) (.*)$')
if ARGV[4] ~= '' and entry ~= ARGV[4] then return 'GONE' end

local u = unit(rest)
local pending = redis.pcall('XPENDING', K.ready, 'w', entry, entry, 1)
local held = not pending.err and #pending > 0
redis.call('HDEL', K.tasks, ARGV[3])
J.active = J.active - 1
local cause = 'evicted'
if J.rules.replaceFailed == 0 then
  cause = 'counted'
  J.failed, J.streak = J.failed + 1, J.streak + 1
  J.retryAt = now + delay(J, J.streak, 0)
  u[2], u[4] = u[2] + 1, 0
  if J.rules.perIndex >= 0 and u[2] > J.rules.perIndex then
    redis.call('SETBIT', K.bad, ARGV[3], 1)
    J.bad = J.bad + 1
  elseif J.rules.jobScope == 1 and J.rules.perIndex < 0 then
    again(K, J, tonumber(ARGV[3]), u, 0)
  else
    again(K, J, tonumber(ARGV[3]), u, now + delay(J, u[2] + u[3], seed(entry)), true)
  end
end
if held then
  redis.call('HSET', K.ends, entry, ARGV[3] .. ' ' .. unit_text(u) .. ' ' .. cause)
  J.ending = J.ending + 1
  order(K, J)
else
  redis.call('XDEL', K.ready, entry)
  if cause == 'evicted' then again(K, J, tonumber(ARGV[3]), u, 0) end
end
sync(K, J, now)
return 'OK'
