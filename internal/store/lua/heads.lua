-- heads tells which entry of each stream will be handed over next: the first
-- one after those that workers have, since ended ones are deleted.
-- KEYS[1..] ready streams
-- returns per stream an entry, or ''
local out = {}
for i, key in ipairs(KEYS) do
  local from = '-'
  local p = redis.pcall('XPENDING', key, 'w') -- an error where no worker has ever come
  if not p.err and p[3] then from = '(' .. p[3] end
  local first = redis.call('XRANGE', key, from, '+', 'COUNT', 1)[1]
  out[i] = first and first[1] or ''
end
return out
