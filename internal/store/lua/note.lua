-- note keeps a checkpoint or the progress of a task, for as long as the task
-- is the one that works on its slot.
-- KEYS[1] tasks  KEYS[2] data
-- ARGV[1] slot  ARGV[2] entry  ARGV[3] field: 'c' or 'p'  ARGV[4] value
-- returns 'OK' | 'FENCED'
if #ARGV[4] > LONGEST then return too_long('note', #ARGV[4]) end
local task = redis.call('HGET', KEYS[1], ARGV[1])
if not task or string.match(task, '^%S+') ~= ARGV[2] then return 'FENCED' end
redis.call('HSET', KEYS[2], ARGV[3] .. ':' .. ARGV[1], ARGV[4])
return 'OK'
