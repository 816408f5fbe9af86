-- submit stores new jobs: plain ones as enqueue does, the others with a record. Nothing is written unless all of it can be; a repeated call
-- answers as the first did.
-- KEYS[1..5]   queue   timers, jobs, events, ctl, waits
-- KEYS[6]      sub     string  the submitting client's last operation and its answer
-- KEYS[7]      kinds   set     kinds that the queue has seen
-- KEYS[8..]    per lane: ready (stream), bell (list); then the seven keys of each job with a record
-- then, where a plain job starts later, per lane: late (hash), later (zset), and layout
-- the last two, where a job has requests: lanes (hash), bell:~
-- ARGV[1] now  ARGV[2] operation, '' for none  ARGV[3] 'all' or 'each'  ARGV[4] number of lanes
-- ARGV[5..] per lane its name; then per job: 'P', lane no., header, args | 'L', the same, with the header of put_off | 'J', lane no., name, uid, rules, success, spec, args, owner, sums, labels
-- the sums are parted by ' ': any tells the same job, and the first is kept
-- returns one line per job: the entry of a plain one, or its id where it starts later | 'NEW' | 'OLD <uid>' | 'CONFLICT <uid>' | 'FULL'
-- | 'SPOILT' a key of it holds something else | 'REFUSED' because of another
local now, op, mode, nlanes = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
budget = 100 -- somebody waits for the answer: further attempts start when the timers are looked at, at once

if op ~= '' then
  local answer = repeated(KEYS[6], op)
  if answer then return answer end
end

local long = oversized('submit', 1, #ARGV)
if long then return long end

local full, bad, kinds = {}, {}, {}
for i = 1, nlanes do
  local kind, requests = split(ARGV[4 + i])
  kinds[i] = kind
  full[i] = requests ~= '' and no_room(ARGV[4 + i])
  bad[i] = spoilt('XLEN', KEYS[6 + 2 * i]) and 'SPOILT'
end

local jobs, at, key, refused = {}, 5 + nlanes, 8 + 2 * nlanes, false
local before = {} -- jobs of this call, by their keys: uid and sum
while at <= #ARGV do
  local lane = tonumber(ARGV[at + 1])
  if ARGV[at] == 'P' or ARGV[at] == 'L' then
    jobs[#jobs + 1] = { lane = lane, header = ARGV[at + 2], args = ARGV[at + 3], later = ARGV[at] == 'L', answer = bad[lane] }
    refused = refused or bad[lane]
    at = at + 4
  else
    local j = { lane = lane, key = key, at = at + 2 }
    local old = before[KEYS[key]] or redis.pcall('HMGET', KEYS[key], 'uid', 'sum')
    if old.err then
      j.answer, refused = 'SPOILT', true
    elseif old[1] then
      if old[1] == ARGV[at + 3] then j.answer = 'NEW'
      elseif old[2] and old[2] ~= '' and string.find(ARGV[at + 9], old[2], 1, true) then j.answer = 'OLD ' .. old[1]
      else j.answer, refused = 'CONFLICT ' .. old[1], true end
    elseif full[lane] or bad[lane] then
      j.answer, refused = bad[lane] or 'FULL', true
    elseif spoilt('HLEN', KEYS[key + 3]) then -- its tasks: a new job writes none of the other keys
      j.answer, refused = 'SPOILT', true
    else
      before[KEYS[key]] = { ARGV[at + 3], string.match(ARGV[at + 9], '^%S*') }
    end
    jobs[#jobs + 1] = j
    at, key = at + 11, key + 7
  end
end

for _, j in ipairs(jobs) do
  local waits = j.later and key + 2 * (j.lane - 1)
  if waits and not j.answer and spoilt('HLEN', KEYS[waits], 'ZCARD', KEYS[waits + 1]) then j.answer, refused = 'SPOILT', true end
end

local function record(j)
  local a = j.at
  local K = keys(j.key, 6 + 2 * j.lane)
  local J = create(K, now, { lane = ARGV[4 + j.lane], name = ARGV[a], uid = ARGV[a + 1], rules = ARGV[a + 2],
    success = ARGV[a + 3], spec = ARGV[a + 4], args = ARGV[a + 5], owner = ARGV[a + 6], sum = string.match(ARGV[a + 7], '^%S*'), labels = ARGV[a + 8] })
  emit(K, J, 'Submitted')
  sync(K, J, now)
end

if not (refused and mode == 'all') then redis.call('SADD', KEYS[7], unpack(kinds)) end -- first: where the key is spoilt nothing is stored
local out, rung = {}, {}
local function plain(j, n)
  local header, l = j.header, nil
  if j.later then l, header = put_off(key + 2 * (j.lane - 1), ARGV[4 + j.lane], header, now) end
  if l then return put_one(l, n, j.args) end
  rung[j.lane] = true
  return redis.call('XADD', KEYS[6 + 2 * j.lane], '*', 't', header, 'a', j.args)
end

for i, j in ipairs(jobs) do
  if j.answer then out[i] = j.answer
  elseif refused and mode == 'all' then out[i] = 'REFUSED'
  elseif j.header then out[i] = plain(j, i)
  else
    record(j)
    out[i] = 'NEW'
  end
end
for lane in pairs(rung) do ring(KEYS[7 + 2 * lane]) end
hold(KEYS[1], KEYS[4], KEYS[key + 2 * nlanes], now)
local answer = table.concat(out, '\n')
if op ~= '' then redis.call('SET', KEYS[6], op .. ' ' .. answer, 'PX', 600000) end
return answer
