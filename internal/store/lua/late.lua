-- late stores plain jobs as enqueue does, but for those that start later. A
-- repeated call answers as the first did.
-- KEYS[1] sub  string  the submitting client's last operation and its answer
-- KEYS[2] kinds  set  kinds that the queue has seen
-- KEYS[3..] per kind: ready (stream), bell (list); then per kind: late (hash), later (zset); then timers, ctl, layout
-- ARGV[1] now  ARGV[2] operation  ARGV[3] number of kinds, ARGV[4..] their names
-- then per run of jobs that differ in their args alone: kind no., header, how many, args of each; where they start later
-- the kind no. is negative, and the header that of put_off
-- returns one line per job: its entry, or its id where it starts later, or 'SPOILT' a key of its
-- kind holds something else
local now, op, nkinds = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local before = repeated(KEYS[1], op)
if before then return before end
local long = oversized('submit', 4 + nkinds, #ARGV)
if long then return long end

local out, call, at, rings, bad = {}, redis.call, 4 + nkinds, {}, {}
for kind = 1, nkinds do
  local waits = 1 + 2 * (nkinds + kind)
  bad[kind] = spoilt('XLEN', KEYS[1 + 2 * kind])
  bad[-kind] = bad[kind] or spoilt('HLEN', KEYS[waits], 'ZCARD', KEYS[waits + 1])
end
call('SADD', KEYS[2], unpack(ARGV, 4, 3 + nkinds)) -- first: where the key is spoilt nothing is stored
while at < #ARGV do
  local kind, header, last, l = tonumber(ARGV[at]), ARGV[at + 1], at + 2 + ARGV[at + 2], nil
  local wrong = bad[kind]
  if kind < 0 then
    kind = -kind
    if not wrong then l, header = put_off(1 + 2 * (nkinds + kind), ARGV[3 + kind], header, now) end
  end
  if wrong then
    for _ = at + 3, last do out[#out + 1] = 'SPOILT' end
  elseif l then
    for i = at + 3, last do out[#out + 1] = put_one(l, #out, ARGV[i]) end
  else
    local ready = KEYS[1 + 2 * kind]
    for i = at + 3, last do out[#out + 1] = call('XADD', ready, '*', 't', header, 'a', ARGV[i]) end
    rings[kind] = true
  end
  at = last + 1
end
for kind in pairs(rings) do ring(KEYS[2 + 2 * kind]) end
hold(KEYS[#KEYS - 2], KEYS[#KEYS - 1], KEYS[#KEYS], now)
local answer = table.concat(out, '\n')
call('SET', KEYS[1], op .. ' ' .. answer, 'PX', 600000)
return answer
