-- Which attempts of a job start and stop.

-- How many attempts may yet start or stop, over all jobs of the call, so that it
-- takes a millisecond or so: what finds nothing left is looked at again.
local budget = 250

-- active_task is one: {slot, entry, unit, held by a worker, for how long, or -1}.
local function active_task(K, slot, text)
  local entry, rest = string.match(text, '^(%S+) (.*)$')
  local held = redis.pcall('XPENDING', K.ready, 'w', entry, entry, 1) -- an error where no worker has ever come
  local since = not held.err and held[1] and held[1][3]
  return { slot, entry, unit(rest), since and true or false, since or -1 }
end

-- some lists up to n active tasks.
local function some(K, n)
  local found, cursor = {}, '0'
  repeat
    local page = redis.call('HSCAN', K.tasks, cursor, 'COUNT', 100)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if #found < n then found[#found + 1] = active_task(K, tonumber(page[2][i]), page[2][i + 1]) end
    end
  until cursor == '0' or #found >= n
  return found
end

local KILLED = { failed = true, deadline = true }

-- stop withdraws tasks that nobody holds, and tells the holders of the others.
local function stop(K, J, tasks, cause)
  local told = false
  for _, t in ipairs(tasks) do
    local slot, entry, u, held = t[1], t[2], t[3], t[4]
    redis.call('HDEL', K.tasks, slot)
    J.active = J.active - 1
    if KILLED[cause] and not beyond(J, slot) then J.failed = J.failed + 1 end
    u[2], u[3] = 0, 0 -- as in Kubernetes, where they are kept with the pod
    if held then
      redis.call('HSET', K.ends, entry, slot .. ' ' .. unit_text(u) .. ' ' .. cause)
      J.ending, told = J.ending + 1, true
    else
      redis.call('XDEL', K.ready, entry)
      u[1] = u[1] - 1
    end
    if J.phase == '' and not (held and J.rules.replaceFailed == 1) then again(K, J, slot, u, 0) end
  end
  if told then order(K, J) end
  if #tasks > 0 then tell(J, 'SuccessfulDelete', #tasks) end
end

-- stop_all stops every active task, as far as the budget goes.
local function stop_all(K, J, cause)
  if J.active == 0 then return end
  local all = some(K, budget)
  budget = budget - #all
  stop(K, J, all, cause)
  J.more = J.more or J.active > 0
end

-- less_advanced orders tasks: those that no worker holds, then the later
-- claimed, the younger, and of equals the lowest slot.
local function less_advanced(a, b)
  if a[5] ~= b[5] then return a[5] < b[5] end
  local am, bm = tonumber(string.match(a[2], '^%d+')), tonumber(string.match(b[2], '^%d+'))
  if am ~= bm then return am > bm end
  return a[1] < b[1]
end

