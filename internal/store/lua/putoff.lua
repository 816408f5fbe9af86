-- What the submission and the failure of plain jobs share, with prelude: those
-- that start later, or again, wait beside their streams, until ripen starts them.

-- put_off begins with jobs that start later and differ in their args alone: the
-- header is the number of the call, their start, less than 0 from now on, and
-- what stands in their entries. at is where their kind's keys are. Where their
-- start has passed it answers nil and the header that they have then.
local late = {}
local function put_off(at, kind, header, now)
  local number, start, rest = string.match(header, '^(%d+) (%-?%d+) (.*)$')
  local due = tonumber(start)
  if due < 0 then due = now - due end
  if due <= now then return nil, rest end
  local l = late[at] or { kind = kind, first = due, jobs = {}, dues = {} }
  late[at] = l
  l.first = math.min(l.first, due)
  l.due, l.id, l.head = string.format('%.0f', due), string.format('%.0f-', now) .. number, #rest .. ' ' .. rest
  return l
end

-- put_one adds the n-th job of the call and answers its id.
local function put_one(l, n, args)
  local id, at = l.id .. string.format('%03d', n), #l.jobs
  l.jobs[at + 1], l.jobs[at + 2] = id, l.head .. args
  l.dues[at + 1], l.dues[at + 2] = l.due, id
  return id
end

-- rearm sets the timer of a kind, unless it is due before.
local function rearm(timers, ctl, timer, first, now)
  local armed = redis.call('ZSCORE', timers, timer)
  if armed and tonumber(armed) <= first then return end
  redis.call('ZADD', timers, string.format('%.0f', first), timer)
  announce(timers, ctl, timer, first, now)
end

-- hold keeps what has been put off, and arms the timers of these kinds.
-- Versions that know nothing of such jobs are kept out by the layout.
local function hold(timers, ctl, layout, now)
  for at, l in pairs(late) do
    redis.call('HSET', KEYS[at], unpack(l.jobs))
    if #l.dues > 0 then
      redis.call('ZADD', KEYS[at + 1], unpack(l.dues))
      rearm(timers, ctl, 'late/' .. l.kind, l.first, now)
    end
  end
  if next(late) and tonumber(redis.call('GET', layout) or 0) < 2 then redis.call('SET', layout, 2) end
end

