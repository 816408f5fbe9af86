-- lacking lists jobs that lack an object which has changed; when there are none
-- any more the timer is done.
-- KEYS[1] timers  KEYS[2] lacks
-- ARGV[1] the object's id  ARGV[2] at most so many
-- returns lines of name and lane
local all = redis.call('ZRANGE', KEYS[2], 0, tonumber(ARGV[2]) - 1)
if #all == 0 then redis.call('ZREM', KEYS[1], 'lack/' .. ARGV[1]) end
return table.concat(all, '\n')
