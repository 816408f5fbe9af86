-- auditkeys tells which keys nothing refers to. It changes nothing.
-- KEYS per key: itself, what refers to it
-- ARGV per key: 'E' the other exists, 'Z' it is a zset with the member, 'H' a hash with the field, 'T' it expires; and the member
-- returns the numbers of the keys that nothing refers to
local out = {}
for i = 1, #KEYS / 2 do
  local key, by, how, member = KEYS[2 * i - 1], KEYS[2 * i], ARGV[2 * i - 1], ARGV[2 * i]
  local known = redis.call('EXISTS', key) == 0
  if not known and how == 'E' then known = redis.call('EXISTS', by) == 1
  elseif not known and how == 'Z' then known = redis.call('ZSCORE', by, member)
  elseif not known and how == 'H' then known = redis.call('HEXISTS', by, member) == 1 or redis.call('PTTL', key) > 0
  elseif not known then known = redis.call('PTTL', key) > 0 end
  if not known then out[#out + 1] = i end
end
return out
