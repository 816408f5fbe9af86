-- delete removes a job: its tasks are ended, some in each call, and then
-- its keys go. Until then its timer goes on with it.
-- KEYS[1..5] queue  KEYS[6..12] job  KEYS[13..14] ready, bell  KEYS[15] steer: nothing
-- ARGV[1] now  ARGV[2] uid, '' for any
-- returns 'GONE' | 'MORE' | 'OK'
local K = keys(6, 13)
local J = load(K, ARGV[2])
if not J then return 'GONE' end
J.armed = -1
purge(K, J, clock(ARGV[1]))
return J.erased and 'OK' or 'MORE'
