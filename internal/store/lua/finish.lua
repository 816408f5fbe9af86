-- finish ends plain tasks of one kind that succeeded. A task that was ended
-- before changes nothing; one whose job has got a record is left to settle.
-- KEYS[1] ready stream  KEYS[2] waits hash  KEYS[3] events stream
-- KEYS[4] past hash: finished plain jobs that expire together  KEYS[5] pasts zset of these  KEYS[6] timers  KEYS[7] stats
-- KEYS[8] jobs  KEYS[9] late
-- ARGV[1] now  ARGV[2] ttl in ms, 0 keeps nothing  ARGV[3] when the past hash goes  ARGV[4] its name
-- ARGV[5] kind  ARGV[6] ms that the tasks waited  ARGV[7] ms that they ran
-- ARGV[8] fields per task: 1, 2 with what to keep, 3 with the id of a job that started later, or ''; then per task: entry,
-- record, id
-- returns '<now> <one digit per task, 1: counted, 2: its job has a record>', or '<now> LATE' where the past hash goes too early
local now, ttl, goes, step = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[8])
if ttl > 0 and now + ttl > goes then return string.format('%.0f LATE', now) end

local entries = {}
for i = 9, #ARGV, step do entries[#entries + 1] = ARGV[i] end
for i = 10, step > 1 and #ARGV or 0, step do -- of spec, args and result
  if #ARGV[i] > 3 * LONGEST then return too_long('finish', #ARGV[i], 3 * LONGEST) end
end

-- What is known of a task besides its entry is looked up, and names are made,
-- only where somebody asks for them.
local function record(n) return step > 1 and ARGV[10 + step * (n - 1)] or '' end
local function id(n) return step == 3 and ARGV[8 + 3 * n] or '' end
local function name(n) return ARGV[5] .. '-' .. (id(n) ~= '' and id(n) or entries[n]) end

local wrong = spoilt('HLEN', KEYS[2], 'XLEN', KEYS[3], 'ZCARD', KEYS[8])
wrong = wrong or ttl > 0 and spoilt('HLEN', KEYS[4], 'ZCARD', KEYS[5], 'ZCARD', KEYS[6])
wrong = wrong or step == 3 and spoilt('HLEN', KEYS[9])
if wrong then return wrong end

local out, ended = own(KEYS[1], KEYS[8], entries, name)

local function each(f)
  for n = 1, #entries do
    if not out or out[n] == 1 then f(n) end
  end
end

-- keep stores what is kept of the tasks that were counted.
local function keep()
  local head, late_head = string.format('%.0f %.0f ', now, now + ttl), string.format('%.0f %.0f@', now, now + ttl)
  local set = {}
  each(function(n)
    set[#set + 1] = name(n)
    set[#set + 1] = (id(n) ~= '' and late_head .. entries[n] .. ' ' or head) .. record(n)
  end)
  redis.call('HSET', KEYS[4], unpack(set))
  redis.call('ZADD', KEYS[5], goes, ARGV[4])
  redis.call('ZADD', KEYS[6], goes, 'past/' .. ARGV[4])
end

-- forget leaves nothing by which jobs that started later were found.
local function forget()
  local ids = {}
  each(function(n) if id(n) ~= '' then ids[#ids + 1] = id(n) end end)
  if #ids > 0 then redis.call('HDEL', KEYS[9], unpack(ids)) end
end

-- tell says to those who wait that a job has ended.
local function tell(n)
  if redis.call('HDEL', KEYS[2], name(n)) == 0 then return end
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', EVENTS, '*', 'e', 'Complete', 'j', name(n), 'u', name(n), 'k', ARGV[5],
    'r', 'CompletionsReached', 'o', record(n))
end

if ended > 0 then
  if step == 3 then forget() end
  if ttl > 0 then keep() end
  if redis.call('EXISTS', KEYS[2]) == 1 then each(tell) end
  tally(KEYS[7], now, { ended, 0, 0, 0, tonumber(ARGV[6]), tonumber(ARGV[7]) })
end
return string.format('%.0f ', now) .. (out and table.concat(out) or string.rep('1', ended))
