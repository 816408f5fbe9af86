-- read reads jobs with a record, all of each at one moment. It is a script
-- since a MULTI is refused when memory is out, and never repeated by go-redis.
-- KEYS[1..4] job, done, bad, wait; and so on for each further job
-- ARGV[1] where the scores of wait are due times
-- returns per job: its fields and values, done, bad, the first due time in wait; '' for what is not there;
-- or what is wrong with it, where a key is none of ours
local out = {}
for i = 1, #KEYS, 4 do
  local parts = {
    redis.pcall('HGETALL', KEYS[i]), redis.pcall('GET', KEYS[i + 1]) or '', redis.pcall('GET', KEYS[i + 2]) or '',
    redis.pcall('ZRANGEBYSCORE', KEYS[i + 3], ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, 1),
  }
  local wrong
  for _, p in ipairs(parts) do wrong = wrong or type(p) == 'table' and p.err end
  parts[4] = not wrong and parts[4][2] or ''
  out[#out + 1] = wrong or parts
end
return out
