//go:build unix

package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/leaktest"
)

var (
	duration = flag.Duration("duration", 12*time.Second, "how long the nemesis strikes, over all phases")
	seedFlag = flag.Uint64("seed", 0, "of the strikes and submissions; 0 takes one")
)

func TestMain(m *testing.M) {
	if text := os.Getenv(processEnv); text != "" {
		if err := work(text); err != nil {
			log.Fatal(err)
		}
		return
	}
	leaktest.Main(m)
}

// settleWithin is how long all may take to end once the nemesis rests.
const settleWithin = 90 * time.Second

// phase is one kind of Redis to run on.
type phase struct {
	name    string
	share   float64 // of the duration
	durable stint.Durability
	build   func(t *testing.T, r *run) site
}

// run is a phase under way.
type run struct {
	t       *testing.T
	phase   phase
	rnd     *rand.Rand // of the nemesis
	site    site
	queue   *stint.Queue // for the checker, past all faults of connections
	lossy   site         // for workers and submitters
	strikes []strike
	heal    []func()
	spans   []span
	outages []span
	counts  map[string]int
	workers []*exec.Cmd
	mu      sync.Mutex // guards jobs
	jobs    []*told
	unsure  map[string]int
}

// strike is something that the nemesis does.
type strike struct {
	name string
	do   func(r *run)
}

// TestChaos is `make chaos`, and a short form of it in `make test`.
func TestChaos(t *testing.T) { //nolint:paralleltest // it has both cores to itself, or lets others have them
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64() % 1_000_000
	}
	out := io.Writer(os.Stdout)
	_, _ = fmt.Fprintf(out, "chaos: seed %d, %v\n", seed, *duration)
	redis.SetLogger(quiet{})
	var sum verdict
	counts := map[string]int{}
	for i, p := range []phase{standalone(), sentinel(), cluster()} { //nolint:paralleltest // one after the other, as well
		if *duration < 30*time.Second && i > 0 {
			break // the short form is for every day
		}
		t.Run(p.name, func(t *testing.T) {
			r := &run{t: t, phase: p, rnd: rand.New(rand.NewPCG(seed, uint64(i))), counts: map[string]int{}, unsure: map[string]int{}}
			v := r.all(time.Duration(p.share*float64(*duration)), seed)
			for what, n := range r.counts {
				counts[what] += n
			}
			sum.add(v)
		})
	}
	summarise(out, sum, counts)
	require.Zero(t, sum.bad(), "seed %d", seed)
	require.Empty(t, sum.notes, "seed %d", seed)
}

// summarise writes the line, the faults injected, and what is wrong.
func summarise(out io.Writer, sum verdict, counts map[string]int) {
	_, _ = fmt.Fprintln(out, sum.String())
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		_, _ = fmt.Fprintf(out, "  %6d  %s\n", counts[what], what)
	}
	for _, n := range sum.notes[:min(len(sum.notes), 30)] {
		_, _ = fmt.Fprintln(out, "  "+n)
	}
}

// quiet is a logger that drops what clients say of broken connections.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

const workers = 3

func (r *run) all(d time.Duration, seed uint64) verdict {
	r.site = r.phase.build(r.t, r)
	if r.lossy.Addrs == nil {
		r.lossy = r.site
	}
	r.site.Dir = r.t.TempDir()
	r.lossy.Dir = r.site.Dir
	r.queue = r.site.queue()
	for range workers {
		r.workers = append(r.workers, r.process(r.lossy))
	}
	scheduler := r.lossy
	scheduler.Scheduler = true
	r.workers = append(r.workers, r.process(scheduler))
	ctx, stop := context.WithTimeout(context.Background(), d)
	defer stop()
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() { r.submit(ctx, i, rand.New(rand.NewPCG(seed, 100+uint64(i)))) })
	}
	all.Go(func() { r.watch(ctx) })
	r.nemesis(ctx)
	all.Wait()
	for _, h := range r.heal {
		h()
	}
	return r.verdict()
}

// process starts a process of the run.
func (r *run) process(s site) *exec.Cmd {
	data, err := json.Marshal(s)
	require.NoError(r.t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processEnv+"="+string(data))
	require.NoError(r.t, cmd.Start())
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// nemesis strikes until ctx ends, each strike as often as the others.
func (r *run) nemesis(ctx context.Context) {
	var order []int
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(300+r.rnd.IntN(900)) * time.Millisecond):
		}
		if len(order) == 0 {
			order = r.rnd.Perm(len(r.strikes))
		}
		r.revive()
		s := r.strikes[order[0]]
		order = order[1:]
		r.counts[s.name]++
		s.do(r)
	}
}

