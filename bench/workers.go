package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint"
)

// workerOrder is what a worker process is told.
type workerOrder struct {
	Addrs   []string
	Cluster bool
	Queues  []string
}

// runWorker works until its standard input ends.
func runWorker(ctx context.Context, text string) error {
	var o workerOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	rdb := newClient(settings{addrs: o.Addrs, cluster: o.Cluster})
	defer func() { _ = rdb.Close() }()
	var queues []*stint.Queue
	for _, name := range o.Queues {
		queues = append(queues, stint.NewQueue(name, rdb))
	}
	w := stint.NewWorker(queues[0], stint.WorkerConfig{Concurrency: concurrency, Queues: queues[1:]})
	stop, err := runStintWorker(ctx, w, 1, func(Args, int) error { return nil })
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return stop()
}

// measureWorkers has several processes empty one queue: as many as the
// scenario's name says.
func measureWorkers(ctx context.Context, r *rig) ([]Result, error) {
	rdb := newClient(r.settings)
	defer func() { _ = rdb.Close() }()
	return r.drainWith(ctx, rdb, []string{"bench"}, lastNumber(r.Scenario))
}

// lastNumber is the number at the end of a scenario's name.
func lastNumber(scenario string) int {
	n, _ := strconv.Atoi(scenario[strings.LastIndexByte(scenario, '-')+1:])
	return n
}

// measureCluster has two processes empty six queues, which lie evenly on the
// primaries of a Cluster: as many as the scenario's name says.
func measureCluster(ctx context.Context, r *rig) ([]Result, error) {
	const queues, processes = 6, 2
	primaries := lastNumber(r.Scenario)
	r.redis.close()
	var err error
	if r.redis, err = startCluster(ctx, primaries); err != nil {
		return nil, err
	}
	r.server, r.addrs, r.cluster = r.redis, r.redis.addrs, true
	rdb := newClient(r.settings)
	defer func() { _ = rdb.Close() }()
	var names []string
	onPrimary := make([]int, primaries)
	for i := 0; len(names) < queues; i++ {
		name := fmt.Sprint("bench-", i)
		slot, err := rdb.ClusterKeySlot(ctx, name).Result()
		if err != nil {
			return nil, err
		}
		if p := primaryOf(int(slot), primaries); onPrimary[p] < queues/primaries {
			onPrimary[p]++
			names = append(names, name)
		}
	}
	return r.drainWith(ctx, rdb, names, processes)
}

// drainWith fills queues with N plain jobs in all, and has so many processes
// empty them.
func (r *rig) drainWith(ctx context.Context, rdb redis.UniversalClient, names []string, processes int) ([]Result, error) {
	var queues []*stintSystem
	for _, name := range names {
		s := &stintSystem{queue: stint.NewQueue(name, rdb), spec: stint.JobSpec{TTLAfterFinished: new(time.Duration(0))}}
		if err := fill(ctx, s, r.N/len(names)); err != nil {
			return nil, err
		}
		queues = append(queues, s)
	}
	from, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	workers, err := startWorkers(ctx, workerOrder{r.addrs, r.cluster, names}, processes)
	if err != nil {
		return nil, err
	}
	err = untilEmpty(ctx, queues)
	ended := time.Now()
	client, stopErr := workers.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return nil, err
	}
	to, err := take(ctx, r.server, nil)
	if err != nil {
		return nil, err
	}
	n := float64(r.N)
	res := Result{
		TasksPerS: n / ended.Sub(from.at).Seconds(), ClientUSPer: micros(client) / n,
		RedisUSPerTask: micros(to.server.cpu-from.server.cpu) / n,
	}
	out := []Result{res}
	if r.Scenario == "workers-8" { // the most of them stand for the scenario
		res.Scenario = "workers"
		out = append(out, res)
	}
	return out, nil
}

// primaryOf is which of n primaries has a slot.
func primaryOf(slot, n int) int {
	for i := range n {
		if slot < (i+1)*clusterSlots/n {
			return i
		}
	}
	return n - 1
}

// untilEmpty asks from time to time until no queue has anything left.
func untilEmpty(ctx context.Context, queues []*stintSystem) error {
	for len(queues) > 0 {
		n, err := queues[0].left(ctx)
		switch {
		case err != nil:
			return err
		case n == 0:
			queues = queues[1:]
		case !pause(ctx, 20*time.Millisecond):
			return fmt.Errorf("%d tasks are left: %w", n, ctx.Err())
		}
	}
	return nil
}

// workerProcesses are processes that work.
type workerProcesses struct {
	cmds   []*exec.Cmd
	stdins []io.Closer
}

func startWorkers(ctx context.Context, order workerOrder, n int) (*workerProcesses, error) {
	text, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &workerProcesses{}
	for range n {
		cmd := exec.CommandContext(ctx, self, "-worker", string(text))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		w.cmds, w.stdins = append(w.cmds, cmd), append(w.stdins, in)
	}
	return w, nil
}

// stop ends the workers, and tells what CPU time they have used.
func (w *workerProcesses) stop() (time.Duration, error) {
	var cpu time.Duration
	var first error
	for _, in := range w.stdins {
		_ = in.Close() // one that has ended already has closed it
	}
	for _, cmd := range w.cmds {
		if err := cmd.Wait(); err != nil && first == nil {
			first = err
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return cpu, first
}
