-- cron stores a cron job's record if nobody changed it since it was read, and
-- submits the job of a scheduled time in the same step.
-- KEYS[1..5] queue  KEYS[6] cron hash  KEYS[7] kinds  KEYS[8..9] ready, bell  KEYS[10..16] the new job, if any; with requests lanes, bell:~
-- ARGV[1] now  ARGV[2] cron job  ARGV[3] version read, '' for none  ARGV[4] new version, '' to remove
-- ARGV[5] record  ARGV[6] when to look again, 0 for never
-- ARGV[7..] the job: lane, name, uid, rules, success, spec, args, labels
-- returns 'OK' | 'CONFLICT' | 'TAKEN' a job of another has that name | 'FULL' there are too many lanes: nothing is stored
local now, long = clock(ARGV[1]), oversized('cron', 7, #ARGV)
if not long and #ARGV[5] > 3 * LONGEST then long = too_long('cron', #ARGV[5], 3 * LONGEST) end -- spec, args, status
if long then return long end
local old = redis.call('HGET', KEYS[6], ARGV[2])
local version = old and string.match(old, '^%S+') or ''
if version == ARGV[4] and version ~= '' then return 'OK' end
if version ~= ARGV[3] then return 'CONFLICT' end

local member, answer = 'cron/' .. ARGV[2], 'OK'
if #KEYS > 9 then
  local K = keys(10, 8)
  if redis.call('EXISTS', K.job) == 1 then
    if redis.call('HGET', K.job, 'owner') ~= ARGV[2] then answer = 'TAKEN' end
  else
    local _, requests = split(ARGV[7])
    if requests ~= '' and no_room(ARGV[7]) then return 'FULL' end
    local J = create(K, now, { lane = ARGV[7], name = ARGV[8], uid = ARGV[9], rules = ARGV[10], success = ARGV[11],
      spec = ARGV[12], args = ARGV[13], labels = ARGV[14], owner = ARGV[2] })
    redis.call('SADD', KEYS[7], J.kind)
    emit(K, J, 'Submitted')
    sync(K, J, now)
  end
end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[6], ARGV[2])
else
  redis.call('HSET', KEYS[6], ARGV[2], ARGV[4] .. ' ' .. ARGV[5])
end
local look = redis.call('ZSCORE', KEYS[1], member)
if look and tonumber(look) <= now and ARGV[4] ~= '' then
  -- Whoever looks has moved the timer on, so somebody has set it since, such as the end of a run that was read as active.
elseif ARGV[6] == '0' then
  redis.call('ZREM', KEYS[1], member)
else
  redis.call('ZADD', KEYS[1], ARGV[6], member)
  if redis.call('ZRANGE', KEYS[1], 0, 0)[1] == member then
    redis.call('XADD', KEYS[4], 'MAXLEN', '~', ORDERS, '*', 't', ARGV[6])
  end
end
return answer
