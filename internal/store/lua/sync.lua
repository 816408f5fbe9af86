-- sync looks at a job once and starts, stops, decides and arms what follows.
-- It is the rules of internal/rules in Lua; tests hold the two equal.

local function fated(J, phase, reason, now)
  J.phase, J.reason, J.fateAt, J.fated, J.held = phase, reason, now, true, 0
end

local function success_rule(J)
  for i, rule in ipairs(J.success) do
    local have = rule.kind == 'c' and J.succeeded or J.hits[i]
    if rule.need > 0 and have >= rule.need then return i end
  end
end

local function decide(J, now, fate)
  local r, rule = J.rules, success_rule(J)
  if fate == 'PodFailurePolicy' then fated(J, 'FailureTarget', fate, now)
  elseif J.failed > r.backoffLimit then fated(J, 'FailureTarget', 'BackoffLimitExceeded', now)
  elseif fate then fated(J, 'FailureTarget', fate, now)
  elseif r.deadline >= 0 and r.suspend == 0 and J.startedAt > 0 and now - J.startedAt >= r.deadline then
    fated(J, 'FailureTarget', 'DeadlineExceeded', now)
  elseif r.maxFailed >= 0 and J.bad > r.maxFailed then fated(J, 'FailureTarget', 'MaxFailedIndexesExceeded', now)
  elseif J.bad > 0 and J.bad + J.succeeded >= r.completions then fated(J, 'FailureTarget', 'FailedIndexes', now)
  elseif rule then
    fated(J, 'SuccessCriteriaMet', 'SuccessPolicy', now)
    J.message = 'Matched rules at index ' .. (rule - 1)
  end
end

local function finish(K, J, now)
  J.endedAt = now
  local complete = J.phase == 'SuccessCriteriaMet'
  J.phase, J.fated = complete and 'Complete' or 'Failed', true
  local extra = {}
  if redis.call('HDEL', K.waits, J.name) == 1 and J.rules.ttl == 0 then
    extra = { 'o', redis.call('HGET', K.data, 'r:0') or '' }
  end
  emit(K, J, J.phase, unpack(extra))
  if J.owner ~= '' then
    redis.call('ZADD', K.timers, now, 'cron/' .. J.owner)
    redis.call('XADD', K.ctl, 'MAXLEN', '~', ORDERS, '*', 't', now)
  end
  redis.call('UNLINK', K.wait, K.tasks, K.ends)
  delist(K, J)
end

local function resume(K, J, now)
  if J.rules.suspend == 1 or now < J.rules.startAt then return end
  if J.suspended == 1 then
    J.suspended, J.suspendedAt, J.startedAt = 0, now, now
    emit(K, J, 'Resumed')
    tell(J, 'Resumed', 1)
  end
  if J.startedAt == 0 then J.startedAt = now end
end

local function check_complete(J, now)
  if J.active > 0 or J.more then return end
  local n = J.rules.completions
  if (n < 0 and J.succeeded > 0) or (n >= 0 and J.succeeded >= n) then
    fated(J, 'SuccessCriteriaMet', 'CompletionsReached', now)
  end
end

local function suspend(K, J, now)
  if J.rules.suspend == 1 and J.suspended == 0 and not J.more then
    J.suspended, J.suspendedAt, J.startedAt = 1, now, 0
    emit(K, J, 'Suspended')
    tell(J, 'Suspended', 1)
  end
end

-- due says when the job must be looked at again, 0 for never.
local function due(K, J, now)
  if J.more then return now end
  local r, at = J.rules, 0
  local function by(t) if t and t > now and (at == 0 or t < at) then at = t end end
  if J.phase == 'Complete' or J.phase == 'Failed' then
    if r.ttl >= 0 then by(math.max(J.endedAt + r.ttl, now + 1)) end
  elseif J.phase == '' and r.suspend == 0 then
    by(r.startAt)
    by(J.lacks)
    if r.deadline >= 0 and J.startedAt > 0 then by(J.startedAt + r.deadline) end
    if r.jobScope == 1 and r.perIndex < 0 then by(J.retryAt) end
    by(J.soonest)
    if J.waiting == 1 and not in_place(J) then
      by(tonumber(redis.call('ZRANGEBYSCORE', K.wait, '(' .. READY, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]))
    end
  end
  return at
