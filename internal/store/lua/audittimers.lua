-- audittimers looks at timers, and at what must have one. It changes nothing.
-- KEYS[1] timers  KEYS[2] pasts  KEYS[3] cron  KEYS[4..] the records of the jobs named
-- ARGV[1] cursor in cron, '' when through  ARGV[2] size of a page  ARGV[3..] names of timers of jobs
-- returns the cursor, and rows of: 'j' timer of no job, name; 'p' past without a timer, name;
-- 'c' cron job, name, record, its timer or ''
local out = { '' }
for i = 3, #ARGV do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 and redis.call('ZSCORE', KEYS[1], ARGV[i]) then out[#out + 1] = { 'j', ARGV[i] } end
end
if ARGV[1] == '' then return out end
if ARGV[1] == '0' then
  for _, b in ipairs(redis.call('ZRANGE', KEYS[2], 0, 500)) do
    if not redis.call('ZSCORE', KEYS[1], 'past/' .. b) then out[#out + 1] = { 'p', b } end
  end
end
local page = redis.call('HSCAN', KEYS[3], ARGV[1], 'COUNT', ARGV[2])
out[1] = page[1] == '0' and '' or page[1]
for i = 1, #page[2], 2 do
  out[#out + 1] = { 'c', page[2][i], page[2][i + 1], redis.call('ZSCORE', KEYS[1], 'cron/' .. page[2][i]) or '' }
end
return out
