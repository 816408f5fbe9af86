-- object stores or removes a config map or secret if nobody changed it since
-- it was read, tells workers, and has jobs that lack it looked at.
-- KEYS[1] timers  KEYS[2] ctl  KEYS[3] objects  KEYS[4] object  KEYS[5] lacks: jobs that wait for it
-- ARGV[1] now  ARGV[2] id  ARGV[3] operation  ARGV[4] version read, '' for none  ARGV[5] record, '' to remove
-- returns 'OK <version>' | 'CONFLICT' | 'GONE'
local now, id, record = clock(ARGV[1]), ARGV[2], ARGV[5]
local had = redis.call('HMGET', KEYS[4], 'v', 'op')
if had[2] == ARGV[3] then return 'OK ' .. had[1] end
if not had[1] and record == '' then return 'GONE' end
if (had[1] or '') ~= ARGV[4] then return 'CONFLICT' end
if #record > 3 * LONGEST then return too_long('object', #record, 3 * LONGEST) end

if record == '' then
  redis.call('ZREM', KEYS[3], id) -- first, since a script that begins with it may write when memory is out
  redis.call('UNLINK', KEYS[4])
end
local version = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ORDERS, '*', 'c', id)
if record ~= '' then
  redis.call('HSET', KEYS[4], 'v', version, 'op', ARGV[3], 'd', record)
  redis.call('ZADD', KEYS[3], 0, id)
end
if redis.call('EXISTS', KEYS[5]) == 1 then
  redis.call('ZADD', KEYS[1], now, 'lack/' .. id)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ORDERS, '*', 't', string.format('%.0f', now))
end
return 'OK ' .. version
