-- adopt gives a plain job its record: while its task waits or runs, so that
-- notes have a place and it can be steered, or after its success.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] past hash
-- ARGV[1] now  ARGV[2] worker that must hold the task, '' for any state
-- ARGV[3..9] name, kind, rules, spec, args, labels, entry  ARGV[10] past, '' unless finished  ARGV[11] ended  ARGV[12] expires
-- returns 'OK' | 'FENCED'
local now, long = clock(ARGV[1]), oversized('adopt', 3, 9)
if long then return long end
local K = keys(6, 13)
if load(K, ARGV[3]) then return 'OK' end
local entry = ARGV[9]
if ARGV[10] ~= '' then
  if redis.call('HDEL', KEYS[15], ARGV[3]) == 0 then return 'FENCED' end
  local J = adopt(K, 3)
  J.active, J.succeeded, J.fateAt, J.endedAt = 0, 1, tonumber(ARGV[11]), tonumber(ARGV[11])
  fated(J, 'Complete', 'CompletionsReached', J.fateAt)
  redis.call('DEL', K.tasks)
  redis.call('SETBIT', K.done, 0, 1)
  sync(K, J, now)
  return 'OK'
end
if #redis.call('XRANGE', K.ready, entry, entry) == 0 then return 'FENCED' end
if ARGV[2] ~= '' and #redis.call('XPENDING', K.ready, 'w', entry, entry, 1, ARGV[2]) == 0 then return 'FENCED' end
local J = adopt(K, 3)
save(K, J)
return 'OK'
