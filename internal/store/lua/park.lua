-- park has a job start nothing for a while because it lacks a config map or
-- secret, unless that has changed since it was looked at.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] object  KEYS[16] lacks
-- ARGV[1] now  ARGV[2] uid  ARGV[3] the object's id  ARGV[4] its version as seen  ARGV[5] the job's generation as seen
-- ARGV[6] ms at most  ARGV[7] reason
-- returns 'OK' | 'READY' the object or the job has changed | 'GONE'
local now = clock(ARGV[1])
local K = keys(6, 13)
local J = load(K, ARGV[2])
if not J or J.deleting == 1 or J.phase ~= '' then return 'GONE' end
if (redis.call('HGET', KEYS[15], 'v') or '') ~= ARGV[4] or redis.call('HGET', K.job, 'gen') ~= ARGV[5] then return 'READY' end
local member, most = J.name .. ' ' .. lane_of(J), tonumber(ARGV[6])
redis.call('ZADD', KEYS[16], now, member)
redis.call('PEXPIRE', KEYS[16], 600000)
local gone = redis.call('ZRANGEBYSCORE', KEYS[16], '-inf', now - 600000, 'LIMIT', 0, 10)
if #gone > 0 then redis.call('ZREM', KEYS[16], unpack(gone)) end
if J.lacks > now then return 'OK' end
redis.call('HSET', K.job, 'lacks', string.format('%.0f ', now + most) .. ARGV[3] .. ' ' .. ARGV[7])
J.now = now
tell(J, 'FailedMount', 1)
save(K, J)
return 'OK'
