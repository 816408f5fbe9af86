-- What every transition of a job shares: its record, and sync, which looks at
-- the job once and starts, stops, decides and arms what follows. It is the
-- rules of internal/rules in Lua; tests hold the two equal.

local LIMIT = 500          -- items that one call works on
local READY = 2147483647   -- scores of `wait` up to here are slots, above due times
local EVENTS, ORDERS = 10000, 1000
local LOOK = 10000         -- ms after which timers are looked at in any case
local LONGEST = 300 * 1024 -- bytes of any one thing that is kept

-- too_long refuses what a client should have refused, before anything is written.
local function too_long(what, bytes, most)
  return redis.error_reply('ERR stint: ' .. what .. ': ' .. bytes .. ' bytes are more than ' .. (most or LONGEST))
end

-- oversized is too_long of the first of ARGV[from] to ARGV[to] that is.
local function oversized(what, from, to)
  for i = from, to do
    if #ARGV[i] > LONGEST then return too_long(what, #ARGV[i]) end
  end
end

-- spoilt refuses where one of some keys holds something else, each after a
-- command that counts what such a key has. It is asked before the first write,
-- since nothing of a script is taken back.
local function spoilt(...)
  local all = { ... }
  for i = 1, #all, 2 do
    local n = redis.pcall(all[i], all[i + 1])
    if type(n) == 'table' then return redis.error_reply('ERR stint: ' .. all[i + 1] .. ' is spoilt: another type of key') end
  end
end

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- repeated answers an operation that a submitter has sent before as then. One
-- that was under way for so long that the submitter has gone on is refused.
local function repeated(key, op)
  local last = redis.call('GET', key) or ''
  local number, at = string.match(last, '^(%d+) ()')
  if not number then return nil end
  if number == op then return string.sub(last, at) end
  if tonumber(number) > tonumber(op) then return redis.error_reply('ERR stint: operation ' .. op .. ' came after ' .. number) end
end

-- after tells of entries whether they are not older than another. Of two numbers
-- the longer one is greater: to find where they end costs a fifth of matching them.
local function after(other)
  local ms = string.find(other, '-', 1, true)
  local head = string.sub(other, 1, ms)
  return function(entry)
    local at = string.find(entry, '-', 1, true)
    if at ~= ms then return at > ms end
    if #entry == #other or string.sub(entry, 1, ms) ~= head then return entry >= other end
    return #entry > #other
  end
end

