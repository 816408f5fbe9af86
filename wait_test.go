package stint

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/redistest"
	"github.com/stint-go/stint/internal/store"
)

// afterCall does something once, after the first call that begins with a command.
type afterCall struct {
	name string
	do   func()
}

func (a *afterCall) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a *afterCall) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		a.called(cmd)
		return err
	}
}

func (a *afterCall) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		a.called(cmds[0])
		return err
	}
}

func (a *afterCall) called(cmd redis.Cmder) {
	if do := a.do; do != nil && cmd.Name() == a.name {
		a.do = nil
		do()
	}
}

// A job that is not kept ends between any two steps of one who waits for it:
// he hears of its end, and gets its result.
func TestAwaitHearsOfAnEndBetweenItsSteps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]string{"before the first look": "hset", "after other events": "xread"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb redis.UniversalClient) {
				ctx := t.Context()
				q := NewQueue("await", rdb)
				spec := JobSpec{TTLAfterFinished: new(time.Duration(0))}
				job, err := q.SubmitRaw(ctx, Submission{Kind: "k", Args: []byte("{}"), Spec: spec})
				require.NoError(t, err)
				claimed, err := q.store.Claim(ctx, store.Claim{Worker: "w", Op: "1", Lanes: []string{"k"}, Max: 1, Lease: time.Second})
				require.NoError(t, err)
				require.Len(t, claimed.Tasks, 1)
				task := &claimed.Tasks[0]
				end := func() {
					o := q.store.Settle(ctx, []store.Result{{Task: task, Record: store.KeptRecord(task, []byte("7")), Result: []byte("7")}}, store.Guard{}, 0)
					require.NoError(t, o[0].Err)
					require.True(t, o[0].Counted)
				}
				hook := &afterCall{name: c, do: end}
				rdb.AddHook(hook)
				if c == "xread" {
					hook.name, hook.do = "hset", func() {
						_, err := q.SubmitRaw(ctx, Submission{Kind: "k", Args: []byte("{}"), Spec: JobSpec{Name: "other", Suspend: true}})
						require.NoError(t, err)
						hook.name, hook.do = c, end
					}
				}
				n, err := Await[int](ctx, q, job.Name)
				require.NoError(t, err)
				require.Equal(t, 7, n)
				_, err = q.Wait(ctx, job.Name)
				require.ErrorIs(t, err, ErrNotFound, "nobody waited then")
			})
		})
	}
}
