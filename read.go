package stint

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/seal"
	"github.com/stint-go/stint/internal/store"
)

// Get reads a job: its spec, args and status. It fails with [ErrNotFound].
func (q *Queue) Get(ctx context.Context, name string) (*Job, error) {
	r, err := q.find(ctx, name)
	if err != nil {
		return nil, err
	}
	j, err := q.job(r)
	if err != nil || r.Plain || r.Active == 0 {
		return j, err
	}
	running, err := q.store.Tasks(ctx, name, r.Lane())
	for _, t := range running {
		if t.Worker != "" && j.Status.Ready < j.Status.Active {
			j.Status.Ready++
		}
	}
	return j, err
}

// find reads the record of a job, or what stands for it of a plain one. A
// plain job can get its record while this looks elsewhere for it.
func (q *Queue) find(ctx context.Context, name string) (*store.Record, error) {
	if q.err != nil {
		return nil, q.err
	}
	for range 2 {
		r, err := q.store.Get(ctx, name)
		if !errors.Is(err, store.ErrGone) {
			return r, err
		}
		r, err = q.store.GetPlain(ctx, name)
		if !errors.Is(err, store.ErrGone) {
			return r, err
		}
	}
	return nil, fmt.Errorf("%w: job %.300q in queue %s", ErrNotFound, name, q.name)
}

// job gives a record the form of the API.
func (q *Queue) job(r *store.Record) (*Job, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	j := &Job{
		Name: r.Name, UID: r.UID, Queue: q.name, Kind: r.Kind, Generation: int64(r.Generation), Owner: r.Owner,
		CreatedAt: time.UnixMilli(r.Created), Args: r.Args,
	}
	if len(r.Spec) > 0 {
		if err := json.Unmarshal(r.Spec, &j.Spec); err != nil {
			return nil, fmt.Errorf("%w: job %.300q: spec: %w", ErrUnreadable, r.Name, err)
		}
	}
	var err error
	j.Encrypted = seal.Is(j.Args)
	if j.Args, err = q.openJob(j.Args, q.argsPlace(r.Kind, r.Name)...); err != nil {
		j.Args = nil // the job can be read all the same
		q.log.Warn("args of a job cannot be decrypted", "job", r.Name, "error", err)
	}
	ttl := q.cfg.DefaultTTL
	if r.Plain || r.UID == r.Name {
		ttl = DefaultTTL
	}
	j.Spec = j.Spec.withDefaults(ttl)
	j.Spec.Name = r.Name
	j.Status = status(r, &j.Spec)
	return j, nil
}

func status(r *store.Record, spec *JobSpec) JobStatus {
	s := JobStatus{
		Conditions: conditions(r), StartedAt: at(r.StartedAt),
		Active: r.Active, Terminating: r.Ending, Succeeded: r.Succeeded, Failed: r.Failed,
	}
	s.LastError = lastError(r.Error)
	if r.Running {
		s.Ready = 1
	}
	if r.Phase == rules.JobIsComplete {
		s.CompletedAt = at(r.EndedAt)
	}
	if spec.CompletionMode == Indexed {
		s.CompletedIndexes = r.Done.String()
	}
	if spec.BackoffLimitPerIndex != nil {
		s.FailedIndexes = r.Bad.String()
	}
	if r.Phase == rules.Open {
		s.NextRetryAt = at(r.RetryAt)
	}
	return s
}

// lastError reads the beginning of a JSON string, without its first quote.
func lastError(text string) (out string) {
	const longestEscape = len(`\ud83d\ude00`)
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			text = text[:i]
		}
	}
	for i := range min(longestEscape, len(text)) { // the end may be torn
		if json.Unmarshal([]byte(`"`+text[:len(text)-i]+`"`), &out) == nil {
			break
		}
	}
	return cut(strings.TrimRight(out, "\uFFFD"), maxLastError)
}

// maxLastError bounds JobStatus.LastError, in bytes.
const maxLastError = 200

