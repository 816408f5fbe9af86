-- update stores a changed spec and looks at the job.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] steer: nothing
-- ARGV[1] now  ARGV[2] uid  ARGV[3] generation that was read  ARGV[4] rules  ARGV[5] success  ARGV[6] spec  ARGV[7] labels
-- returns 'OK' | 'GONE' | 'CONFLICT'
local now, long = clock(ARGV[1]), oversized('update', 4, 7)
if long then return long end
local K = keys(6, 13)
local J = load(K, ARGV[2])
if not J or J.deleting == 1 then return 'GONE' end
local gen = redis.call('HGET', K.job, 'gen')
if gen == tostring(tonumber(ARGV[3]) + 1) and redis.call('HGET', K.job, 'spec') == ARGV[6] then return 'OK' end
if gen ~= ARGV[3] then return 'CONFLICT' end

redis.call('HSET', K.job, 'gen', tonumber(gen) + 1, 'rules', ARGV[4], 'success', ARGV[5], 'spec', ARGV[6], 'labels', ARGV[7])
redis.call('HDEL', K.job, 'lacks') -- what it mounts may have changed
J.labels, J.lacks = ARGV[7], 0
local before = J.rules.completions
J.rules = rules_of(ARGV[4])
if J.phase == '' and J.rules.completions >= 0 and J.rules.completions < before then cut(K, J) end
J.armed = -1
sync(K, J, now)
return 'OK'
