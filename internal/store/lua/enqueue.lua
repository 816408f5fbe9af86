-- enqueue stores plain jobs, each as its stream entry alone. A repeated call
-- answers as the first did. It is apart from submit, since the records that
-- submit makes need ten times as much code, which Redis runs in every call.
-- KEYS[1] sub  string  the submitting client's last operation and its answer
-- KEYS[2] kinds  set  kinds that the queue has seen
-- KEYS[3..] per kind: ready (stream), bell (list)
-- ARGV[1] operation  ARGV[2] number of kinds, ARGV[3..] their names
-- then per run of jobs that differ in their args alone: kind no., header, how many, args of each
-- returns one line per job: its entry
local op, nkinds = ARGV[1], tonumber(ARGV[2])
local before = repeated(KEYS[1], op)
if before then return before end
local long = oversized('submit', 3 + nkinds, #ARGV)
if long then return long end

local out, call, at = {}, redis.call, 3 + nkinds
while at < #ARGV do
  local ready, header, last = KEYS[1 + 2 * ARGV[at]], ARGV[at + 1], at + 2 + ARGV[at + 2]
  for i = at + 3, last do
    out[#out + 1] = call('XADD', ready, '*', 't', header, 'a', ARGV[i])
  end
  at = last + 1
end
for kind = 1, nkinds do ring(KEYS[2 + 2 * kind]) end
call('SADD', KEYS[2], unpack(ARGV, 3, 2 + nkinds))
local answer = table.concat(out, '\n')
call('SET', KEYS[1], op .. ' ' .. answer, 'PX', 600000)
return answer
