package rules

import (
	"cmp"
	"maps"
	"slices"
)

// sync is one look at the job; fate is a reason to fail it that the batch of
// ends brought. The order of the steps is the controller's.
func (j *Job) sync(now int64, fate string) {
	if j.Phase.Finished() {
		j.expire(now)
		return
	}
	j.resume(now)
	if j.Phase == Open {
		j.cut()
		j.decide(now, fate)
	}
	if j.Phase == Open {
		j.manage(now)
		j.checkComplete(now)
	}
	if j.Phase == Open {
		j.suspend(now)
		return
	}
	j.stopAll(j.fateCause())
	if len(j.Ending) == 0 {
		j.finish(now)
	}
}

// resume starts the job's clock, again after a suspension.
func (j *Job) resume(now int64) {
	if j.Spec.Suspend || now < j.Spec.StartAt {
		return
	}
	if j.Suspended {
		j.Suspended, j.SuspendedAt = false, now
		j.StartedAt = now
	}
	if j.StartedAt == 0 {
		j.StartedAt = now
	}
}

// suspend keeps the Suspended condition.
func (j *Job) suspend(now int64) {
	if j.Spec.Suspend && !j.Suspended {
		j.Suspended, j.SuspendedAt = true, now
		j.StartedAt = 0
	}
}

// decide looks for a verdict on the job; the first hit wins, and failure
// beats success.
func (j *Job) decide(now int64, fate string) {
	s := &j.Spec
	switch {
	case fate == ReasonPodFailurePolicy:
		j.settleFate(FailureTarget, fate, now)
	case j.Failed > s.BackoffLimit:
		j.settleFate(FailureTarget, ReasonBackoffLimitExceeded, now)
	case fate != "":
		j.settleFate(FailureTarget, fate, now)
	case s.Deadline != Unset && !s.Suspend && j.StartedAt > 0 && now-j.StartedAt >= s.Deadline:
		j.settleFate(FailureTarget, ReasonDeadlineExceeded, now)
	case s.MaxFailed != Unset && j.Bad.Len() > s.MaxFailed:
		j.settleFate(FailureTarget, ReasonMaxFailedIndexesExceeded, now)
	case j.Bad.Len() > 0 && j.Bad.Len()+j.Succeeded >= s.Completions:
		j.settleFate(FailureTarget, ReasonFailedIndexes, now)
	case j.successRule() >= 0:
		j.settleFate(SuccessCriteriaMet, ReasonSuccessPolicy, now)
	}
}

// successRule is the first rule of the success policy that holds, or -1.
func (j *Job) successRule() int {
	if j.Succeeded == 0 {
		return -1
	}
	return slices.IndexFunc(j.Spec.Success, func(r SuccessRule) bool {
		if r.Indexes == nil {
			return j.Succeeded >= r.Count
		}
		need := r.Count
		if need == Unset {
			need = r.Indexes.Len()
		}
		return need > 0 && r.Indexes.Intersect(j.Done).Len() >= need
	})
}

func (j *Job) settleFate(p Phase, reason string, now int64) {
	j.Phase, j.Reason, j.FateAt, j.held = p, reason, now, 0
}

func (j *Job) fateCause() Cause {
	switch {
	case j.Phase == SuccessCriteriaMet:
		return StopJobComplete
	case j.Reason == ReasonDeadlineExceeded:
		return StopDeadline
	default:
		return StopJobFailed
	}
}

// manage starts and stops attempts until as many are active as should be.
func (j *Job) manage(now int64) {
	if j.Spec.Suspend {
		j.stopAll(StopSuspended)
		return
	}
	j.stopBeyond()
	want := j.want()
	j.stopSurplus(len(j.Active) - want)
	missing := want - len(j.Active)
	if j.Spec.ReplaceFailed {
		missing -= len(j.Ending)
	}
	if missing > 0 && now >= j.Spec.StartAt && now >= j.LacksTill && !j.heldBack(now) {
		for _, slot := range j.startable(missing, now) {
			j.start(slot, now)
		}
	}
}

// want is how many attempts should be active.
func (j *Job) want() int {
	s := &j.Spec
	switch {
	case s.Completions != Unset:
		return max(0, min(s.Parallelism, s.Completions-j.Succeeded))
	case j.Succeeded > 0:
		return len(j.Active) // a work queue that has begun to run dry
	default:
		return s.Parallelism
	}
}

// heldBack tells whether the job-wide delay runs.
func (j *Job) heldBack(now int64) bool {
	return j.Spec.Backoff.JobScope && j.Spec.PerIndex == Unset && j.RetryAt > now
}

// startable picks up to n slots to start, lowest first. In Kubernetes's own
// per-index mode the lowest pending indexes are picked first and those still
// in their delay dropped then: they occupy their place.
func (j *Job) startable(n int, now int64) []int {
	inPlace := j.inPlace()
	var picked []int
	for _, slot := range slices.Sorted(maps.Keys(j.Waiting)) {
		if n == 0 {
			break
		}
		due := j.Waiting[slot].Due <= now
		if due {
			picked = append(picked, slot)
		}
		if due || inPlace {
			n--
		}
	}
	for slot := j.Next; n > 0 && (j.Spec.Completions == Unset || slot < j.Spec.Completions); slot++ {
		picked = append(picked, slot)
		n--
	}
	return picked
}

