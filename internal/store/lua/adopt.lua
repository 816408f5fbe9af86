-- adopt gives a plain job its record: while it waits for its start, or its task
-- waits or runs, so that notes have a place and it can be steered, or after its
-- success.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] past hash  KEYS[16..17] late, later
-- ARGV[1] now  ARGV[2] worker that must hold the task, '' for any state
-- ARGV[3..10] name, kind, rules, spec, args, labels, entry, id where it starts later  ARGV[11] past, '' unless finished
-- ARGV[12] ended  ARGV[13] expires
-- returns 'OK' | 'FENCED'
local now, long = clock(ARGV[1]), oversized('adopt', 3, 9)
if long then return long end
local K = keys(6, 13)
K.late = KEYS[16]
if load(K, ARGV[3]) then return 'OK' end
local entry, id = ARGV[9], ARGV[10]
if ARGV[11] ~= '' then
  if redis.call('HDEL', KEYS[15], ARGV[3]) == 0 then return 'FENCED' end
  local J = adopt(K, 3, entry)
  J.active, J.succeeded, J.fateAt, J.endedAt = 0, 1, tonumber(ARGV[12]), tonumber(ARGV[12])
  fated(J, 'Complete', 'CompletionsReached', J.fateAt)
  redis.call('DEL', K.tasks)
  redis.call('SETBIT', K.done, 0, 1)
  sync(K, J, now)
  return 'OK'
end
if id ~= '' then
  local held = redis.call('HGET', K.late, id)
  if not held then return 'FENCED' end
  entry = string.match(held, '^@(%S+)$')
  if not entry and ARGV[2] ~= '' then return 'FENCED' end
  if not entry then
    redis.call('ZREM', KEYS[17], id)
    sync(K, adopt(K, 3), now)
    return 'OK'
  end
end
if #redis.call('XRANGE', K.ready, entry, entry) == 0 then return 'FENCED' end
if ARGV[2] ~= '' and #redis.call('XPENDING', K.ready, 'w', entry, entry, 1, ARGV[2]) == 0 then return 'FENCED' end
local J = adopt(K, 3, entry)
save(K, J)
return 'OK'
