-- adopt gives a plain job its record: while it waits for its start, or its task
-- waits or runs, so that notes have a place and it can be steered, or after its
-- success.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] past hash  KEYS[16..17] late, later
-- ARGV[1] now  ARGV[2] worker that must hold the task, '' for any state
-- ARGV[3..11] name, kind, rules, spec, args, labels, entry, id where it starts later or failed before, what its attempts came
-- to then  ARGV[12] past, '' unless finished  ARGV[13] ended  ARGV[14] result
-- returns 'OK' | 'FENCED'
local now, long = clock(ARGV[1]), oversized('adopt', 3, 11) or oversized('adopt', 14, 14)
if long then return long end
local K = keys(6, 13)
K.late = KEYS[16]
if load(K, ARGV[3]) then return 'OK' end
local entry, id = ARGV[9], ARGV[10]
local wrong = id ~= '' and spoilt('HLEN', K.late)
if wrong then return wrong end
if ARGV[12] ~= '' then
  if redis.call('HDEL', KEYS[15], ARGV[3]) == 0 then return 'FENCED' end
  local J = adopt(K, 3, entry)
  J.active, J.succeeded, J.streak, J.fateAt, J.endedAt = 0, 1, 0, tonumber(ARGV[13]), tonumber(ARGV[13])
  fated(J, 'Complete', 'CompletionsReached', J.fateAt)
  redis.call('DEL', K.tasks)
  redis.call('SETBIT', K.done, 0, 1)
  if ARGV[14] ~= '' then redis.call('HSET', K.data, 'r:0', ARGV[14]) end
  sync(K, J, now)
  return 'OK'
end
if id ~= '' then
  local held = redis.call('HGET', K.late, id)
  if not held then return 'FENCED' end
  entry = string.match(held, '^@(%S+)$')
  if not entry and ARGV[2] ~= '' then return 'FENCED' end
  if not entry then
    local at = string.find(held, ' ', 1, true) or 0
    if string.sub(held, at + 1, at + #ARGV[11] + 1) ~= ARGV[11] .. 'P' then return 'FENCED' end -- it has failed again
    local due = redis.call('ZSCORE', KEYS[17], id)
    redis.call('ZREM', KEYS[17], id)
    local J, u = adopt(K, 3)
    if u[1] > 0 then
      J.next = 1
      again(K, J, 0, u, due and due + 0 or 0)
    end
    sync(K, J, now)
    return 'OK'
  end
end
local e = redis.call('XRANGE', K.ready, entry, entry)[1]
if not e or id ~= '' and string.find(e[2][2], 'L' .. id .. ' ' .. ARGV[11] .. 'P', 1, true) ~= 1 then return 'FENCED' end
if ARGV[2] ~= '' and #redis.call('XPENDING', K.ready, 'w', entry, entry, 1, ARGV[2]) == 0 then return 'FENCED' end
local J = adopt(K, 3, entry)
save(K, J)
return 'OK'