-- stop_surplus stops n tasks, the least advanced.
local function stop_surplus(K, J, n)
  local all = some(K, budget)
  budget = budget - #all
  table.sort(all, less_advanced)
  local victims = {}
  for i = 1, math.min(n, #all) do victims[i] = all[i] end
  stop(K, J, victims, 'scaled')
end

-- stop_beyond stops tasks of slots that an elastic job has no more, from the
-- last of them down to where `shrunk` says that they are yet to be looked at.
local function stop_beyond(K, J)
  local low, slots, found = math.max(J.next, J.shrunk - 4 * LIMIT), {}, {}
  for slot = J.shrunk - 1, low, -1 do slots[#slots + 1] = slot end
  for i, text in ipairs(#slots > 0 and redis.call('HMGET', K.tasks, unpack(slots)) or {}) do
    if #found >= budget then
      low = slots[i] + 1
      break
    end
    if text then found[#found + 1] = active_task(K, slots[i], text) end
  end
  budget = budget - #found
  stop(K, J, found, 'scaled')
  J.shrunk = low > J.next and low or 0
end

-- waiting lists up to n slots that may start again now, lowest first, and how
-- many of the n places they take.
local function waiting(K, J, now, n)
  if J.waiting ~= 1 then return {}, 0 end
  if in_place(J) then
    local slots = redis.call('ZRANGE', K.wait, 0, n - 1)
    local due = {}
    for _, s in ipairs(slots) do
      local at = tonumber(string.match(redis.call('HGET', K.data, 'u:' .. s) or '', '(%d+) %d$') or 0)
      if at <= now then
        due[#due + 1] = s
      elseif J.soonest == nil or at < J.soonest then
        J.soonest = at
      end
    end
    return due, #slots
  end
  local late = redis.call('ZRANGEBYSCORE', K.wait, '(' .. READY, now, 'LIMIT', 0, LIMIT)
  budget = budget - #late
  for i = #late, 1, -1 do late[2 * i - 1], late[2 * i] = late[i], late[i] end
  if #late > 0 then redis.call('ZADD', K.wait, unpack(late)) end
  local slots = redis.call('ZRANGEBYSCORE', K.wait, 0, READY, 'LIMIT', 0, n)
  if #slots == 0 and redis.call('EXISTS', K.wait) == 0 then J.waiting = 0 end
  return slots, #slots
end

-- add starts a task: slot and counts are texts.
local function add(K, J, slot, counts, set)
  J.header = J.header or 'J ' .. J.name .. ' ' .. J.uid .. ' '
  local id = redis.call('XADD', K.ready, '*', 't', J.header .. slot .. ' ' .. counts)
  set[#set + 1] = slot
  set[#set + 1] = id .. ' ' .. counts
  J.active = J.active + 1
end

-- unwait takes slots from the waiting, and answers their units. A failure
-- held back until its slot starts again is none if the slot never does.
local function unwait(K, J, slots)
  if #slots == 0 then return {} end
  local names = {}
  for i, s in ipairs(slots) do names[i] = 'u:' .. s end
  local units = redis.call('HMGET', K.data, unpack(names))
  redis.call('ZREM', K.wait, unpack(slots))
  redis.call('HDEL', K.data, unpack(names))
  for i, s in ipairs(slots) do
    if units[i] and string.sub(units[i], -1) == '1' then
      J.held = J.held - 1
      if beyond(J, s) then J.failed = J.failed - 1 end
    end
  end
  return units
end

local function start_again(K, slots, set, J)
  local units = unwait(K, J, slots)
  for i, s in ipairs(slots) do
    if beyond(J, s) then
      J.more = true -- another may start in its place
    else
      local counts = '1 0 0 0'
      if units[i] then
        local u = unit(units[i])
        u[1] = u[1] + 1
        counts = unit_text(u)
      end
      add(K, J, s, counts, set)
    end
  end
end

-- start_fresh starts slots that never ran. After a retry of a finished job
-- some of them are done already: holes. And where an elastic job shrank, some
-- still wait for what was to be their next attempt.
local function start_fresh(K, J, n, set)
  local limit, looked = J.rules.completions, 0
  while n > 0 and (limit < 0 or J.next < limit) do
    local slot = J.next
    local open = true
    if J.holes == 1 then
      looked = looked + 1
      if looked > 4 * LIMIT then J.more = true return end
      open = redis.call('GETBIT', K.done, slot) == 0 and redis.call('GETBIT', K.bad, slot) == 0
      if open and redis.call('ZSCORE', K.wait, slot) then unwait(K, J, { slot }) end
    end
    J.next = slot + 1
    if open then
      add(K, J, string.format('%d', slot), '1 0 0 0', set)
      n = n - 1
    end
  end
end

local function start(K, J, n, now)
  if n > budget then n, J.more = budget, true end
  if n <= 0 then return end
  local set, before = {}, J.active
  local slots, places = waiting(K, J, now, n)
  start_again(K, slots, set, J)
  start_fresh(K, J, n - places, set)
  if #set == 0 then return end
  redis.call('HSET', K.tasks, unpack(set))
  budget = budget - (J.active - before)
  tell(J, 'SuccessfulCreate', J.active - before)
  ring(K.bell)
end

local function want(J)
  local r = J.rules
  if r.completions >= 0 then return math.max(0, math.min(r.parallelism, r.completions - J.succeeded)) end
  if J.succeeded > 0 then return J.active end
  return r.parallelism
end

local function manage(K, J, now)
  local r = J.rules
  if r.suspend == 1 then return stop_all(K, J, 'suspended') end
  if J.shrunk > 0 then
    stop_beyond(K, J)
    if J.shrunk > 0 then
      J.more = true
      return
    end
  end
  local surplus = J.active - want(J)
  if surplus > 0 then
    stop_surplus(K, J, surplus)
    if J.active > want(J) then J.more = true end
  end
  local missing = want(J) - J.active
  if r.replaceFailed == 1 then missing = missing - J.ending end
  local held = r.jobScope == 1 and r.perIndex < 0 and J.retryAt > now
  if missing > 0 and now >= r.startAt and now >= J.lacks and not held then start(K, J, missing, now) end
end

