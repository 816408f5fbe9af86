-- submit stores new jobs: plain ones as their stream entry alone, the others
-- with a record. Nothing is written unless all of it can be; a repeated call
-- answers as the first did.
-- KEYS[1..5]   queue   timers, jobs, events, ctl, waits
-- KEYS[6]      sub     string  the submitting client's last operation and its answer
-- KEYS[7]      kinds   set     kinds that the queue has seen
-- KEYS[8..]    per kind: ready (stream), bell (list); then the seven keys of each job with a record
-- ARGV[1] now  ARGV[2] operation, '' for none  ARGV[3] 'all' or 'each'  ARGV[4] number of kinds
-- ARGV[5..] per kind its name; then per job: 'P', kind no., header, args | 'J', kind no., name, uid, rules, success, spec, args, owner, sums, labels
-- the sums are parted by ' ': any tells the same job, and the first is kept
-- returns one line per job: 'P <entry>' | 'NEW' | 'OLD <uid>' | 'CONFLICT <uid>'
local now, op, mode, nkinds = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])

if op ~= '' then
  local answer = repeated(KEYS[6], op)
  if answer then return answer end
end

for _, a in ipairs(ARGV) do
  if #a > LONGEST then return too_long('submit', #a) end
end

local jobs, at, key, refused = {}, 5 + nkinds, 8 + 2 * nkinds, false
while at <= #ARGV do
  local kind = tonumber(ARGV[at + 1])
  if ARGV[at] == 'P' then
    jobs[#jobs + 1] = { kind = kind, header = ARGV[at + 2], args = ARGV[at + 3] }
    at = at + 4
  else
    local j = { kind = kind, key = key, at = at + 2 }
    local old = redis.call('HMGET', KEYS[key], 'uid', 'sum')
    if old[1] then
      if old[1] == ARGV[at + 3] then j.answer = 'NEW'
      elseif old[2] and old[2] ~= '' and string.find(ARGV[at + 9], old[2], 1, true) then j.answer = 'OLD ' .. old[1]
      else j.answer, refused = 'CONFLICT ' .. old[1], true end
    end
    jobs[#jobs + 1] = j
    at, key = at + 11, key + 7
  end
end

local budget = LIMIT

local function record(j)
  local a = j.at
  local K = keys(j.key, 6 + 2 * j.kind)
  local J = create(K, now, { kind = ARGV[4 + j.kind], name = ARGV[a], uid = ARGV[a + 1], rules = ARGV[a + 2],
    success = ARGV[a + 3], spec = ARGV[a + 4], args = ARGV[a + 5], owner = ARGV[a + 6], sum = string.match(ARGV[a + 7], '^%S*'), labels = ARGV[a + 8] })
  J.budget = budget
  emit(K, J, 'Submitted')
  sync(K, J, now)
  budget = J.budget
  return 'NEW'
end

local out, rung = {}, {}
for i, j in ipairs(jobs) do
  if j.answer then
    out[i] = j.answer
  elseif refused and mode == 'all' then
    out[i] = 'REFUSED'
  elseif j.header then
    out[i] = 'P ' .. redis.call('XADD', KEYS[6 + 2 * j.kind], '*', 't', j.header, 'a', j.args)
    rung[j.kind] = true
  else
    out[i] = record(j)
  end
end
for kind in pairs(rung) do ring(KEYS[7 + 2 * kind]) end
if not (refused and mode == 'all') then redis.call('SADD', KEYS[7], unpack(ARGV, 5, 4 + nkinds)) end
local answer = table.concat(out, '\n')
if op ~= '' then redis.call('SET', KEYS[6], op .. ' ' .. answer, 'PX', 600000) end
return answer
