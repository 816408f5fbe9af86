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

local entries, ids, names = {}, {}, {}
for i = 9, #ARGV, step do
  local n = #entries + 1
  entries[n] = ARGV[i]
  ids[n] = step == 3 and ARGV[i + 2] ~= '' and ARGV[i + 2] or nil
  names[n] = ARGV[5] .. '-' .. (ids[n] or ARGV[i])
  local bytes = step > 1 and #ARGV[i + 1] or 0 -- of spec, args and result
  if bytes > 3 * LONGEST then return too_long('finish', bytes, 3 * LONGEST) end
end

local wrong = spoilt('HLEN', KEYS[2], 'XLEN', KEYS[3], 'ZCARD', KEYS[8])
wrong = wrong or ttl > 0 and spoilt('HLEN', KEYS[4], 'ZCARD', KEYS[5], 'ZCARD', KEYS[6])
if wrong then return wrong end

local recorded, mine = {}, entries
if redis.call('EXISTS', KEYS[8]) == 1 then
  recorded, mine = redis.call('ZMSCORE', KEYS[8], unpack(names)), {}
  for n, entry in ipairs(entries) do
    if not recorded[n] then mine[#mine + 1] = entry end
  end
end
local taken = take(KEYS[1], mine)

local head, late_head = string.format('%.0f %.0f ', now, now + ttl), string.format('%.0f %.0f@', now, now + ttl)
local awaited = redis.call('EXISTS', KEYS[2]) == 1
local out, keep, late, ended, at = {}, {}, {}, 0, 0
for n, name in ipairs(names) do
  local record, counted = step > 1 and ARGV[10 + step * (n - 1)] or '', false
  if recorded[n] then
    out[n] = 2
  else
    at = at + 1
    counted = taken[at]
    out[n] = counted and 1 or 0
    ended = ended + out[n]
  end
  if counted and ids[n] then late[#late + 1] = ids[n] end
  if counted and ttl > 0 then
    keep[#keep + 1] = name
    keep[#keep + 1] = (ids[n] and late_head .. entries[n] .. ' ' or head) .. record
  end
  if counted and awaited and redis.call('HDEL', KEYS[2], name) == 1 then
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', EVENTS, '*', 'e', 'Complete', 'j', name, 'u', name, 'k', ARGV[5],
      'r', 'CompletionsReached', 'o', record)
  end
end
if #late > 0 then redis.call('HDEL', KEYS[9], unpack(late)) end
if #keep > 0 then
  redis.call('HSET', KEYS[4], unpack(keep))
  redis.call('ZADD', KEYS[5], goes, ARGV[4])
  redis.call('ZADD', KEYS[6], goes, 'past/' .. ARGV[4])
end
if ended > 0 then tally(KEYS[7], now, { ended, 0, 0, 0, tonumber(ARGV[6]), tonumber(ARGV[7]) }) end
return string.format('%.0f ', now) .. table.concat(out)
