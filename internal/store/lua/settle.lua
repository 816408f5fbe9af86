-- settle ends tasks, counts their outcomes and looks at each of their jobs
-- once. A task that was ended before changes nothing.
-- KEYS[1..5] queue  KEYS[6] beats  then per lane: ready, bell, stats; then the seven keys of each job; then late of each
-- plain one that started later; the last two, where one has requests: lanes, bell:~
-- ARGV[1] now  ARGV[2] worker whose tasks are given up, or ''  ARGV[3] its beat as last seen  ARGV[4] number of lanes
-- then per lane the ms that its tasks waited, and ran
-- then per job: uid, lane no., number of tasks that just succeeded and how long ago the last of them did, number of other
-- tasks, and '', or 'P' where the job is plain and gets its record here, from what follows: name, lane, rules, spec, args,
-- labels, entry, id where it started later or failed before, what its attempts came to then
-- then the entries of those that succeeded, and their slots
-- then per other task: '<verdict> <entry> <slot> <ago> <hits> <delay> <a> <f> <g> <l>', and what the verdict carries; the
-- hits begin with n where the task has kept notes
-- verdicts: S success, R with a result; F failed, I ignored, X index failed, J job failed, L lost: each with
-- an error record and a message; G given back
-- returns 'OK <one character per task>', '1' counted, '0' not, 'D' not ended, since its job's record is damaged | 'ALIVE'
-- the worker beats again
local now, nlanes = clock(ARGV[1]), tonumber(ARGV[4])
if ARGV[2] ~= '' and (redis.call('HGET', KEYS[6], ARGV[2]) or '') ~= ARGV[3] then return 'ALIVE' end

local PACED = 16 -- completions of a job whose pace is worth keeping
local BIT = { [0] = 128, 64, 32, 16, 8, 4, 2, 1 }
local CARRIES = { S = 0, R = 1, F = 2, I = 2, X = 2, J = 2, L = 2, G = 0 }
local TALLIED = { S = 1, R = 1, F = 2, I = 2, X = 2, J = 2, L = 3, G = 4 }

local jobs, lanes, at, wrong = {}, {}, 5 + 2 * nlanes, nil
for i = 1, nlanes do
  lanes[i] = { key = 4 + 3 * i, entries = {}, tally = { 0, 0, 0, 0, tonumber(ARGV[3 + 2 * i]), tonumber(ARGV[4 + 2 * i]) } }
end

-- result reads what became of a task from ARGV[at] on.
local function result()
  local verdict, entry, slot, ago, hits, rest = string.match(ARGV[at], '^(%u) (%S+) (%d+) (%d+) (%S+) (.*)$')
  local r = { verdict = verdict, entry = entry, slot = slot, ended = now - ago, hits = hits, rest = rest, arg = at + 1 }
  wrong = wrong or oversized('settle', at + 1, at + CARRIES[verdict])
  at = at + 1 + CARRIES[verdict]
  return r
end

