-- memory notes of running attempts that their process has more memory than the
-- limits of all that it runs, or no longer.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell
-- ARGV[1] now  ARGV[2] uid  ARGV[3] '+' more, or '-'  then the entries
-- returns 'OK' | 'GONE'
local K = keys(6, 13)
local J = load(K, ARGV[2])
if not J or J.deleting == 1 then return 'GONE' end
J.now = clock(ARGV[1])
local new = 0
for i = 4, #ARGV do
  local runs = #redis.call('XRANGE', K.ready, ARGV[i], ARGV[i]) == 1
  if runs and mark(J, ARGV[i], ARGV[3]) then new = new + 1 end
end
if new > 0 then tell(J, 'MemoryLimitExceeded', new) end
if J.marked then save(K, J) end
return 'OK'
