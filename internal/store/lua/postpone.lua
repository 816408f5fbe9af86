-- postpone ends plain tasks of one kind that failed, and has their jobs wait
-- for the next attempt, or start it at once where there is nothing to wait for.
-- Each goes on with what its attempts came to before its spec. A task that was
-- ended before changes nothing; one whose job has got a record is left to settle.
-- KEYS[1] ready  KEYS[2] bell  KEYS[3] late  KEYS[4] later  KEYS[5] timers  KEYS[6] ctl  KEYS[7] layout  KEYS[8] jobs
-- KEYS[9] stats
-- ARGV[1] now  ARGV[2] kind  ARGV[3] ms that the tasks waited  ARGV[4] ms that they ran
-- then per task: entry, id of its job, ms since its end, ms from there to the next attempt, what stands before the time of
-- its error and after it, args
-- returns '<now> <one digit per task, 1: counted, 2: its job has a record>', or 'OLD' where workers may be there that know
-- of no such jobs
local now, kind, entries = clock(ARGV[1]), ARGV[2], {}
for i = 5, #ARGV, 7 do entries[#entries + 1] = ARGV[i] end
local function of(n) return unpack(ARGV, 7 * n - 1, 7 * n + 4) end -- of the n-th task, all but its entry
local function name(n) return kind .. '-' .. ARGV[7 * n - 1] end

local wrong = oversized('postpone', 5, #ARGV) or spoilt('HLEN', KEYS[3], 'ZCARD', KEYS[4], 'ZCARD', KEYS[5], 'XLEN', KEYS[6], 'ZCARD', KEYS[8])
if wrong then return wrong end
if tonumber(redis.call('GET', KEYS[7]) or 2) < 2 then return 'OLD' end

local out, ended = own(KEYS[1], KEYS[8], entries, name)
local l, stamp = { kind = kind, first = math.huge, jobs = {}, dues = {} }, string.format('%.0f', now)

local function put_off_again(n)
  local id, ago, delay, before, after, args = of(n)
  local header, due, at = before .. stamp .. after, now - ago + delay, #l.jobs
  l.jobs[at + 1] = id
  if due <= now then
    l.jobs[at + 2] = '@' .. redis.call('XADD', KEYS[1], '*', 't', 'L' .. id .. ' ' .. header, 'a', args)
    return ring(KEYS[2])
  end
  l.jobs[at + 2] = #header .. ' ' .. header .. args
  l.dues[#l.dues + 1], l.dues[#l.dues + 2] = string.format('%.0f', due), id
  l.first = math.min(l.first, due)
end

for n = 1, #entries do
  if not out or out[n] == 1 then put_off_again(n) end
end
if ended > 0 then
  late[3] = l
  hold(KEYS[5], KEYS[6], KEYS[7], now)
  tally(KEYS[9], now, { 0, ended, 0, 0, tonumber(ARGV[3]), tonumber(ARGV[4]) })
end
return stamp .. ' ' .. (out and table.concat(out) or string.rep('1', ended))
