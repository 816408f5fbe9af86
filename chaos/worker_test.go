//go:build unix

package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/internal/redistest"
)

// processEnv makes of the test binary a process of the run: a site as JSON.
const processEnv = "STINT_CHAOS_PROCESS"

// site is where a process works.
type site struct {
	Addrs     []string // of a Redis, or of a cluster's nodes
	Sentinel  string
	Dir       string // for side files
	Scheduler bool   // it only keeps timers and ends what was lost
}

func (s site) client() redis.UniversalClient {
	switch {
	case s.Sentinel != "":
		return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.SentinelName, SentinelAddrs: []string{s.Sentinel}})
	case len(s.Addrs) > 1:
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: s.Addrs})
	}
	return redis.NewClient(&redis.Options{Addr: s.Addrs[0]})
}

const (
	queueName = "chaos"
	lease     = 2 * time.Second
)

func (s site) queue() *stint.Queue { return stint.NewQueue(queueName, s.client()) }

// task is what a handler is to do.
type task struct {
	Do string `json:"do"`
	Ms int    `json:"ms"`
}

func (task) Kind() string { return "chaos" }

// line is what a handler writes of itself: that it begins (B), that it was told
// to stop (C), and how it ends (E), before it says so to stint.
type line struct {
	At      int64 // ns
	PID     int
	What    string
	Job     string
	UID     string
	Index   int
	Attempt int
	Token   string
	Outcome string `json:",omitempty"`
	Fired   string `json:",omitempty"` // the scheduled time of a run of a cron job
}

// sideFile appends lines, each in one write: what was written stays when the
// process is killed.
type sideFile struct{ f *os.File }

func (s sideFile) write(what, outcome string, t *stint.Task[task]) {
	data, _ := json.Marshal(line{
		At: time.Now().UnixNano(), PID: os.Getpid(), What: what, Job: t.Job, UID: t.UID, Index: t.Index, Attempt: t.Attempt,
		Token: t.Token(), Outcome: outcome, Fired: t.Annotations()[stint.ScheduledAnnotation],
	})
	_, _ = s.f.Write(append(data, '\n'))
}

var errDeliberate = errors.New("deliberate")

// act does what the task says.
func act(ctx context.Context, t *stint.Task[task]) error {
	pause := func(ms int) error {
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := pause(t.Args.Ms); err != nil {
		return err
	}
	first := t.Attempt == 1 && t.Index%2 == 0
	switch t.Args.Do {
	case "fail":
		if first {
			return errDeliberate
		}
	case "panic":
		if first {
			panic(errDeliberate)
		}
	case "hang":
		if first {
			return pause(60_000)
		}
	case "kill":
		if first && t.Index == 0 {
			os.Exit(137)
		}
	case "poison":
		os.Exit(137)
	case "always":
		return errDeliberate
	}
	return nil
}

// work runs a worker until it is killed, or its parent is.
func work(text string) error {
	var s site
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	if s.Scheduler {
		return stint.NewScheduler(nil, s.queue()).Run(context.Background())
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, fmt.Sprintf("%d.log", os.Getpid())), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	side := sideFile{f}
	w := stint.NewWorker(s.queue(), stint.WorkerConfig{Lease: lease, Concurrency: 8})
	stint.Handle(w, func(ctx context.Context, t *stint.Task[task]) (err error) {
		side.write("B", "", t)
		stop := context.AfterFunc(ctx, func() { side.write("C", context.Cause(ctx).Error(), t) })
		outcome := "panic"
		defer func() {
			stop()
			side.write("E", outcome, t)
		}()
		if err = act(ctx, t); err != nil {
			outcome = err.Error()
			return err
		}
		outcome = "ok"
		return nil
	})
	return w.Run(context.Background())
}
