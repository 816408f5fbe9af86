-- now reads the clock of the node that has the queue.
-- KEYS[1] timers
-- ARGV[1] now
-- returns the time in ms
return string.format('%.0f', clock(ARGV[1]))