// at is a time of Redis's clock, in ms; 0 is the zero time.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func conditions(r *store.Record) []Condition {
	var all []Condition
	add := func(t ConditionType, status ConditionStatus, reason string, ms int64) {
		c := Condition{Type: t, Status: status, Reason: reason, TransitionAt: at(ms)}
		c.Message = cmp.Or(messages[reason], reason)
		if r.Message != "" && reason == r.Reason {
			c.Message = r.Message
		}
		all = append(all, c)
	}
	switch {
	case r.Suspended:
		add(JobSuspended, ConditionTrue, ReasonJobSuspended, r.SuspendedAt)
	case r.SuspendedAt > 0:
		add(JobSuspended, ConditionFalse, ReasonJobResumed, r.SuspendedAt)
	}
	switch over, since := r.MemoryOver(); {
	case over:
		add(JobMemoryPressure, ConditionTrue, ReasonMemoryLimitExceeded, since)
	case since > 0:
		add(JobMemoryPressure, ConditionFalse, ReasonMemoryWithinLimits, since)
	}
	switch r.Phase {
	case rules.FailureTarget:
		add(JobFailureTarget, ConditionTrue, r.Reason, r.FateAt)
	case rules.SuccessCriteriaMet:
		add(JobSuccessCriteriaMet, ConditionTrue, r.Reason, r.FateAt)
	case rules.JobIsFailed:
		add(JobFailureTarget, ConditionTrue, r.Reason, r.FateAt)
		add(JobFailed, ConditionTrue, r.Reason, r.EndedAt)
	case rules.JobIsComplete:
		add(JobSuccessCriteriaMet, ConditionTrue, r.Reason, r.FateAt)
		add(JobComplete, ConditionTrue, r.Reason, r.EndedAt)
	case rules.Open:
	}
	return all
}

// messages say for people what the reasons say for programs.
var messages = map[string]string{
	ReasonBackoffLimitExceeded:     "Job has reached the specified backoff limit",
	ReasonLostLimitExceeded:        "A slot has lost more attempts in a row than the lost limit",
	ReasonDeadlineExceeded:         "Job was active longer than specified deadline",
	ReasonMaxFailedIndexesExceeded: "Job has exceeded the specified maximal number of failed indexes",
	ReasonFailedIndexes:            "Job has failed indexes",
	ReasonCompletionsReached:       "Reached expected number of succeeded pods",
	ReasonJobSuspended:             "Job suspended",
	ReasonMemoryLimitExceeded:      "A process that runs attempts of the job has more memory than the limits of all that it runs",
	ReasonMemoryWithinLimits:       "No attempt runs in a process with more memory than the limits of all that it runs",
	ReasonJobResumed:               "Job resumed",
}

// ListOptions choose among the jobs of a queue. The zero value takes all.
type ListOptions struct {
	Kind   string
	Phase  Phase
	Labels map[string]string // that a job must have, all of them
	// Selector is a label selector as Kubernetes reads it, at most 100
	// requirements, such as "env in (test,dev),tier!=web,!old"; "" takes all.
	Selector string
	// Name and Error are parts of the name, and of the last error or of a
	// condition's reason or message, whatever their case; "" takes all.
	Name, Error string
	// Where, if set, is asked last, and decides about what the rest chooses.
	Where func(*Job) bool
	// Newest turns the order round within each part of the list; see List.
	Newest bool
	// Limit is how many jobs are read for a page, chosen or not: 200 by
	// default, 500 at most.
	Limit int
	// Continue goes on after the job whose token it is; see ListPage.
	Continue string
}

