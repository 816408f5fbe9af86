-- settle ends tasks of one job, counts their outcomes and looks at the job. A
-- task that was ended before changes nothing.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] beats  KEYS[16] stats
-- ARGV[1] now  ARGV[2] uid  ARGV[3] worker whose tasks are given up, or ''  ARGV[4] its beat as last seen
-- ARGV[5] ms that the tasks waited  ARGV[6] ms that they ran
-- ARGV[7] '' | 'P': the job is plain and gets its record here, from ARGV[8..14]: name, kind, rules, spec, args, labels, entry
-- then per task: '<verdict> <entry> <slot> <ago> <hits> <delay> <a> <f> <g> <l>', and what the verdict carries; the
-- hits begin with n where the task has kept notes
-- verdicts: S success, R with a result; F failed, I ignored, X index failed, J job failed, L lost: each with
-- an error record and a message; G given back
-- returns 'OK <one digit per task>', '1' counted, '0' not | 'ALIVE' the worker beats again
local now, uid = clock(ARGV[1]), ARGV[2]
local K = keys(6, 13)
if ARGV[3] ~= '' and (redis.call('HGET', KEYS[15], ARGV[3]) or '') ~= ARGV[4] then return 'ALIVE' end

local at = 8
local J = load(K, uid)
local plain = ARGV[7] == 'P'
if plain then at = 15 end

