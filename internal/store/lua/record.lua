-- The record of a job: how it is read, written and made, and what its slots
-- carry between attempts.

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

-- started gives the rules of a job with a delay, which counts from now, its
-- ninth number: the start.
local function started(text, now)
  local before, ms, after = string.match(text, '^([^|]+|[^|]+|[^|]+|[^|]+|[^|]+|[^|]+|[^|]+|[^|]+|)%-(%d+)(.*)$')
  return before .. string.format('%.0f', now + ms) .. after
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