// List goes over the jobs of a queue: first those with a record, oldest
// first, then plain jobs that wait for their start or next attempt, the next
// one first, then plain jobs that wait for a worker or run, then finished plain
// jobs. It reads a page at a time. A job that comes, goes or changes its place
// meanwhile may be seen or not, or twice. An error that wraps [ErrUnreadable] is of jobs that are
// passed over; any other ends it.
func (q *Queue) List(ctx context.Context, o ListOptions) iter.Seq2[*Job, error] {
	return func(yield func(*Job, error) bool) {
		for {
			jobs, next, err := q.ListPage(ctx, o)
			if err != nil && (!yield(nil, err) || !errors.Is(err, ErrUnreadable)) {
				return
			}
			for _, j := range jobs {
				if !yield(j, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			o.Continue = next
		}
	}
}

// listToken is what ListPage goes on from: after a job of a time and name, in
// a kind after a start and an id, or after an entry, or in a hash of finished
// jobs at a cursor.
var listToken = regexp.MustCompile(`^(|jobs:\d+ \S+|late:(\S+( \d+ \d+-\d+)?)?|plain:(\S+( \d+-\d+)?)?|past:(\S+( \d+)?)?)$`)

// pageSize is how many jobs are read in one go, unless a list says otherwise.
const pageSize = 200

// ListPage reads one page, which may be empty though there are more, and the
// token for the next one; "" at the end. The options have to stay the same
// from page to page. A bad limit, token or selector is an [*InvalidError].
// With an error that wraps [ErrUnreadable], which names the jobs that are, it
// has read the others of the page all the same.
func (q *Queue) ListPage(ctx context.Context, o ListOptions) (jobs []*Job, next string, err error) {
	if q.err != nil {
		return nil, "", q.err
	}
	match, err := o.matcher()
	if err != nil {
		return nil, "", err
	}
	if o.Limit = cmp.Or(o.Limit, pageSize); o.Limit < 1 || o.Limit > store.Limit {
		return nil, "", &InvalidError{Fields: []FieldError{{Field: "limit", Cause: FieldInvalid, Value: o.Limit, Detail: "must be between 1 and 500"}}}
	}
	place := listToken.FindStringSubmatch(o.Continue)
	if place == nil {
		return nil, "", badToken(o.Continue, "must be a token of this list")
	}
	section, token, _ := strings.Cut(place[0], ":")
	var records []*store.Record
	switch section {
	case "late":
		records, next, err = q.listKinds(ctx, &o, "late", token, "plain:", q.store.ListLate)
	case "plain":
		records, next, err = q.listKinds(ctx, &o, "plain", token, "past:", q.store.ListPlain)
	case "past":
		records, next, err = q.listPast(ctx, o.Limit, token)
	default:
		records, next, err = q.listRecords(ctx, &o, token)
	}
	if err != nil {
		return nil, "", err
	}
	for _, r := range records {
		if r == nil {
			continue
		}
		j, bad := q.job(r)
		if bad != nil {
			err = errors.Join(err, bad)
		} else if match(j) {
			jobs = append(jobs, j)
		}
	}
	return jobs, next, err
}

func (q *Queue) listRecords(ctx context.Context, o *ListOptions, token string) ([]*store.Record, string, error) {
	names, next, err := q.store.List(ctx, token, o.Limit, o.Newest)
	if err != nil {
		return nil, "", err
	}
	records, err := q.store.GetAll(ctx, names)
	if next == "" {
		return records, "late:", err
	}
	return records, "jobs:" + next, err
}

// kindPage reads a page of a kind's jobs, after a place that it gave before.
type kindPage func(ctx context.Context, kind, after string, n int, newest bool) ([]*store.Record, string, error)

// listKinds goes through the kinds in the order of their names; its token is
// a kind and a place there. then is the section that follows.
func (q *Queue) listKinds(ctx context.Context, o *ListOptions, section, token, then string, list kindPage) ([]*store.Record, string, error) {
	kinds, err := q.store.Kinds(ctx)
	if err != nil {
		return nil, "", err
	}
	slices.Sort(kinds)
	kind, place, _ := strings.Cut(token, " ")
	i, _ := slices.BinarySearch(kinds, kind)
	for i < len(kinds) && o.Kind != "" && kinds[i] != o.Kind {
		i++
	}
	if i >= len(kinds) {
		return nil, then, nil
	}
	if kinds[i] != kind {
		place = ""
	}
	records, next, err := list(ctx, kinds[i], place, o.Limit, o.Newest)
	switch {
	case next != "":
		next = section + ":" + kinds[i] + " " + next
	case i+1 < len(kinds):
		next = section + ":" + kinds[i+1]
	default:
		next = then
	}
	return records, next, err
}

// listPast goes through the hashes of finished plain jobs; its token is one
// of these and a cursor.
func (q *Queue) listPast(ctx context.Context, limit int, token string) ([]*store.Record, string, error) {
	pasts, err := q.store.Pasts(ctx)
	if err != nil || len(pasts) == 0 {
		return nil, "", err
	}
	past, cursorText, _ := strings.Cut(token, " ")
	i := max(0, slices.Index(pasts, past))
	var cursor uint64
	if cursorText != "" && pasts[i] == past {
		_, _ = fmt.Sscan(cursorText, &cursor)
	}
	now, err := q.store.Now(ctx)
	if err != nil {
		return nil, "", err
	}
	records, after, err := q.store.ListPast(ctx, pasts[i], cursor, limit, now)
	switch {
	case after != 0:
		return records, fmt.Sprintf("past:%s %d", pasts[i], after), err
	case i+1 < len(pasts):
		return records, "past:" + pasts[i+1], err
	}
	return records, "", err
}

// pages yields what read appends to page, until its cursor is 0 again.
func pages[T any](yield func(T, error) bool, page *[]T, read func(cursor uint64) (uint64, error)) {
	var cursor uint64
	for {
		*page = (*page)[:0]
		next, err := read(cursor)
		if err != nil {
			var zero T
			yield(zero, err)
			return
		}
		for _, v := range *page {
			if !yield(v, nil) {
				return
			}
		}
		if cursor = next; cursor == 0 {
			return
		}
	}
}

// IndexProgress is what a running handler says of its progress.
type IndexProgress struct {
	Index int    `json:"-"`
	Done  int64  `json:"done"`
	Total int64  `json:"total,omitempty"`
	Note  string `json:"note,omitempty"`
}

// Progress reads what running handlers last said of their progress.
func (q *Queue) Progress(ctx context.Context, name string) iter.Seq2[IndexProgress, error] {
	return func(yield func(IndexProgress, error) bool) {
		var page []IndexProgress
		pages(yield, &page, func(cursor uint64) (uint64, error) {
			return q.store.Progress(ctx, name, cursor, func(slot int, data []byte) {
				var p IndexProgress
				if json.Unmarshal(data, &p) == nil {
					p.Index = slot
					page = append(page, p)
				}
			})
		})
	}
}
