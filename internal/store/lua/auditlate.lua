-- auditlate looks at plain jobs of a kind that start later, or have. It
-- changes nothing.
-- KEYS[1] timers  KEYS[2] late  KEYS[3] later  KEYS[4] ready  KEYS[5..] the records that these jobs must not have
-- ARGV[1] now  ARGV[2] kind  ARGV[3..] ids
-- returns lines of what is wrong, and the id: see AuditLate; 'timer' where it is the kind's
local now, out = tonumber(ARGV[1]), {}
local timer = redis.call('ZSCORE', KEYS[1], 'late/' .. ARGV[2])
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
if first and (not timer or tonumber(timer) > math.max(first, now + LOOK)) then out[1] = 'timer' end

local function entry_of(id, entry)
  local e = redis.call('XRANGE', KEYS[4], entry, entry)[1]
  return e and e[2] and string.find(e[2][2], 'L' .. id .. ' ', 1, true) == 1
end

for i = 3, #ARGV do
  local id = ARGV[i]
  local job, waits = redis.call('HGET', KEYS[2], id), redis.call('ZSCORE', KEYS[3], id)
  local entry = job and string.match(job, '^@(%d+%-%d+)$')
  local _, at, length = string.find(job or '', '^(%d+) [PR]')
  local wrong
  if not job then wrong = waits and 'missing'
  elseif redis.call('EXISTS', KEYS[i + 2]) == 1 then wrong = 'recorded'
  elseif entry then wrong = waits and 'twice' or not entry_of(id, entry) and 'lost'
  elseif not at or (tonumber(length) or 1e9) > #job - at + 1 then wrong = 'unreadable'
  else wrong = not waits and 'forgotten' end
  if wrong then out[#out + 1] = wrong .. ' ' .. id end
end
return out