local PACED = 16 -- completions of a job whose pace is worth keeping
local CARRIES = { S = 0, R = 1, F = 2, I = 2, X = 2, J = 2, L = 2, G = 0 }
local results, entries, out, any = {}, {}, {}, false
while at <= #ARGV do
  local verdict, entry, slot, ago, hits, rest = string.match(ARGV[at], '^(%u) (%S+) (%d+) (%d+) (%S+) (.*)$')
  entries[#entries + 1] = entry
  results[#results + 1] = { verdict = verdict, entry = entry, slot = tonumber(slot), ended = now - tonumber(ago),
    hits = hits, rest = rest, arg = at + 1 }
  if CARRIES[verdict] > 0 and #ARGV[at + 1] > LONGEST then return too_long('settle', #ARGV[at + 1]) end
  at = at + 1 + CARRIES[verdict]
end
local taken = take(K.ready, entries)
for i = 1, #entries do
  out[i], any = taken[i] and 1 or 0, any or taken[i]
end
local answer = 'OK ' .. table.concat(out)
if not any then return answer end

local TALLIED = { S = 1, R = 1, F = 2, I = 2, X = 2, J = 2, L = 3, G = 4 }
local n = { 0, 0, 0, 0, tonumber(ARGV[5]), tonumber(ARGV[6]) }
for i, r in ipairs(results) do
  if taken[i] then n[TALLIED[r.verdict]] = n[TALLIED[r.verdict]] + 1 end
end
tally(KEYS[16], now, n)

if plain and not J then J = adopt(K, 8) end
if not J or J.phase == 'Complete' or J.phase == 'Failed' or J.deleting == 1 then return answer end

local fate, success_at, failures, last = nil, 0, {}, 0
local per_index = J.rules.perIndex >= 0

local function slot_due(r)
  if r.delay >= 0 then return r.ended + r.delay end
  if J.rules.jobScope == 1 and not per_index then return 0 end
  return r.ended + delay(J, r.unit[2] + r.unit[3], tonumber(string.match(r.entry, '%d+')))
end

local function bad_slot(r)
  redis.call('SETBIT', K.bad, r.slot, 1)
  J.bad = J.bad + 1
end

local function keep_error(r)
  local n = redis.call('HINCRBY', K.data, 'E', 1)
  local field = 'e:' .. r.slot .. ':' .. r.unit[1] % 5
  if n <= 10000 or redis.call('HEXISTS', K.data, field) == 1 then
    redis.call('HSET', K.data, field, string.format('%.0f ', now) .. ARGV[r.arg])
  end
  local _, at = string.find(ARGV[r.arg], '"message":"', 1, true)
  if at then J.error = string.sub(ARGV[r.arg], at + 1, at + 400) end
end

-- pace counts what succeeded and failed in spans of time from the first end
-- on: a span is a second at first, and never more than a 32nd of the time
-- passed, so that there are few of them however long the job takes.
local function pace(good, bad)
  local began = redis.call('HGET', K.data, 'T')
  if not began then
    began = string.format('%.0f', now)
    redis.call('HSET', K.data, 'T', began)
  end
  local age, width = math.max(0, now - began), 1000
  while age >= 64 * width do width = width * 2 end
  local span = 't:' .. width / 1000 .. ':' .. math.floor(age / width)
  if good > 0 then redis.call('HINCRBY', K.data, span .. ':s', good) end
  if bad > 0 then redis.call('HINCRBY', K.data, span .. ':f', bad) end
end

local function lost(r)
  r.unit[4] = r.unit[4] + 1
  if r.unit[4] <= J.rules.lostLimit then again(K, J, r.slot, r.unit, 0)
  elseif per_index then bad_slot(r)
  else fate = fate or 'LostLimitExceeded' end
end

local function failure(r)
  local u = r.unit
  u[4] = 0
  failures[#failures + 1] = r.ended
  if r.verdict == 'I' then
    u[3] = u[3] + 1
    return again(K, J, r.slot, u, slot_due(r))
  end
  J.failed, u[2] = J.failed + 1, u[2] + 1
  if r.verdict == 'J' then
    fate = 'PodFailurePolicy'
    J.message = ARGV[r.arg + 1]
  end
  if per_index and (r.verdict == 'X' or u[2] > J.rules.perIndex) then return bad_slot(r) end
  again(K, J, r.slot, u, slot_due(r), true)
end

local function success(r)
  redis.call('SETBIT', K.done, r.slot, 1)
  if string.sub(r.hits, 1, 1) == 'n' then redis.call('HDEL', K.data, 'c:' .. r.slot, 'p:' .. r.slot) end
  J.succeeded = J.succeeded + 1
  if r.ended > success_at then success_at = r.ended end
  if r.verdict == 'R' then redis.call('HSET', K.data, 'r:' .. r.slot, ARGV[r.arg]) end
  for i in string.gmatch(r.hits, '%d+') do
    i = tonumber(i)
    J.hits[i], J.hit = (J.hits[i] or 0) + 1, true
  end
end

local function count(r)
  if beyond(J, r.slot) then return end
  if r.verdict == 'S' or r.verdict == 'R' then return success(r) end
  local wait, counts = string.match(r.rest, '^(%S+) (.*)$')
  r.delay, r.unit = tonumber(wait), unit(counts)
  if r.verdict ~= 'G' then keep_error(r) end
  if r.verdict == 'G' then
    r.unit[1] = r.unit[1] - 1
    again(K, J, r.slot, r.unit, r.delay > 0 and r.ended + r.delay or 0)
  elseif r.verdict == 'L' and J.rules.lostCounts == 0 then lost(r)
  else failure(r) end
end

-- stopped books the end of a task that was told to stop; it answers false
-- for one that still counts by its outcome.
local function stopped(r)
  local e = redis.call('HGET', K.ends, r.entry)
  if not e then return false end
  redis.call('HDEL', K.ends, r.entry)
  J.ending = J.ending - 1
  local slot, counts, cause = string.match(e, '^(%d+) (%d+ %d+ %d+ %d+) (%S+)$')
  if beyond(J, r.slot) then return true end
  if cause == 'evicted' and J.phase == '' then return false end
  if cause == 'evicted' and J.phase == 'FailureTarget' then J.failed = J.failed + 1 end
  if cause ~= 'counted' and cause ~= 'evicted' and J.rules.replaceFailed == 1 then again(K, J, tonumber(slot), unit(counts), 0) end
  return true
end

local ended, before = {}, J.succeeded
for i, r in ipairs(results) do
  if not taken[i] then
    -- ended before
  elseif J.ending == 0 or not redis.call('HGET', K.ends, r.entry) then
    ended[#ended + 1] = r.slot
    J.active = J.active - 1
    count(r)
  elseif not stopped(r) then
    count(r)
  end
end
if #ended > 0 then redis.call('HDEL', K.tasks, unpack(ended)) end
if J.rules.completions < 0 or J.rules.completions >= PACED then pace(J.succeeded - before, #failures) end

local late = #failures
if success_at > 0 then
  J.streak, late = 0, 0
  for _, f in ipairs(failures) do if f > success_at then late = late + 1 end end
end
J.streak = J.streak + late
for _, f in ipairs(failures) do last = math.max(last, f) end
if J.streak == 0 then J.retryAt = 0 elseif late > 0 then J.retryAt = last + delay(J, J.streak, 0) end

sync(K, J, now, fate)
return answer
