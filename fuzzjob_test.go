package stint

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/stint-go/stint/internal/rules"
	"github.com/stint-go/stint/internal/store"
)

// fuzzQueue is a queue that is never asked anything of Redis.
func fuzzQueue(f *testing.F) *Queue {
	f.Helper()
	rdb := redis.NewClient(&redis.Options{})
	f.Cleanup(func() { _ = rdb.Close() })
	q := NewQueue("fuzz", rdb, QueueConfig{
		Keys:        []Key{{ID: "k1", Secret: NewSecretValue(strings.Repeat("k", 32))}},
		EncryptJobs: true, AcceptPlain: true,
	})
	require.NoError(f, q.err)
	return q
}

// FuzzJob: whatever a record's texts are, they make a job, or an error that
// names it.
func FuzzJob(f *testing.F) {
	q := fuzzQueue(f)
	f.Add([]byte(`{"completions":2,"completionMode":"Indexed","backoff":{"initial":"1s"}}`), []byte(`{}`), `a\ud83d\ude00"`, `A 1 2 3;`, int64(1), uint8(0))
	f.Add([]byte(`{"completions":-9223372036854775808,"ttlSecondsAfterFinished":"x"}`), []byte("\x00stint\x01\x02k1"), `\`, `;;`, int64(-1), uint8(1))
	f.Add([]byte(`{"labels":{}}`), []byte(nil), `\u`, "", int64(1)<<62, uint8(2))
	f.Add([]byte(`{"successPolicy":{"rules":[{}]},"podFailurePolicy":{}}`), []byte("x"), "", "1 config/a b", int64(7), uint8(3))
	phases := []string{"", "Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "x"}
	f.Fuzz(func(t *testing.T, spec, args []byte, text, log string, n int64, sort uint8) {
		r := &store.Record{
			Name: "job", UID: "uid", Kind: "k", Spec: spec, Args: args, Error: text, Message: text, Reason: text, Log: log, Lacks: log,
			FateAt: n, EndedAt: -n, StartedAt: n, SuspendedAt: n, RetryAt: n, Active: int(n), Failed: int(-n), Suspended: n%2 == 0,
		}
		r.Phase = rules.Phase(phases[int(sort)%len(phases)])
		job, err := q.job(r)
		if err != nil {
			require.ErrorIs(t, err, ErrUnreadable)
			require.ErrorContains(t, err, `"job"`)
			return
		}
		require.LessOrEqual(t, len(job.Status.LastError), maxLastError)
		_ = job.Phase()
		_, _ = json.Marshal(job)
		_ = validateCreate(job.Spec, job.Kind, len(job.Args))
		job.Spec.rules()
		happenedTo(r)
		endOf(r)
		attemptError(int(n), n, spec)
	})
}

// FuzzCron: whatever the record of a cron job has in it, looking at it when it
// is due gives a run, a time or an error. Nothing opens that was not sealed.
func FuzzCron(f *testing.F) {
	q := fuzzQueue(f)
	for _, s := range []string{
		"", "{", `{"schedule":"@every 1s","timeZone":"Europe/Berlin"}`, `{"schedule":"TZ=","sealed":"AHN0aW50AQ=="}`, `{"status":{"active":[{}]},"schedule":"* * * * *"}`,
		`{"data":{"a":"b"},"sealed":{"a":"AHN0aW50"}}`, `{"suspend":null,"jobTemplate":{"spec":7}}`,
	} {
		f.Add([]byte(s), int64(1e12))
	}
	f.Fuzz(func(t *testing.T, data []byte, ms int64) {
		if c, err := q.parseCron(data); err == nil {
			_ = c.Validate()
			c.withDefaults()
			c.overLimit()
			cronSpec(c)
			c.base()
			_, _ = q.run(c, time.UnixMilli(ms%1e15))
		}
		r, err := parseObject("config/app", store.Object{Version: "1", Data: data})
		if err != nil {
			require.ErrorIs(t, err, ErrUnreadable)
			require.ErrorContains(t, err, "app")
			return
		}
		for key, sealed := range r.Sealed {
			_, err := q.open(sealed, sealedSecret, q.name, "app", key)
			require.Error(t, err, "nothing was sealed")
		}
	})
}
