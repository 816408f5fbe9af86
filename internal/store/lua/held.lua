-- held lists tasks in the hands of workers, without their args.
-- KEYS[1..] ready streams
-- ARGV[1] most tasks in all  ARGV[2] the one worker to look at, or ''
-- returns per task: stream no., entry, worker, and the first 600 bytes of the header: more than any but a plain job's spec has
local out, left = {}, tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  if left <= 0 then break end
  local p
  if ARGV[2] == '' then p = redis.pcall('XPENDING', key, 'w', '-', '+', left)
  else p = redis.pcall('XPENDING', key, 'w', '-', '+', left, ARGV[2]) end
  if not p.err then
    for _, e in ipairs(p) do
      local m = redis.call('XRANGE', key, e[1], e[1])[1]
      if m and m[2] then
        out[#out + 1] = { i, e[1], e[2], string.sub(m[2][2], 1, 600) }
        left = left - 1
      end
    end
  end
end
return out