while at <= #ARGV do
  local lane = lanes[tonumber(ARGV[at + 1])]
  local j = { uid = ARGV[at], lane = lane, won = tonumber(ARGV[at + 2]), wonAt = now - ARGV[at + 3], results = {},
    keys = keys(7 + 3 * nlanes + 7 * #jobs, lane.key) }
  local others, plain = tonumber(ARGV[at + 4]), ARGV[at + 5] == 'P'
  if plain then
    j.plain = at + 6
    wrong = wrong or oversized('settle', at + 6, at + 14)
  end
  at = at + (plain and 15 or 6)
  j.at = at
  at = at + 2 * j.won
  for i = 1, others do j.results[i] = result() end
  j.job, j.damaged = load(j.keys, j.uid, redis.pcall) -- what is damaged keeps no others from being settled
  if j.job and j.job.requests ~= '' then wrong = wrong or spoilt('HLEN', KEYS[#KEYS - 1]) end
  jobs[#jobs + 1] = j
end
if wrong then return wrong end

local key = 6 + 3 * nlanes + 7 * #jobs
for _, j in ipairs(jobs) do
  if j.plain and ARGV[j.plain + 7] ~= '' then
    key = key + 1
    j.keys.late = KEYS[key]
    j.damaged = j.damaged or spoilt('HLEN', KEYS[key])
  end
  local entries = j.lane.entries
  j.before = #entries
  if not j.damaged then
    for i = j.at, j.at + j.won - 1 do entries[#entries + 1] = ARGV[i] end
    for _, r in ipairs(j.results) do entries[#entries + 1] = r.entry end
  end
end

for _, lane in ipairs(lanes) do
  lane.taken, lane.all = take(KEYS[lane.key], lane.entries)
end

-- end_all notes which tasks of a job have ended here, and counts them.
local function end_all(j)
  local taken, n = j.lane.taken, j.lane.tally
  local won = 0
  for i = j.before + 1, j.before + j.won do
    if taken[i] then won = won + 1 end
  end
  n[1], j.any = n[1] + won, won > 0
  for i, r in ipairs(j.results) do
    r.taken = taken[j.before + j.won + i]
    if r.taken then n[TALLIED[r.verdict]], j.any = n[TALLIED[r.verdict]] + 1, true end
  end
  j.lane.any = j.lane.any or j.any
end

for _, j in ipairs(jobs) do
  if not j.damaged then end_all(j) end
end
for _, lane in ipairs(lanes) do
  if lane.any then tally(KEYS[lane.key + 2], now, lane.tally) end
end

-- The job at hand, and what its ends come to.
local K, J, fate, success_at, failures

local function slot_due(r)
  if r.delay >= 0 then return r.ended + r.delay end
  if J.rules.jobScope == 1 and J.rules.perIndex < 0 then return 0 end
  return r.ended + delay(J, r.unit[2] + r.unit[3], seed(r.entry))
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
  J.error = message_of(ARGV[r.arg]) or J.error
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
  if r.unit[4] <= J.rules.lostLimit then again(K, J, tonumber(r.slot), r.unit, 0)
  elseif J.rules.perIndex >= 0 then bad_slot(r)
  else fate = fate or 'LostLimitExceeded' end
end

local function failure(r)
  local u = r.unit
  u[4] = 0
  failures[#failures + 1] = r.ended
  if r.verdict == 'I' then
    u[3] = u[3] + 1
    return again(K, J, tonumber(r.slot), u, slot_due(r))
  end
  J.failed, u[2] = J.failed + 1, u[2] + 1
  if r.verdict == 'J' then
    fate = 'PodFailurePolicy'
    J.message = ARGV[r.arg + 1]
  end
  if J.rules.perIndex >= 0 and (r.verdict == 'X' or u[2] > J.rules.perIndex) then return bad_slot(r) end
  again(K, J, tonumber(r.slot), u, slot_due(r), true)
end

local function success(r)
  redis.call('SETBIT', K.done, r.slot, 1)
  J.succeeded = J.succeeded + 1
  if r.ended > success_at then success_at = r.ended end
  if r.verdict == 'R' then redis.call('HSET', K.data, 'r:' .. r.slot, ARGV[r.arg]) end
  if r.hits == '-' then return end
  if string.sub(r.hits, 1, 1) == 'n' then redis.call('HDEL', K.data, 'c:' .. r.slot, 'p:' .. r.slot) end
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
    again(K, J, tonumber(r.slot), r.unit, r.delay > 0 and r.ended + r.delay or 0)
  elseif r.verdict == 'L' and J.rules.lostCounts == 0 then lost(r)
  else failure(r) end
end

-- replaced tells a slot that has gone on without a task that was told to stop:
-- an elastic job shrank meanwhile, and has grown again.
local function replaced(slot)
  return redis.call('HEXISTS', K.tasks, slot) == 1 or redis.call('ZSCORE', K.wait, slot)
    or redis.call('GETBIT', K.done, slot) == 1 or redis.call('GETBIT', K.bad, slot) == 1
end

-- stopped books the end of a task that was told to stop, as its text in ends
-- says; it answers false for one that still counts by its outcome.
local function stopped(r, e)
  redis.call('HDEL', K.ends, r.entry)
  J.ending = J.ending - 1
  local slot, counts, cause = string.match(e, '^(%d+) (%d+ %d+ %d+ %d+) (%S+)$')
  if beyond(J, r.slot) or J.rules.replaceFailed == 1 and replaced(r.slot) then return true end
  if cause == 'evicted' and J.phase == '' then return false end
  if cause == 'evicted' and J.phase == 'FailureTarget' then J.failed = J.failed + 1 end
  if cause ~= 'counted' and cause ~= 'evicted' and J.rules.replaceFailed == 1 then again(K, J, tonumber(slot), unit(counts), 0) end
  return true
end

-- together sets the bits of slots that are close together in one read and one
-- write; false where they are not.
local function together(slots, low, high)
  local first, last = (low - low % 8) / 8, (high - high % 8) / 8
  if last - first > 2 * #slots then return false end
  local bytes = { string.byte(redis.call('GETRANGE', K.done, first, last), 1, -1) }
  for i = #bytes + 1, last - first + 1 do bytes[i] = 0 end
  for _, slot in ipairs(slots) do
    local at, bit = (slot - slot % 8) / 8 - first + 1, BIT[slot % 8]
    if bytes[at] % (2 * bit) < bit then bytes[at] = bytes[at] + bit end
  end
  return type(redis.pcall('SETRANGE', K.done, first, string.char(unpack(bytes)))) == 'number' -- an ACL may be older
end

-- count_won counts the tasks of a job that just succeeded: all at once, or false
-- where they must be looked at one by one.
local function count_won(j)
  if not j.lane.all or J.ending > 0 or J.memory ~= '' then return false end
  local from = j.at + j.won
  local slots, low, high = {}, math.huge, 0
  for i = 1, j.won do
    local slot = ARGV[from + i - 1] + 0
    slots[i] = slot
    if slot < low then low = slot end
    if slot > high then high = slot end
  end
  if beyond(J, high) then return false end
  if not together(slots, low, high) then
    for i = from, from + j.won - 1 do redis.call('SETBIT', K.done, ARGV[i], '1') end
  end
  redis.call('HDEL', K.tasks, unpack(ARGV, from, from + j.won - 1))
  J.succeeded, J.active = J.succeeded + j.won, J.active - j.won
  if j.wonAt > success_at then success_at = j.wonAt end
  return true
end

-- each adds the tasks of a job that just succeeded to its results.
local function each(j)
  for i = 0, j.won - 1 do
    j.results[#j.results + 1] = { verdict = 'S', entry = ARGV[j.at + i], slot = ARGV[j.at + j.won + i], ended = j.wonAt,
      hits = '-', taken = j.lane.taken[j.before + i + 1] }
  end
end

-- count_all counts what became of a job's tasks.
local function count_all(j)
  local slots, before = {}, J.succeeded
  if j.won > 0 and not count_won(j) then each(j) end
  for _, r in ipairs(j.results) do
    if r.taken and J.memory ~= '' then mark(J, r.entry, '') end
    local e = r.taken and J.ending > 0 and redis.call('HGET', K.ends, r.entry)
    if not r.taken then
      -- ended before
    elseif not e then
      slots[#slots + 1] = r.slot
      J.active = J.active - 1
      count(r)
    elseif not stopped(r, e) then
      count(r)
    end
  end
  if #slots > 0 then redis.call('HDEL', K.tasks, unpack(slots)) end
  if J.rules.completions < 0 or J.rules.completions >= PACED then pace(J.succeeded - before, #failures) end
end

-- streak keeps for how long the job has done nothing but fail.
local function streak()
  local late, last = #failures, 0
  if success_at > 0 then
    J.streak, late = 0, 0
    for _, f in ipairs(failures) do if f > success_at then late = late + 1 end end
  end
  J.streak = J.streak + late
  for _, f in ipairs(failures) do last = math.max(last, f) end
  if J.streak == 0 then J.retryAt = 0 elseif late > 0 then J.retryAt = last + delay(J, J.streak, 0) end
end

local function settle(j)
  K, J, fate, success_at, failures = j.keys, j.job, nil, 0, {}
  if not J and j.plain then J = adopt(K, j.plain, ARGV[j.plain + 6]) end
  if not J or J.phase == 'Complete' or J.phase == 'Failed' or J.deleting == 1 then return end
  J.now = now
  count_all(j)
  streak()
  sync(K, J, now, fate)
end

local out = {}
for _, j in ipairs(jobs) do
  local taken = j.lane.taken
  for i = j.before, j.before + j.won + #j.results - 1 do
    out[#out + 1] = j.damaged and 'D' or taken[i + 1] and '1' or '0'
  end
  if j.any then apart(settle, j) end
end
return trouble[1] or 'OK ' .. table.concat(out)
