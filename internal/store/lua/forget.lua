-- forget removes finished plain jobs that have expired together.
-- KEYS[1] timers  KEYS[2] pasts  KEYS[3] past
-- ARGV[1] now  ARGV[2] name of the past
-- returns 'OK' | 'EARLY'
local goes = redis.call('ZSCORE', KEYS[2], ARGV[2])
if goes and tonumber(goes) > clock(ARGV[1]) then
  redis.call('ZADD', KEYS[1], goes, 'past/' .. ARGV[2])
  return 'EARLY'
end
redis.call('UNLINK', KEYS[3])
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[1], 'past/' .. ARGV[2])
return 'OK'
