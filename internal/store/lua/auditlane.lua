-- auditlane looks at who holds tasks of one lane. It changes nothing.
-- KEYS[1] ready  KEYS[2] bell  KEYS[3] beats
-- ARGV[1] entry to begin with  ARGV[2] size of a page  ARGV[3..] consumers, with the first page
-- returns the last entry seen or '', and lines 'P <entry>' held but gone, 'C <consumer>' of no worker, 'B <tokens>' too many
local out, last = {}, ''
if ARGV[1] == '-' then
  local rings = redis.call('LLEN', KEYS[2])
  if rings > 1 then out[#out + 1] = 'B ' .. rings end
end
local held = redis.pcall('XPENDING', KEYS[1], 'w', ARGV[1], '+', ARGV[2])
if held.err then return { last, unpack(out) } end -- no worker has ever come for this kind
for _, p in ipairs(held) do
  last = p[1]
  if #redis.call('XRANGE', KEYS[1], last, last) == 0 then out[#out + 1] = 'P ' .. last end
end
for i = 3, #ARGV do
  local c = ARGV[i]
  local idle = redis.call('HEXISTS', KEYS[3], c) == 0 and #redis.call('XPENDING', KEYS[1], 'w', '-', '+', 1, c) == 0
  if idle then out[#out + 1] = 'C ' .. c end
end
return { last, unpack(out) }
