-- What the ends of plain tasks share, with prelude: tasks that were ended
-- before change nothing, and those whose jobs have got records are left to settle.

-- recorded tells of which tasks the jobs have records; nil for none. name
-- answers the name of the n-th one's job.
local function recorded(jobs, entries, name)
  if redis.call('EXISTS', jobs) == 0 then return nil end
  local names = {}
  for n = 1, #entries do names[n] = name(n) end
  return redis.call('ZMSCORE', jobs, unpack(names))
end

-- own ends tasks. It answers for each 1 counted, 0 not, 2 its job has a
-- record, or nil where all were counted; and how many were.
local function own(ready, jobs, entries, name)
  local left, mine, places = recorded(jobs, entries, name), entries, nil
  if left then
    mine, places = {}, {}
    for n, entry in ipairs(entries) do
      if not left[n] then
        mine[#mine + 1] = entry
        places[#mine] = n
      end
    end
  end
  local taken, all = take(ready, mine)
  if all and not left then return nil, #entries end
  local out, ended = {}, 0
  for n = 1, #entries do out[n] = left and left[n] and 2 or 0 end
  for i, counted in ipairs(taken) do
    if counted then
      out[places and places[i] or i] = 1
      ended = ended + 1
    end
  end
  return out, ended
end

