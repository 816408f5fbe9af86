-- renew is a worker's sign of life.
-- KEYS[1] beats  hash    worker -> beat and lease
-- KEYS[2] worker hash    what the worker says of itself
-- ARGV[1] worker  ARGV[2] beat  ARGV[3] lease in ms  ARGV[4] what it says
-- returns 'OK'
redis.call('HDEL', KEYS[1], '') -- a script that begins with it may write when memory is out
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
redis.call('HSET', KEYS[2], 'info', ARGV[4])
redis.call('PEXPIRE', KEYS[2], 86400000)
return 'OK'
