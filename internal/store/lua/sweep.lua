-- sweep tells the janitor who works here: beats, and who holds tasks.
-- KEYS[1] beats  KEYS[2] kinds  KEYS[3] lanes  KEYS[4..] ready streams of the lanes known so far
-- returns 'K <lane>', 'B <worker> <beat> <lease>' and 'H <stream no.> <worker> <tasks>' lines
local out = {}
for _, kind in ipairs(redis.call('SMEMBERS', KEYS[2])) do out[#out + 1] = 'K ' .. kind end
local lanes = redis.call('HGETALL', KEYS[3])
for i = 1, #lanes, 2 do
  if lanes[i] ~= '' then out[#out + 1] = 'K ' .. lanes[i] end
end
local beats = redis.call('HGETALL', KEYS[1])
for i = 1, #beats, 2 do out[#out + 1] = 'B ' .. beats[i] .. ' ' .. beats[i + 1] end
for i = 4, #KEYS do
  local p = redis.pcall('XPENDING', KEYS[i], 'w')
  if not p.err and p[4] then
    for _, c in ipairs(p[4]) do out[#out + 1] = 'H ' .. (i - 3) .. ' ' .. c[1] .. ' ' .. c[2] end
  end
end
return out