-- remove deletes entries that have just been acknowledged. Whatever is older
-- than the first entry in anyone's hands has been handed out and has ended: so
-- these go by the node and not one by one, which costs ten times as much.
local function remove(ready, entries)
  if #entries >= 8 then
    local first = redis.call('XPENDING', ready, 'w', '-', '+', 1)[1]
    first = first and first[1] or entries[#entries]
    local rest, kept = {}, after(first)
    for _, e in ipairs(entries) do
      if kept(e) then rest[#rest + 1] = e end
    end
    if redis.pcall('XTRIM', ready, 'MINID', '=', first) == #entries - #rest then entries = rest end
  end
  if #entries > 0 then redis.call('XDEL', ready, unpack(entries)) end
end

-- take ends entries: it answers which of them nobody had ended before. XACK
-- goes first, for a script that begins with it may write when memory is out.
-- Whoever ends an entry deletes it in the same step; so only entries that are
-- still there count, and each of them once.
local function take(ready, entries)
  local taken = {}
  if #entries == 0 then return taken end
  local all = redis.call('XACK', ready, 'w', unpack(entries)) == #entries
  for i = 1, #entries do
    taken[i] = all or #redis.call('XRANGE', ready, entries[i], entries[i]) == 1
  end
  if all then remove(ready, entries) else redis.call('XDEL', ready, unpack(entries)) end
  return taken, all
end

-- ring wakes one idle worker. Once in a call is enough: who is woken and
-- finds more than it can take wakes the next. A bell that is spoilt is not
-- rung: workers look from time to time in any case.
local rung = {}
local function ring(bell)
  if rung[bell] then return end
  rung[bell] = true
  if redis.pcall('LLEN', bell) == 0 then redis.call('LPUSH', bell, 1) end
end

-- announce tells whoever waits for timers of one that is now the first, and
-- due before they look again anyway. Once in a call is enough for all that is
-- due no earlier.
local told
local function announce(timers, ctl, member, due, now)
  if due - now >= LOOK or told and told <= due then return end
  told = due
  if redis.call('ZRANGE', timers, 0, 0)[1] == member then
    redis.call('XADD', ctl, 'MAXLEN', '~', ORDERS, '*', 't', due)
  end
end

-- tally adds what ended in this minute: of a day, the hash has a field for each
-- minute. n is succeeded, failed, lost, given back, and ms waited and run.
-- Where the key is spoilt only the statistics are lost.
local function tally(key, now, n)
  local minute = math.floor(now / 60000)
  local slot = minute % 1440
  local had = redis.pcall('HGET', key, slot)
  if type(had) == 'table' then return end
  local fresh = true
  if had then
    local i = -1
    for w in string.gmatch(had, '%d+') do
      i = i + 1
      if i == 0 then fresh = w + 0 ~= minute
      elseif not fresh then n[i] = n[i] + w end
    end
  end
  for i = 1, 6 do n[i] = string.format('%.0f', n[i]) end
  redis.call('HSET', key, slot, minute .. ' ' .. table.concat(n, ' '))
  if fresh then redis.call('PEXPIRE', key, 172800000) end
end

-- keys names the queue's five keys, the seven of a job from KEYS[at] on, and
-- the two of its lane from KEYS[lane] on. Where the job has requests, the last
-- of KEYS are lanes and bell:~.
local function keys(at, lane)
  return {
    timers = KEYS[1], jobs = KEYS[2], events = KEYS[3], ctl = KEYS[4], waits = KEYS[5],
    job = KEYS[at], done = KEYS[at + 1], bad = KEYS[at + 2], tasks = KEYS[at + 3],
    ends = KEYS[at + 4], wait = KEYS[at + 5], data = KEYS[at + 6],
    ready = KEYS[lane], bell = KEYS[lane + 1],
  }
end

-- How the numbers of a record are written: parted by '|'. Spelled out, since
-- a loop over names would cost twice as much in each call.
local RULES_TEXT = '^(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)'
local STATE_TEXT = '^(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)|(%-?%d+)'

-- rules_of reads a job's rules; nil where the text is none of ours. Jobs of
-- one call often have the same ones: so they are read once, and not changed.
local read_rules = {}
local function rules_of(text)
  if read_rules[text] then return read_rules[text] end
  local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q = string.match(text, RULES_TEXT)
  if not a then return nil end
  local r = {
    completions = a + 0, parallelism = b + 0, backoffLimit = c + 0, perIndex = d + 0, maxFailed = e + 0, deadline = f + 0,
    ttl = g + 0, suspend = h + 0, startAt = i + 0, replaceFailed = j + 0, initial = k + 0, max = l + 0, factor = m + 0,
    jitter = n + 0, jobScope = o + 0, lostLimit = p + 0, lostCounts = q + 0,
  }
  read_rules[text] = r
  return r
end

-- state_of reads what changes of a job, and state_text writes it.
local function state_of(text)
  local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s = string.match(text, STATE_TEXT)
  if not a then return nil end
  return {
    fateAt = a + 0, endedAt = b + 0, startedAt = c + 0, suspended = d + 0, suspendedAt = e + 0, succeeded = f + 0, failed = g + 0,
    bad = h + 0, streak = i + 0, retryAt = j + 0, next = k + 0, active = l + 0, ending = m + 0, holes = n + 0, deleting = o + 0,
    armed = p + 0, held = q + 0, shrunk = r + 0, waiting = s + 0,
  }
end

local NEW = '0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0'
local STATE = {
  'fateAt', 'endedAt', 'startedAt', 'suspended', 'suspendedAt', 'succeeded', 'failed', 'bad', 'streak', 'retryAt', 'next', 'active',
  'ending', 'holes', 'deleting', 'armed', 'held', 'shrunk', 'waiting',
}
-- fresh is the state of a new job.
local function fresh()
  return {
    fateAt = 0, endedAt = 0, startedAt = 0, suspended = 0, suspendedAt = 0, succeeded = 0, failed = 0, bad = 0, streak = 0, retryAt = 0,
    next = 0, active = 0, ending = 0, holes = 0, deleting = 0, armed = 0, held = 0, shrunk = 0, waiting = 0,
  }
end

local function state_text(J)
  local out = {}
  for i, name in ipairs(STATE) do
    local v = J[name]
    out[i] = v == 0 and '0' or v -- to print a number is what costs
  end
  return table.concat(out, '|')
end

-- policy reads the rules of a success policy and what counts for each.
local NONE = {}
local function policy(text, counts)
  if not text or text == '' then return NONE, NONE end
  local rules, hits, i = {}, {}, 0
  for kind, need in string.gmatch(text, '(%a)(%d+)') do
    rules[#rules + 1] = { kind = kind, need = tonumber(need) }
    hits[#hits + 1] = 0
  end
  for n in string.gmatch(counts or '', '%d+') do i = i + 1; hits[i] = tonumber(n) end
  return rules, hits
end

-- load reads a job's record: nil when there is none, or it is another's. With
-- redis.pcall to read it by, a key that holds something else is nil and true.
local function load(K, uid, read)
  local r = (read or redis.call)('HMGET', K.job, 'uid', 'rules', 'state', 'phase', 'reason', 'name', 'kind', 'owner', 'hits', 'success', 'labels', 'log', 'lacks', 'requests', 'memory')
  if r.err then return nil, true end
  if not r[1] or (uid ~= '' and r[1] ~= uid) then return nil end
  local rules, s = rules_of(r[2] or ''), state_of(r[3] or '')
  if not (rules and s) then return nil end
  s.uid, s.rules, s.phase, s.reason = r[1], rules, r[4] or '', r[5] or ''
  s.name, s.kind, s.owner, s.labels, s.log = r[6], r[7], r[8] or '', r[11] or '', r[12] or ''
  s.lacks = tonumber(string.match(r[13] or '0', '^%d+'))
  s.requests, s.memory = r[14] or '', r[15] or ''
  s.success, s.hits = policy(r[10], r[9])
  return s
end

local function save(K, J)
  local set = J.record or {}
  local function put(f, v) set[#set + 1] = f; set[#set + 1] = v end
  put('state', state_text(J))
  if J.fated then put('phase', J.phase); put('reason', J.reason) end
  if J.message then put('message', J.message) end
  if J.error then put('error', J.error) end
  if J.told then put('log', J.log) end
  if J.marked then put('memory', J.memory) end
  if J.hit then put('hits', table.concat(J.hits, ',')) end
  redis.call('HSET', K.job, unpack(set))
end

local function emit(K, J, what, ...)
  redis.call('XADD', K.events, 'MAXLEN', '~', EVENTS, '*', 'e', what, 'j', J.name, 'u', J.uid, 'k', J.kind, 'r', J.reason,
    'l', J.labels, ...)
end

-- tell adds to what the job's own events are read from: of each reason how
-- often, and when first and last.
local function tell(J, reason, n)
  local now = J.now .. ';'
  local from, to, had, first = string.find(J.log, reason .. ' (%d+) (%d+) %d+;')
  if from then
    J.log = string.sub(J.log, 1, from - 1) .. reason .. ' ' .. had + n .. ' ' .. first .. ' ' .. now .. string.sub(J.log, to + 1)
  else
    J.log = J.log .. reason .. ' ' .. n .. ' ' .. J.now .. ' ' .. now
  end
  J.told = true
end

-- message_of is the beginning of what an error record says, nil for nothing.
local function message_of(record)
  local _, at = string.find(record, '"message":"', 1, true)
  return at and string.sub(record, at + 1, at + 400)
end

-- mark follows which attempts are in a process that has more memory than it
-- may: '+', '-' for one that was, '' for one that has ended. The text begins
-- with the time since when there is a '+', or none. It has room for about a
-- hundred attempts. It answers whether the attempt is new there.
local function mark(J, entry, sign)
  local since, list = string.match(J.memory, '^(%d*)(.*)$')
  local was = string.find(list, '+', 1, true) ~= nil
  local at = string.find(list, ' ' .. entry .. '+', 1, true) or string.find(list, ' ' .. entry .. '-', 1, true)
  if at then list = string.sub(list, 1, at - 1) .. string.sub(list, at + #entry + 2)
  elseif sign ~= '+' or #list > 2500 then return false end
  if sign ~= '' then list = list .. ' ' .. entry .. sign end
  if was ~= (string.find(list, '+', 1, true) ~= nil) then since = J.now end
  J.memory, J.marked = since .. list, true
  return not at
end

-- arm sets the job's one timer; whoever waits for timers hears of it when it
-- is now the first, and due before they look again anyway.
local function arm(K, J, due, now)
  if J.armed == due then return end
  J.armed = due
  if due == 0 then
    redis.call('ZREM', K.timers, J.name)
    return
  end
  redis.call('ZADD', K.timers, due, J.name)
  announce(K.timers, K.ctl, J.name, due, now)
end

local function order(K, J)
  redis.call('XADD', K.ctl, 'MAXLEN', '~', ORDERS, '*', 'j', J.name)
end

-- split takes a lane apart: kind, and requests or ''.
local function split(lane) return string.match(lane, '^([^~]*)~?(.*)$') end

local function lane_of(J) return J.requests == '' and J.kind or J.kind .. '~' .. J.requests end

-- no_room tells that a lane would be one too many.
local function no_room(lane)
  local lanes = KEYS[#KEYS - 1]
  return redis.call('HEXISTS', lanes, lane) == 0 and redis.call('HLEN', lanes) > LIMIT
end

-- enlist counts an unfinished job of its lane, and delist one less: a lane of
-- which none is left is forgotten. Workers learn of new lanes by the version.
local function enlist(J)
  if J.requests == '' then return end
  local lanes = KEYS[#KEYS - 1]
  if redis.call('HINCRBY', lanes, lane_of(J), 1) > 1 then return end
  redis.call('HINCRBY', lanes, '', 1)
  ring(KEYS[#KEYS])
end

local function delist(K, J)
  if J.requests == '' then return end
  local lanes, lane = KEYS[#KEYS - 1], lane_of(J)
  if redis.call('HINCRBY', lanes, lane, -1) > 0 then return end
  redis.call('HDEL', lanes, lane)
  redis.call('UNLINK', K.ready, K.bell)
end

local function erase(K, J)
  redis.call('UNLINK', K.job, K.done, K.bad, K.tasks, K.ends, K.wait, K.data)
  redis.call('ZREM', K.jobs, J.name)
  redis.call('ZREM', K.timers, J.name)
  J.erased = true
end

-- A unit is what a slot carries between attempts: attempts, failures, ignored, lost.
local function unit(text)
  local a, f, g, l = string.match(text, '(%d+) (%d+) (%d+) (%d+)')
  return { tonumber(a), tonumber(f), tonumber(g), tonumber(l) }
end

local function unit_text(u) return u[1] .. ' ' .. u[2] .. ' ' .. u[3] .. ' ' .. u[4] end

-- beyond tells a slot, a number or its text, that has yet to start: what there
-- is of it is from before an elastic job shrank, and counts for nothing, also
-- where the job has grown again.
local function beyond(J, slot) return slot + 0 >= J.next end

local function in_place(J) return J.rules.jobScope == 1 and J.rules.perIndex >= 0 end

-- again puts a slot among the waiting, due at a time (0: at once). A counted
-- failure is held back from the status until the slot starts again where
-- Kubernetes does so.
local function again(K, J, slot, u, due, counted)
  if beyond(J, slot) then return end
  local score = slot
  if due > READY and not in_place(J) then score = due end
  redis.call('ZADD', K.wait, score, slot)
  J.waiting = 1
  if u[1] > 0 or due > 0 then
    local held = counted and in_place(J) and 1 or 0
    J.held = (J.held or 0) + held
    redis.call('HSET', K.data, 'u:' .. slot, unit_text(u) .. ' ' .. string.format('%.0f', due) .. ' ' .. held)
  end
end

-- seed is what the jitter of an attempt is made of. Attempts that start in one
-- call have the same time, and differ in their number.
local function seed(entry)
  local ms, n = string.match(entry, '^(%d+)-(%d+)$')
  return ms + n
end

local function delay(J, n, seed)
  local r = J.rules
  if n <= 0 or r.initial <= 0 then return 0 end
  local d = math.min(r.initial * (r.factor / 1000) ^ (n - 1), r.max)
  if r.jitter > 0 then
    d = d + d * (r.jitter / 1000) * ((seed % 997 * 613 + math.floor(seed / 997) % 1009 * 389) % 1000) / 1000
  end
  return math.floor(d)
end

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

local function fated(J, phase, reason, now)
  J.phase, J.reason, J.fateAt, J.fated, J.held = phase, reason, now, true, 0
end

local function success_rule(J)
  for i, rule in ipairs(J.success) do
    local have = rule.kind == 'c' and J.succeeded or J.hits[i]
    if rule.need > 0 and have >= rule.need then return i end
  end
end

local function decide(J, now, fate)
  local r, rule = J.rules, success_rule(J)
  if fate == 'PodFailurePolicy' then fated(J, 'FailureTarget', fate, now)
  elseif J.failed > r.backoffLimit then fated(J, 'FailureTarget', 'BackoffLimitExceeded', now)
  elseif fate then fated(J, 'FailureTarget', fate, now)
  elseif r.deadline >= 0 and r.suspend == 0 and J.startedAt > 0 and now - J.startedAt >= r.deadline then
    fated(J, 'FailureTarget', 'DeadlineExceeded', now)
  elseif r.maxFailed >= 0 and J.bad > r.maxFailed then fated(J, 'FailureTarget', 'MaxFailedIndexesExceeded', now)
  elseif J.bad > 0 and J.bad + J.succeeded >= r.completions then fated(J, 'FailureTarget', 'FailedIndexes', now)
  elseif rule then
    fated(J, 'SuccessCriteriaMet', 'SuccessPolicy', now)
    J.message = 'Matched rules at index ' .. (rule - 1)
  end
end

local function finish(K, J, now)
  J.endedAt = now
  local complete = J.phase == 'SuccessCriteriaMet'
  J.phase, J.fated = complete and 'Complete' or 'Failed', true
  local extra = {}
  if redis.call('HDEL', K.waits, J.name) == 1 and J.rules.ttl == 0 then
    extra = { 'o', redis.call('HGET', K.data, 'r:0') or '' }
  end
  emit(K, J, J.phase, unpack(extra))
  if J.owner ~= '' then
    redis.call('ZADD', K.timers, now, 'cron/' .. J.owner)
    redis.call('XADD', K.ctl, 'MAXLEN', '~', ORDERS, '*', 't', now)
  end
  redis.call('UNLINK', K.wait, K.tasks, K.ends)
  delist(K, J)
end

local function resume(K, J, now)
  if J.rules.suspend == 1 or now < J.rules.startAt then return end
  if J.suspended == 1 then
    J.suspended, J.suspendedAt, J.startedAt = 0, now, now
    emit(K, J, 'Resumed')
    tell(J, 'Resumed', 1)
  end
  if J.startedAt == 0 then J.startedAt = now end
end

local function check_complete(J, now)
  if J.active > 0 or J.more then return end
  local n = J.rules.completions
  if (n < 0 and J.succeeded > 0) or (n >= 0 and J.succeeded >= n) then
    fated(J, 'SuccessCriteriaMet', 'CompletionsReached', now)
  end
end

local function suspend(K, J, now)
  if J.rules.suspend == 1 and J.suspended == 0 and not J.more then
    J.suspended, J.suspendedAt, J.startedAt = 1, now, 0
    emit(K, J, 'Suspended')
    tell(J, 'Suspended', 1)
  end
end

-- due says when the job must be looked at again, 0 for never.
local function due(K, J, now)
  if J.more then return now end
  local r, at = J.rules, 0
  local function by(t) if t and t > now and (at == 0 or t < at) then at = t end end
  if J.phase == 'Complete' or J.phase == 'Failed' then
    if r.ttl >= 0 then by(math.max(J.endedAt + r.ttl, now + 1)) end
  elseif J.phase == '' and r.suspend == 0 then
    by(r.startAt)
    by(J.lacks)
    if r.deadline >= 0 and J.startedAt > 0 then by(J.startedAt + r.deadline) end
    if r.jobScope == 1 and r.perIndex < 0 then by(J.retryAt) end
    by(J.soonest)
    if J.waiting == 1 and not in_place(J) then
      by(tonumber(redis.call('ZRANGEBYSCORE', K.wait, '(' .. READY, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]))
    end
  end
  return at
end

local function expire(K, J, now)
  if J.rules.ttl >= 0 and now >= J.endedAt + J.rules.ttl then erase(K, J) end
end

-- sync looks at the job once, saves it and arms its timer. fate is a reason
-- to fail it at once.
local function sync(K, J, now, fate)
  J.now = now
  if J.phase == 'Complete' or J.phase == 'Failed' then
    expire(K, J, now)
  else
    resume(K, J, now)
    if J.phase == '' then decide(J, now, fate) end
    if J.phase == '' then manage(K, J, now); check_complete(J, now) end
    if J.phase == '' then
      suspend(K, J, now)
    else
      local cause = 'failed'
      if J.phase == 'SuccessCriteriaMet' then cause = 'complete'
      elseif J.reason == 'DeadlineExceeded' then cause = 'deadline' end
      stop_all(K, J, cause)
      if J.ending == 0 and J.active == 0 then
        finish(K, J, now)
        expire(K, J, now)
      elseif J.fated then
        emit(K, J, J.phase)
      end
    end
  end
  if J.erased then return end
  arm(K, J, due(K, J, now), now)
  save(K, J)
end

-- started gives the rules of a job with a delay, which counts from now, its
-- ninth number: the start.
local function started(text, now)
  local before, ms, after = string.match(text, '^([^|]+|[^|]+|[^|]+|[^|]+|[^|]+|[^|]+|[^|]+|[^|]+|)%-(%d+)(.*)$')
  return before .. string.format('%.0f', now + ms) .. after
end

-- apart keeps the trouble of one job from the others of a call, which answers
-- with it in the end.
local trouble = {} -- a table, since miniredis loses what is set to a variable after an error
local function apart(f, ...)
  local ok, err = pcall(f, ...)
  if ok then return end
  trouble[1] = trouble[1] or type(err) == 'table' and err or redis.error_reply('ERR stint: ' .. tostring(err))
end

-- create makes the record of a new job, which save writes.
local function create(K, now, j)
  local kind, requests = split(j.lane)
  local J, rules = fresh(), rules_of(j.rules)
  if rules.startAt < 0 then
    j.rules = started(j.rules, now)
    rules = rules_of(j.rules)
  end
  J.name, J.uid, J.kind, J.requests, J.owner, J.labels = j.name, j.uid, kind, requests, j.owner or '', j.labels or ''
  J.log, J.memory, J.lacks, J.phase, J.reason, J.rules = '', '', 0, '', '', rules
  J.success, J.hits = policy(j.success)
  J.record = { 'name', j.name, 'uid', j.uid, 'kind', kind, 'rules', j.rules, 'spec', j.spec, 'args', j.args, 'created', now, 'gen', 1 }
  local function keep(field, v)
    if not v or v == '' then return end
    J.record[#J.record + 1] = field
    J.record[#J.record + 1] = v
  end
  keep('success', j.success)
  keep('owner', J.owner)
  keep('sum', j.sum)
  keep('labels', J.labels)
  keep('requests', requests)
  if requests ~= '' then enlist(J) end
  redis.call('ZADD', K.jobs, now, j.name)
  return J
end

-- tried adds to a record what earlier attempts of a plain job came to, which
-- postpone kept: how many failed, how many of those that failed were ignored,
-- when the first and the last started, and the errors. It answers the job's unit.
local function tried(K, J, text)
  local f, g, first, last, sizes, at = string.match(text, '^R (%d+) (%d+) (%d+) (%d+) ([%d,]+):()')
  if not f then return unit('0 0 0 0') end
  local n, errors = f + g, {}
  J.failed, J.streak, J.startedAt = f + 0, n, first + 0
  for size in string.gmatch(sizes, '%d+') do
    local ms, from = string.match(string.sub(text, at), '^(%d+) ()')
    from = at + from - 1
    at = from + size
    errors[#errors + 1] = ms .. ' ' .. string.sub(text, from, at - 1)
  end
  redis.call('HSET', K.data, 'E', #errors)
  for i, e in ipairs(errors) do redis.call('HSET', K.data, 'e:0:' .. (n - #errors + i) % 5, e) end
  J.error = message_of(errors[#errors])
  J.told, J.log = true, 'SuccessfulCreate ' .. n .. ' ' .. first .. ' ' .. last .. ';'
  return { n, f + 0, g + 0, 0 }
end

-- adopt makes the record of a plain job from ARGV[at] on: name, kind, rules,
-- spec, args, labels, entry, id where it started later or failed before, what
-- its attempts came to then. Its one task is under way as the entry given, if
-- there is one. It answers the record, and the unit.
local function adopt(K, at, entry)
  local created = string.match(ARGV[at], '(%d+)%-%d+$')
  local J = create(K, created, { name = ARGV[at], uid = ARGV[at], lane = ARGV[at + 1], rules = ARGV[at + 2],
    spec = ARGV[at + 3], args = ARGV[at + 4], labels = ARGV[at + 5] })
  if ARGV[at + 7] ~= '' then redis.call('HDEL', K.late, ARGV[at + 7]) end
  local u = tried(K, J, ARGV[at + 8])
  if not entry then return J, u end
  local started = tonumber(string.match(entry, '^%d+'))
  u[1] = u[1] + 1
  J.startedAt, J.active, J.next, J.now = u[1] > 1 and J.startedAt or started, 1, 1, started
  tell(J, 'SuccessfulCreate', 1)
  redis.call('HSET', K.tasks, 0, entry .. ' ' .. unit_text(u))
  return J, u
end

-- purge ends the tasks of a job that is being deleted, and then the job.
local function purge(K, J, now)
  redis.call('HDEL', K.tasks, '') -- a script that begins with it may write when memory is out: deletion makes room
  J.deleting = 1
  local gone = {}
  for _, t in ipairs(some(K, budget)) do
    gone[#gone + 1] = t[2]
    redis.call('HDEL', K.tasks, t[1])
    J.active = J.active - 1
  end
  budget = budget - #gone
  local ends = redis.call('HSCAN', K.ends, '0', 'COUNT', LIMIT)[2]
  for i = 1, math.min(#ends, 2 * LIMIT), 2 do
    gone[#gone + 1] = ends[i]
    redis.call('HDEL', K.ends, ends[i])
    J.ending = J.ending - 1
  end
  if #gone > 0 then
    redis.call('XACK', K.ready, 'w', unpack(gone))
    redis.call('XDEL', K.ready, unpack(gone))
  end
  order(K, J)
  if redis.call('EXISTS', K.tasks, K.ends) == 0 then
    if J.phase ~= 'Complete' and J.phase ~= 'Failed' then delist(K, J) end
    J.reason = ''
    emit(K, J, 'Deleted')
    return erase(K, J)
  end
  arm(K, J, now, now)
  save(K, J)
end

-- cut forgets what lies beyond the completions of an elastic job that shrank.
local function cut(K, J)
  local n = J.rules.completions
  for _, key in ipairs({ K.done, K.bad }) do
    if redis.call('STRLEN', key) > math.floor(n / 8) then
      local keep = n == 0 and '' or redis.call('GETRANGE', key, 0, math.floor((n - 1) / 8))
      redis.call('SET', key, keep)
      for bit = n, n + (8 - n % 8) % 8 - 1 do redis.call('SETBIT', key, bit, 0) end
    end
  end
  J.succeeded, J.bad = redis.call('BITCOUNT', K.done), redis.call('BITCOUNT', K.bad)
  J.shrunk = math.max(J.shrunk, J.next)
  J.next = math.min(J.next, n)
  unwait(K, J, redis.call('ZRANGEBYSCORE', K.wait, n, READY, 'LIMIT', 0, LIMIT))
  J.holes = 1 -- what is left, and what waits for its time, goes when its turn has come
end

local spoilt_queue = spoilt('ZCARD', KEYS[1], 'ZCARD', KEYS[2], 'XLEN', KEYS[3], 'XLEN', KEYS[4], 'HLEN', KEYS[5])
if spoilt_queue then return spoilt_queue end