// wait lets a strike last.
func (r *run) wait(from, to int) {
	<-time.After(time.Duration(from+r.rnd.IntN(to-from)) * time.Millisecond)
}

func (r *run) killOne(i int) {
	cmd := r.workers[i]
	from := time.Now().UnixNano()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	r.spans = append(r.spans, span{cmd.Process.Pid, from, 1<<63 - 1})
	s := r.lossy
	s.Scheduler = i == workers
	r.workers[i] = r.process(s)
}

func (r *run) stopOne(i int) {
	p := r.workers[i].Process
	from := time.Now().UnixNano()
	_ = p.Signal(syscall.SIGSTOP)
	r.wait(500, 6000)
	_ = p.Signal(syscall.SIGCONT)
	r.spans = append(r.spans, span{p.Pid, from, time.Now().UnixNano()})
}

// revive starts the workers again that have killed themselves.
func (r *run) revive() {
	for i, cmd := range r.workers {
		if cmd.Process.Signal(syscall.Signal(0)) != nil || exited(cmd) {
			r.counts["worker ended by its own handler"]++
			from := time.Now().UnixNano()
			_ = cmd.Wait()
			r.spans = append(r.spans, span{cmd.Process.Pid, from - int64(2*time.Second), 1<<63 - 1})
			s := r.lossy
			s.Scheduler = i == workers
			r.workers[i] = r.process(s)
		}
	}
}

func exited(cmd *exec.Cmd) bool {
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WNOHANG, nil)
	return err == nil && pid == cmd.Process.Pid
}

// processStrikes hit processes of ours; they suit every phase.
func processStrikes() []strike {
	return []strike{
		{"worker killed", func(r *run) { r.killOne(r.rnd.IntN(workers)) }},
		{"worker stopped and continued", func(r *run) { r.stopOne(r.rnd.IntN(workers)) }},
		{"scheduler with its janitor killed", func(r *run) { r.killOne(workers) }},
		{"scheduler with its janitor stopped", func(r *run) { r.stopOne(workers) }},
	}
}

// shapes are the jobs that submitters choose from.
func shape(rnd *rand.Rand, name string) (task, stint.JobSpec, bool) {
	dos := []string{"ok", "ok", "ok", "fail", "fail", "panic"}
	a := task{Do: dos[rnd.IntN(len(dos))], Ms: rnd.IntN(60)}
	switch rnd.IntN(60) { // these cost much time
	case 0:
		a.Do = "kill"
	case 1, 2:
		a.Do = "hang"
	}
	s := stint.JobSpec{
		TTLAfterFinished: new(24 * time.Hour), LostLimit: new(1000), BackoffLimit: new(1000), AttemptTimeout: 5 * time.Second,
		Backoff: &stint.Backoff{Initial: 10 * time.Millisecond, Max: 200 * time.Millisecond},
	}
	steer := false
	switch rnd.IntN(10) {
	case 0, 1, 2, 3: // plain
		return a, s, false
	case 4:
		s.Completions, s.Parallelism = new(2+rnd.IntN(6)), new(1+rnd.IntN(3))
	case 5:
		s.CompletionMode, s.Completions, s.Parallelism = stint.Indexed, new(2+rnd.IntN(10)), new(1+rnd.IntN(3))
		steer = true
	case 6:
		s.CompletionMode, s.Completions, s.Parallelism = stint.Indexed, new(2+rnd.IntN(6)), new(2)
		s.BackoffLimit, s.BackoffLimitPerIndex = nil, new(3)
		s.FailurePolicy = &stint.FailurePolicy{Rules: []stint.FailureRule{{Action: stint.ActionIgnore, OnConditions: []stint.ConditionPattern{{Type: stint.DisruptionTarget, Status: stint.ConditionTrue}}}}}
	case 7:
		s.Parallelism = new(2) // a work queue
	case 8:
		s.Suspend, s.Completions, s.Parallelism = true, new(3), new(2)
		steer = true
	default:
		s.Delay = time.Duration(rnd.IntN(2000)) * time.Millisecond
		if rnd.IntN(20) == 0 {
			a.Do, s.LostLimit = "poison", new(1)
		} else if rnd.IntN(3) == 0 {
			a.Do, s.BackoffLimit = "always", new(2)
		}
	}
	s.Name = name
	return a, s, steer
}

