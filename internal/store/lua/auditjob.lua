-- auditjob reads what must agree about a job, at one moment, and a page of its
-- tasks. It changes nothing.
-- KEYS[1] timers  KEYS[2] jobs  KEYS[3..9] job  KEYS[10] ready
-- ARGV[1] name  ARGV[2] cursor in tasks, '' when through  ARGV[3] the same in ends  ARGV[4] size of a page
-- returns uid, name, kind, rules, state, phase, requests, tasks, ends, wait, bits of done, bits of bad, timer, listed, both
-- cursors, and rows of: 't' task or 'e' end or 'w' waiting, slot or entry, value, header of its stream entry or '',
-- '1' where the slot waits, is done, is bad; '' for what is not there
local job, done, bad, tasks, ends, wait = KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local r = redis.call('HMGET', job, 'uid', 'name', 'kind', 'rules', 'state', 'phase', 'requests')
local out = {}
for i = 1, 7 do out[#out + 1] = r[i] or '' end
local function count(n) out[#out + 1] = string.format('%.0f', n) end
count(redis.call('HLEN', tasks))
count(redis.call('HLEN', ends))
count(redis.call('ZCARD', wait))
count(redis.call('BITCOUNT', done))
count(redis.call('BITCOUNT', bad))
out[#out + 1] = redis.call('ZSCORE', KEYS[1], ARGV[1]) or ''
out[#out + 1] = redis.call('ZSCORE', KEYS[2], ARGV[1]) or ''

local rows = {}
local function header(entry)
  local e = redis.call('XRANGE', KEYS[10], entry, entry)[1]
  return e and e[2] and e[2][2] or ''
end
local function bits(slot)
  return redis.call('GETBIT', done, slot) .. redis.call('GETBIT', bad, slot)
end
local function page(key, cursor, each)
  if cursor == '' then return '' end
  local p = redis.call('HSCAN', key, cursor, 'COUNT', ARGV[4])
  for i = 1, #p[2], 2 do each(p[2][i], p[2][i + 1]) end
  return p[1] == '0' and '' or p[1]
end
out[#out + 1] = page(tasks, ARGV[2], function(slot, v)
  local waits = redis.call('ZSCORE', wait, slot) and '1' or '0'
  rows[#rows + 1] = { 't', slot, v, header(string.match(v, '^%S+') or '0-1'), waits .. bits(slot) }
end)
out[#out + 1] = page(ends, ARGV[3], function(entry, v)
  rows[#rows + 1] = { 'e', entry, v, header(entry), '' }
end)
if ARGV[2] == '0' then
  for _, slot in ipairs(redis.call('ZRANGE', wait, 0, tonumber(ARGV[4]) - 1)) do
    rows[#rows + 1] = { 'w', slot, '', '', '1' .. bits(slot) }
  end
end
for _, row in ipairs(rows) do out[#out + 1] = row end
return out
