-- read reads jobs with a record, all of each at one moment. It is a script
-- since a MULTI is refused when memory is out, and never repeated by go-redis.
-- KEYS[1..4] job, done, bad, wait; and so on for each further job
-- ARGV[1] where the scores of wait are due times
-- returns per job: its fields and values, done, bad, the first due time in wait; '' for what is not there
local out = {}
for i = 1, #KEYS, 4 do
  out[#out + 1] = {
    redis.call('HGETALL', KEYS[i]), redis.call('GET', KEYS[i + 1]) or '', redis.call('GET', KEYS[i + 2]) or '',
    redis.call('ZRANGEBYSCORE', KEYS[i + 3], ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] or '',
  }
end
return out