// submit submits jobs, steers some of them, and notes what it was told.
func (r *run) submit(ctx context.Context, who int, rnd *rand.Rand) {
	q := r.lossy.queue().Durable(r.phase.durable)
	for i := range 2 {
		policy := []stint.ConcurrencyPolicy{stint.AllowConcurrent, stint.ForbidConcurrent, stint.ReplaceConcurrent}[who]
		_, _ = q.ApplyCron(ctx, stint.CronJob{
			Name: fmt.Sprintf("cron-%d-%d", who, i), Schedule: fmt.Sprintf("@every %ds", 1+i), ConcurrencyPolicy: policy,
			Args: task{Do: "ok", Ms: 300}, Job: stint.JobSpec{LostLimit: new(1000)},
		})
	}
	for i := 0; ctx.Err() == nil; i++ {
		args, spec, steer := shape(rnd, fmt.Sprintf("job-%d-%d", who, i))
		job, err := q.Submit(ctx, args, spec)
		if err != nil {
			r.refused(err)
			pause(ctx, 100)
			continue
		}
		j := &told{name: job.Name, parallelism: *job.Spec.Parallelism, steered: steer}
		if steer {
			r.steer(ctx, q, j, rnd)
		}
		r.mu.Lock()
		r.jobs = append(r.jobs, j)
		r.mu.Unlock()
		pause(ctx, rnd.IntN(250))
	}
}

func pause(ctx context.Context, ms int) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-ctx.Done():
	}
}

// refused notes a submission that was not acknowledged.
func (r *run) refused(err error) {
	what := "submissions refused, memory being out"
	switch {
	case errors.Is(err, stint.ErrNotDurable):
		what = "submissions stored, and not yet by the replica"
	case errors.Is(err, stint.ErrUncertain):
		what = "submissions of which nothing is known"
	case !strings.Contains(err.Error(), "OOM"):
		what = "submissions refused otherwise"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsure[what]++
}

// steer suspends, resumes, scales or deletes a job; at last it is not
// suspended.
func (r *run) steer(ctx context.Context, q *stint.Queue, j *told, rnd *rand.Rand) {
	var err error
	switch rnd.IntN(4) {
	case 0:
		_, err = q.Suspend(ctx, j.name)
	case 1:
		_, err = q.Scale(ctx, j.name, 1+rnd.IntN(4))
	case 2:
		j.deleted = true
		err = q.Delete(ctx, j.name)
	default:
		j.evicted = 1
		err = q.Evict(ctx, j.name, 0)
	}
	_ = err // what came of it is read at the end
}

// watch notes when jobs are seen finished.
func (r *run) watch(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		jobs := slices.Clone(r.jobs)
		r.mu.Unlock()
		for _, j := range jobs {
			if j.finished != nil || ctx.Err() != nil || rand.IntN(3) > 0 {
				continue
			}
			if got, err := r.queue.Get(ctx, j.name); err == nil && got.Finished() {
				j.finished, j.seen = got, time.Now()
			}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// verdict waits until all has ended, and checks.
func (r *run) verdict() verdict {
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin+30*time.Second)
	defer cancel()
	until := time.Now().Add(settleWithin)
	for i := 0; ; i++ {
		r.revive()
		open := 0
		for _, j := range r.jobs {
			if j.now != nil && j.now.Finished() || j.gone && i%10 > 0 {
				continue
			}
			got, err := r.queue.Get(ctx, j.name)
			if j.gone = errors.Is(err, stint.ErrNotFound); err == nil {
				j.now = got
				if j.steered && !got.Finished() && got.Spec.Suspend {
					_, _ = r.queue.Resume(ctx, j.name)
				}
			}
			if !j.gone && (j.now == nil || !j.now.Finished()) {
				open++
			}
		}
		if open == 0 || time.Now().After(until) {
			break
		}
		<-time.After(300 * time.Millisecond)
	}
	for _, cmd := range r.workers {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	side, err := readSide(r.site.Dir)
	require.NoError(r.t, err)
	v := check(r.jobs, side, r.spans, r.outages)
	for f, err := range r.queue.Audit(ctx, stint.AuditOptions{Orphans: true}) {
		require.NoError(r.t, err)
		v.note("audit: %s", f)
	}
	for what, n := range r.unsure {
		r.counts[what] += n
	}
	return v
}
