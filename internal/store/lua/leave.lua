-- leave removes a worker that holds nothing any more.
-- KEYS[1] beats  KEYS[2] worker hash  KEYS[3..] ready streams
-- ARGV[1] worker  ARGV[2] its beat as last seen, '' for the worker itself
-- returns 'OK' | 'HOLDS' | 'ALIVE'
if ARGV[2] ~= '' and (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 'ALIVE' end
for i = 3, #KEYS do
  local held = redis.pcall('XPENDING', KEYS[i], 'w', '-', '+', 1, ARGV[1])
  if not held.err and #held > 0 then return 'HOLDS' end
end
for i = 3, #KEYS do redis.pcall('XGROUP', 'DELCONSUMER', KEYS[i], 'w', ARGV[1]) end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 'OK'
