-- What every script can use: limits, the clock, streams, bells, timers and
-- statistics. Tests hold the rules of scripts and of internal/rules equal.

local LIMIT = 500          -- items that one call works on
local READY = 2147483647   -- scores of `wait` up to here are slots, above due times
local EVENTS, ORDERS = 10000, 1000
local LOOK = 10000         -- ms after which timers are looked at in any case
local LONGEST = 300 * 1024 -- bytes of any one thing that is kept

-- too_long refuses what a client should have refused, before anything is written.
local function too_long(what, bytes, most)
  return redis.error_reply('ERR stint: ' .. what .. ': ' .. bytes .. ' bytes are more than ' .. (most or LONGEST))
end

-- oversized is too_long of the first of ARGV[from] to ARGV[to] that is.
local function oversized(what, from, to)
  for i = from, to do
    if #ARGV[i] > LONGEST then return too_long(what, #ARGV[i]) end
  end
end

-- spoilt refuses where one of some keys holds something else, each after a
-- command that counts what such a key has. It is asked before the first write,
-- since nothing of a script is taken back.
local function spoilt(...)
  local all = { ... }
  for i = 1, #all, 2 do
    local n = redis.pcall(all[i], all[i + 1])
    if type(n) == 'table' then return redis.error_reply('ERR stint: ' .. all[i + 1] .. ' is spoilt: another type of key') end
  end
end

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- repeated answers an operation that a submitter has sent before as then. One
-- that was under way for so long that the submitter has gone on is refused.
local function repeated(key, op)
  local last = redis.call('GET', key) or ''
  local number, at = string.match(last, '^(%d+) ()')
  if not number then return nil end
  if number == op then return string.sub(last, at) end
  if tonumber(number) > tonumber(op) then return redis.error_reply('ERR stint: operation ' .. op .. ' came after ' .. number) end
end

-- after tells of entries whether they are not older than another. Of two numbers
-- the longer one is greater: to find where they end costs a fifth of matching them.
local function after(other)
  local ms = string.find(other, '-', 1, true)
  local head = string.sub(other, 1, ms)
  return function(entry)
    local at = string.find(entry, '-', 1, true)
    if at ~= ms then return at > ms end
    if #entry == #other or string.sub(entry, 1, ms) ~= head then return entry >= other end
    return #entry > #other
  end
end

-- remove deletes entries that have just been acknowledged. Whatever is older
-- than the first entry in anyone's hands has been handed out and has ended: so
-- these go by the node and not one by one, which costs ten times as much.
local function remove(ready, entries)
  if #entries >= 8 then
    local first = redis.call('XPENDING', ready, 'w', '-', '+', 1)[1]
    first = first and first[1] or entries[#entries]
    local rest, kept = {}, after(first)
    for _, e in ipairs(entries) do
      if kept(e) then rest[#rest + 1] = e end
    end
    if redis.pcall('XTRIM', ready, 'MINID', '=', first) == #entries - #rest then entries = rest end
  end
  if #entries > 0 then redis.call('XDEL', ready, unpack(entries)) end
end

-- take ends entries: it answers which of them nobody had ended before. XACK
-- goes first, for a script that begins with it may write when memory is out.
-- Whoever ends an entry deletes it in the same step; so only entries that are
-- still there count, and each of them once.
local function take(ready, entries)
  local taken = {}
  if #entries == 0 then return taken end
  local all = redis.call('XACK', ready, 'w', unpack(entries)) == #entries
  for i = 1, #entries do
    taken[i] = all or #redis.call('XRANGE', ready, entries[i], entries[i]) == 1
  end
  if all then remove(ready, entries) else redis.call('XDEL', ready, unpack(entries)) end
  return taken, all
end

-- ring wakes one idle worker. Once in a call is enough: who is woken and
-- finds more than it can take wakes the next. A bell that is spoilt is not
-- rung: workers look from time to time in any case.
local rung = {}
local function ring(bell)
  if rung[bell] then return end
  rung[bell] = true
  if redis.pcall('LLEN', bell) == 0 then redis.call('LPUSH', bell, 1) end
end

-- announce tells whoever waits for timers of one that is now the first, and
-- due before they look again anyway. Once in a call is enough for all that is
-- due no earlier.
local told
local function announce(timers, ctl, member, due, now)
  if due - now >= LOOK or told and told <= due then return end
  told = due
  if redis.call('ZRANGE', timers, 0, 0)[1] == member then
    redis.call('XADD', ctl, 'MAXLEN', '~', ORDERS, '*', 't', due)
  end
end

-- tally adds what ended in this minute: of a day, the hash has a field for each
-- minute. n is succeeded, failed, lost, given back, and ms waited and run.
-- Where the key is spoilt only the statistics are lost.
local function tally(key, now, n)
  local minute = math.floor(now / 60000)
  local slot = minute % 1440
  local had = redis.pcall('HGET', key, slot)
  if type(had) == 'table' then return end
  local fresh = true
  if had then
    local i = -1
    for w in string.gmatch(had, '%d+') do
      i = i + 1
      if i == 0 then fresh = w + 0 ~= minute
      elseif not fresh then n[i] = n[i] + w end
    end
  end
  for i = 1, 6 do n[i] = string.format('%.0f', n[i]) end
  redis.call('HSET', key, slot, minute .. ' ' .. table.concat(n, ' '))
  if fresh then redis.call('PEXPIRE', key, 172800000) end
end

