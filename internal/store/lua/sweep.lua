-- sweep tells the janitor who works here: beats, and who holds tasks.
-- KEYS[1] beats  KEYS[2] kinds  KEYS[3..] ready streams of the kinds known so far
-- returns 'K <kind>', 'B <worker> <beat> <lease>' and 'H <stream no.> <worker> <tasks>' lines
local out = {}
for _, kind in ipairs(redis.call('SMEMBERS', KEYS[2])) do out[#out + 1] = 'K ' .. kind end
local beats = redis.call('HGETALL', KEYS[1])
for i = 1, #beats, 2 do out[#out + 1] = 'B ' .. beats[i] .. ' ' .. beats[i + 1] end
for i = 3, #KEYS do
  local p = redis.pcall('XPENDING', KEYS[i], 'w')
  if not p.err and p[4] then
    for _, c in ipairs(p[4]) do out[#out + 1] = 'H ' .. (i - 2) .. ' ' .. c[1] .. ' ' .. c[2] end
  end
end
return out
