-- enqueue stores plain jobs, each as its stream entry alone. A repeated call
-- answers as the first did. It is apart from submit, since the records that
-- submit makes need ten times as much code, which Redis runs in every call. So
-- it also says itself what prelude.lua has functions for: those are made in every
-- call too, and would be a tenth of what a job costs that comes by itself.
-- KEYS[1] sub  string  the submitting client's last operation and its answer
-- KEYS[2] kinds  set  kinds that the queue has seen
-- KEYS[3..] per kind: ready (stream), bell (list)
-- ARGV[1] operation  ARGV[2] number of kinds, ARGV[3..] their names
-- then per run of jobs that differ in their args alone: kind no., header, how many, args of each
-- returns one line per job: its entry, or 'SPOILT' the stream of its kind holds something else
local op, nkinds = ARGV[1], tonumber(ARGV[2])
local number, at = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) ()') -- as repeated
if number == op then return string.sub(redis.call('GET', KEYS[1]), at) end
if number and tonumber(number) > tonumber(op) then return redis.error_reply('ERR stint: operation ' .. op .. ' came after ' .. number) end
for i = 3 + nkinds, #ARGV do -- as oversized
  if #ARGV[i] > 300 * 1024 then return redis.error_reply('ERR stint: submit: ' .. #ARGV[i] .. ' bytes are more than 307200') end
end
redis.call('SADD', KEYS[2], unpack(ARGV, 3, 2 + nkinds)) -- first: where the key is spoilt nothing is stored

local out, bad, at_run = {}, {}, 3 + nkinds
for kind = 1, nkinds do bad[kind] = type(redis.pcall('XLEN', KEYS[1 + 2 * kind])) == 'table' end -- as spoilt
while at_run < #ARGV do
  local kind, header, last = tonumber(ARGV[at_run]), ARGV[at_run + 1], at_run + 2 + ARGV[at_run + 2]
  local ready = KEYS[1 + 2 * kind]
  for i = at_run + 3, last do
    out[#out + 1] = bad[kind] and 'SPOILT' or redis.call('XADD', ready, '*', 't', header, 'a', ARGV[i])
  end
  at_run = last + 1
end
for kind = 1, nkinds do -- as ring
  local bell = KEYS[2 + 2 * kind]
  if not bad[kind] and redis.pcall('LLEN', bell) == 0 then redis.call('LPUSH', bell, 1) end
end
local answer = op .. ' ' .. table.concat(out, '\n')
if redis.call('PTTL', KEYS[1]) > 540000 then -- a new expiry costs more than the question
  redis.call('SET', KEYS[1], answer, 'KEEPTTL')
else
  redis.call('SET', KEYS[1], answer, 'PX', 600000)
end
return string.sub(answer, #op + 2)