end

local function expire(K, J, now)
  if J.rules.ttl >= 0 and now >= J.endedAt + J.rules.ttl then erase(K, J) end
end

-- sync looks at the job once, saves it and arms its timer. fate is a reason
-- to fail it at once.
local function sync(K, J, now, fate)
  J.now = now
  if J.phase == 'Complete' or J.phase == 'Failed' then
    expire(K, J, now)
  else
    resume(K, J, now)
    if J.phase == '' then decide(J, now, fate) end
    if J.phase == '' then manage(K, J, now); check_complete(J, now) end
    if J.phase == '' then
      suspend(K, J, now)
    else
      local cause = 'failed'
      if J.phase == 'SuccessCriteriaMet' then cause = 'complete'
      elseif J.reason == 'DeadlineExceeded' then cause = 'deadline' end
      stop_all(K, J, cause)
      if J.ending == 0 and J.active == 0 then
        finish(K, J, now)
        expire(K, J, now)
      elseif J.fated then
        emit(K, J, J.phase)
      end
    end
  end
  if J.erased then return end
  arm(K, J, due(K, J, now), now)
  save(K, J)
end

-- apart keeps the trouble of one job from the others of a call, which answers
-- with it in the end.
local trouble = {} -- a table, since miniredis loses what is set to a variable after an error
local function apart(f, ...)
  local ok, err = pcall(f, ...)
  if ok then return end
  trouble[1] = trouble[1] or type(err) == 'table' and err or redis.error_reply('ERR stint: ' .. tostring(err))
end

-- purge ends the tasks of a job that is being deleted, and then the job.
local function purge(K, J, now)
  redis.call('HDEL', K.tasks, '') -- a script that begins with it may write when memory is out: deletion makes room
  J.deleting = 1
  local gone = {}
  for _, t in ipairs(some(K, budget)) do
    gone[#gone + 1] = t[2]
    redis.call('HDEL', K.tasks, t[1])
    J.active = J.active - 1
  end
  budget = budget - #gone
  local ends = redis.call('HSCAN', K.ends, '0', 'COUNT', LIMIT)[2]
  for i = 1, math.min(#ends, 2 * LIMIT), 2 do
    gone[#gone + 1] = ends[i]
    redis.call('HDEL', K.ends, ends[i])
    J.ending = J.ending - 1
  end
  if #gone > 0 then
    redis.call('XACK', K.ready, 'w', unpack(gone))
    redis.call('XDEL', K.ready, unpack(gone))
  end
  order(K, J)
  if redis.call('EXISTS', K.tasks, K.ends) == 0 then
    if J.phase ~= 'Complete' and J.phase ~= 'Failed' then delist(K, J) end
    J.reason = ''
    emit(K, J, 'Deleted')
    return erase(K, J)
  end
  arm(K, J, now, now)
  save(K, J)
end

-- cut forgets what lies beyond the completions of an elastic job that shrank.
local function cut(K, J)
  local n = J.rules.completions
  for _, key in ipairs({ K.done, K.bad }) do
    if redis.call('STRLEN', key) > math.floor(n / 8) then
      local keep = n == 0 and '' or redis.call('GETRANGE', key, 0, math.floor((n - 1) / 8))
      redis.call('SET', key, keep)
      for bit = n, n + (8 - n % 8) % 8 - 1 do redis.call('SETBIT', key, bit, 0) end
    end
  end
  J.succeeded, J.bad = redis.call('BITCOUNT', K.done), redis.call('BITCOUNT', K.bad)
  J.shrunk = math.max(J.shrunk, J.next)
  J.next = math.min(J.next, n)
  unwait(K, J, redis.call('ZRANGEBYSCORE', K.wait, n, READY, 'LIMIT', 0, LIMIT))
  J.holes = 1 -- what is left, and what waits for its time, goes when its turn has come
end

local spoilt_queue = spoilt('ZCARD', KEYS[1], 'ZCARD', KEYS[2], 'XLEN', KEYS[3], 'XLEN', KEYS[4], 'HLEN', KEYS[5])
if spoilt_queue then return spoilt_queue end
