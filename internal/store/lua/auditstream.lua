-- auditstream tells which entries of a ready stream no job knows of. It
-- changes nothing.
-- KEYS[1] ready  KEYS[2] late  KEYS[3..] per entry: job, tasks, ends
-- ARGV per entry: entry, uid, slot, '' for a plain one, id of a plain one that started later, or ''
-- returns the entries
local out = {}
for i = 1, #ARGV / 4 do
  local entry, uid, slot = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1]
  local job, tasks, ends = KEYS[3 * i], KEYS[3 * i + 1], KEYS[3 * i + 2]
  if #redis.call('XRANGE', KEYS[1], entry, entry) == 1 then
    local has = redis.call('HGET', job, 'uid')
    local id = ARGV[4 * i]
    local known = slot == '' and not has and (id == '' or redis.call('HGET', KEYS[2], id) == '@' .. entry)
    if has == uid and not known then
      local task = redis.call('HGET', tasks, slot == '' and '0' or slot)
      known = task and string.match(task, '^%S+') == entry or redis.call('HEXISTS', ends, entry) == 1
    end
    if not known then out[#out + 1] = entry end
  end
end
return out