func (j *Job) start(slot int, now int64) {
	u := j.Waiting[slot]
	delete(j.Waiting, slot)
	if u.held {
		u.held = false
		j.held--
	}
	j.Next = max(j.Next, slot+1)
	u.Attempts++
	u.Due = 0
	j.lastID++
	j.Active[slot] = &Attempt{ID: j.lastID, Slot: slot, Unit: u, CreatedAt: now}
}

// cut forgets what lies beyond the completions of an elastic job.
func (j *Job) cut() {
	n := j.Spec.Completions
	if n == Unset {
		return
	}
	j.Next = min(j.Next, n)
	j.Done.Truncate(n)
	j.Bad.Truncate(n)
	j.Succeeded = min(j.Succeeded, j.Done.Len())
	for slot, u := range j.Waiting {
		if !j.beyond(slot) {
			continue
		}
		delete(j.Waiting, slot)
		if u.held { // a failure that was never shown is none
			j.held--
			j.Failed--
		}
	}
}

// stopBeyond stops the attempts at slots that an elastic job has no more.
func (j *Job) stopBeyond() {
	for _, slot := range slices.Sorted(maps.Keys(j.Active)) {
		if j.beyond(slot) {
			j.stop(j.Active[slot], StopScaledDown)
		}
	}
}

// stopSurplus stops the n least advanced attempts: those that no worker has
// before running ones, the later started before the earlier, the younger
// before the older, and of equals the lowest slot.
func (j *Job) stopSurplus(n int) {
	if n <= 0 {
		return
	}
	all := slices.Collect(maps.Values(j.Active))
	slices.SortFunc(all, func(a, b *Attempt) int {
		return cmp.Or(
			boolInt(a.Running)-boolInt(b.Running),
			cmp.Compare(b.StartedAt, a.StartedAt),
			cmp.Compare(b.CreatedAt, a.CreatedAt),
			cmp.Compare(a.Slot, b.Slot),
		)
	})
	for _, a := range all[:n] {
		j.stop(a, StopScaledDown)
	}
}

func (j *Job) stopAll(c Cause) {
	for _, slot := range slices.Sorted(maps.Keys(j.Active)) {
		j.stop(j.Active[slot], c)
	}
}

// stop withdraws an attempt, or tells its worker to end it.
func (j *Job) stop(a *Attempt, c Cause) {
	delete(j.Active, a.Slot)
	a.Stop = c
	if (c == StopJobFailed || c == StopDeadline) && !j.beyond(a.Slot) {
		j.Failed++ // as Kubernetes counts the killed siblings
	}
	if a.Running {
		j.Ending[a.ID] = a
	}
	a.Unit.Failures, a.Unit.Ignored = 0, 0 // as in Kubernetes, where they are kept with the pod
	if !a.Running || !j.Spec.ReplaceFailed {
		a.Unit.Attempts -= boolInt(!a.Running)
		j.again(a, 0)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// checkComplete ends the job when enough attempts have succeeded.
func (j *Job) checkComplete(now int64) {
	if len(j.Active) > 0 {
		return
	}
	n := j.Spec.Completions
	if n == Unset && j.Succeeded > 0 || n != Unset && j.Succeeded >= n {
		j.settleFate(SuccessCriteriaMet, ReasonCompletionsReached, now)
	}
}

func (j *Job) finish(now int64) {
	j.EndedAt = now
	j.Phase = JobIsFailed
	if j.Reason == ReasonSuccessPolicy || j.Reason == ReasonCompletionsReached {
		j.Phase = JobIsComplete
	}
	j.expire(now)
}

// expire removes the job when its time to live has passed.
func (j *Job) expire(now int64) {
	if j.Spec.TTL != Unset && now >= j.EndedAt+j.Spec.TTL {
		j.Deleted = true
	}
}

// Due says when the job must be looked at again; 0 for never.
func (j *Job) Due(now int64) int64 {
	var due int64
	at := func(t int64) {
		if t > now && (due == 0 || t < due) {
			due = t
		}
	}
	s := &j.Spec
	switch {
	case j.Deleted || j.Phase != Open && !j.Phase.Finished():
	case j.Phase.Finished():
		if s.TTL != Unset {
			at(j.EndedAt + s.TTL)
		}
	case !s.Suspend:
		at(s.StartAt)
		at(j.LacksTill)
		if s.Deadline != Unset && j.StartedAt > 0 {
			at(j.StartedAt + s.Deadline)
		}
		if s.Backoff.JobScope && s.PerIndex == Unset {
			at(j.RetryAt)
		}
		for _, u := range j.Waiting {
			at(u.Due)
		}
	}
	return due
}
