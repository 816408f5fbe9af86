-- enqueue stores plain jobs, each as its stream entry alone. A repeated call
-- answers as the first did. It is apart from submit, since the records that
-- submit makes need ten times as much code, which Redis runs in every call.
-- KEYS[1] sub  string  the submitting client's last operation and its answer
-- KEYS[2] kinds  set  kinds that the queue has seen
-- KEYS[3..] per kind: ready (stream), bell (list)
-- ARGV[1] operation  ARGV[2] number of kinds, ARGV[3..] their names; then per job: kind no., header, args
-- returns one line per job: 'P <entry>'
local op, nkinds = ARGV[1], tonumber(ARGV[2])
local before = repeated(KEYS[1], op)
if before then return before end

for i = 5 + nkinds, #ARGV, 3 do
  local bytes = math.max(#ARGV[i], #ARGV[i - 1])
  if bytes > LONGEST then return too_long('submit', bytes) end
end

local out = {}
for i = 3 + nkinds, #ARGV, 3 do
  out[#out + 1] = 'P ' .. redis.call('XADD', KEYS[1 + 2 * ARGV[i]], '*', 't', ARGV[i + 1], 'a', ARGV[i + 2])
end
for kind = 1, nkinds do ring(KEYS[2 + 2 * kind]) end
redis.call('SADD', KEYS[2], unpack(ARGV, 3, 2 + nkinds))
local answer = table.concat(out, '\n')
redis.call('SET', KEYS[1], op .. ' ' .. answer, 'PX', 600000)
return answer
